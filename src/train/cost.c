#include "train/cost.h"

#include <math.h>
#include <string.h>

/* Measured on one kind of processor (doc/performance.md, a quiet machine); shares of peaks travel better than times. */
static const double PRODUCTS = 0.92, NATIVE_PRODUCTS = 0.96, ATTENTION = 0.5, FLOPS_A_NUMBER = 250;
static const double LINE = 0.94; /* of Ethernet's bits, what TCP carries in frames of 1,500 bytes */
enum { FLOAT = 4, PASS_BYTES = 8, UPDATE_BYTES = 36, CLEAR_BYTES = 4, PACK_BYTES = 16, LANE_BYTES = 24,
       LATENCIES_A_BUCKET = 3, AGREEMENTS = 6 };

/* Parameters of blocks that are multiplied with, of attention alone or of both halves. */
static double multiplying(const yk_model *m, bool attention_alone)
{
    int count;
    double sum = 0;
    const yk_param *p = yk_model_params(m, &count);
    for (int i = 0; i < count; i++)
        if (p[i].multiplies && strncmp(p[i].name, "model.layers.", 13) == 0 &&
            (!attention_alone || strstr(p[i].name, ".self_attn.")))
            sum += (double)p[i].count * (double)p[i].used / (double)p[i].parts;
    return sum;
}

/* Of a token in the feed-forward half of a block, the mean of all blocks. */
static double inner_width(const yk_model_shape *s)
{
    const int64_t mixed = s->experts ? s->layers - s->dense_layers : 0;
    const int64_t active = (s->experts_chosen + s->shared_experts) * s->expert_ffn;
    return (double)((s->layers - mixed) * s->ffn + mixed * active) / (double)s->layers;
}

yk_load yk_load_of(const yk_model *m, const yk_recipe *r, const yk_setting *with, int64_t outer)
{
    const yk_model_shape *s = yk_model_get_shape(m);
    const double L = (double)s->layers, T = (double)r->pretrain_seq, C = (double)s->width;
    const double q = (double)(s->heads * s->head_size), kv = (double)(2 * s->kv_heads * s->head_size);
    const double of_attention = 3 * C + q + kv, of_mlp = C + (s->gelu ? 2 : 3) * inner_width(s);
    const double attention = 6 * L * T * q * yk_model_density(s, r->pretrain_seq);
    const double products = yk_model_flops_per_token(m, r->pretrain_seq) - attention;
    const double a_lane = (double)(r->pretrain_batch / r->lanes);
    yk_load l = {.tokens = (double)r->pretrain_batch * T, .rows = (double)with->micro * T,
                 .passes = ceil(a_lane / (double)with->micro), .products = products, .attention = attention,
                 .numbers = L * (of_attention + of_mlp) + (double)s->vocab, .floats = (double)yk_model_floats(m),
                 .gradients = (double)yk_model_gradient_floats(m), .lanes = r->lanes, .zero = with->zero,
                 .outer = outer};
    if (s->recompute_attention || s->recompute_blocks > 0) { /* forward is a third of each */
        const bool alone = s->recompute_blocks == 0;
        l.products += 2 * multiplying(m, alone);
        l.attention += attention / 3;
        l.numbers += L * (of_attention + (alone ? 0 : of_mlp)) / 3;
    }
    return l;
}

/* Bytes of a step that ranks exchange, each holding so many: sums to slices, slices to all. */
typedef struct exchanged {
    double summed, gathered, times; /* times: how many exchanges */
} exchanged;

static exchanged exchanged_of(const yk_load *l, double turns)
{
    const double weights = FLOAT * l->floats, gradients = FLOAT * l->gradients;
    if (l->zero < 2) return (exchanged){gradients, weights, 2}; /* gathered: a gradient as long as the weights */
    const double gathers = l->zero == 2 ? 1 : 2 * turns * l->passes;
    return (exchanged){turns * gradients, gathers * weights, turns + gathers};
}

static double node_seconds(exchanged x, double g, double rate)
{
    return g > 1 ? (5 * (g - 1) / g * x.summed + 2 * x.gathered) / rate : 0;
}

static double network_seconds(const yk_cluster *c, exchanged x, double outer)
{
    const double n = (double)c->nodes, levels = ilogb(n), bytes = (n - 1) / n * (x.summed + x.gathered);
    if (c->nodes < 2) return 0;
    const double a_rank = bytes / (double)c->ranks, buckets = a_rank / (FLOAT * YK_MESSAGE_FLOATS) + x.times * levels;
    return (bytes / (LINE * c->network) + LATENCIES_A_BUCKET * c->latency * buckets) / outer +
           AGREEMENTS * levels * c->latency;
}

static double pass_seconds(const yk_cluster *c, const yk_load *l, double turns, double rate)
{
    const double products = c->flops > 1.5 * c->plain ? NATIVE_PRODUCTS : PRODUCTS;
    const double a_token = (l->products / products + l->attention / ATTENTION) / c->flops +
                           FLOPS_A_NUMBER * l->numbers / c->plain;
    return c->pace * (l->tokens / (double)l->lanes * turns * a_token +
                      turns * l->passes * PASS_BYTES * l->floats / rate);
}

yk_cost yk_cost_of(const yk_cluster *c, const yk_load *l)
{
    const double g = (double)c->ranks, ranks = g * (double)c->nodes, turns = (double)l->lanes / ranks;
    const double rate = fmin(c->memory, c->shared / g), slice = l->zero > 0 ? l->floats / ranks : l->floats;
    const exchanged x = exchanged_of(l, turns);
    yk_cost cost = {.passes = pass_seconds(c, l, turns, rate)};
    cost.update = UPDATE_BYTES * slice;
    if (l->zero > 0 && ranks > 1) cost.update += CLEAR_BYTES * l->floats;
    if (turns * l->passes > 1) cost.update += PACK_BYTES * l->floats;
    cost.update += LANE_BYTES * (turns - 1) * (l->zero > 1 ? l->gradients / ranks : l->gradients);
    cost.update /= rate;
    cost.node = node_seconds(x, g, rate);
    cost.network = network_seconds(c, x, (double)l->outer);
    cost.seconds = cost.passes + cost.update + cost.node + cost.network;
    const double inside = (g - 1) / g, between = (1 - 1 / (double)c->nodes) / g / (double)l->outer;
    cost.sent = (inside + between) * (x.summed + x.gathered);
    return cost;
}
