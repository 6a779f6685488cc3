#include "model/layer.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/math64.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "every-4" -> 4, "block" -> 1, else 0. */
static int64_t blocks_again(const char *policy)
{
    if (strncmp(policy, "every-", 6) == 0) return atoll(policy + 6);
    return strcmp(policy, "block") == 0;
}

yk_model_shape yk_model_shape_of(const yk_recipe *r, int64_t vocab)
{
    return (yk_model_shape){.vocab = r->model_vocab ? r->model_vocab : vocab, .width = r->model_width,
                            .layers = r->model_layers, .heads = r->model_heads, .kv_heads = r->model_kv_heads,
                            .head_size = r->model_head_size, .ffn = r->model_ffn, .positions = r->pretrain_seq,
                            .qk_norm = r->model_qk_norm, .tied = r->model_tied,
                            .layernorm = strcmp(r->model_norm, "layernorm") == 0,
                            .gelu = strcmp(r->model_mlp, "gelu") == 0,
                            .learned_positions = strcmp(r->model_position, "learned") == 0, .bias = r->model_bias,
                            .qkv_bias = r->model_qkv_bias, .rope_theta = r->model_rope_theta,
                            .rope_factor = r->model_rope_factor, .rope_original = r->model_rope_original,
                            .pattern = {.window = r->model_window, .global = r->model_global_tokens,
                                        .stride = r->model_attention_stride, .blocks = r->model_selected_blocks},
                            .full_every = r->model_full_every,
                            .base_width = r->model_base_width, .norm_eps = r->model_norm_eps, .init_std = r->model_init_std,
                            .recompute_attention = strcmp(r->recompute, "attention") == 0,
                            .recompute_blocks = blocks_again(r->recompute)};
}

static int64_t to_16(int64_t n)
{
    return (n + 15) / 16 * 16;
}

static yk_width_role role_of(const yk_node *n, int slot, yk_init init)
{
    if (n->kind == &yk_head_kind && slot == YK_NORM) return YK_READOUT;
    if (n->kind == &yk_head_kind || n->kind == &yk_embed_kind) return YK_FIXED;
    return init == YK_INIT_NORMAL || init == YK_INIT_RESIDUAL ? YK_HIDDEN : YK_FIXED;
}

static void set_multipliers(yk_param *p, const yk_model_shape *s, yk_width_role role)
{
    const double r = s->base_width ? (double)s->width / (double)s->base_width : 1;
    p->rate = role == YK_FIXED ? 1 : 1 / r;
    p->initial = role == YK_HIDDEN ? 1 / sqrt(r) : p->rate;
}

yk_status yk_declare_param(yk_model *m, yk_node *n, int slot, const char *suffix, int64_t rows, int64_t columns,
                           yk_init init, bool decay, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(m->param, m->params, m->param_room);
    yk_param *p = &m->param[m->params];
    *p = (yk_param){.rank = columns ? 2 : 1, .shape = {rows, columns}, .init = init, .decay = decay};
    p->multiplies = columns && (n->kind != &yk_embed_kind || (m->shape.tied && slot == 0));
    set_multipliers(p, &m->shape, role_of(n, slot, init));
    p->count = columns ? rows * columns : rows;
    p->offset = m->floats;
    m->floats += to_16(p->count);
    if (n->layer >= 0)
        snprintf(p->name, sizeof p->name, "model.layers.%lld.%s", (long long)n->layer, suffix);
    else
        snprintf(p->name, sizeof p->name, "%s", suffix);
    if (n->params++ == 0) n->first_param = m->params;
    n->param[slot] = m->params++;
done:
    return st;
}

static int64_t bytes_of(const yk_model *m, yk_type type, int64_t width)
{
    return (yk_type_size(m->k, type) * width * m->max_rows + 63) / 64 * 64;
}

/* The output of a segment is kept; the rest of one that is computed again lies in the shared part. */
void yk_declare_saved(yk_model *m, yk_node *n, int slot, yk_type type, int64_t width)
{
    n->shared[slot] = n->recompute && !(slot == YK_OUTPUT && n == &m->node[n->last]);
    int64_t *end = n->shared[slot] ? &m->shared_now : &m->saved_bytes;
    n->saved[slot] = *end;
    *end += bytes_of(m, type, width);
    if (m->shared_now > m->shared_bytes) m->shared_bytes = m->shared_now;
}

void yk_declare_scratch(yk_model *m, yk_node *n, int slot, yk_type type, int64_t width)
{
    n->scratch[slot] = m->scratch_now;
    m->scratch_now += bytes_of(m, type, width);
    if (m->scratch_now > m->scratch_bytes) m->scratch_bytes = m->scratch_now;
}

/* Nodes 1 .. 2 L are attention and mlp by turns; embedding and head stand alone. */
static void cut_segments(yk_model *m)
{
    int blocks = (int)m->shape.recompute_blocks;
    for (int i = 0; i < m->nodes; i++) {
        yk_node *n = &m->node[i];
        bool inside = i > 0 && i < m->nodes - 1;
        n->first = n->last = i;
        n->recompute = inside && m->training && (blocks > 0 || (m->shape.recompute_attention && i % 2 == 1));
        if (!n->recompute || blocks == 0) continue;
        n->first = 1 + (i - 1) / (2 * blocks) * 2 * blocks;
        n->last = n->first + 2 * blocks - 1;
        if (n->last > m->nodes - 2) n->last = m->nodes - 2;
    }
}

static yk_status plan_nodes(yk_model *m, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t L = m->shape.layers;
    m->nodes = (int)(2 * L + 2);
    YK_NEW(m->node, m->nodes);
    YK_NEW(m->input, m->nodes);
    YK_NEW(m->visit, 3 * m->nodes);
    cut_segments(m);
    yk_order_visits(m);
    for (int i = 0; i < m->nodes; i++) {
        yk_node *n = &m->node[i];
        bool first = i == 0, last = i == m->nodes - 1;
        n->kind = first ? &yk_embed_kind : last ? &yk_head_kind : i % 2 ? &yk_attention_kind : &yk_mlp_kind;
        n->layer = first || last ? -1 : (i - 1) / 2;
        n->phase = first ? 0 : last ? 3 : i % 2 ? 1 : 2;
        m->phase[n->phase].name = n->kind->name;
        m->scratch_now = 0;
        if (n->first == i) m->shared_now = 0;
        YK_TRY(n->kind->plan(m, n, err));
    }
    for (int i = 0; i < m->nodes; i++)
        for (int slot = 0; slot < YK_NODE_SLOTS; slot++)
            if (m->node[i].shared[slot]) m->node[i].saved[slot] += m->saved_bytes;
done:
    return st;
}

static int64_t kernel_scratch_bytes(const yk_model *m)
{
    int64_t gemm = m->k->gemm_scratch(&m->team), attention = m->k->attention_scratch(&m->team, m->shape.head_size);
    return gemm > attention ? gemm : attention;
}

static int64_t angles_of(const yk_model *m)
{
    return m->shape.positions * m->shape.head_size / 2;
}

static yk_memory memory_of(const yk_model *m)
{
    const int64_t size = (int64_t)sizeof(float);
    return (yk_memory){.weights = m->floats * size, .gradients = m->training ? yk_model_gradient_floats(m) * size : 0,
                       .activations = m->saved_bytes + m->shared_bytes,
                       .scratch = m->scratch_bytes + (m->max_rows * m->shape.width + 2 * angles_of(m)) * size +
                                  kernel_scratch_bytes(m)};
}

/* Of a weight w[n,k] the operand of forward's product, or of backward's, which is its transpose. */
static yk_pack pack_of(const yk_model *m, int param, bool backward)
{
    const yk_param *w = &m->param[param];
    const float *x = m->weight ? m->weight + w->offset : NULL; /* a plan has none */
    const int64_t out = w->shape[0], in = w->shape[1];
    return backward ? (yk_pack){.n = in, .k = out, .b = {x, YK_FLOAT, in, 1}}
                    : (yk_pack){.n = out, .k = in, .b = {x, YK_FLOAT, 1, in}};
}

/* Of all of them; at: NULL, or [params] where each begins. */
static int64_t packed_bytes(const yk_model *m, int64_t *at, bool backward)
{
    int64_t bytes = 0;
    for (int i = 0; i < m->params; i++) {
        if (at) at[i] = bytes;
        if (!m->param[i].multiplies) continue;
        const yk_pack p = pack_of(m, i, backward);
        bytes += m->k->packed_bytes(p.n, p.k);
    }
    return bytes;
}

int64_t yk_memory_sum(yk_memory m)
{
    return m.weights + m.gradients + m.activations + m.scratch + m.packed + m.packed_back;
}

static float *take(const yk_model *m, int64_t floats)
{
    return m->k->alloc(floats * (int64_t)sizeof(float));
}

static yk_status take_memory(yk_model *m, yk_error *err)
{
    m->memory = memory_of(m);
    m->own.weight = take(m, m->floats);
    if (m->training) m->own.gradient = take(m, yk_model_gradient_floats(m));
    yk_model_use(m, m->own);
    m->saved = m->k->alloc(m->saved_bytes + m->shared_bytes);
    m->scratch = m->k->alloc(m->scratch_bytes);
    m->stream = take(m, m->max_rows * m->shape.width);
    m->cosine = take(m, angles_of(m));
    m->sine = take(m, angles_of(m));
    m->kernel_scratch = m->k->alloc(kernel_scratch_bytes(m));
    if (!m->weight || (m->training && !m->gradient) || !m->saved || !m->scratch || !m->stream || !m->cosine ||
        !m->sine || !m->kernel_scratch) {
        char need[32];
        return yk_fail(err, YK_ERR_MEMORY,
                       "the model needs %s, which could not be had; `yoke plan` shows what each policy of `recompute` "
                       "and a smaller pretrain.micro_batch would take",
                       yk_human_bytes((double)yk_memory_sum(m->memory), need));
    }
    return YK_OK;
}

double yk_rope_turn(const yk_model_shape *s, int64_t i)
{
    const double fewest = 1, most = 4;
    double turn = yk_pow64(s->rope_theta, -2 * (double)i / (double)s->head_size);
    if (s->rope_factor <= 1) return turn;
    double turns = (double)s->rope_original * turn / (2 * M_PI), kept = (turns - fewest) / (most - fewest);
    kept = kept < 0 ? 0 : kept > 1 ? 1 : kept;
    return kept * turn + (1 - kept) * turn / s->rope_factor;
}

static yk_status make_angles(yk_model *m, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t half = m->shape.head_size / 2;
    float *cosine = NULL, *sine = NULL;
    YK_NEW(cosine, m->shape.positions * half);
    YK_NEW(sine, m->shape.positions * half);
    for (int64_t i = 0; i < half; i++) {
        double turn = yk_rope_turn(&m->shape, i), s, c;
        for (int64_t t = 0; t < m->shape.positions; t++) {
            yk_sincos64((double)t * turn, &s, &c);
            cosine[t * half + i] = (float)c;
            sine[t * half + i] = (float)s;
        }
    }
    int64_t bytes = m->shape.positions * half * (int64_t)sizeof(float);
    m->k->upload(m->cosine, cosine, bytes);
    m->k->upload(m->sine, sine, bytes);
done:
    free(cosine);
    free(sine);
    return st;
}

static yk_status make_plan(yk_model **out, const yk_model_shape *shape, int64_t max_rows, bool training,
                           const yk_kernels *kernels, const yk_team *team, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *m = NULL;
    YK_NEW(m, 1);
    *out = m;
    m->shape = *shape;
    m->k = kernels;
    m->team = *team;
    m->training = training;
    m->max_rows = max_rows;
    YK_TRY(plan_nodes(m, err));
done:
    return st;
}

yk_status yk_model_outline(yk_model **out, const yk_model_shape *shape, int64_t max_rows, bool training,
                           const yk_kernels *kernels, const yk_team *team, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *m = NULL;
    YK_TRY(make_plan(&m, shape, max_rows, training, kernels, team, err));
    m->memory = memory_of(m);
    m->memory.packed = packed_bytes(m, NULL, false);
    m->memory.packed_back = packed_bytes(m, NULL, true);
    *out = m;
    m = NULL;
done:
    yk_model_free(m);
    return st;
}

yk_status yk_model_new(yk_model **out, const yk_model_shape *shape, int64_t max_rows, bool training,
                       const yk_kernels *kernels, const yk_team *team, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *m = NULL;
    YK_TRY(make_plan(&m, shape, max_rows, training, kernels, team, err));
    YK_TRY(take_memory(m, err));
    YK_TRY(make_angles(m, err));
    *out = m;
    m = NULL;
done:
    yk_model_free(m);
    return st;
}

void yk_model_free(yk_model *m)
{
    if (!m) return;
    void *const taken[] = {m->own.weight, m->own.gradient, m->saved, m->scratch, m->stream, m->cosine, m->sine,
                           m->kernel_scratch, m->packed[YK_FORWARD].data, m->packed[YK_BACKWARD].data};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) m->k->free(taken[i]);
    free(m->node);
    free(m->param);
    free(m->input);
    free(m->visit);
    for (int i = 0; i < YK_WAYS; i++) free(m->packed[i].at);
    free(m);
}

typedef struct fill_args {
    float *out;
    yk_rng rng;
    double std;
} fill_args;

static void fill_normal(const void *args, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const fill_args *a = args;
    for (int64_t i = begin; i < end; i++) a->out[i] = (float)(a->std * yk_rng_normal(&a->rng, (uint64_t)i));
}

void yk_model_initialise(yk_model *m, uint64_t seed)
{
    double residual = m->shape.init_std / sqrt(2.0 * (double)m->shape.layers);
    for (int i = 0; i < m->params; i++) {
        const yk_param *p = &m->param[i];
        float *w = m->weight + p->offset;
        if (p->init == YK_INIT_ZEROS || p->init == YK_INIT_ONES) {
            const float value = p->init == YK_INIT_ONES ? (float)p->initial : 0.0f;
            for (int64_t j = 0; j < p->count; j++) w[j] = value;
            continue;
        }
        uint64_t major = yk_hash64(p->name, strlen(p->name), 0);
        fill_args args = {w, yk_rng_make(seed, YK_STREAM_INIT, major),
                          p->initial * (p->init == YK_INIT_RESIDUAL ? residual : m->shape.init_std)};
        yk_team_rows(&m->team, p->count, 0, fill_normal, &args);
    }
    yk_model_weights_changed(m);
}

void yk_model_weights_changed(yk_model *m)
{
    for (int i = 0; i < YK_WAYS; i++) m->packed[i].is_current = false;
}

static yk_status take_packed(yk_model *m, yk_packed *to, bool backward, yk_error *err)
{
    yk_status st = YK_OK;
    char need[32];
    if (!to->at) YK_NEW(to->at, m->params);
    const int64_t bytes = packed_bytes(m, to->at, backward);
    if (bytes > 0 && !(to->data = m->k->alloc(bytes)))
        YK_FAIL(YK_ERR_MEMORY, "the packed weights need %s, which could not be had",
                yk_human_bytes((double)bytes, need));
    *(backward ? &m->memory.packed_back : &m->memory.packed) = bytes;
done:
    return st;
}

static yk_status pack(yk_model *m, yk_packed *to, bool backward, yk_error *err)
{
    yk_status st = YK_OK;
    if (!to->data) YK_TRY(take_packed(m, to, backward, err));
    if (!to->data || to->is_current) goto done;
    for (int i = 0; i < m->params; i++) {
        yk_pack p = pack_of(m, i, backward);
        p.packed = to->data + to->at[i];
        if (m->param[i].multiplies) m->k->pack(&m->team, &p);
    }
    to->is_current = true;
done:
    return st;
}

yk_status yk_model_pack(yk_model *m, bool training, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(pack(m, &m->packed[YK_FORWARD], false, err));
    if (training) YK_TRY(pack(m, &m->packed[YK_BACKWARD], true, err));
done:
    return st;
}

const yk_model_shape *yk_model_get_shape(const yk_model *m)
{
    return &m->shape;
}

const yk_param *yk_model_params(const yk_model *m, int *count)
{
    *count = m->params;
    return m->param;
}

int64_t yk_model_floats(const yk_model *m)
{
    return m->floats;
}

int64_t yk_model_gradient_floats(const yk_model *m)
{
    return m->floats + (m->shape.tied ? to_16(m->shape.vocab * m->shape.width) : 0);
}

int64_t yk_model_parameters(const yk_model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->params; i++) n += m->param[i].count;
    return n;
}

double yk_model_flops_per_token(const yk_model *m, int64_t seq)
{
    double multiplying = 0;
    for (int i = 0; i < m->params; i++)
        if (m->param[i].multiplies) multiplying += (double)m->param[i].count;
    double pairs = yk_model_density(&m->shape, seq) * (double)(m->shape.layers * seq);
    return 6.0 * multiplying + 6.0 * pairs * (double)(m->shape.heads * m->shape.head_size);
}

float *yk_model_weights(const yk_model *m)
{
    return m->weight;
}

float *yk_model_gradients(const yk_model *m)
{
    return m->gradient;
}

yk_status yk_weights_new(yk_weights *w, const yk_model *m, bool training, yk_error *err)
{
    *w = (yk_weights){.weight = take(m, m->floats), .gradient = training ? take(m, yk_model_gradient_floats(m)) : NULL};
    if (w->weight && (w->gradient || !training)) return YK_OK;
    yk_weights_free(w, m);
    return yk_fail(err, YK_ERR_MEMORY, "another set of weights needs %lld bytes",
                   (long long)(m->floats + (training ? yk_model_gradient_floats(m) : 0)) * (long long)sizeof(float));
}

void yk_weights_free(yk_weights *w, const yk_model *m)
{
    m->k->free(w->weight);
    m->k->free(w->gradient);
    *w = (yk_weights){0};
}

void yk_weights_copy(const yk_model *m, float *to, const float *from)
{
    m->k->copy_rows(&m->team, &(yk_copy_rows){.y = to, .x = from, .rows = m->floats / 16, .width = 64, .y_row = 64,
                                              .x_row = 64});
}

void yk_weights_hash(const yk_model *m, const float *weight, char hex[33])
{
    yk_hash128_hex(weight, (size_t)m->floats * sizeof *weight, hex);
}

yk_weights yk_model_use(yk_model *m, yk_weights w)
{
    const yk_weights before = {m->weight, m->gradient};
    if (w.weight != m->weight) yk_model_weights_changed(m);
    m->weight = w.weight;
    m->gradient = w.gradient;
    return before;
}

yk_memory yk_model_memory(const yk_model *m)
{
    return m->memory;
}

const yk_phase *yk_model_phase(const yk_model *m, int i)
{
    return i >= 0 && i < YK_PHASES ? &m->phase[i] : NULL;
}

void yk_model_reset_phases(yk_model *m)
{
    for (int i = 0; i < YK_PHASES; i++) m->phase[i].forward = m->phase[i].backward = 0;
}

static void compute(yk_model *m, yk_pass *p, int node, bool backward)
{
    const yk_node *n = &m->node[node];
    const bool watched = m->watcher.begins;
    if (watched) m->watcher.begins(m->watcher.context, node, backward);
    const double began = yk_now();
    (backward ? n->kind->backward : n->kind->forward)(n, p);
    *(backward ? &m->phase[n->phase].backward : &m->phase[n->phase].forward) += yk_now() - began;
    if (watched) m->watcher.ended(m->watcher.context, node, backward);
}

static void walk_up(yk_model *m, yk_pass *p)
{
    for (int i = 0; i < m->nodes; i++) {
        p->x = p->y;
        compute(m, p, i, false);
    }
}

static void walk_down(yk_model *m, yk_pass *p)
{
    p->training = true;
    p->d = m->stream;
    for (int v = 0; v < m->visits; v++) {
        const bool backward = m->visit[v] < 0, again = !backward && v >= m->nodes;
        const int i = backward ? ~m->visit[v] : m->visit[v];
        if (again && i == m->node[i].first) p->y = m->input[i];
        if (!backward) m->input[i] = p->y;
        p->x = m->input[i];
        compute(m, p, i, backward);
    }
}

void yk_model_train(yk_model *m, const yk_batch *batch, float z_loss, float *loss, int32_t *best)
{
    walk_down(m, &(yk_pass){.m = m, .batch = batch, .z_loss = z_loss, .loss = loss, .best = best});
}

void yk_model_descend(yk_model *m, const yk_batch *batch, const yk_objective *objective, float *weight, float *loss)
{
    walk_down(m, &(yk_pass){.m = m, .batch = batch, .wanted = objective->score ? YK_SCORES : YK_LOSSES, .loss = loss,
                            .objective = objective, .weight = weight});
}

void yk_model_distil(yk_model *m, const yk_batch *batch, const yk_teaching *teaching, float *loss)
{
    walk_down(m, &(yk_pass){.m = m, .batch = batch, .loss = loss, .teaching = teaching});
}

void yk_model_forward(yk_model *m, const yk_batch *batch)
{
    yk_pass p = {.m = m, .batch = batch, .wanted = YK_NORMED_ROWS};
    walk_up(m, &p);
}

void yk_model_logits(yk_model *m, const yk_batch *batch, int64_t first, int64_t rows, float *logits)
{
    yk_head_logits(&m->node[m->nodes - 1], &(yk_pass){.m = m, .batch = batch}, first, rows, logits);
}

void yk_model_output(const yk_model *m, int node, int64_t rows, float *y)
{
    m->k->download(y, m->saved + m->node[node].saved[YK_OUTPUT], rows * m->shape.width * (int64_t)sizeof *y);
}

void yk_model_evaluate(yk_model *m, const yk_batch *batch, float *loss, int32_t *best, float *entropy)
{
    yk_pass p = {.m = m, .batch = batch, .loss = loss, .best = best, .entropy = entropy};
    walk_up(m, &p);
}

void yk_model_score(yk_model *m, const yk_batch *batch, float *score)
{
    yk_pass p = {.m = m, .batch = batch, .wanted = YK_SCORES, .score = score};
    walk_up(m, &p);
}

void yk_model_finish_gradients(yk_model *m, int64_t begin, int64_t end)
{
    if (!m->shape.tied) return;
    const yk_param *table = &m->param[m->node[0].param[0]]; /* the first: it begins at 0 */
    float *g = m->gradient, *second = m->gradient + m->floats;
    if (end > table->count) end = table->count;
    if (begin >= end) return;
    m->k->add(&m->team, &(yk_add){.y = g + begin, .a = g + begin, .b = second + begin, .n = end - begin});
    m->k->zero(&m->team, second + begin, (end - begin) * (int64_t)sizeof(float));
}

yk_status yk_cache_new(yk_cache *c, const yk_model *m, int64_t rows, yk_error *err)
{
    int64_t bytes = m->shape.layers * rows * 2 * m->shape.kv_heads * m->shape.head_size * yk_type_size(m->k, YK_STORED);
    int64_t lists = m->shape.layers * yk_selected_lists(&m->shape, rows) * m->shape.pattern.blocks;
    *c = (yk_cache){.rows = rows, .kv = m->k->alloc(bytes)};
    if (c->kv && lists > 0) c->selected = m->k->alloc(lists * (int64_t)sizeof *c->selected);
    if (c->kv && (c->selected || lists == 0)) return YK_OK;
    yk_cache_free(c, m);
    return yk_fail(err, YK_ERR_MEMORY, "the key-value cache of %lld tokens needs %lld bytes", (long long)rows,
                   (long long)(bytes + lists * (int64_t)sizeof *c->selected));
}

void yk_cache_free(yk_cache *c, const yk_model *m)
{
    if (c->kv) m->k->free(c->kv);
    if (c->selected) m->k->free(c->selected);
    c->kv = NULL;
    c->selected = NULL;
}

void yk_model_decode(yk_model *m, yk_cache *cache, const yk_batch *batch, const int32_t *cache_row,
                     const int32_t *wanted_row, int64_t wanted, float *logits)
{
    yk_pass p = {.m = m, .batch = batch, .wanted = YK_LOGITS, .cache = cache, .cache_row = cache_row,
                 .logit_row = wanted_row, .logit_rows = wanted, .logits = logits};
    walk_up(m, &p);
}
