/* The decoder: a list of nodes over one flat array of parameters.
 *
 * Token embedding; L blocks of x + attention(norm(x)) and x + mlp(norm(x)); a final norm and the output projection,
 * tied to the embedding or free. Llama-like unless said otherwise (RMSNorm, RoPE, SwiGLU, grouped-query attention,
 * optional QK-norm); LayerNorm, learned positions, GELU and biases make it GPT-2 (Radford et al. 2019). Forward walks
 * up the nodes, backward walks down; gradients accumulate over micro-batches.
 *
 * Shapes: N rows (tokens of the micro-batch), C width, H heads, K key heads, D head size, F feed-forward,
 * V vocabulary, L layers. */
#ifndef YK_MODEL_MODEL_H
#define YK_MODEL_MODEL_H

#include "base/mem.h"
#include "base/status.h"
#include "base/team.h"
#include "comm/comm.h"
#include "config/recipe.h"
#include "simd/kernels.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_model_shape {
    int64_t vocab, width, layers, heads, kv_heads, head_size, ffn;
    int64_t positions; /* longest document a row may have */
    bool qk_norm, tied, layernorm, gelu, learned_positions;
    bool bias, qkv_bias; /* of all linear layers; of queries, keys and values alone */
    bool score; /* beside the output projection there is a head of one number a row: a reward, a value */
    double rope_theta, norm_eps, init_std;
    double rope_factor; /* above 1: slow turns are slowed down, as in Llama 3 (yk_rope_turn) */
    int64_t rope_original; /* ... by which positions it was trained before that */
    int64_t base_width;    /* of the maximal-update parametrisation; 0: off */
    yk_sparsity pattern;   /* which keys a query sees (simd/kernels.h); lists are made by the model */
    int64_t full_every;    /* ... in all layers but each full_every-th, which is full; 0: in all */
    bool recompute_attention; /* backward computes attention blocks again */
    int64_t recompute_blocks; /* 0, or whole blocks again, so many at a time; neither changes a bit */
} yk_model_shape;

#define YK_SCORE_NAME "score.weight" /* of the score head's parameter [1,C] */

/* `vocab`: entries of the tokenizer; the recipe's model.vocab, if set, may give the embedding more rows. */
yk_model_shape yk_model_shape_of(const yk_recipe *r, int64_t vocab);

/* How a parameter starts. */
typedef enum yk_init { YK_INIT_ZEROS, YK_INIT_ONES, YK_INIT_NORMAL, YK_INIT_RESIDUAL } yk_init;

/* What width does to a parameter under the maximal-update parametrisation (muP; Yang, Hu et al. 2022, "Tensor Programs
 * V", table 8). With r = C / base width:
 *   YK_FIXED   embeddings, output projection, gains and biases: as they are;
 *   YK_HIDDEN  matrices from width to width: initial values x 1 / sqrt(r), learning rate x 1 / r;
 *   YK_READOUT gain of the final norm: both x 1 / r. So the logits are divided by r, as there by a multiplier of the
 *              output projection, which may therefore be tied to the embedding; exported models need no such key.
 * Weight decay stays at rate x decay of the base width (Wang, Aitchison 2024). */
typedef enum yk_width_role { YK_FIXED, YK_HIDDEN, YK_READOUT } yk_width_role;

/* A parameter, declared once by the node that uses it (layer.h). */
typedef struct yk_param {
    char name[64];
    int rank;
    int64_t shape[2];
    int64_t offset, count; /* floats in the flat arrays; offsets are multiples of 16 */
    yk_init init;
    bool decay;      /* weight decay applies */
    bool multiplies; /* takes part in a matrix product, for FLOP counts */
    double initial, rate; /* what its role multiplies initial values and learning rate by */
} yk_param;

/* A micro-batch. Documents are segments: rows of one attend to rows of the same alone. */
typedef struct yk_batch {
    int64_t rows;
    const int32_t *token;    /* [N] */
    const int32_t *position; /* [N] place in the document, for RoPE */
    const int32_t *target;   /* [N] read where weight is not 0 */
    const float *weight;     /* [N] of the row in the loss */
    const yk_segment *segment;
    int64_t segments;
} yk_batch;

typedef struct yk_model yk_model;

/* max_rows: the most rows a micro-batch may have. Memory is allocated once, here; YK_ERR_MEMORY says how much. */
yk_status yk_model_new(yk_model **m, const yk_model_shape *shape, int64_t max_rows, bool training,
                       const yk_kernels *kernels, const yk_team *team, yk_error *err);
void yk_model_free(yk_model *m);
void yk_model_initialise(yk_model *m, uint64_t seed);

/* Packs the weights of all products once, so that passes over few rows, or many passes with the same weights, need not
 * do it each time; with the same bits. `training`: for backward as well. Memory for it is taken at the first call:
 * YK_ERR_MEMORY says how much. It holds until the weights change, and whoever writes to yk_model_weights afterwards
 * says so by yk_model_weights_changed. */
yk_status yk_model_pack(yk_model *m, bool training, yk_error *err);
void yk_model_weights_changed(yk_model *m);

const yk_model_shape *yk_model_get_shape(const yk_model *m);
const yk_param *yk_model_params(const yk_model *m, int *count);

/* Radians that rope turns pair i of a head by from one position to the next: theta^(-2 i / D); with a factor (Llama 3)
 * pairs that turn fewer than once in the original context turn `factor` times slower, those that turn more than four
 * times as before, and those between by a mean of both with weights linear in the number of turns. */
double yk_rope_turn(const yk_model_shape *s, int64_t i);

int64_t yk_model_floats(const yk_model *m);         /* of the flat arrays, padding included */
int64_t yk_model_parameters(const yk_model *m);     /* numbers that are learnt */

/* Forward + backward: 6 P + 6 L T H D, the last term by yk_model_density. */
double yk_model_flops_per_token(const yk_model *m, int64_t seq);

/* The share of the pairs of query and key of a causal document of `seq` tokens that the pattern keeps, over all layers;
 * 1 where all are full. A query's own key counts half, as in T / 2 keys of a full layer. */
double yk_model_density(const yk_model_shape *s, int64_t seq);
float *yk_model_weights(const yk_model *m);         /* [floats] */
float *yk_model_gradients(const yk_model *m);       /* [gradient floats]; NULL unless training */
int64_t yk_model_gradient_floats(const yk_model *m); /* floats, plus the embedding's second gradient when tied */

/* Nodes compute one after another. visits: of a training pass in order, i when node i goes forward, be it again, ~i
 * when it goes backward. reads: of the flat weights, the ranges that such a visit reads. finals: of the flat gradients,
 * the ranges that no node below changes any more when this one has gone backward, of all nodes each number once. A
 * range that is not used is empty. */
enum { YK_MOST_RANGES = 2 };
int yk_model_nodes(const yk_model *m);
const int *yk_model_visits(const yk_model *m, int *count);
void yk_model_reads(const yk_model *m, int visit, yk_slice range[YK_MOST_RANGES]);
void yk_model_finals(const yk_model *m, int node, yk_slice range[YK_MOST_RANGES]);

/* Told when a node begins and has ended to compute; NULL: nobody is. */
typedef struct yk_watcher {
    void (*begins)(void *context, int node, bool backward);
    void (*ended)(void *context, int node, bool backward);
    void *context;
} yk_watcher;
void yk_model_watch(yk_model *m, const yk_watcher *w);

/* Seconds that the nodes of a kind took since the model was made or reset; what is computed again is forward.
 * NULL after the last kind. The head's loss is computed in backward. */
typedef struct yk_phase {
    const char *name;
    double forward, backward;
} yk_phase;
const yk_phase *yk_model_phase(const yk_model *m, int i);
void yk_model_reset_phases(yk_model *m);

/* Another set of weights of the same shape, such as a reference or a reward model beside the policy. */
typedef struct yk_weights {
    float *weight, *gradient; /* as yk_model_weights, yk_model_gradients; gradient NULL: is not trained */
} yk_weights;
yk_status yk_weights_new(yk_weights *w, const yk_model *m, bool training, yk_error *err); /* zeros */
void yk_weights_free(yk_weights *w, const yk_model *m);

void yk_weights_copy(const yk_model *m, float *to, const float *from); /* [floats] */
void yk_weights_hash(const yk_model *m, const float *weight, char hex[33]);

/* What the model computes with and adds gradients to from now on; returns what it used before. A model frees only its
 * own. */
yk_weights yk_model_use(yk_model *m, yk_weights w);

/* Bytes that a model takes, by what they are for. */
typedef struct yk_memory {
    int64_t weights, gradients, activations, scratch; /* scratch: kernels, tables of angles, the gradient stream */
    int64_t packed, packed_back; /* weights, packed for forward and for backward: 0 before yk_model_pack */
} yk_memory;
yk_memory yk_model_memory(const yk_model *m);
int64_t yk_memory_sum(yk_memory m);

/* A model without memory, which can be asked for its shape, parameters, counts and memory (what yk_model_new and
 * yk_model_pack would allocate) but computes nothing. */
yk_status yk_model_outline(yk_model **m, const yk_model_shape *shape, int64_t max_rows, bool training,
                           const yk_kernels *kernels, const yk_team *team, yk_error *err);

/* What training descends where that is more than a cross-entropy with weights known beforehand: a function of one
 * value a row, the log-probability of its target or, of the score head, its score. Rows whose weight in the batch is 0
 * have no value; that of the others is 1. */
typedef struct yk_objective {
    bool score;
    /* Called once a micro-batch between forward and backward: weight[N] becomes -d loss / d value of each row, loss[N]
     * what is reported. Both are those of the call that trains; value[N] and entropy[N] (nats; NULL of scores) are its
     * own. */
    void (*weigh)(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                  float *loss);
    void *context;
} yk_objective;

/* Whom training imitates: a distribution for each row instead of a target alone (simd/kernels.h, yk_distillation). */
typedef struct yk_teaching {
    /* The teacher's logits [rows,V] for rows first .. of the batch, valid until the next call; parts of at most
     * YK_LOGIT_ROWS rows come in order, from row 0 on. */
    const float *(*logits)(void *context, const yk_batch *batch, int64_t first, int64_t rows);
    void *context;
    float mix, temperature; /* mix: share of the divergence from the teacher; the rest is the cross-entropy */
} yk_teaching;
enum { YK_LOGIT_ROWS = 1024 };

/* Forward and backward: adds the gradient of the sum over rows of weight x loss to the gradients. loss[N] gets the
 * weighted cross-entropy of each row in nats; best[N] (or NULL) the likeliest id of each row of weight > 0. */
void yk_model_train(yk_model *m, const yk_batch *batch, float z_loss, float *loss, int32_t *best);

/* The same for an objective; `weight` [N], which may be the batch's own, and loss [N] are the objective's. */
void yk_model_descend(yk_model *m, const yk_batch *batch, const yk_objective *objective, float *weight, float *loss);

/* The same for distillation; loss[N] is weighted. */
void yk_model_distil(yk_model *m, const yk_batch *batch, const yk_teaching *teaching, float *loss);

/* Forward up to what logits are made of, then the logits[rows,V] of its rows first .. until the model is used again. */
void yk_model_forward(yk_model *m, const yk_batch *batch);
void yk_model_logits(yk_model *m, const yk_batch *batch, int64_t first, int64_t rows, float *logits);

/* What a node put out in the last pass over so many rows: y[rows,C], read by the host. Node 0 is the embedding, nodes
 * 2 l + 1 and 2 l + 2 are attention and mlp of layer l; only of models that recompute nothing. */
void yk_model_output(const yk_model *m, int node, int64_t rows, float *y);

/* Forward alone, with the same bits; entropy[N] (or NULL) as in yk_objective. */
void yk_model_evaluate(yk_model *m, const yk_batch *batch, float *loss, int32_t *best, float *entropy);
void yk_model_score(yk_model *m, const yk_batch *batch, float *score); /* [N] of the score head, every row */

/* Adds the embedding's two gradients (as input and as output projection) when tied, as far as they lie in [begin, end)
 * of the flat arrays; once a step, after the lanes were merged, because the order of additions may not depend on the
 * micro-batch. Clears that part of the second one. */
void yk_model_finish_gradients(yk_model *m, int64_t begin, int64_t end);

/* Keys and values of `rows` positions for every layer, and the blocks that queries selected. */
typedef struct yk_cache {
    void *kv;            /* [L][rows][2 K D], stored */
    yk_chosen *selected; /* [L] lists of yk_sparsity; NULL: nothing is selected */
    int64_t rows;
} yk_cache;
yk_status yk_cache_new(yk_cache *c, const yk_model *m, int64_t rows, yk_error *err);
void yk_cache_free(yk_cache *c, const yk_model *m);

/* Forward over new rows whose keys and values go to cache row cache_row[N]; segments name cache rows as keys.
 * logits [wanted,V] of the rows wanted_row[]. Same bits as the training forward of the whole document. */
void yk_model_decode(yk_model *m, yk_cache *cache, const yk_batch *batch, const int32_t *cache_row,
                     const int32_t *wanted_row, int64_t wanted, float *logits);

#endif
