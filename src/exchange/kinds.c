#include "exchange/kinds.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Queries and keys of both turn pairs (i, i + D / 2), so that no rows change places. */
static const yk_hf_name llama_names[] = {
    {"model.embed_tokens", "model.embed_tokens", YK_HF_WHOLE, false},
    {"model.layers.#.input_layernorm", "model.layers.#.input_layernorm", YK_HF_WHOLE, false},
    {"model.layers.#.self_attn.qkv_proj", "model.layers.#.self_attn.q_proj", YK_HF_QUERY, false},
    {"model.layers.#.self_attn.qkv_proj", "model.layers.#.self_attn.k_proj", YK_HF_KEY, false},
    {"model.layers.#.self_attn.qkv_proj", "model.layers.#.self_attn.v_proj", YK_HF_VALUE, false},
    {"model.layers.#.self_attn.q_norm", "model.layers.#.self_attn.q_norm", YK_HF_WHOLE, false},
    {"model.layers.#.self_attn.k_norm", "model.layers.#.self_attn.k_norm", YK_HF_WHOLE, false},
    {"model.layers.#.self_attn.o_proj", "model.layers.#.self_attn.o_proj", YK_HF_WHOLE, false},
    {"model.layers.#.post_attention_layernorm", "model.layers.#.post_attention_layernorm", YK_HF_WHOLE, false},
    {"model.layers.#.mlp.gate_up_proj", "model.layers.#.mlp.gate_proj", YK_HF_GATE, false},
    {"model.layers.#.mlp.gate_up_proj", "model.layers.#.mlp.up_proj", YK_HF_UP, false},
    {"model.layers.#.mlp.down_proj", "model.layers.#.mlp.down_proj", YK_HF_WHOLE, false},
    {"model.norm", "model.norm", YK_HF_WHOLE, false},
    {"lm_head", "lm_head", YK_HF_WHOLE, false},
    {0},
};

static const yk_hf_name gpt2_names[] = {
    {"model.embed_tokens", "transformer.wte", YK_HF_WHOLE, false},
    {"model.embed_positions", "transformer.wpe", YK_HF_WHOLE, false},
    {"model.layers.#.input_layernorm", "transformer.h.#.ln_1", YK_HF_WHOLE, false},
    {"model.layers.#.self_attn.qkv_proj", "transformer.h.#.attn.c_attn", YK_HF_WHOLE, true},
    {"model.layers.#.self_attn.o_proj", "transformer.h.#.attn.c_proj", YK_HF_WHOLE, true},
    {"model.layers.#.post_attention_layernorm", "transformer.h.#.ln_2", YK_HF_WHOLE, false},
    {"model.layers.#.mlp.up_proj", "transformer.h.#.mlp.c_fc", YK_HF_WHOLE, true},
    {"model.layers.#.mlp.down_proj", "transformer.h.#.mlp.c_proj", YK_HF_WHOLE, true},
    {"model.norm", "transformer.ln_f", YK_HF_WHOLE, false},
    {"lm_head", "lm_head", YK_HF_WHOLE, false},
    {0},
};

#define AT(field) offsetof(yk_model_shape, field)
#define LLAMA_SETTINGS                                                                                    \
    {"vocab_size", YK_HF_INT, AT(vocab), NAN}, {"hidden_size", YK_HF_INT, AT(width), NAN},                \
    {"num_hidden_layers", YK_HF_INT, AT(layers), NAN}, {"num_attention_heads", YK_HF_INT, AT(heads), NAN}, \
    {"num_key_value_heads", YK_HF_INT, AT(kv_heads), 0}, {"intermediate_size", YK_HF_INT, AT(ffn), NAN},  \
    {"max_position_embeddings", YK_HF_INT, AT(positions), NAN}, {"rms_norm_eps", YK_HF_REAL, AT(norm_eps), 1e-6}, \
    {"initializer_range", YK_HF_REAL, AT(init_std), 0.02}, {"tie_word_embeddings", YK_HF_FLAG, AT(tied), 0}

/* 0 of key heads and head size follows from the others. */
static const yk_hf_setting llama_settings[] = {
    LLAMA_SETTINGS, {"head_dim", YK_HF_INT, AT(head_size), 0}, {"attention_bias", YK_HF_FLAG, AT(bias), 0},
    {"mlp_bias", YK_HF_FLAG, AT(bias), 0}, {0}};
static const yk_hf_setting qwen2_settings[] = {LLAMA_SETTINGS, {"head_dim", YK_HF_INT, AT(head_size), 0}, {0}};
static const yk_hf_setting qwen3_settings[] = {LLAMA_SETTINGS, {"head_dim", YK_HF_INT, AT(head_size), 128}, {0}};
static const yk_hf_setting gpt2_settings[] = {
    {"vocab_size", YK_HF_INT, AT(vocab), NAN}, {"n_embd", YK_HF_INT, AT(width), NAN},
    {"n_layer", YK_HF_INT, AT(layers), NAN}, {"n_head", YK_HF_INT, AT(heads), NAN},
    {"n_inner", YK_HF_INT, AT(ffn), 0}, {"n_positions", YK_HF_INT, AT(positions), NAN},
    {"layer_norm_epsilon", YK_HF_REAL, AT(norm_eps), 1e-5}, {"initializer_range", YK_HF_REAL, AT(init_std), 0.02},
    {"tie_word_embeddings", YK_HF_FLAG, AT(tied), 1}, {0}};

static const yk_hf_fixed llama_fixed[] = {{"hidden_act", "\"silu\"", "\"swish\""}, {0}};
static const yk_hf_fixed qwen2_fixed[] = {{"hidden_act", "\"silu\"", "\"swish\""},
                                          {"use_sliding_window", "false", NULL}, {0}};
static const yk_hf_fixed qwen3_fixed[] = {
    {"hidden_act", "\"silu\"", "\"swish\""}, {"use_sliding_window", "false", NULL}, {"attention_bias", "false", NULL},
    {0}};
static const yk_hf_fixed gpt2_fixed[] = {
    {"activation_function", "\"gelu_new\"", "\"gelu_pytorch_tanh\""}, {"scale_attn_weights", "true", NULL},
    {"scale_attn_by_inverse_layer_idx", "false", NULL}, {"add_cross_attention", "false", NULL}, {0}};

static const char *const llama_needless[] = {"model.layers.#.self_attn.rotary_emb.inv_freq", NULL};
static const char *const gpt2_needless[] = {"transformer.h.#.attn.bias", "transformer.h.#.attn.masked_bias", NULL};

enum { FREE = YK_HAS_GROUPS | YK_HAS_FREE_HEADS | YK_HAS_ROPE_FACTOR };

const yk_hf_kind yk_hf_kinds[] = {
    {"LlamaForCausalLM", "llama", 0, FREE | YK_HAS_BIAS, llama_names, llama_settings, llama_fixed, "", llama_needless},
    {"Qwen2ForCausalLM", "qwen2", YK_HAS_QKV_BIAS, FREE, llama_names, qwen2_settings, qwen2_fixed, "", llama_needless},
    {"Qwen3ForCausalLM", "qwen3", YK_HAS_QK_NORM, FREE, llama_names, qwen3_settings, qwen3_fixed, "", llama_needless},
    {"GPT2LMHeadModel", "gpt2", YK_HAS_LAYERNORM | YK_HAS_GELU | YK_HAS_LEARNED_POSITIONS | YK_HAS_BIAS, 0, gpt2_names,
     gpt2_settings, gpt2_fixed, "transformer.", gpt2_needless},
};
const size_t yk_hf_kind_count = sizeof yk_hf_kinds / sizeof *yk_hf_kinds;

/* What a kind must not have, and what it must have, as settings of a recipe. */
static const char *const not_this[YK_FEATURES][2] = {
    {"model.norm: rmsnorm", "model.norm: layernorm"}, {"model.mlp: swiglu", "model.mlp: gelu"},
    {"model.position: rope", "model.position: learned"}, {"model.bias: false", "model.bias: true"},
    {"model.qkv_bias: false", "model.qkv_bias: true"}, {"model.qk_norm: false", "model.qk_norm: true"},
    {"model.kv_heads = model.heads", ""}, {"model.heads x model.head_size = model.width", ""},
    {"model.rope_factor: 1", ""}, {"model.attention: full", ""}};

static unsigned features_of(const yk_model_shape *s)
{
    return (s->layernorm ? YK_HAS_LAYERNORM : 0) | (s->gelu ? YK_HAS_GELU : 0) |
           (s->learned_positions ? YK_HAS_LEARNED_POSITIONS : 0) |
           (s->bias ? YK_HAS_BIAS : s->qkv_bias ? YK_HAS_QKV_BIAS : 0) |
           (s->qk_norm ? YK_HAS_QK_NORM : 0) | (s->kv_heads != s->heads ? YK_HAS_GROUPS : 0) |
           (s->heads * s->head_size != s->width ? YK_HAS_FREE_HEADS : 0) |
           (s->rope_factor > 1 && !s->learned_positions ? YK_HAS_ROPE_FACTOR : 0) |
           (s->pattern.window || s->pattern.blocks ? YK_HAS_PATTERN : 0);
}

/* Features in which a shape differs from what the kind must or may have. */
static unsigned differs(const yk_hf_kind *k, unsigned features)
{
    return (k->must & ~features) | (features & ~(k->must | k->may));
}

yk_status yk_hf_kind_of(const yk_model_shape *s, const yk_hf_kind **kind, yk_error *err)
{
    const unsigned features = features_of(s);
    const yk_hf_kind *nearest = yk_hf_kinds;
    yk_buf needs = {0};
    for (size_t i = 0; i < yk_hf_kind_count; i++) {
        const yk_hf_kind *k = &yk_hf_kinds[i];
        if (__builtin_popcount(differs(k, features)) < __builtin_popcount(differs(nearest, features))) nearest = k;
    }
    *kind = nearest;
    if (!differs(nearest, features)) return YK_OK;
    for (int i = 0; i < YK_FEATURES; i++)
        if (differs(nearest, features) & 1u << i)
            yk_buf_printf(&needs, "%s%s", needs.len ? ", " : "", not_this[i][(nearest->must & 1u << i) != 0]);
    yk_fail(err, YK_ERR_CONFIG,
            "no architecture of transformers is known that computes this model; the nearest, %s, needs %s",
            nearest->architecture, needs.data);
    yk_buf_free(&needs);
    return YK_ERR_CONFIG;
}

void yk_hf_kind_apply(const yk_hf_kind *kind, yk_model_shape *s)
{
    s->layernorm = (kind->must & YK_HAS_LAYERNORM) != 0;
    s->gelu = (kind->must & YK_HAS_GELU) != 0;
    s->learned_positions = (kind->must & YK_HAS_LEARNED_POSITIONS) != 0;
    s->bias = s->bias || (kind->must & YK_HAS_BIAS) != 0;
    s->qkv_bias = (kind->must & YK_HAS_QKV_BIAS) != 0;
    s->qk_norm = (kind->must & YK_HAS_QK_NORM) != 0;
}

bool yk_hf_matches(const char *pattern, const char *name)
{
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*pattern != *name++) return false;
            continue;
        }
        if (!isdigit((unsigned char)*name)) return false;
        while (isdigit((unsigned char)*name)) name++;
    }
    return *name == 0;
}

void yk_hf_rows(yk_hf_part part, const yk_model_shape *s, int64_t rows, int64_t *from, int64_t *count)
{
    const int64_t q = s->heads * s->head_size, k = s->kv_heads * s->head_size;
    *from = 0, *count = rows;
    switch (part) {
    case YK_HF_WHOLE: break;
    case YK_HF_QUERY: *count = q; break;
    case YK_HF_KEY: *from = q, *count = k; break;
    case YK_HF_VALUE: *from = q + k, *count = k; break;
    case YK_HF_GATE: *count = s->ffn; break;
    case YK_HF_UP: *from = s->ffn, *count = s->ffn; break;
    }
}

static yk_hf_tensor tensor_of(const yk_hf_name *row, const yk_model_shape *s, const yk_param *p, int64_t layer)
{
    yk_hf_tensor t = {.rank = p->rank, .turned = row->turned && p->rank == 2};
    const char *number = strchr(row->theirs, '#'), *kind = strrchr(p->name, '.');
    int64_t from, count, columns = p->rank == 2 ? p->shape[1] : 1;
    yk_hf_rows(row->part, s, p->shape[0], &from, &count);
    if (number)
        snprintf(t.name, sizeof t.name, "%.*s%lld%s%s", (int)(number - row->theirs), row->theirs, (long long)layer,
                 number + 1, kind);
    else
        snprintf(t.name, sizeof t.name, "%s%s", row->theirs, kind);
    t.offset = p->offset + from * columns;
    t.count = count * columns;
    t.shape[0] = t.turned ? columns : count;
    t.shape[1] = p->rank == 1 ? 0 : t.turned ? count : columns;
    return t;
}

yk_status yk_hf_tensors(const yk_hf_kind *kind, const yk_model *m, yk_hf_tensor **tensor, size_t *n, yk_error *err)
{
    yk_status st = YK_OK;
    int params;
    size_t cap = 0, before;
    const yk_param *p = yk_model_params(m, &params);
    *tensor = NULL;
    *n = 0;
    for (int i = 0; i < params; i++) {
        char own[sizeof p->name];
        const char *digits = strpbrk(p[i].name, "0123456789");
        if (strcmp(p[i].name, YK_SCORE_NAME) == 0) continue;
        snprintf(own, sizeof own, "%.*s", (int)(strrchr(p[i].name, '.') - p[i].name), p[i].name);
        before = *n;
        for (const yk_hf_name *row = kind->names; row->ours; row++) {
            if (!yk_hf_matches(row->ours, own)) continue;
            YK_ROOM(*tensor, *n, cap);
            (*tensor)[(*n)++] = tensor_of(row, yk_model_get_shape(m), &p[i], digits ? atoll(digits) : -1);
        }
        if (*n == before)
            YK_FAIL(YK_ERR_INTERNAL, "%s has no name for the parameter %s", kind->architecture, p[i].name);
    }
done:
    if (st != YK_OK) {
        free(*tensor);
        *tensor = NULL;
    }
    return st;
}

void yk_hf_turn(float *to, const float *from, int64_t rows, int64_t columns)
{
    enum { TILE = 32 };
    for (int64_t r0 = 0; r0 < rows; r0 += TILE)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = r0; r < r0 + TILE && r < rows; r++) to[c * rows + r] = from[r * columns + c];
}
