/* Which layers have which attention pattern, and what it leaves to compute. */
#include "model/layer.h"

static bool is_full(const yk_model_shape *s, int64_t layer)
{
    return s->full_every > 0 && (layer + 1) % s->full_every == 0;
}

yk_sparsity yk_layer_pattern(const yk_model_shape *s, int64_t layer)
{
    return is_full(s, layer) ? (yk_sparsity){0} : s->pattern;
}

int64_t yk_selected_lists(const yk_model_shape *s, int64_t rows)
{
    return s->pattern.blocks > 0 ? rows / YK_KEY_BLOCK * s->kv_heads : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Keys before x in blocks rest, rest + stride, rest + 2 stride ... */
static int64_t on_stride(int64_t stride, int64_t rest, int64_t x)
{
    const int64_t whole = x / YK_KEY_BLOCK, blocks = whole > rest ? (whole - rest - 1) / stride + 1 : 0;
    return blocks * YK_KEY_BLOCK + (whole % stride == rest ? x % YK_KEY_BLOCK : 0);
}

/* Keys that the query at position t of a causal document sees. */
static int64_t keys_seen(const yk_sparsity *p, int64_t t)
{
    const int64_t block = t / YK_KEY_BLOCK;
    if (p->blocks > 0 && block >= p->blocks) return (p->blocks - 1) * YK_KEY_BLOCK + t % YK_KEY_BLOCK + 1;
    if (p->window == 0 || t < p->window) return t + 1;
    const int64_t near = t + 1 - p->window, first = least(p->global, near); /* keys before the window, global ones */
    if (p->stride == 0) return p->window + first;
    const int64_t rest = block % p->stride;
    return p->window + first + on_stride(p->stride, rest, near) - on_stride(p->stride, rest, first);
}

double yk_model_density(const yk_model_shape *s, int64_t seq)
{
    double seen = 0, full = (double)seq * (double)seq / 2, layers = 0;
    if (seq < 1 || s->layers < 1 || (s->pattern.window == 0 && s->pattern.blocks == 0)) return 1;
    for (int64_t t = 0; t < seq; t++) seen += (double)keys_seen(&s->pattern, t) - 0.5;
    for (int64_t l = 0; l < s->layers; l++) layers += is_full(s, l) ? 1 : seen / full;
    return layers / (double)s->layers;
}
