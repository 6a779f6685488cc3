#include "model/grow.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What an index of a parameter counts. */
typedef enum axis { NONE, SAME, WIDTH, QUERIES, FUSED_QKV, INNER, FUSED_INNER } axis;

/* Of each parameter, by the end of its name. */
typedef struct layout {
    const char *suffix;
    axis row, column;
    enum { APART, WRITES, READS } stream; /* what it does to the residual stream */
} layout;

static const layout layouts[] = {
    {"embed_tokens.weight", SAME, WIDTH, WRITES},
    {"embed_positions.weight", SAME, WIDTH, WRITES},
    {"qkv_proj.weight", FUSED_QKV, WIDTH, APART},
    {"qkv_proj.bias", FUSED_QKV, NONE, APART},
    {"q_norm.weight", SAME, NONE, APART},
    {"k_norm.weight", SAME, NONE, APART},
    {"o_proj.weight", WIDTH, QUERIES, WRITES},
    {"o_proj.bias", WIDTH, NONE, WRITES},
    {"up_proj.weight", FUSED_INNER, WIDTH, APART},
    {"up_proj.bias", FUSED_INNER, NONE, APART},
    {"down_proj.weight", WIDTH, INNER, WRITES},
    {"down_proj.bias", WIDTH, NONE, WRITES},
    {"norm.weight", WIDTH, NONE, READS},
    {"norm.bias", WIDTH, NONE, APART},
    {"lm_head.weight", SAME, WIDTH, APART},
    {"score.weight", SAME, WIDTH, APART},
};

static const layout *layout_of(const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const size_t length = strlen(layouts[i].suffix);
        if (n >= length && strcmp(name + n - length, layouts[i].suffix) == 0) return &layouts[i];
    }
    return NULL;
}

static int64_t within(int64_t i, int64_t old)
{
    return i < old ? i : -1;
}

/* Heads of a key head lie side by side. */
static int64_t old_query(const yk_model_shape *from, const yk_model_shape *to, int64_t i)
{
    const int64_t D = to->head_size, group = to->heads / to->kv_heads, old_group = from->heads / from->kv_heads;
    const int64_t key = i / D / group, member = i / D % group;
    return key < from->kv_heads && member < old_group ? (key * old_group + member) * D + i % D : -1;
}

/* The origin inside a part, counted from where the array begins. */
static int64_t behind(int64_t begin, int64_t origin)
{
    return origin < 0 ? -1 : begin + origin;
}

/* The old index of a new one; -1: there was none. */
static int64_t origin_of(axis a, const yk_model_shape *from, const yk_model_shape *to, int64_t i)
{
    const int64_t D = to->head_size, q = to->heads * D, k = to->kv_heads * D;
    const int64_t old_q = from->heads * D, old_k = from->kv_heads * D;
    switch (a) {
    case NONE:
    case SAME: return i;
    case WIDTH: return within(i, from->width);
    case INNER: return within(i, from->ffn);
    case QUERIES: return old_query(from, to, i);
    case FUSED_QKV:
        if (i < q) return old_query(from, to, i);
        return behind(old_q + (i - q) / k * old_k, within((i - q) % k, old_k));
    case FUSED_INNER: return behind(i / to->ffn * from->ffn, within(i % to->ffn, from->ffn));
    }
    return -1;
}

/* The old block of a new one, of which it may be a copy. */
static int64_t old_block(const yk_model_shape *from, const yk_model_shape *to, int64_t layer, bool *copy)
{
    const int64_t old = layer * from->layers / to->layers;
    *copy = layer > 0 && (layer - 1) * from->layers / to->layers == old;
    return old;
}

/* The parameter of `from` that the new one comes from. Blocks have as many parameters, in the same order. */
static const yk_param *source(const yk_model *from, const yk_model *to, const yk_param *p, bool *copy)
{
    int count;
    char name[sizeof p->name];
    long long layer;
    int at = 0;
    const yk_param *old = yk_model_params(from, &count);
    *copy = false;
    snprintf(name, sizeof name, "%s", p->name);
    if (sscanf(p->name, "model.layers.%lld%n", &layer, &at) == 1 && at)
        snprintf(name, sizeof name, "model.layers.%lld%s",
                 (long long)old_block(yk_model_get_shape(from), yk_model_get_shape(to), layer, copy), p->name + at);
    for (int i = 0; i < count; i++)
        if (strcmp(old[i].name, name) == 0) return &old[i];
    return NULL;
}

/* What weights of a parameter are multiplied by: see grow.h. */
static double factor_of(const yk_model_shape *from, const yk_model_shape *to, const yk_param *p, const layout *l)
{
    const double a = sqrt((double)to->width / (double)from->width);
    const bool last = strcmp(p->name, "model.norm.weight") == 0;
    return l->stream == WRITES ? a : l->stream == APART ? 1 : last && to->tied ? 1 / (a * a) : 1 / a;
}

/* An old element; gradients of what is multiplied by a factor are divided by it. */
static float carried(yk_grown what, double x, double factor)
{
    const double by = what == YK_GROW_WEIGHTS ? factor : what == YK_GROW_FIRST_MOMENT ? 1 / factor : 1 / (factor * factor);
    return (float)(x * by);
}

static void grow_param(const yk_model *from, const yk_model *to, const yk_param *p, yk_grown what, const float *x,
                       float *y)
{
    bool copy;
    const yk_model_shape *small = yk_model_get_shape(from), *large = yk_model_get_shape(to);
    const yk_param *old = source(from, to, p, &copy);
    const layout *l = layout_of(p->name);
    const int64_t columns = p->shape[1] ? p->shape[1] : 1, old_columns = old->shape[1] ? old->shape[1] : 1;
    const double factor = factor_of(small, large, p, l);
    for (int64_t r = 0; r < p->shape[0]; r++) {
        const int64_t row = copy && l->stream == WRITES ? -1 : origin_of(l->row, small, large, r);
        for (int64_t c = 0; c < columns; c++) {
            const int64_t column = p->shape[1] ? origin_of(l->column, small, large, c) : 0;
            float *at = y + p->offset + r * columns + c;
            if (row >= 0 && column >= 0) *at = carried(what, x[old->offset + row * old_columns + column], factor);
            else if (what != YK_GROW_WEIGHTS || l->stream == WRITES) *at = 0;
            else *at = (float)(*at * factor);
        }
    }
}

void yk_grow(const yk_model *from, const yk_model *to, yk_grown what, const float *x, float *y)
{
    int count;
    const yk_param *p = yk_model_params(to, &count);
    for (int i = 0; i < count; i++) grow_param(from, to, &p[i], what, x, y);
}

yk_status yk_grow_check(const yk_model_shape *from, const yk_model_shape *to, yk_error *err)
{
    const struct { const char *key; double old, new; bool grows; } part[] = {
        {"model.width", (double)from->width, (double)to->width, true},
        {"model.layers", (double)from->layers, (double)to->layers, true},
        {"model.heads", (double)from->heads, (double)to->heads, true},
        {"model.kv_heads", (double)from->kv_heads, (double)to->kv_heads, true},
        {"model.ffn", (double)from->ffn, (double)to->ffn, true},
        {"model.head_size", (double)from->head_size, (double)to->head_size, false},
        {"model.vocab", (double)from->vocab, (double)to->vocab, false},
        {"model.norm", from->layernorm, to->layernorm, false},
        {"model.mlp", from->gelu, to->gelu, false},
        {"model.position", from->learned_positions, to->learned_positions, false},
        {"model.bias", from->bias, to->bias, false},
        {"model.qkv_bias", from->qkv_bias, to->qkv_bias, false},
        {"model.qk_norm", from->qk_norm, to->qk_norm, false},
        {"model.tied", from->tied, to->tied, false},
        {"model.rope_theta", from->rope_theta, to->rope_theta, false},
        {"model.rope_factor", from->rope_factor, to->rope_factor, false},
        {"model.window", (double)from->pattern.window, (double)to->pattern.window, false},
        {"model.global_tokens", (double)from->pattern.global, (double)to->pattern.global, false},
        {"model.attention_stride", (double)from->pattern.stride, (double)to->pattern.stride, false},
        {"model.selected_blocks", (double)from->pattern.blocks, (double)to->pattern.blocks, false},
        {"model.full_every", (double)from->full_every, (double)to->full_every, false},
        {"pretrain.seq, whose positions are learnt,", (double)(from->learned_positions ? from->positions : 0),
         (double)(to->learned_positions ? to->positions : 0), false},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (part[i].grows && part[i].new < part[i].old)
            return yk_fail(err, YK_ERR_CONFIG, "%s is %g, but the model has %g: it can only grow", part[i].key,
                           part[i].new, part[i].old);
        if (!part[i].grows && part[i].new != part[i].old)
            return yk_fail(err, YK_ERR_CONFIG, "%s changes, which no growth can do; leave it as the run has it",
                           part[i].key);
    }
    if (from->full_every && to->layers > from->layers)
        return yk_fail(err, YK_ERR_CONFIG, "model.layers grows, but with model.full_every blocks would change their pattern; "
                       "let model.width, model.heads or model.ffn grow");
    if (from->layernorm && to->width > from->width)
        return yk_fail(err, YK_ERR_CONFIG, "model.width grows, but model.norm is layernorm: its mean over a wider row is "
                       "another one; let model.layers, model.heads or model.ffn grow");
    if (to->heads / to->kv_heads < from->heads / from->kv_heads)
        return yk_fail(err, YK_ERR_CONFIG, "model.kv_heads is %lld, which leaves a key head %lld of %lld query heads, fewer "
                       "than it has now; raise model.heads", (long long)to->kv_heads,
                       (long long)(to->heads / to->kv_heads), (long long)to->heads);
    return YK_OK;
}
