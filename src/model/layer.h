/* What a layer kind is: plan, forward, backward. Private to src/model.
 *
 * `plan` declares every tensor of the node once: parameters (flat array, checkpoint, decay), saved activations
 * (kept from forward to backward) and scratch (shared by all nodes). Tensors are then named by the slot of
 * their declaration. */
#ifndef YK_MODEL_LAYER_H
#define YK_MODEL_LAYER_H

#include "model/model.h"

enum { YK_NODE_SLOTS = 10, YK_PHASES = 4 };

typedef struct yk_node {
    const struct yk_layer_kind *kind;
    int64_t layer;
    int phase; /* index into model->phase */
    int param[YK_NODE_SLOTS];       /* index into model->params   */
    int64_t saved[YK_NODE_SLOTS];   /* float offset in the arena  */
    bool shared[YK_NODE_SLOTS];     /* lies in what the segments that are computed again have in common */
    int64_t scratch[YK_NODE_SLOTS]; /* float offset in the arena  */
    int first, last; /* the segment it belongs to */
    bool recompute;  /* backward computes the segment again from its input (Chen et al. 2016) */
} yk_node;

/* Slots that every block has: what it saves for the next node, its norm (norm.c), and the first of its own. */
enum { YK_OUTPUT, YK_NORMED, YK_STATISTICS, YK_OWN_SAVED };
enum { YK_NORM, YK_NORM_BIAS, YK_OWN_PARAM };

/* One pass over one micro-batch. */
typedef struct yk_pass {
    struct yk_model *m;
    const yk_batch *batch;
    float z_loss;
    float *loss;
    int32_t *best;
    const float *x; /* residual stream into the node: [N,C] */
    float *y;       /* forward: out of the node, set by it */
    float *d;       /* backward: gradient of the node's output, becomes that of its input: [N,C] */
    bool training;
    yk_cache *cache; /* decoding */
    const int32_t *cache_row, *wanted_row;
    int64_t wanted;
    float *logits;
} yk_pass;

typedef struct yk_layer_kind {
    const char *name;
    yk_status (*plan)(struct yk_model *m, yk_node *n, yk_error *err);
    void (*forward)(const yk_node *n, yk_pass *p);
    void (*backward)(const yk_node *n, yk_pass *p); /* p->x is what it was in forward */
} yk_layer_kind;

extern const yk_layer_kind yk_embed_kind, yk_attention_kind, yk_mlp_kind, yk_head_kind;

struct yk_model {
    yk_model_shape shape;
    const yk_kernels *k;
    yk_team team;
    bool training;
    int64_t max_rows;
    yk_node *node;
    int nodes;
    yk_param *param;
    int params, param_room;
    int64_t floats;
    float *weight, *gradient;
    int64_t saved_floats, shared_floats, shared_now, scratch_floats, scratch_now;
    int resident; /* first node of the segment whose activations the shared part holds */
    float *saved, *scratch; /* arenas */
    float *stream;          /* backward: [max_rows, C] */
    void *kernel_scratch;
    float *cosine, *sine;   /* [positions, D/2] */
    float **input;          /* [nodes] what each node was given in forward */
    yk_memory memory;
    yk_phase phase[YK_PHASES];
};

/* Declarations; shapes are checked and recorded, memory comes later. saved and scratch sizes are floats a row. */
yk_status yk_declare_param(struct yk_model *m, yk_node *n, int slot, const char *suffix, int64_t rows,
                           int64_t columns, yk_init init, bool decay, yk_error *err);
void yk_declare_saved(struct yk_model *m, yk_node *n, int slot, int64_t floats_a_row);
void yk_declare_scratch(struct yk_model *m, yk_node *n, int slot, int64_t floats_a_row);

static inline float *yk_weight(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->weight + p->m->param[n->param[slot]].offset;
}
static inline float *yk_gradient(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->gradient + p->m->param[n->param[slot]].offset;
}
static inline float *yk_saved(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->saved + n->saved[slot];
}
static inline float *yk_scratch(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->scratch + n->scratch[slot];
}

/* The norm that a block begins with, RMSNorm or LayerNorm: p->x -> NORMED; backward: dy -> p->d, added to it or not. */
yk_status yk_norm_plan(struct yk_model *m, yk_node *n, const char *name, yk_error *err);
void yk_norm_forward(const yk_node *n, yk_pass *p);
void yk_norm_backward(const yk_node *n, yk_pass *p, const float *dy, bool accumulate);

/* A linear layer: weight [out,in] in `slot`, bias [out] in slot + 1 when the model has biases.
 *   y[N,out] = x[N,in] w^T + bias + residual[N,out] (or NULL);  dx = dy w;  dw += dy^T x;  dbias += sum of dy. */
yk_status yk_linear_plan(struct yk_model *m, yk_node *n, int slot, const char *name, int64_t out, int64_t in, yk_init init,
                         yk_error *err);
void yk_linear_forward(const yk_node *n, const yk_pass *p, int slot, float *y, const float *x, const float *residual);
void yk_linear_backward(const yk_node *n, const yk_pass *p, int slot, float *dx, const float *dy, const float *x);

/* The three products alone, of a weight w[out,in] that lies elsewhere; init as in yk_gemm. */
void yk_product(const yk_pass *p, float *y, const float *x, const float *w, int64_t rows, int64_t in, int64_t out,
                const float *init, int64_t init_row);
void yk_product_dx(const yk_pass *p, float *dx, const float *dy, const float *w, int64_t rows, int64_t in, int64_t out);
void yk_product_dw(const yk_pass *p, float *dw, const float *dy, const float *x, int64_t rows, int64_t in, int64_t out);

#endif
