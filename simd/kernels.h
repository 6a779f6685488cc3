/* Every arithmetic kernel, as a table of typed entries.
 *
 * A table is picked once for an instruction set; model code calls through it and never dereferences
 * tensor data itself. Each entry takes one argument struct whose fields carry the shapes; tensors are
 * row-major, rows may have a stride where a field says so. All entries split their work over the team by
 * output element, so the bits are the same for any number of threads and every table (numerics contract
 * "bits v1", doc/numerics.md); the portable table is the definition.
 *
 * Shapes: N rows (tokens of the micro-batch), C width, H heads, K key heads, D head size, F feed-forward,
 * V vocabulary. C, D and F are multiples of 16. Unless said otherwise outputs may not alias inputs. */
#ifndef YK_SIMD_KERNELS_H
#define YK_SIMD_KERNELS_H

#include "base/status.h"
#include "base/team.h"

#include <stdbool.h>
#include <stdint.h>

/* Precision of a table: that of the operands of matrix products and of the tensors it stores. Sums, weights and their
 * gradients, and the residual stream are fp32. */
typedef enum yk_precision { YK_FP32, YK_BF16, YK_FP16, YK_PRECISIONS } yk_precision;

/* A tensor of type `void *` holds numbers in the table's precision, yk_type_size() bytes each (rounded as
 * the operands of products are), or fp32 where a field beside it says YK_FLOAT. Rows and columns count numbers.
 * YK_PACKED, for operand b of a product alone: what the table's `pack` made of b. */
typedef enum yk_type { YK_STORED, YK_FLOAT, YK_PACKED } yk_type;

/* One side of a matrix product: element (i,j) at data[i row + j col]; one of the strides is 1. YK_PACKED has no
 * strides. */
typedef struct yk_operand {
    const void *data;
    yk_type type;
    int64_t row, col;
} yk_operand;

/* C[m,n] = init[m,n] (NULL: 0) + sum over k of A[m,k] B[k,n] in one fp32 accumulator that begins with init:
 *   fp32: an fma a term, k ascending; fp16: the same of operands rounded to the nearest half;
 *   bf16: operands rounded to the nearest bf16 (|x| < 2^-56 to +0), pairs of k ascending, in each the odd term
 *   first, then the even one, an fma each; an odd k is padded with zero; |init| < 2^-102 is +0. */
#define YK_STORED_K 16384 /* the largest k of a product that is stored: its sums stay in registers */
typedef struct yk_gemm {
    void *c; /* [m,n] rows at c_row */
    yk_type c_type;
    int64_t c_row;
    yk_operand a, b;   /* [m,k], [k,n] */
    const float *init; /* rows at init_row: c itself to add to it, a residual, or a bias (init_row = 0) */
    int64_t init_row;
    int64_t m, n, k;   /* k >= 1 */
    /* NULL, or [k] of operands whose stride along k is not 1: term i is where k is term[i]; -1, at odd i alone, is
     * zero. Those that are not -1 count up by ones. */
    const int32_t *term;
    void *scratch;     /* gemm_scratch() bytes */
} yk_gemm;

/* Products none of which writes what another one reads or writes, dealt to the team whole or in parts. One whose m, n
 * or k is 0 does nothing. */
typedef struct yk_gemm_group {
    const yk_gemm *product; /* [products], whose scratch is not used */
    int64_t products;
    void *scratch;          /* gemm_scratch(yk_team_alone()) bytes a thread */
} yk_gemm_group;

/* packed = b[k,n] in the order, and rounded, as a product with the same k and n reads it: a product with it has the
 * same bits, and does not pack b again. */
typedef struct yk_pack {
    void *packed; /* packed_bytes(n, k), 64-byte aligned */
    yk_operand b; /* [k,n] */
    int64_t n, k;
} yk_pack;

/* y[r,:] (+)= table[id[r],:]. Backward: dtable[id[r],:] += dy[r,:], r ascending. */
typedef struct yk_embed {
    float *y;           /* [N,C] */
    bool accumulate;
    const float *dy;    /* [N,C] */
    const float *table; /* [V,C] */
    float *dtable;      /* [V,C] */
    const int32_t *id;  /* [N]   */
    int64_t rows, width;
} yk_embed;

/* RMSNorm (Zhang, Sennrich 2019) over groups of `width` inside a row:
 *   rstd = 1 / sqrt(mean(x^2) + eps);  y = x rstd weight.
 * Backward: g = dy weight; dx (+)= rstd (g - x rstd^2 mean(g x)); dweight += sum of dy x rstd over rows and
 * groups ascending; y (or NULL) gets the same bits as in the forward pass. dx may be dy. */
typedef struct yk_rmsnorm {
    void *y;
    const void *x;
    yk_type x_type;
    float *rstd;                 /* [N,groups] */
    const float *weight;         /* [width]    */
    const float *dy;
    float *dx, *dweight;
    int64_t rows, groups, width; /* a row holds groups x width contiguous elements */
    int64_t x_row, y_row, dx_row, dy_row;
    float eps;
    bool accumulate_dx;
} yk_rmsnorm;

/* LayerNorm (Ba et al. 2016) of rows: y = (x - mean) rstd weight + bias with rstd = 1 / sqrt(mean((x - mean)^2) + eps).
 * Backward, with h = (x - mean) rstd and g = dy weight: dx (+)= rstd (g - mean(g) - h mean(g h)); dweight += sum of
 * dy h, dbias += sum of dy over rows ascending; y (or NULL) gets the same bits as in the forward pass. */
typedef struct yk_layernorm {
    void *y;                         /* [N,C] */
    float *mean, *rstd;              /* [N] */
    const float *x, *weight, *bias;  /* x [N,C]; weight, bias [C] */
    const float *dy;                 /* [N,C] */
    float *dx, *dweight, *dbias;     /* dx [N,C] */
    int64_t rows, width;
    float eps;
    bool accumulate_dx;
} yk_layernorm;

/* Rotary embedding (Su et al. 2021), half-split: pair (i, i + D/2) of each head is turned by position[r] x
 * theta^(-2i/D), in place. `inverse` turns back, which is the backward pass. */
typedef struct yk_rope {
    void *x; /* rows at x_row; heads x D contiguous */
    yk_type type;
    const int32_t *position;     /* [N] */
    const float *cosine, *sine;  /* [positions, D/2] */
    int64_t rows, heads, head_size, x_row;
    bool inverse;
} yk_rope;

/* A run of query rows that attend to a run of key rows: one packed document, or one sequence in decoding. */
typedef struct yk_segment {
    int32_t query; /* first query row                                     */
    int32_t key;   /* first key row: position 0 of the document           */
    int32_t first; /* position of the first query in the document         */
    int32_t count; /* queries                                             */
    int32_t keys;  /* key rows that exist: first + count when causal      */
    int32_t causal;
} yk_segment;

#define YK_KEY_BLOCK 64

/* Which keys a query sees of those that `causal` leaves it; all zeros: every one. Of a query at position t of its
 * document and a key at s, and blocks of YK_KEY_BLOCK positions:
 *   window W      |t - s| < W;
 *   global G      or s < G or t < G (Beltagy et al. 2020);
 *   stride n      or their blocks lie a multiple of n apart (Child et al. 2019);
 *   blocks k      alone, k >= 3: the block of s is one of k that were selected for the block of t.
 * A row's sums run over the keys it sees and no others, so that skipping blocks which no query sees changes no bit.
 *
 * attention_select chooses blocks for those blocks of queries whose first query is in a segment, each key head by
 * itself: the document's first block, that of the queries, its neighbours, and those with the highest
 *   sum over heads of q[first query of the block, head] . mean of the block's keys,
 * of equals the lower (mean keys: Lu et al. 2025, Yuan et al. 2025). One query decides for its block, so that the
 * choice is known when the block's next token is generated. Queries of the first block, or of one with no more than k
 * blocks, see all that causal leaves them. The choice is not differentiated. */
typedef struct yk_chosen {
    int32_t block;
    float score;
} yk_chosen;
typedef struct yk_sparsity {
    int64_t window, global, stride, blocks;
    yk_chosen *selected; /* [key rows / YK_KEY_BLOCK, K, blocks], by the key row where a block of queries begins */
} yk_sparsity;

/* Scaled dot-product attention by streaming softmax (Milakov, Gimelshein 2018; Dao et al. 2022) over key blocks
 * of YK_KEY_BLOCK positions counted from the start of the document: a constant of bits v1. Query head h reads
 * key head h / (H / K). Backward recomputes the probabilities from lse; dq, dk, dv are overwritten. */
typedef struct yk_attention {
    void *o;                 /* [.,H D] rows at o_row */
    float *lse;              /* [N,H]: log of the sum of exp(scores); NULL: not wanted */
    const void *q, *k, *v;   /* rows at q_row, k_row, v_row */
    const void *d_o;         /* rows at o_row */
    float *dq, *dk, *dv;     /* rows at dq_row, dkv_row, dkv_row */
    const yk_segment *segment;
    int64_t segments, heads, kv_heads, head_size;
    int64_t q_row, k_row, v_row, o_row, dq_row, dkv_row;
    yk_sparsity pattern;
    float scale;
    void *scratch; /* attention_scratch() bytes */
} yk_attention;

/* SwiGLU (Shazeer 2020): y = silu(gate) up, with [gate | up] = x. Backward gives dx and y again; dx may be x, y may
 * be dy. With factors of rows, y = factor[r] (silu(gate) up), and dfactor[r] = sum of dy silu(gate) up. */
typedef struct yk_swiglu {
    void *y;        /* [N,F]  */
    const void *x;  /* [N,2F] */
    const void *dy; /* [N,F]  */
    void *dx;       /* [N,2F] */
    int64_t rows, width; /* width = F */
    const float *factor; /* [N] or NULL */
    float *dfactor;      /* [N] */
} yk_swiglu;

/* GELU, tanh form (Hendrycks, Gimpel 2016): y = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3), which is
 * x (1 + tanh u) / 2. Backward gives dx and y again; dx may be x, y may be dy. */
typedef struct yk_gelu {
    void *y;
    const void *x, *dy;
    void *dx;
    int64_t n; /* a multiple of 16 */
} yk_gelu;

/* Softmax cross-entropy of rows of logits with a target and a weight each:
 *   lse = log sum exp(logits); loss = weight (lse - logits[target] + z lse^2);
 *   dlogits = weight ((1 + 2 z lse) softmax - onehot(target)).
 * Rows with weight 0 get loss 0 and zero gradients; their target is not read. logits are overwritten when gradients
 * are wanted; those may lie in the same memory, each row where the row of logits begins. */
typedef struct yk_cross_entropy {
    float *logits;         /* [N,V] */
    void *dlogits;         /* [N,V] rows at d_row, NULL: not wanted */
    int64_t d_row;
    const int32_t *target; /* [N] */
    const float *weight;   /* [N] */
    float *loss;           /* [N] the cross-entropy alone, times weight */
    int32_t *best;         /* [N] or NULL: the id with the highest logit (the lowest such id) */
    float *entropy;        /* [N] or NULL: lse - sum of softmax x logits, in nats; 0 where the weight is */
    int64_t rows, vocab;
    float z;
} yk_cross_entropy;

/* Distillation (Hinton, Vinyals, Dean 2015) of rows of logits from a teacher's, with a target and a weight each. Of
 * p = softmax(logits), p_tau = softmax(logits / tau), q_tau = softmax(teacher / tau):
 *   loss = weight ((1 - mix) (lse - logits[target]) + mix tau^2 KL(q_tau || p_tau));
 *   dlogits = weight ((1 - mix) (p - onehot(target)) + mix tau (p_tau - q_tau)).
 * Order, with e, e', t' the exponentials: of logits less the row's highest; of that, and of teacher less its highest,
 * times 1 / tau. Sums of each, and of t' (the exponents of t' less those of e'), over 16 lanes, then the tree;
 * logarithms and the divergence in double. A gradient is fma(e', s / sum e', fnma(t', s / sum t', e (h / sum e))) with
 * h = weight (1 - mix), s = weight mix tau, and at the target that less h.
 * Logits are finite, tau > 0. Rows with weight 0, and where gradients may lie: as of yk_cross_entropy; logits are
 * overwritten by them alone. */
typedef struct yk_distillation {
    const float *logits, *teacher; /* [N,V] */
    void *dlogits;                 /* [N,V] rows at d_row, NULL: not wanted */
    int64_t d_row;
    const int32_t *target;         /* [N] */
    const float *weight;           /* [N] */
    float *loss;                   /* [N] */
    int64_t rows, vocab;
    float mix, tau;
} yk_distillation;

/* add: y = a + b, subtract: y = a - b, elementwise over n; y may be a or b. Of add alone, rounds: a and b are rounded
 * first, to the nearest bf16 (|x| < 2^-56 to +0); `half`, where it is not NULL, is b in that precision. */
typedef struct yk_add {
    float *y;
    const float *a, *b;
    int64_t n;
    bool rounds;
    const uint16_t *half;
} yk_add;

/* y = x rounded to bf16 as above. */
typedef struct yk_round {
    uint16_t *y;
    const float *x;
    int64_t n;
} yk_round;

/* A bias: y[r,:] = x[r,:] + bias; backward dbias += sum of dy[r,:], r ascending. y may be x. */
typedef struct yk_bias {
    float *y;                /* [N,C] */
    const float *x, *bias;   /* [N,C], [C] */
    const void *dy;          /* [N,C] */
    yk_type type;            /* of dy */
    float *dbias;            /* [C] */
    int64_t rows, width;
} yk_bias;

/* Mixture of experts (DeepSeek-V3, arXiv 2412.19437, 2.1.2): E experts, of which each row meets k. */
enum { YK_MOST_EXPERTS = 256 };

/* affinity[r,:] = sigmoid of itself; expert[r,:] = the k experts with the highest affinity + bias, of equal ones the
 * lower, ascending. */
typedef struct yk_route {
    float *affinity;   /* [N,E] */
    const float *bias; /* [E] */
    int32_t *expert;   /* [N,k] */
    int64_t rows, experts, chosen;
} yk_route;

/* Rows in the order of experts, and of one expert in their own: the i-th place holds row[i], row r's j-th expert has
 * place[r,j], expert e's places are first[e] to first[e + 1]. Of each place gate = scale affinity / sum of the row's
 * chosen affinities, ascending. Where terms are wanted (yk_gemm), those of expert e are from first_term[e] to
 * first_term[e + 1]: its places, of each segment filled up with -1 to an even number, so that pairs do not straddle
 * segments, in which all rows are, in order; and load[e] += places of e. */
typedef struct yk_sort_rows {
    int32_t *place, *row;       /* [N,k], [N k] */
    int32_t *first;             /* [E + 1] */
    float *gate;                /* [N k] */
    int32_t *term, *first_term; /* [2 N k], [E + 1]; NULL: not wanted */
    float *load;                /* [E] */
    const int32_t *expert;      /* [N,k] */
    const float *affinity;      /* [N,E] */
    const yk_segment *segment;
    int64_t segments, rows, experts, chosen;
    float scale;
} yk_sort_rows;

/* y[i,:] = x[row[i],:]; row = NULL: x[i,:]. */
typedef struct yk_gather {
    void *y;
    const void *x;
    yk_type y_type, x_type;
    const int32_t *row;
    int64_t rows, width;
} yk_gather;

/* y[r,:] = init[r,:] + the x[place[r,j],:], j ascending; y may be init. */
typedef struct yk_combine {
    float *y;             /* [N,C] */
    const float *init, *x;
    const int32_t *place; /* [N,k] */
    int64_t rows, width, chosen;
} yk_combine;

/* Gradient of what affinities are the sigmoid of. With s the affinities and dgate that of the gates,
 *   ds_e = (scale dgate_e - sum over the chosen of dgate gate) / sum over the chosen of s, of the chosen;
 * and of the balance loss of each segment, balance W sum over e of f_e P_e, with W the sum of its weights, T its rows,
 * f_e = E / (k T) its rows that chose e, which has no gradient, P_e = mean of p_e over its rows, p_e = s_e / sum of s,
 *   ds_e += balance W / T (f_e - sum of f p) / sum of s;
 * slope_e = ds_e s_e (1 - s_e). Sums in ascending order. */
typedef struct yk_route_slope {
    float *slope;          /* [N,E] */
    const float *affinity; /* [N,E] */
    const int32_t *expert, *place;
    const float *gate, *dgate; /* [N k], of places */
    const float *weight;       /* [N] */
    const yk_segment *segment; /* in which all rows are, in order */
    int64_t segments, rows, experts, chosen;
    float scale, balance;
} yk_route_slope;

/* y[to[r],:] = x[r,:]; to = NULL: y[r,:]. Any type: width, y_row and x_row are bytes. */
typedef struct yk_copy_rows {
    void *y;
    const void *x;
    const int32_t *to;
    int64_t rows, width, y_row, x_row;
} yk_copy_rows;

/* partial[i] = double sum of x^2 over block i of YK_SUM_BLOCK elements of the flat index, 16 lanes then the tree. */
#define YK_SUM_BLOCK 4096
typedef struct yk_sum_squares {
    const float *x;
    int64_t n;
    double *partial; /* [ceil(n / YK_SUM_BLOCK)] */
} yk_sum_squares;

/* AdamW (Loshchilov, Hutter 2019), one pass over a range of the flat arrays, with g = gradient x scale:
 *   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
 *   w = w - lr (m / bias1) / (sqrt(v / bias2) + eps) - lr decay w;  the gradient is set to 0. */
typedef struct yk_adamw {
    float *weight, *gradient, *m, *v;
    int64_t n;
    float scale, lr, beta1, beta2, eps, decay, bias1, bias2;
} yk_adamw;

/* Gradient descent with Nesterov's momentum (Sutskever et al. 2013), one pass over flat arrays; g = gradient x scale:
 *   velocity = momentum velocity + g;  w = w - lr (momentum velocity + g). */
typedef struct yk_nesterov {
    float *weight, *velocity;
    const float *gradient;
    int64_t n;
    float scale, lr, momentum;
} yk_nesterov;

/* The elementary functions of the contract, y = f(x) elementwise over n; y may be x. To 1 ulp in their ranges:
 *   exp      [-87, 88]; 0 below, exp(88) above
 *   log      positive numbers, subnormal ones too; log(0) = -infinity, NaN below
 *   sigmoid  1 / (1 + exp(-x)) from -88 on; sigmoid(-88) below
 *   tanh     everywhere
 * A NaN gives a NaN (tests/simd/exhaustive.c measures all of it). */
typedef enum yk_function { YK_EXP, YK_LOG, YK_SIGMOID, YK_TANH, YK_FUNCTIONS } yk_function;
typedef struct yk_map {
    yk_function function;
    float *y;
    const float *x;
    int64_t n;
} yk_map;

/* count += how many x are not zero and smaller than `bound` in magnitude. */
typedef struct yk_count_below {
    const float *x;
    int64_t n;
    float bound;
    int64_t *count;
} yk_count_below;

typedef struct yk_kernels {
    const char *name; /* portable, avx2, avx512, avx512bf16, neon, neonbf16 */
    yk_precision precision;
    int64_t (*gemm_scratch)(const yk_team *team);
    void (*gemm)(const yk_team *team, const yk_gemm *a);
    void (*gemm_float)(const yk_team *team, const yk_gemm *a); /* the fp32 one, of operands of type YK_FLOAT */
    void (*gemm_group)(const yk_team *team, const yk_gemm_group *a);
    int64_t (*packed_bytes)(int64_t n, int64_t k); /* 0: products read operands as they are, and YK_PACKED not */
    void (*pack)(const yk_team *team, const yk_pack *a);
    void (*embed_forward)(const yk_team *team, const yk_embed *a);
    void (*embed_backward)(const yk_team *team, const yk_embed *a);
    void (*rmsnorm_forward)(const yk_team *team, const yk_rmsnorm *a);
    void (*rmsnorm_backward)(const yk_team *team, const yk_rmsnorm *a);
    void (*layernorm_forward)(const yk_team *team, const yk_layernorm *a);
    void (*layernorm_backward)(const yk_team *team, const yk_layernorm *a);
    void (*rope)(const yk_team *team, const yk_rope *a);
    int64_t (*attention_scratch)(const yk_team *team, int64_t head_size);
    void (*attention_select)(const yk_team *team, const yk_attention *a); /* pattern.selected from q and k */
    void (*attention_forward)(const yk_team *team, const yk_attention *a);
    void (*attention_backward)(const yk_team *team, const yk_attention *a);
    void (*swiglu_forward)(const yk_team *team, const yk_swiglu *a);
    void (*swiglu_backward)(const yk_team *team, const yk_swiglu *a);
    void (*gelu_forward)(const yk_team *team, const yk_gelu *a);
    void (*gelu_backward)(const yk_team *team, const yk_gelu *a);
    void (*bias_forward)(const yk_team *team, const yk_bias *a);
    void (*bias_backward)(const yk_team *team, const yk_bias *a);
    void (*cross_entropy)(const yk_team *team, const yk_cross_entropy *a);
    void (*distillation)(const yk_team *team, const yk_distillation *a);
    void (*route)(const yk_team *team, const yk_route *a);
    void (*route_backward)(const yk_team *team, const yk_route_slope *a);
    void (*sort_rows)(const yk_team *team, const yk_sort_rows *a);
    void (*gather)(const yk_team *team, const yk_gather *a);
    void (*combine)(const yk_team *team, const yk_combine *a);
    void (*add)(const yk_team *team, const yk_add *a);
    void (*subtract)(const yk_team *team, const yk_add *a);
    void (*round)(const yk_team *team, const yk_round *a);
    void (*copy_rows)(const yk_team *team, const yk_copy_rows *a);
    void (*sum_squares)(const yk_team *team, const yk_sum_squares *a);
    void (*adamw)(const yk_team *team, const yk_adamw *a);
    void (*nesterov)(const yk_team *team, const yk_nesterov *a);
    void (*map)(const yk_team *team, const yk_map *a);
    /* FLOP/s, measured: independent chains of the product's own step. */
    double (*peak_flops)(const yk_team *team, double seconds);
    void (*count_below)(const yk_team *team, const yk_count_below *a);
    /* Memory of this table: zeroed, 64-byte aligned, NULL when it cannot be had. */
    void *(*alloc)(int64_t bytes);
    void (*free)(void *p);
    void (*upload)(void *device, const void *host, int64_t bytes);
    void (*download)(void *host, const void *device, int64_t bytes);
    void (*zero)(const yk_team *team, void *device, int64_t bytes);
    /* What a part of it holds is not needed: whole pages go back to the system. It reads as zeros or as before. */
    void (*forget)(void *device, int64_t bytes);
} yk_kernels;

/* The table of the fastest set this machine runs, or of the set that `name` asks for (NULL or "": YOKE_ISA of the
 * environment, else the fastest). YK_ERR_USAGE names the unknown set, or the missing processor feature, and what
 * is there. */
yk_status yk_kernels_pick(const yk_kernels **table, const char *name, yk_precision precision, yk_error *err);

/* Bytes of a number of a type in a table. */
int64_t yk_type_size(const yk_kernels *k, yk_type type);

/* The i-th set built in, slowest first, those this machine cannot run included; NULL after the last. */
const yk_kernels *yk_kernels_at(int i, yk_precision precision);
bool yk_kernels_runs_here(const yk_kernels *table);

#endif
