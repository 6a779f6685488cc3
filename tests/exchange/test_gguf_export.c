/* A model as GGUF: which architecture, whose rows, and what the tokenizer becomes. */
#include "../train/small.h"
#include "exchange/gguf.h"
#include "gguf_checks.h"

#include <math.h>

static const char *const as_llama[] = {"model.qk_norm=false", "model.bias=true", "model.tied=false", NULL};
static const char *const as_slowed[] = {"model.qk_norm=false", "model.rope_factor=8", "model.rope_original=64",
                                        "model.rope_theta=10000", NULL};
static const char *const as_qwen3[] = {"model.qk_norm=true", "stages=[clean, tokenizer, pretrain, sft]", NULL};
static const char *const as_gpt2[] = {"model.qk_norm=false", "model.norm=layernorm", "model.mlp=gelu",
                                      "model.position=learned", NULL};

/* Exports a small model and opens the file. */
static void exported(small *x, yk_gguf *g, char path[160], const char *const *more, yk_gguf_type type)
{
    yk_error err = {""};
    small_open(x, &(yk_session_options){.rows = 16}, 1, more);
    snprintf(path, 160, "%s/a.gguf", x->dir);
    must(yk_gguf_write_model(&x->s, "small", path, type, &err), &err);
    must(yk_gguf_open(g, path, &err), &err);
}

static const float *parameter(const small *x, const char *name)
{
    int n;
    const yk_param *p = yk_model_params(x->s.model, &n);
    for (int i = 0; i < n; i++)
        if (strcmp(p[i].name, name) == 0) return yk_model_weights(x->s.model) + p[i].offset;
    fail_msg("no parameter %s", name);
    return NULL;
}

static const float *tensor(const yk_gguf *g, const char *name, int64_t rows, int64_t columns)
{
    const yk_gguf_tensor *t = yk_gguf_find_tensor(g, name);
    if (!t) fail_msg("no tensor %s", name);
    assert_string_equal(t->layout->name, "F32");
    assert_int_equal(t->rank, columns ? 2 : 1);
    assert_int_equal(t->shape[0], rows);
    if (columns) assert_int_equal(t->shape[1], columns);
    return (const float *)(const void *)t->data;
}

static void text_is(const yk_gguf *g, const char *key, const char *wanted)
{
    const yk_gguf_value *v = yk_gguf_find(g, key);
    if (!v) fail_msg("no key %s", key);
    assert_int_equal(v->kind, YK_GGUF_STRING);
    assert_int_equal(v->count, strlen(wanted));
    assert_memory_equal(v->data, wanted, v->count);
}

static void number_is(const yk_gguf *g, const char *key, uint32_t wanted)
{
    uint32_t x;
    const yk_gguf_value *v = yk_gguf_find(g, key);
    if (!v) fail_msg("no key %s", key);
    assert_int_equal(v->kind, YK_GGUF_U32);
    memcpy(&x, v->data, sizeof x);
    assert_int_equal(x, wanted);
}

/* Heads of 16 numbers: theirs turn 2 i with 2 i + 1, ours i with i + 8. */
static void llama_has_its_rows_interleaved(void **state)
{
    (void)state;
    enum { C = 32, Q = 32, K = 16, F = 48, D = 16 };
    small x;
    yk_gguf g;
    char path[160];
    exported(&x, &g, path, as_llama, YK_GGUF_F32);
    text_is(&g, "general.architecture", "llama");
    number_is(&g, "llama.attention.head_count_kv", 1);
    number_is(&g, "llama.context_length", 64);
    const float *qkv = parameter(&x, "model.layers.1.self_attn.qkv_proj.weight");
    const float *q = tensor(&g, "blk.1.attn_q.weight", Q, C), *k = tensor(&g, "blk.1.attn_k.weight", K, C);
    for (int head = 0; head < 2; head++)
        for (int i = 0; i < D / 2; i++) {
            assert_memory_equal(q + (head * D + 2 * i) * C, qkv + (head * D + i) * C, C * sizeof *q);
            assert_memory_equal(q + (head * D + 2 * i + 1) * C, qkv + (head * D + D / 2 + i) * C, C * sizeof *q);
        }
    assert_memory_equal(k + C, qkv + (Q + D / 2) * C, C * sizeof *k);
    assert_memory_equal(tensor(&g, "blk.1.attn_v.weight", K, C), qkv + (Q + K) * C, K * C * sizeof *k);
    const float *inner = parameter(&x, "model.layers.0.mlp.gate_up_proj.weight");
    assert_memory_equal(tensor(&g, "blk.0.ffn_gate.weight", F, C), inner, F * C * sizeof *inner);
    assert_memory_equal(tensor(&g, "blk.0.ffn_up.weight", F, C), inner + F * C, F * C * sizeof *inner);
    assert_memory_equal(tensor(&g, "output.weight", 320, C), parameter(&x, "lm_head.weight"), 320 * C * sizeof *inner);
    tensor(&g, "blk.1.attn_q.bias", Q, 0);
    tensor(&g, "blk.1.ffn_down.bias", C, 0);
    yk_gguf_close(&g);
    small_close(&x);
}

/* Pairs that turn more than four times in 64 positions stay as they are, those that turn less than once are slowed. */
static void llama_slows_its_rope(void **state)
{
    (void)state;
    small x;
    yk_gguf g;
    char path[160];
    exported(&x, &g, path, as_slowed, YK_GGUF_F16);
    const float *slowing = tensor(&g, "rope_freqs.weight", 8, 0);
    assert_true(slowing[0] == 1 && slowing[7] == 8);
    /* pair 1 turns 64 / 10^0.5 / 2 pi = 3.2211 times */
    assert_true(fabs(slowing[1] - 1 / (0.740357 + (1 - 0.740357) / 8)) < 1e-5);
    yk_gguf_close(&g);
    small_close(&x);
}

static void qwen3_has_our_rows(void **state)
{
    (void)state;
    small x;
    yk_gguf g;
    char path[160];
    exported(&x, &g, path, as_qwen3, YK_GGUF_F32);
    text_is(&g, "general.architecture", "qwen3");
    const float *qkv = parameter(&x, "model.layers.0.self_attn.qkv_proj.weight");
    assert_memory_equal(tensor(&g, "blk.0.attn_q.weight", 32, 32), qkv, 32 * 32 * sizeof *qkv);
    tensor(&g, "blk.0.attn_q_norm.weight", 16, 0);
    assert_null(yk_gguf_find_tensor(&g, "output.weight"));
    text_is(&g, "tokenizer.ggml.pre", "qwen2");
    const uint32_t end = (uint32_t)x.s.end;
    element_is(&g, "tokenizer.ggml.tokens", 0, "!");
    element_is(&g, "tokenizer.ggml.tokens", 188, "\xc4\x80"); /* byte 0 */
    element_is(&g, "tokenizer.ggml.tokens", end, YK_TOKEN_END);
    const yk_gguf_value *types = yk_gguf_find(&g, "tokenizer.ggml.token_type");
    int32_t type[320];
    assert_int_equal(types->count, 320);
    memcpy(type, types->data, sizeof type);
    assert_int_equal(type[0], 1);
    assert_int_equal(type[end], 3);
    assert_int_equal(type[yk_tokenizer_special(x.s.tokenizer, "<think>")], 4);
    assert_int_equal(yk_gguf_find(&g, "tokenizer.ggml.merges")->count, 320 - 256 - YK_SPECIAL_COUNT);
    number_is(&g, "tokenizer.ggml.bos_token_id", end);
    number_is(&g, "tokenizer.ggml.eos_token_id", end);
    number_is(&g, "tokenizer.ggml.eot_token_id", (uint32_t)yk_tokenizer_special(x.s.tokenizer, "<|im_end|>"));
    assert_int_equal(*yk_gguf_find(&g, "tokenizer.ggml.add_bos_token")->data, 1);
    text_is(&g, "tokenizer.chat_template",
            "{{ '<|endoftext|>' }}{% for message in messages %}"
            "{% if message['role'] == 'system' %}{{ '<|im_start|>system\\n' + message['content'] + '<|im_end|>\\n' }}"
            "{% elif message['role'] == 'user' %}{{ '<|im_start|>user\\n' + message['content'] + '<|im_end|>\\n' }}"
            "{% elif message['role'] == 'assistant' %}"
            "{{ '<|im_start|>assistant\\n' + message['content'] + '<|im_end|>\\n' }}"
            "{% else %}{{ raise_exception('roles are system, user and assistant') }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
    yk_gguf_close(&g);
    small_close(&x);
}

static void gpt2_has_biases(void **state)
{
    (void)state;
    small x;
    yk_gguf g;
    char path[160];
    exported(&x, &g, path, as_gpt2, YK_GGUF_F32);
    text_is(&g, "general.architecture", "gpt2");
    const float *qkv = parameter(&x, "model.layers.0.self_attn.qkv_proj.weight");
    assert_memory_equal(tensor(&g, "blk.0.attn_qkv.weight", 64, 32), qkv, 64 * 32 * sizeof *qkv);
    const float *bias = tensor(&g, "blk.0.attn_qkv.bias", 64, 0);
    for (int i = 0; i < 64; i++) assert_true(bias[i] == 0);
    tensor(&g, "position_embd.weight", 64, 32);
    tensor(&g, "output_norm.bias", 32, 0);
    assert_null(yk_gguf_find(&g, "gpt2.rope.freq_base"));
    assert_null(yk_gguf_find(&g, "tokenizer.chat_template"));
    yk_gguf_close(&g);
    small_close(&x);
}

/* Rows of 48 numbers are no whole blocks of Q8_0; the same export twice is the same file. */
static void types_of_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *name, *type;
    } wanted[] = {{"token_embd.weight", "Q8_0"}, {"blk.0.ffn_gate.weight", "Q8_0"}, {"blk.0.ffn_down.weight", "F16"},
                  {"blk.0.attn_norm.weight", "F32"}, {"blk.0.attn_q.bias", "F32"}};
    small x;
    yk_gguf g;
    char path[160], other[170];
    yk_error err;
    yk_buf first = {0}, second = {0};
    exported(&x, &g, path, as_llama, YK_GGUF_Q8_0);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_string_equal(yk_gguf_find_tensor(&g, wanted[i].name)->layout->name, wanted[i].type);
    number_is(&g, "general.file_type", 7);
    yk_gguf_close(&g);
    snprintf(other, sizeof other, "%s.again", path);
    must(yk_gguf_write_model(&x.s, "small", other, YK_GGUF_Q8_0, &err), &err);
    must(yk_file_read(path, &first, &err), &err);
    must(yk_file_read(other, &second, &err), &err);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    yk_buf_free(&first);
    yk_buf_free(&second);
    small_close(&x);
}

static void models_that_llama_cpp_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *set[4], *message;
    } cases[] = {{{"model.qk_norm=true", "model.bias=true"}, "model.bias: true beside model.qk_norm"},
                 {{"model.qk_norm=true", "model.rope_factor=8"}, "model.qk_norm: true and model.rope_factor above 1"},
                 {{"model.qk_norm=false", "model.qkv_bias=true", "model.head_size=32"},
                  "model.qkv_bias: true and a model.head_size that is not width / heads"},
                 {{"model.qk_norm=false", "model.mlp=gelu"}, "model.norm: rmsnorm with model.mlp: gelu"},
                 {{"model.qk_norm=false", "model.position=learned"},
                  "model.norm: rmsnorm with model.position: learned"},
                 {{"model.qk_norm=false", "model.norm=layernorm"}, "model.norm: layernorm with model.mlp: swiglu"},
                 {{"model.attention=selected", "model.selected_blocks=3"}, "model.attention is not full"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small x;
        char path[160];
        yk_error err = {""};
        small_open(&x, &(yk_session_options){.rows = 16}, 1, cases[i].set);
        snprintf(path, sizeof path, "%s/a.gguf", x.dir);
        assert_int_equal(yk_gguf_write_model(&x.s, "small", path, YK_GGUF_F32, &err), YK_ERR_CONFIG);
        if (!strstr(err.text, cases[i].message)) fail_msg("%s", err.text);
        assert_false(yk_exists(path));
        small_close(&x);
    }
}

/* The message names the tensor; the file that was there stays. */
static void weights_that_are_not_finite(void **state)
{
    (void)state;
    small x;
    yk_gguf g;
    char path[160];
    yk_error err = {""};
    exported(&x, &g, path, as_llama, YK_GGUF_F32);
    yk_gguf_close(&g);
    yk_model_weights(x.s.model)[yk_model_floats(x.s.model) - 16] = 1e30f; /* of lm_head */
    assert_int_equal(yk_gguf_write_model(&x.s, "small", path, YK_GGUF_F16, &err), YK_ERR_NUMERIC);
    if (!strstr(err.text, "tensor output.weight: holds numbers that are too large for F16")) fail_msg("%s", err.text);
    must(yk_gguf_open(&g, path, &err), &err);
    yk_gguf_close(&g);
    small_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_has_its_rows_interleaved), cmocka_unit_test(llama_slows_its_rope),
        cmocka_unit_test(qwen3_has_our_rows),
        cmocka_unit_test(gpt2_has_biases), cmocka_unit_test(types_of_tensors),
        cmocka_unit_test(models_that_llama_cpp_lacks), cmocka_unit_test(weights_that_are_not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
