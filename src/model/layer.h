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
    int first_param, params;        /* they follow one another    */
    int64_t saved[YK_NODE_SLOTS];   /* byte offset in the arena   */
    bool shared[YK_NODE_SLOTS];     /* lies in what the segments that are computed again have in common */
    int64_t scratch[YK_NODE_SLOTS]; /* byte offset in the arena   */
    int first, last; /* the segment it belongs to */
    bool recompute;  /* backward computes the segment again from its input (Chen et al. 2016) */
} yk_node;

/* Slots that every block has: what it saves for the next node, its norm (norm.c), and the first of its own. */
enum { YK_OUTPUT, YK_STATISTICS, YK_OWN_SAVED };
enum { YK_NORMED, YK_DNORMED, YK_OWN_SCRATCH };
enum { YK_NORM, YK_NORM_BIAS, YK_OWN_PARAM };

/* What the head is asked for. */
typedef enum yk_wanted { YK_LOSSES, YK_SCORES, YK_LOGITS, YK_NORMED_ROWS } yk_wanted;

/* One pass over one micro-batch. */
typedef struct yk_pass {
    struct yk_model *m;
    const yk_batch *batch;
    yk_wanted wanted;
    float z_loss;
    float *loss, *entropy, *score;
    int32_t *best;
    const yk_objective *objective; /* or NULL */
    float *weight;                 /* of the objective */
    const yk_teaching *teaching;   /* or NULL */
    const float *x; /* residual stream into the node: [N,C] */
    float *y;       /* forward: out of the node, set by it */
    float *d;       /* backward: gradient of the node's output, becomes that of its input: [N,C] */
    bool training;
    yk_cache *cache; /* decoding */
    const int32_t *cache_row, *logit_row; /* rows whose logits are wanted */
    int64_t logit_rows;
    float *logits;
} yk_pass;

typedef struct yk_layer_kind {
    const char *name;
    yk_status (*plan)(struct yk_model *m, yk_node *n, yk_error *err);
    void (*forward)(const yk_node *n, yk_pass *p);
    void (*backward)(const yk_node *n, yk_pass *p); /* p->x is what it was in forward */
} yk_layer_kind;

extern const yk_layer_kind yk_embed_kind, yk_attention_kind, yk_mlp_kind, yk_head_kind;

/* The weights of all products, packed for those of forward or of backward. */
typedef struct yk_packed {
    char *data;      /* NULL until yk_model_pack */
    int64_t *at;     /* [params] byte offsets in it */
    bool is_current; /* holds the weights as they are now */
} yk_packed;
enum { YK_FORWARD, YK_BACKWARD, YK_WAYS };

struct yk_model {
    yk_model_shape shape;
    const yk_kernels *k;
    yk_team team;
    bool training;
    int64_t max_rows;
    yk_node *node;
    int nodes;
    int *visit, visits; /* of a training pass, see yk_model_visits */
    yk_param *param;
    int params, param_room;
    int64_t floats;
    yk_weights own;
    float *weight, *gradient; /* in use */
    int64_t saved_bytes, shared_bytes, shared_now, scratch_bytes, scratch_now;
    char *saved, *scratch;  /* arenas */
    float *stream;          /* backward: [max_rows, C] */
    void *kernel_scratch;
    float *cosine, *sine;   /* [positions, D/2] */
    yk_packed packed[YK_WAYS];
    float **input;          /* [nodes] what each node was given in forward */
    yk_memory memory;
    yk_phase phase[YK_PHASES];
    yk_watcher watcher; /* begins NULL: there is none */
};

/* Fills m->visit: forward, then backward, before which a segment whose activations are not those that the shared part
 * holds is computed again. */
void yk_order_visits(struct yk_model *m);

/* Declarations; shapes are checked and recorded, memory comes later. Saved and scratch tensors have `width` numbers of
 * a type a row. */
yk_status yk_declare_param(struct yk_model *m, yk_node *n, int slot, const char *suffix, int64_t rows,
                           int64_t columns, yk_init init, bool decay, yk_error *err);
void yk_declare_saved(struct yk_model *m, yk_node *n, int slot, yk_type type, int64_t width);
void yk_declare_scratch(struct yk_model *m, yk_node *n, int slot, yk_type type, int64_t width);

static inline float *yk_weight(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->weight + p->m->param[n->param[slot]].offset;
}
static inline float *yk_gradient(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->gradient + p->m->param[n->param[slot]].offset;
}
static inline void *yk_saved(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->saved + n->saved[slot];
}
static inline void *yk_scratch(const yk_pass *p, const yk_node *n, int slot)
{
    return p->m->scratch + n->scratch[slot];
}

/* The i-th number of a stored tensor. */
static inline void *yk_at(const yk_pass *p, void *stored, int64_t i)
{
    return (char *)stored + i * yk_type_size(p->m->k, YK_STORED);
}

/* The pattern of a layer, and how many lists of selected blocks `rows` key rows have at most. */
yk_sparsity yk_layer_pattern(const yk_model_shape *s, int64_t layer);
int64_t yk_selected_lists(const yk_model_shape *s, int64_t rows);

/* The norm that a block begins with, RMSNorm or LayerNorm: p->x -> NORMED; backward: DNORMED -> p->d, added to it or
 * not, and NORMED again where `again`. */
yk_status yk_norm_plan(struct yk_model *m, yk_node *n, const char *name, yk_error *err);
void yk_norm_forward(const yk_node *n, yk_pass *p);
void yk_norm_backward(const yk_node *n, yk_pass *p, bool accumulate, bool again);

/* Of the head, after a pass that wanted YK_NORMED_ROWS: yk_model_logits. */
void yk_head_logits(const yk_node *n, const yk_pass *p, int64_t first, int64_t rows, float *logits);

/* A linear layer: weight [out,in] in `slot`, bias [out] in slot + 1 where it has one; x[N,in] is stored.
 *   y[N,out] = x w^T + bias + residual[N,out] (or NULL);  dx = dy w;  dw += dy^T x;  dbias += sum of dy. */
yk_status yk_linear_plan(struct yk_model *m, yk_node *n, int slot, const char *name, int64_t out, int64_t in,
                         yk_init init, bool bias, yk_error *err);
void yk_linear_forward(const yk_node *n, const yk_pass *p, int slot, void *y, yk_type y_type, const void *x,
                       const float *residual);
void yk_linear_dx(const yk_node *n, const yk_pass *p, int slot, void *dx, yk_type dx_type, const void *dy,
                  yk_type dy_type);
void yk_linear_dw(const yk_node *n, const yk_pass *p, int slot, const void *dy, yk_type dy_type, const void *x);

/* The three products alone, of the weight w[out,in] that is model->param[param]; x is stored, rows of dy lie dy_row
 * apart. w is read packed where yk_model_pack has packed it. */
typedef struct yk_product {
    const float *w;
    const void *packed[YK_WAYS]; /* NULL: is not */
    int64_t rows, in, out;
} yk_product;
yk_product yk_product_of(const yk_pass *p, int param, int64_t rows);
void yk_product_forward(const yk_pass *p, const yk_product *s, void *y, yk_type y_type, const void *x,
                        const float *init, int64_t init_row);
void yk_product_dx(const yk_pass *p, const yk_product *s, void *dx, yk_type dx_type, const void *dy, yk_type dy_type,
                   int64_t dy_row);
void yk_product_dw(const yk_pass *p, const yk_product *s, float *dw, const void *dy, yk_type dy_type, int64_t dy_row,
                   const void *x);

#endif
