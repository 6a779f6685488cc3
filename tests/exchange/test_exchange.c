/* Models that leave and come back: the same bits; the logits that transformers has; what is wrong with a directory. */
#include "../model/numbers.h"
#include "../train/small.h"
#include "exchange/config.h"
#include "exchange/exchange.h"
#include "exchange/shards.h"

#include <math.h>

enum { FEW = 12, PROBES = 6 };
#include "hf_values.h"

/* --- folders --------------------------------------------------------------------------------- */

static char *below(const small *x, const char *name)
{
    char *path = yk_path("%s/%s", x->dir, name);
    assert_non_null(path);
    return path;
}

static void put_file(const char *dir, const char *name, const char *text)
{
    yk_error err;
    char *path = yk_path("%s/%s", dir, name);
    must(yk_mkdirs(dir, &err), &err);
    must(yk_file_write(path, text, strlen(text), &err), &err);
    free(path);
}

/* The run of a session: recipe, without stages, and model. */
static void save_run(small *x)
{
    yk_error err;
    yk_buf text = {0};
    char *folder = below(x, "checkpoints"), *path = below(x, "checkpoints/best.h5");
    json_t *document = json_object();
    yk_recipe r = x->r;
    r.stages.n = 0;
    yk_recipe_print(&r, &text);
    put_file(x->dir, "recipe.yaml", text.data);
    must(yk_mkdirs(folder, &err), &err);
    must(yk_session_save(&x->s, path, false, document, &err), &err);
    json_decref(document);
    yk_buf_free(&text);
    free(folder);
    free(path);
}

static void open_small(small *x, const char *const *sets)
{
    small_open(x, &(yk_session_options){.rows = 64}, 1, sets);
    save_run(x);
}

/* An imported run's model, with the weights in it. */
typedef struct imported {
    yk_recipe r;
    yk_session s;
} imported;

static void open_imported(imported *m, const char *run)
{
    yk_error err;
    char *recipe = yk_path("%s/recipe.yaml", run), *model = yk_path("%s/import/model.h5", run);
    must(yk_recipe_load(&m->r, recipe, NULL, 0, &err), &err);
    must(yk_session_open(&m->s, &m->r, run, &(yk_team){.threads = 1}, &(yk_session_options){.rows = 64}, &err), &err);
    must(yk_session_load(&m->s, model, false, &err), &err);
    free(recipe);
    free(model);
}

static void close_imported(imported *m)
{
    yk_session_close(&m->s);
    yk_recipe_free(&m->r);
}

/* --- out and in again ------------------------------------------------------------------------- */

static const struct {
    const char *architecture, *set[8];
} ours[] = {
    {"LlamaForCausalLM", {"model.qk_norm=false"}},
    {"LlamaForCausalLM", {"model.qk_norm=false", "model.tied=false", "model.bias=true", "model.rope_theta=12345.678"}},
    {"LlamaForCausalLM", {"model.qk_norm=false", "model.rope_factor=8", "model.rope_original=512", "model.vocab=400"}},
    {"Qwen2ForCausalLM", {"model.qk_norm=false", "model.qkv_bias=true", "model.norm_eps=1e-6"}},
    {"Qwen3ForCausalLM", {"model.head_size=32", "model.heads=4", "model.tied=false"}},
    {"GPT2LMHeadModel", {"model.qk_norm=false", "model.norm=layernorm", "model.mlp=gelu", "model.position=learned",
                         "model.bias=true", "model.kv_heads=2"}},
};

static void what_comes_back_is_what_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        for (int sharded = 0; sharded < 2; sharded++) {
            small x;
            imported m;
            yk_error err;
            open_small(&x, ours[i].set);
            char *hf = below(&x, "hf"), *run = below(&x, "back");
            const yk_export_options out = {.shard_bytes = sharded ? 5000 : 1 << 30};
            must(yk_hf_export(x.dir, hf, &out, &err), &err);
            must(yk_hf_import(hf, run, &(yk_import_options){.precision = "fp32"}, &err), &err);
            open_imported(&m, run);
            char *config = yk_path("%s/config.json", hf);
            json_t *kind;
            must(yk_hf_json(config, &kind, &err), &err);
            assert_string_equal(json_string_value(json_array_get(json_object_get(kind, "architectures"), 0)),
                                ours[i].architecture);
            assert_memory_equal(yk_model_get_shape(x.s.model), yk_model_get_shape(m.s.model), sizeof(yk_model_shape));
            assert_memory_equal(yk_model_weights(x.s.model), yk_model_weights(m.s.model),
                                (size_t)yk_model_floats(x.s.model) * sizeof(float));
            json_decref(kind);
            free(config);
            free(hf);
            free(run);
            close_imported(&m);
            small_close(&x);
        }
}

static void what_transformers_does_not_compute_is_named(void **state)
{
    (void)state;
    static const struct { const char *set[6], *says; } cases[] = {
        {{"model.norm=layernorm", "model.qk_norm=false"}, "LlamaForCausalLM, needs model.norm: rmsnorm"},
        {{"model.bias=true"}, "needs model.qk_norm: false"},
        {{"model.qkv_bias=true"}, "Qwen2ForCausalLM, needs model.qk_norm: false"},
        {{"model.norm=layernorm", "model.mlp=gelu", "model.position=learned", "model.bias=true", "model.qk_norm=false"},
         "GPT2LMHeadModel, needs model.kv_heads = model.heads"},
        {{"model.qk_norm=false", "model.attention=window", "model.window=9"}, "needs model.attention: full"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small x;
        yk_error err;
        open_small(&x, cases[i].set);
        char *hf = below(&x, "hf");
        assert_int_equal(yk_hf_export(x.dir, hf, &(yk_export_options){.shard_bytes = 1 << 30}, &err), YK_ERR_CONFIG);
        if (!strstr(err.text, cases[i].says)) fail_msg("%s", err.text);
        assert_false(yk_exists(hf));
        free(hf);
        small_close(&x);
    }
}

/* --- models of transformers -------------------------------------------------------------------- */

typedef struct model {
    const char *name, *config;
    const yk_safe_item *tensor;
    size_t tensors;
    const float (*logits)[PROBES];
} model;
#define MODEL(name) {#name, name##_config, name##_tensors, sizeof name##_tensors / sizeof *name##_tensors, \
                     name##_logits}
static const model models[] = {MODEL(llama), MODEL(llama3), MODEL(qwen2), MODEL(qwen3), MODEL(gpt2)};
enum { MODELS = sizeof models / sizeof *models };

/* How the numbers of a directory's tensors are made, and what is wrong with them. */
typedef struct making {
    const yk_safe_item *item;
    float *x;
    const char *broken; /* name of a tensor that is not finite, or NULL */
} making;

static const float *numbers_of(void *context, size_t i)
{
    making *m = context;
    const yk_safe_item *t = &m->item[i];
    uint32_t stream = 2166136261u;
    const size_t n = strlen(t->name);
    for (const char *c = t->name; *c; c++) stream = (stream ^ (uint32_t)*c) * 16777619u;
    for (int64_t k = 0; k < yk_safe_bytes(t, YK_SAFE_F32) / 4; k++) {
        double u = number(stream, (uint32_t)k), one = strcmp(t->name + n - 6, "weight") == 0;
        m->x[k] = (float)(t->rank == 2 ? u * 0.6 : u * 0.4 + one);
    }
    if (m->broken && strcmp(m->broken, t->name) == 0) m->x[3] = NAN;
    return m->x;
}

static void write_model(const char *dir, const model *of, const yk_safe_item *item, size_t n, const char *broken)
{
    yk_error err;
    static float room[1 << 16];
    char *path = yk_path("%s/model.safetensors", dir);
    making m = {item, room, broken};
    put_file(dir, "config.json", of->config);
    must(yk_safetensors_write(path, item, n, YK_SAFE_F32, numbers_of, &m, &err), &err);
    free(path);
}

/* The tokenizer of a small session goes with every model. */
static void add_tokenizer(const small *x, const char *dir)
{
    yk_error err;
    yk_buf text = {0};
    char *path = below(x, "tokenizer/tokenizer.json");
    must(yk_file_read(path, &text, &err), &err);
    put_file(dir, "tokenizer.json", text.data);
    yk_buf_free(&text);
    free(path);
}

static void check_logits(imported *m, const model *of)
{
    int32_t id[FEW];
    const int64_t vocab = yk_model_get_shape(m->s.model)->vocab;
    float *logits = calloc((size_t)(FEW * vocab), sizeof *logits);
    for (uint32_t i = 0; i < FEW; i++) id[i] = (int32_t)((number(1, i) + 0.5) * 320);
    yk_session_clear(&m->s);
    assert_int_equal(yk_session_add(&m->s, id, NULL, FEW), 0);
    yk_batch b = yk_session_batch(&m->s);
    yk_model_forward(m->s.model, &b);
    yk_model_logits(m->s.model, &b, 0, FEW, logits);
    for (int r = 0; r < FEW; r++)
        for (int k = 0; k < PROBES; k++)
            if (!(fabsf(logits[r * vocab + k] - of->logits[r][k]) < 1e-4f))
                fail_msg("%s: logit %d of row %d is %g, transformers has %g", of->name, k, r,
                         (double)logits[r * vocab + k], (double)of->logits[r][k]);
    free(logits);
}

static void files_have_equal_tensors(const char *a, const char *b)
{
    yk_error err;
    yk_shards x, y;
    static float p[1 << 16], q[1 << 16];
    must(yk_shards_open(&x, a, &err), &err);
    must(yk_shards_open(&y, b, &err), &err);
    assert_int_equal(x.file->n, y.file->n);
    for (size_t i = 0; i < x.file->n; i++) {
        const yk_safetensors *file;
        const yk_safe_tensor *t = &x.file->tensor[i], *u = yk_shards_find(&y, t->name, &file);
        assert_non_null(u);
        assert_true(t->rank == u->rank && memcmp(t->shape, u->shape, sizeof t->shape) == 0);
        must(yk_safetensors_read(x.file, t, p, &err), &err);
        must(yk_safetensors_read(file, u, q, &err), &err);
        assert_memory_equal(p, q, t->end - t->begin);
    }
    yk_shards_close(&x);
    yk_shards_close(&y);
}

static void logits_are_those_of_transformers(void **state)
{
    (void)state;
    small x;
    yk_error err;
    open_small(&x, NULL);
    for (int i = 0; i < MODELS; i++) {
        imported m;
        char *hf = below(&x, models[i].name), *run = yk_path("%s-run", hf), *again = yk_path("%s-again", hf);
        write_model(hf, &models[i], models[i].tensor, models[i].tensors, NULL);
        add_tokenizer(&x, hf);
        must(yk_hf_import(hf, run, &(yk_import_options){.precision = "fp32"}, &err), &err);
        open_imported(&m, run);
        check_logits(&m, &models[i]);
        must(yk_hf_export(run, again, &(yk_export_options){.shard_bytes = 1 << 30}, &err), &err);
        files_have_equal_tensors(hf, again);
        close_imported(&m);
        free(hf);
        free(run);
        free(again);
    }
    small_close(&x);
}

/* --- what is wrong ----------------------------------------------------------------------------- */

/* Of model 0, or of gpt2 (4): a setting becomes `value` (JSON; NULL: goes), and what is said. */
static const struct {
    int model;
    const char *key, *value, *says;
} settings[] = {
    {0, "architectures", "[\"MixtralForCausalLM\"]",
     "`architectures` has `MixtralForCausalLM`; there are LlamaForCausalLM"},
    {0, "architectures", "[]", NULL},
    {0, "hidden_size", NULL, "`hidden_size` is missing"},
    {0, "hidden_size", "\"32\"", "`hidden_size` should be a whole number above 0"},
    {0, "hidden_size", "40", "`hidden_size` is 40; multiples of 16"},
    {0, "num_hidden_layers", "-2", "`num_hidden_layers` should be a whole number above 0"},
    {0, "num_hidden_layers", "1e99", "`num_hidden_layers` should be"},
    {0, "num_hidden_layers", "99999999999", "`num_hidden_layers` should be"},
    {4, "n_head", "3", "`n_head` does not divide `n_embd`"},
    {0, "head_dim", "8", "`head_dim` is 8; multiples of 16"},
    {0, "num_key_value_heads", "4", "`num_key_value_heads` does not divide `num_attention_heads`"},
    {0, "hidden_act", "\"gelu\"", "`hidden_act` is not \"silu\", which is not supported"},
    {0, "hidden_act", "\"swish\"", NULL},
    {0, "attention_bias", "true", "`attention_bias` and `mlp_bias` differ"},
    {0, "attention_bias", "1", "`attention_bias` should be true or false"},
    {0, "rms_norm_eps", "0", "`rms_norm_eps` should be a number above 0"},
    {0, "quantization_config", "{}", "`quantization_config`"},
    {0, "rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 4}", "of type `yarn`; default and llama3"},
    {0, "rope_parameters", "{\"type\": \"linear\", \"factor\": 4}", "of type `linear`"},
    {0, "rope_parameters", "{\"full_attention\": {\"rope_type\": \"default\"}}", "has no `rope_type`"},
    {0, "rope_parameters", "7", "`rope_parameters` should be an object"},
    {0, "rope_parameters", "{\"rope_type\": \"llama3\"}", "`factor` of the rotary embedding"},
    {0, "rope_parameters",
     "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 2, "
     "\"original_max_position_embeddings\": 512}", "are 1 and 2; only 1 and 4"},
    {0, "rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": -1}", "`rope_theta` of the rotary embedding"},
    {0, "partial_rotary_factor", "0.5", "`partial_rotary_factor` is not 1"},
    {2, "use_sliding_window", "true", "`use_sliding_window` is not false"},
    {2, "layer_types", "[\"full_attention\", \"sliding_attention\"]", "`layer_types` has other than"},
    {3, "attention_bias", "true", "`attention_bias` is not false"},
    {4, "activation_function", "\"relu\"", "`activation_function` is not \"gelu_new\""},
    {4, "scale_attn_by_inverse_layer_idx", "true", "`scale_attn_by_inverse_layer_idx` is not false"},
    {4, "n_inner", "100", "`n_inner` is 100; multiples of 16"},
};

static void settings_that_mean_something_else_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        yk_error err = {""};
        const yk_hf_kind *kind;
        yk_model_shape shape;
        json_t *config = json_loads(models[settings[i].model].config, 0, NULL);
        if (settings[i].value)
            json_object_set_new(config, settings[i].key, json_loads(settings[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(config, settings[i].key);
        yk_status st = yk_hf_config_read(config, "x/config.json", &kind, &shape, &err);
        if (st != (settings[i].says ? YK_ERR_INPUT : YK_OK) ||
            (settings[i].says && (!strstr(err.text, settings[i].says) ||
                                  strncmp(err.text, "x/config.json: ", 15) != 0)))
            fail_msg("%s = %s: %s", settings[i].key, settings[i].value ? settings[i].value : "", err.text);
        json_decref(config);
    }
}

/* Tries to import a directory, to no avail; nothing is left behind. */
static void refused(const char *hf, const char *says)
{
    yk_error err = {""};
    char *run = yk_path("%s-run", hf), *aside = yk_path("%s-run.part", hf);
    yk_status st = yk_hf_import(hf, run, &(yk_import_options){.precision = "fp32"}, &err);
    if (st != YK_ERR_INPUT || !strstr(err.text, says)) fail_msg("wanted `%s`: %s", says, err.text);
    assert_false(yk_exists(run) || yk_exists(aside));
    free(run);
    free(aside);
}

static void tensors_that_do_not_fit_are_named(void **state)
{
    (void)state;
    enum { MOST = 40 };
    small x;
    yk_safe_item item[MOST];
    const model *llama = &models[0], *tied = &models[1];
    const size_t n = llama->tensors;
    open_small(&x, NULL);
    char *hf = below(&x, "hf");
    refused(hf, "config.json: no such file");
    put_file(hf, "config.json", "{\"architectures\": ");
    refused(hf, "config.json:1:");
    put_file(hf, "config.json", llama->config);
    refused(hf, "has no model.safetensors");
    write_model(hf, llama, llama->tensor, n, NULL);
    refused(hf, "tokenizer.json: no such file");
    put_file(hf, "tokenizer.json", "{}");
    refused(hf, "tokenizer.json");
    add_tokenizer(&x, hf);
    json_t *config = json_loads(llama->config, 0, NULL);
    json_object_set_new(config, "num_hidden_layers", json_integer(1000));
    char *many = json_dumps(config, 0);
    write_model(hf, &(model){.config = many}, llama->tensor, n, NULL);
    refused(hf, "config.json tells of");
    json_decref(config);
    free(many);
    write_model(hf, llama, llama->tensor + 1, n - 1, NULL);
    refused(hf, "no tensor model.embed_tokens.weight, which LlamaForCausalLM has");
    memcpy(item, llama->tensor, n * sizeof *item);
    item[n] = (yk_safe_item){"model.layers.2.mlp.up_proj.weight", 2, {48, 32}};
    write_model(hf, llama, item, n + 1, NULL);
    refused(hf, "has tensor model.layers.2.mlp.up_proj.weight, which LlamaForCausalLM has not");
    item[n] = (yk_safe_item){"model.layers.0.self_attn.rotary_emb.inv_freq", 1, {8}};
    item[1].shape[0]++;
    write_model(hf, llama, item, n + 1, NULL);
    refused(hf, "config.json asks for [32,32]");
    write_model(hf, llama, llama->tensor, n, "model.norm.weight");
    refused(hf, "tensor model.norm.weight: number 3 is not finite");
    memcpy(item, tied->tensor, tied->tensors * sizeof *item);
    item[tied->tensors] = (yk_safe_item){"lm_head.weight", 2, {330, 32}};
    write_model(hf, tied, item, tied->tensors + 1, NULL);
    refused(hf, "tensor lm_head.weight differs from model.embed_tokens.weight, though `tie_word_embeddings`");
    free(hf);
    small_close(&x);
}

static void an_index_that_lies_is_named(void **state)
{
    (void)state;
    static const struct { const char *index, *says; } cases[] = {
        {"{}", "has no `weight_map`"},
        {"{\"weight_map\": {\"a\": \"../a.safetensors\"}}", "tensor a is in no file of this directory"},
        {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "tensor a is in no file of this directory"},
        {"{\"weight_map\": {\"a\": 7}}", "tensor a is in no file of this directory"},
        {"{\"weight_map\": {\"a\": \"gone.safetensors\"}}", "gone.safetensors: cannot open"},
        {"{\"weight_map\": {\"a\": \"1.safetensors\"}}", "tensor a is not in 1.safetensors"},
        {"{\"weight_map\": {\"model.norm.weight\": \"1.safetensors\"}}", "which the index has not, or elsewhere"},
    };
    small x;
    yk_error err;
    open_small(&x, NULL);
    char *hf = below(&x, "hf"), *one = below(&x, "hf/model.safetensors"), *moved = below(&x, "hf/1.safetensors");
    write_model(hf, &models[0], models[0].tensor, models[0].tensors, NULL);
    assert_int_equal(rename(one, moved), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_shards s;
        put_file(hf, "model.safetensors.index.json", cases[i].index);
        assert_int_equal(yk_shards_open(&s, hf, &err), YK_ERR_INPUT);
        if (!strstr(err.text, cases[i].says)) fail_msg("%s", err.text);
        yk_shards_close(&s);
    }
    free(hf);
    free(one);
    free(moved);
    small_close(&x);
}

static void what_is_there_stays(void **state)
{
    (void)state;
    small x;
    yk_error err;
    open_small(&x, NULL);
    char *hf = below(&x, "hf"), *left = below(&x, "hf.part");
    put_file(hf, "notes.txt", "mine");
    assert_int_equal(yk_hf_export(x.dir, hf, &(yk_export_options){.shard_bytes = 1 << 30}, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "exists already and is not empty"));
    char *notes = below(&x, "hf/notes.txt");
    assert_int_equal(unlink(notes), 0);
    put_file(left, "junk", "of a killed process");
    must(yk_hf_export(x.dir, hf, &(yk_export_options){.shard_bytes = 1 << 30}, &err), &err);
    char *junk = below(&x, "hf/junk");
    assert_false(yk_exists(junk) || yk_exists(left));
    free(hf);
    free(left);
    free(notes);
    free(junk);
    small_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_back_is_what_left),
        cmocka_unit_test(what_transformers_does_not_compute_is_named),
        cmocka_unit_test(logits_are_those_of_transformers),
        cmocka_unit_test(settings_that_mean_something_else_are_named),
        cmocka_unit_test(tensors_that_do_not_fit_are_named),
        cmocka_unit_test(an_index_that_lies_is_named),
        cmocka_unit_test(what_is_there_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
