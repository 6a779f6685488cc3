/* Tokenizers of other makers go in with their models, and out again: to transformers as they came, to llama.cpp by the
 * name of their split, or not. */
#include "../train/small.h"
#include "exchange/exchange.h"
#include "exchange/gguf.h"
#include "gguf_checks.h"

#include <jansson.h>

enum { ROWS = 400, TOKENS = 335 }; /* of the embedding; of the tokenizers of tests/token */

static const struct {
    const char *name, *pre, *begin;
} kinds[] = {{"gpt2", "gpt-2", "<|end|>"}, {"llama3", "llama-bpe", "<|end|>"}, {"qwen2", "qwen2", "<|end|>"},
             {"deepseek", "deepseek-v3", "<s>"}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* An added token that GGUF cannot express, and leaves a hole. */
static bool is_conditional(const json_t *token)
{
    return json_is_true(json_object_get(token, "lstrip")) || json_is_true(json_object_get(token, "rstrip")) ||
           json_is_true(json_object_get(token, "single_word"));
}

static json_t *tokenizer_of(const char *kind, bool plain)
{
    const char *source = getenv("top_srcdir");
    char *path = yk_path("%s/tests/token/%s.json", source ? source : ".", kind);
    json_t *x = json_load_file(path, 0, NULL), *added = json_object_get(x, "added_tokens");
    assert_non_null(x);
    for (size_t i = json_array_size(added); plain && i-- > 0;)
        if (is_conditional(json_array_get(added, i))) json_array_remove(added, i);
    if (plain && strcmp(kind, "gpt2") == 0)
        json_object_set_new(json_object_get(x, "pre_tokenizer"), "add_prefix_space", json_false());
    free(path);
    return x;
}

static void dump(const json_t *x, const char *dir, const char *name)
{
    char *path = yk_path("%s/%s", dir, name);
    assert_int_equal(json_dump_file(x, path, 0), 0);
    free(path);
}

/* <x->dir>/hf, a model with that tokenizer, whose config.json has these ids (-1: none); and what import makes of it. */
static yk_status import_with(small *x, const json_t *tokenizer, int begin, int end, char *run, yk_error *err)
{
    static const char *const sets[] = {"model.vocab=400", "model.qk_norm=false", NULL};
    small_open(x, &(yk_session_options){.rows = 16}, 1, sets);
    char *checkpoints = yk_path("%s/checkpoints", x->dir), *best = yk_path("%s/checkpoints/best.h5", x->dir);
    char *recipe = yk_path("%s/recipe.yaml", x->dir), *hf = yk_path("%s/hf", x->dir);
    char *path = yk_path("%s/hf/config.json", x->dir);
    yk_buf text = {0};
    json_t *document = json_object();
    yk_recipe r = x->r;
    r.stages.n = 0;
    yk_recipe_print(&r, &text);
    must(yk_file_write(recipe, text.data, text.len, err), err);
    must(yk_mkdirs(checkpoints, err), err);
    must(yk_session_save(&x->s, best, false, document, err), err);
    must(yk_hf_export(x->dir, hf, &(yk_export_options){.shard_bytes = 1 << 30}, err), err);
    json_t *config = json_load_file(path, 0, NULL);
    json_object_set_new(config, "bos_token_id", begin < 0 ? json_null() : json_integer(begin));
    json_object_set_new(config, "eos_token_id", end < 0 ? json_null() : json_pack("[i]", end));
    dump(config, hf, "config.json");
    dump(tokenizer, hf, "tokenizer.json");
    snprintf(run, sizeof x->dir + 8, "%s/run", x->dir);
    yk_status st = yk_hf_import(hf, run, &(yk_import_options){.precision = "fp32"}, err);
    json_decref(config);
    json_decref(document);
    yk_buf_free(&text);
    free(checkpoints);
    free(best);
    free(recipe);
    free(hf);
    free(path);
    return st;
}

/* Also where training and generation begin: with the tokens of config.json. */
static void what_goes_in_comes_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        small x;
        yk_recipe r;
        yk_session s;
        yk_error err;
        char run[140], again[160];
        json_t *tokenizer = tokenizer_of(kinds[i].name, false);
        const int begin = strcmp(kinds[i].name, "deepseek") == 0 ? 0 : 330;
        must(import_with(&x, tokenizer, begin, 330, run, &err), &err);
        must(yk_recipe_load(&r, (snprintf(again, sizeof again, "%s/recipe.yaml", run), again), NULL, 0, &err), &err);
        assert_string_equal(r.tokenizer_begin, kinds[i].begin);
        assert_string_equal(r.tokenizer_end, "<|end|>");
        must(yk_session_open(&s, &r, run, &x.team, &(yk_session_options){.rows = 16}, &err), &err);
        assert_int_equal(s.begin, begin);
        assert_int_equal(s.end, 330);
        assert_int_equal(s.plain, 330);
        snprintf(again, sizeof again, "%s/again", x.dir);
        must(yk_hf_export(run, again, &(yk_export_options){.shard_bytes = 1 << 30}, &err), &err);
        char *path = yk_path("%s/tokenizer.json", again), *config = yk_path("%s/config.json", again);
        json_t *out = json_load_file(path, 0, NULL), *ids = json_load_file(config, 0, NULL);
        assert_true(json_equal(out, tokenizer));
        assert_int_equal(json_integer_value(json_object_get(ids, "bos_token_id")), begin);
        assert_int_equal(json_integer_value(json_array_get(json_object_get(ids, "eos_token_id"), 0)), 330);
        json_decref(out);
        json_decref(ids);
        json_decref(tokenizer);
        free(path);
        free(config);
        yk_session_close(&s);
        yk_recipe_free(&r);
        small_close(&x);
    }
}

static void where_documents_begin_must_be_known(void **state)
{
    (void)state;
    static const int id[][2] = {{-1, -1}, {5, 5}, {TOKENS, 330}, {330, 1 << 30}};
    for (size_t i = 0; i < sizeof id / sizeof *id; i++) {
        small x;
        char run[140];
        yk_error err;
        json_t *tokenizer = tokenizer_of("llama3", false);
        assert_int_equal(import_with(&x, tokenizer, id[i][0], id[i][1], run, &err), YK_ERR_INPUT);
        if (!strstr(err.text, "`bos_token_id` and `eos_token_id` are of no added tokens")) fail_msg("%s", err.text);
        json_decref(tokenizer);
        small_close(&x);
    }
}

/* Ids that no token has, in the middle and at the end, have a text that is no other's. */
static void llama_cpp_gets_the_name_of_the_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        small x;
        yk_gguf g;
        yk_error err;
        char run[140], path[160];
        int32_t type[ROWS];
        json_t *tokenizer = tokenizer_of(kinds[i].name, true);
        must(import_with(&x, tokenizer, 330, -1, run, &err), &err);
        snprintf(path, sizeof path, "%s/a.gguf", x.dir);
        must(yk_gguf_export(run, path, NULL, YK_GGUF_F32, &err), &err);
        must(yk_gguf_open(&g, path, &err), &err);
        const yk_gguf_value *pre = yk_gguf_find(&g, "tokenizer.ggml.pre");
        assert_int_equal(pre->count, strlen(kinds[i].pre));
        assert_memory_equal(pre->data, kinds[i].pre, pre->count);
        assert_int_equal(yk_gguf_find(&g, "tokenizer.ggml.tokens")->count, ROWS);
        element_is(&g, "tokenizer.ggml.tokens", 330, "<|end|>");
        element_is(&g, "tokenizer.ggml.tokens", 331, "[PAD331]");
        element_is(&g, "tokenizer.ggml.tokens", 332, "<think>");
        element_is(&g, "tokenizer.ggml.tokens", ROWS - 1, "[PAD399]");
        memcpy(type, yk_gguf_find(&g, "tokenizer.ggml.token_type")->data, sizeof type);
        assert_int_equal(type[330], 3);
        assert_int_equal(type[331], 5);
        assert_int_equal(type[332], 4);
        assert_int_equal(type[ROWS - 1], 5);
        assert_null(yk_gguf_find(&g, "tokenizer.ggml.mask_token_id"));
        yk_gguf_close(&g);
        json_decref(tokenizer);
        small_close(&x);
    }
}

static json_t *split(json_t *tokenizer)
{
    return json_array_get(json_object_get(json_object_get(tokenizer, "pre_tokenizer"), "pretokenizers"), 0);
}

static void what_llama_cpp_lacks_is_named(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "the added token <mask> takes blanks", "splits as qwen2 does and takes whole",
        "no pre-tokeniser that splits as the `pre_tokenizer`", "no pre-tokeniser that splits as the `pre_tokenizer`"};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        small x;
        yk_error err;
        char run[140], path[160];
        json_t *tokenizer = tokenizer_of("qwen2", i > 0);
        if (i == 1) json_object_set_new(json_object_get(tokenizer, "model"), "ignore_merges", json_true());
        if (i == 2) json_object_set_new(json_object_get(split(tokenizer), "pattern"), "Regex", json_string("\\s+"));
        if (i == 3) json_object_set_new(split(tokenizer), "invert", json_true());
        must(import_with(&x, tokenizer, 330, 330, run, &err), &err);
        snprintf(path, sizeof path, "%s/a.gguf", x.dir);
        assert_int_equal(yk_gguf_export(run, path, NULL, YK_GGUF_F32, &err), YK_ERR_CONFIG);
        if (!strstr(err.text, messages[i])) fail_msg("%s", err.text);
        assert_false(yk_exists(path));
        json_decref(tokenizer);
        small_close(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out), cmocka_unit_test(where_documents_begin_must_be_known),
        cmocka_unit_test(llama_cpp_gets_the_name_of_the_split), cmocka_unit_test(what_llama_cpp_lacks_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
