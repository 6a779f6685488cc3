#include "exchange/exchange.h"

#include "base/file.h"
#include "base/log.h"
#include "config/schema.h"
#include "exchange/config.h"
#include "exchange/shards.h"
#include "train/session.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, USUAL_SEQ = 2048, SHAPE_ROOM = 64 };

typedef struct importer {
    const char *from, *run, *aside;
    const yk_import_options *o;
    const yk_hf_kind *kind;
    yk_model_shape shape;
    json_int_t begin, end; /* ids of config.json; -1: none */
    yk_recipe r;
    yk_session s;
    yk_shards shards;
    yk_hf_tensor *tensor;
    size_t tensors;
    float *room; /* for one tensor */
} importer;

/* --- weights --------------------------------------------------------------------------------- */

static const char *shape_text(int rank, const int64_t *shape, char out[SHAPE_ROOM])
{
    int n = snprintf(out, SHAPE_ROOM, "[");
    for (int d = 0; d < rank && n < SHAPE_ROOM - 24; d++)
        n += snprintf(out + n, 24, "%s%" PRId64, d ? "," : "", shape[d]);
    snprintf(out + n, 3, "]");
    return out;
}

/* A name without the prefix that some files leave out. */
static const char *bare(const yk_hf_kind *kind, const char *name)
{
    size_t n = strlen(kind->prefix);
    return strncmp(name, kind->prefix, n) == 0 ? name + n : name;
}

static const yk_safe_tensor *find(const importer *x, const char *name, const yk_safetensors **file)
{
    const yk_safe_tensor *t = yk_shards_find(&x->shards, name, file);
    return t ? t : yk_shards_find(&x->shards, bare(x->kind, name), file);
}

static yk_status check_finite(const float *w, int64_t n, yk_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i])) return yk_fail(err, YK_ERR_INPUT, "number %" PRId64 " is not finite", i);
    return YK_OK;
}

static yk_status load_tensor(const importer *x, const yk_hf_tensor *t, yk_error *err)
{
    yk_status st = YK_OK;
    char wanted[SHAPE_ROOM], found[SHAPE_ROOM];
    const yk_safetensors *file;
    const yk_safe_tensor *theirs = find(x, t->name, &file);
    float *w = yk_model_weights(x->s.model) + t->offset;
    if (!theirs) YK_FAIL(YK_ERR_INPUT, "%s: no tensor %s, which %s has", x->from, t->name, x->kind->architecture);
    bool same = theirs->rank == t->rank;
    for (int d = 0; same && d < t->rank; d++) same = theirs->shape[d] == t->shape[d];
    if (!same)
        YK_FAIL(YK_ERR_INPUT, "%s: tensor %s is %s, config.json asks for %s", file->path, theirs->name,
                shape_text(theirs->rank, theirs->shape, found), shape_text(t->rank, t->shape, wanted));
    YK_TRY(yk_safetensors_read(file, theirs, t->turned ? x->room : w, err));
    if (t->turned) yk_hf_turn(w, x->room, t->shape[0], t->shape[1]);
    st = yk_context(err, check_finite(w, t->count, err), "%s: tensor %s", file->path, theirs->name);
done:
    return st;
}

/* The output projection, though tied, may be there a second time. */
static yk_status check_tied(const importer *x, const yk_safetensors *file, const yk_safe_tensor *t, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_hf_tensor *table = &x->tensor[0];
    if (t->rank != 2 || t->shape[0] != table->shape[0] || t->shape[1] != table->shape[1])
        YK_FAIL(YK_ERR_INPUT, "%s: tensor %s is of another shape than %s, to which it is tied", file->path, t->name,
                table->name);
    YK_TRY(yk_safetensors_read(file, t, x->room, err));
    if (memcmp(x->room, yk_model_weights(x->s.model) + table->offset, (size_t)table->count * sizeof *x->room) != 0)
        YK_FAIL(YK_ERR_INPUT, "%s: tensor %s differs from %s, though `tie_word_embeddings` says that they are one",
                file->path, t->name, table->name);
done:
    return st;
}

static bool is_needed(const importer *x, const char *name)
{
    for (size_t i = 0; i < x->tensors; i++)
        if (strcmp(bare(x->kind, x->tensor[i].name), bare(x->kind, name)) == 0) return true;
    return false;
}

static yk_status check_others(const importer *x, const yk_safetensors *file, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < file->n; i++) {
        const char *name = file->tensor[i].name;
        bool needless = is_needed(x, name);
        for (const char *const *p = x->kind->needless; *p && !needless; p++)
            needless = yk_hf_matches(bare(x->kind, *p), bare(x->kind, name));
        if (needless) continue;
        if (!x->shape.tied || strcmp(name, "lm_head.weight") != 0)
            YK_FAIL(YK_ERR_INPUT, "%s: has tensor %s, which %s has not with this config.json", file->path, name,
                    x->kind->architecture);
        YK_TRY(check_tied(x, file, &file->tensor[i], err));
    }
done:
    return st;
}

static yk_status load_weights(importer *x, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t most = 0;
    YK_TRY(yk_hf_tensors(x->kind, x->s.model, &x->tensor, &x->tensors, err));
    for (size_t i = 0; i < x->tensors; i++)
        if ((x->tensor[i].turned || i == 0) && x->tensor[i].count > most) most = x->tensor[i].count;
    YK_NEW(x->room, most);
    for (size_t i = 0; i < x->tensors; i++) {
        yk_progress("import     %s", x->tensor[i].name);
        YK_TRY(load_tensor(x, &x->tensor[i], err));
    }
    for (size_t i = 0; i < x->shards.n; i++) YK_TRY(check_others(x, &x->shards.file[i], err));
done:
    return st;
}

/* Before memory is taken for it: a model whose numbers cannot nearly be in the files. */
static yk_status check_size(const importer *x, yk_error *err)
{
    double bytes = 0, wanted = yk_recipe_parameters(&x->r);
    for (size_t i = 0; i < x->shards.n; i++)
        for (size_t k = 0; k < x->shards.file[i].n; k++)
            bytes += (double)(x->shards.file[i].tensor[k].end - x->shards.file[i].tensor[k].begin);
    if (bytes >= wanted) return YK_OK;
    return yk_fail(err, YK_ERR_INPUT, "%s: config.json tells of %.3g parameters, but the files have %.3g bytes of "
                   "weights", x->from, wanted, bytes);
}

/* --- the run directory ------------------------------------------------------------------------ */

/* <from>/<name> to <aside>/<folder>/<name>; what is not there is left out, or named if `needed`. */
static yk_status copy(const importer *x, const char *name, const char *folder, bool needed, yk_error *err)
{
    yk_status st = YK_OK;
    char *from = yk_path("%s/%s", x->from, name), *to = yk_path("%s/%s", x->aside, folder);
    char *path = yk_path("%s/%s/%s", x->aside, folder, name);
    if (!from || !to || !path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!yk_exists(from) && needed) YK_FAIL(YK_ERR_INPUT, "%s: no such file", from);
    YK_TRY(yk_mkdirs(to, err));
    if (yk_exists(from)) YK_TRY(yk_file_copy(from, path, err));
done:
    free(from);
    free(to);
    free(path);
    return st;
}

/* The fewest digits that say the same number. */
static void put_real(yk_buf *out, const char *key, double x)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    yk_buf_printf(out, "  %s: %s\n", key, text);
}

static void put_text(yk_buf *out, const char *key, const char *text, const char *more)
{
    yk_buf_printf(out, "%s: '", key);
    for (; *text; text++) {
        if (*text == '\'') yk_buf_puts(out, "'");
        yk_buf_add(out, text, 1);
    }
    yk_buf_printf(out, "%s'\n", more);
}

static void put_model(yk_buf *out, const yk_model_shape *s)
{
    yk_buf_printf(out, "model:\n  vocab: %" PRId64 "\n  width: %" PRId64 "\n  layers: %" PRId64 "\n  heads: %" PRId64
                  "\n  kv_heads: %" PRId64 "\n  head_size: %" PRId64 "\n  ffn: %" PRId64 "\n", s->vocab, s->width,
                  s->layers, s->heads, s->kv_heads, s->head_size, s->ffn);
    yk_buf_printf(out, "  norm: %s\n  mlp: %s\n  position: %s\n", s->layernorm ? "layernorm" : "rmsnorm",
                  s->gelu ? "gelu" : "swiglu", s->learned_positions ? "learned" : "rope");
    const struct { const char *key; bool on; } flags[] = {
        {"bias", s->bias}, {"qkv_bias", s->qkv_bias}, {"qk_norm", s->qk_norm}, {"tied", s->tied}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        yk_buf_printf(out, "  %s: %s\n", flags[i].key, flags[i].on ? "true" : "false");
    put_real(out, "norm_eps", s->norm_eps);
    put_real(out, "init_std", s->init_std);
    if (!s->learned_positions) put_real(out, "rope_theta", s->rope_theta);
    if (s->rope_factor > 1) {
        put_real(out, "rope_factor", s->rope_factor);
        yk_buf_printf(out, "  rope_original: %" PRId64 "\n", s->rope_original);
    }
}

static int64_t seq_of(const importer *x)
{
    int64_t most = x->shape.positions;
    if (x->shape.learned_positions) return most;
    return x->o->seq ? x->o->seq : most < USUAL_SEQ ? most : USUAL_SEQ;
}

/* The tokens with which documents begin and end, unless those are Yoke's own. */
static yk_status put_bounds(const importer *x, const yk_tokenizer *t, yk_buf *out, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    const json_int_t id[2] = {x->begin >= 0 ? x->begin : x->end, x->end >= 0 ? x->end : x->begin};
    if (yk_tokenizer_begin(t) >= 0) goto done;
    for (int i = 0; i < 2; i++) {
        if (id[i] < 0 || id[i] >= yk_tokenizer_vocab(t) || yk_tokenizer_kind(t, (int32_t)id[i]) < YK_KIND_ADDED)
            YK_FAIL(YK_ERR_INPUT, "%s/config.json: `bos_token_id` and `eos_token_id` are of no added tokens of "
                    "tokenizer.json, which has no " YK_TOKEN_END " either: name those with which documents begin and "
                    "end", x->from);
        yk_tokenizer_text(t, (int32_t)id[i], &text);
        put_text(out, i ? "  end" : "  begin", text.data, "");
    }
done:
    yk_buf_free(&text);
    return st;
}

/* What is not given here follows as in any recipe. */
static yk_status write_recipe(importer *x, const yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf out = {0};
    char *path = yk_path("%s/recipe.yaml", x->aside);
    bool marks = yk_tokenizer_special(t, "<|im_start|>") >= 0 && yk_tokenizer_special(t, "<|im_end|>") >= 0;
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    yk_buf_printf(&out, "# %s, by yoke import. Name stages and their data here, or with --set.\nstages: []\n",
                  x->kind->architecture);
    put_text(&out, "run_dir", x->run, "");
    yk_buf_printf(&out, "precision: %s\ntokenizer:\n", x->o->precision);
    put_text(&out, "  path", x->run, "/tokenizer/tokenizer.json");
    YK_TRY(put_bounds(x, t, &out, err));
    put_model(&out, &x->shape);
    yk_buf_printf(&out, "pretrain:\n  seq: %" PRId64 "\n", seq_of(x));
    if (yk_tokenizer_special(t, YK_TOKEN_MASK) < 0) yk_buf_puts(&out, "  masked_share: 0\n");
    yk_buf_printf(&out, "sft:\n  template: %s\n", marks ? "chatml" : "plain");
    YK_TRY(yk_file_write(path, out.data, out.len, err));
    YK_TRY(yk_recipe_load(&x->r, path, NULL, 0, err));
done:
    yk_buf_free(&out);
    free(path);
    return st;
}

static yk_status take_tokenizer(importer *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    char *path = yk_path("%s/tokenizer.json", x->from);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(copy(x, "tokenizer.json", "tokenizer", true, err));
    YK_TRY(yk_tokenizer_load(&t, path, err));
    if (yk_tokenizer_vocab(t) > x->shape.vocab)
        YK_FAIL(YK_ERR_INPUT, "%s: has %d entries, but `vocab_size` in config.json is %" PRId64, path,
                yk_tokenizer_vocab(t), x->shape.vocab);
    YK_TRY(copy(x, "tokenizer_config.json", "import", false, err));
    YK_TRY(copy(x, "generation_config.json", "import", false, err));
    YK_TRY(write_recipe(x, t, err));
done:
    yk_tokenizer_free(t);
    free(path);
    return st;
}

static yk_status save(const importer *x, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/import/model.h5", x->aside);
    json_t *document = json_pack("{s:s, s:s}", "kind", "import", "architecture", x->kind->architecture);
    if (!path || !document) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_session_save(&x->s, path, false, document, err));
done:
    json_decref(document);
    free(path);
    return st;
}

/* An id of a token, or the first of several; -1: none. */
static json_int_t id_of(const json_t *config, const char *key)
{
    const json_t *x = json_object_get(config, key);
    if (json_is_array(x)) x = json_array_get(x, 0);
    return json_is_integer(x) ? json_integer_value(x) : -1;
}

static yk_status read_config(importer *x, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *config = NULL;
    char *path = yk_path("%s/config.json", x->from);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_hf_json(path, &config, err));
    YK_TRY(yk_hf_config_read(config, path, &x->kind, &x->shape, err));
    x->begin = id_of(config, "bos_token_id");
    x->end = id_of(config, "eos_token_id");
    if (x->o->seq > x->shape.positions || (x->o->seq && x->shape.learned_positions && x->o->seq != x->shape.positions))
        YK_FAIL(YK_ERR_CONFIG, "%s: the model has %" PRId64 " positions%s", path, x->shape.positions,
                x->shape.learned_positions ? ", which are learnt; leave --seq out" : "");
done:
    json_decref(config);
    free(path);
    return st;
}

yk_status yk_hf_import(const char *dir, const char *run, const yk_import_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_team team;
    yk_outdir out = {0};
    importer x = {.from = dir, .o = o};
    YK_TRY(read_config(&x, err));
    YK_TRY(yk_shards_open(&x.shards, dir, err));
    YK_TRY(yk_outdir_open(&out, run, err));
    x.run = out.path, x.aside = out.aside;
    YK_TRY(take_tokenizer(&x, err));
    YK_TRY(check_size(&x, err));
    YK_TRY(yk_team_make(&team, 0, err));
    YK_TRY(yk_session_open(&x.s, &x.r, x.aside, &team, &(yk_session_options){.rows = ROWS}, err));
    YK_TRY(load_weights(&x, err));
    YK_TRY(save(&x, err));
    YK_TRY(yk_outdir_commit(&out, err));
    yk_log("import     %s: %s, %.3g parameters, %zu tensors", run, x.kind->architecture,
           (double)yk_model_parameters(x.s.model), x.tensors);
done:
    yk_outdir_abandon(&out);
    yk_shards_close(&x.shards);
    free(x.tensor);
    free(x.room);
    yk_session_close(&x.s);
    yk_recipe_free(&x.r);
    return st;
}
