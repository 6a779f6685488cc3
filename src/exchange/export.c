#include "exchange/exchange.h"

#include "align/chat.h"
#include "base/file.h"
#include "base/log.h"
#include "exchange/config.h"
#include "exchange/shards.h"
#include "train/decoder.h"
#include "train/made.h"

#include <stdlib.h>
#include <string.h>

typedef struct exporter {
    const char *run, *dir; /* dir: aside */
    const yk_export_options *o;
    yk_recipe r;
    yk_session s;
    bool talks; /* the model was taught the chat template */
    const yk_hf_kind *kind;
    yk_hf_tensor *tensor;
    size_t tensors;
    float *turned; /* room for one */
} exporter;

static yk_status open_model(exporter *x, yk_error *err)
{
    enum { ROWS = 16 };
    yk_status st = YK_OK;
    yk_team team;
    char *path = NULL;
    YK_TRY(yk_run_recipe(&x->r, x->run, err));
    x->talks = yk_recipe_has_stage(&x->r, "sft") || yk_recipe_has_stage(&x->r, "distill");
    YK_TRY(yk_team_make(&team, 0, err));
    YK_TRY(yk_session_open(&x->s, &x->r, x->run, &team, &(yk_session_options){.rows = ROWS}, err));
    YK_TRY(yk_context(err, yk_hf_kind_of(yk_model_get_shape(x->s.model), &x->kind, err), "%s", x->run));
    if (!x->o->checkpoint) YK_TRY(yk_run_model(&x->r, x->run, &path, err));
    YK_TRY(yk_session_load(&x->s, path ? path : x->o->checkpoint, false, err));
done:
    free(path);
    return st;
}

/* --- weights --------------------------------------------------------------------------------- */

static const float *numbers(void *context, size_t i)
{
    const exporter *x = context;
    const yk_hf_tensor *t = &x->tensor[i];
    const float *ours = yk_model_weights(x->s.model) + t->offset;
    if (!t->turned) return ours;
    yk_hf_turn(x->turned, ours, t->shape[1], t->shape[0]);
    return x->turned;
}

static yk_status write_weights(exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_safe_item *item = NULL;
    int64_t most = 0;
    YK_TRY(yk_hf_tensors(x->kind, x->s.model, &x->tensor, &x->tensors, err));
    YK_NEW(item, x->tensors);
    for (size_t i = 0; i < x->tensors; i++) {
        const yk_hf_tensor *t = &x->tensor[i];
        item[i] = (yk_safe_item){t->name, t->rank, {t->shape[0], t->shape[1]}};
        if (t->turned && t->count > most) most = t->count;
    }
    YK_NEW(x->turned, most);
    YK_TRY(yk_shards_write(x->dir, item, x->tensors, x->o->type, x->o->shard_bytes, numbers, x, err));
done:
    free(item);
    return st;
}

/* --- the files beside them ------------------------------------------------------------------- */

static yk_status write_json(const exporter *x, const char *name, const json_t *value, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/%s", x->dir, name), *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
    if (!path || !text) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_file_write(path, text, strlen(text), err));
done:
    free(path);
    free(text);
    return st;
}

/* <run>/<folder>/<name>, when it is there. */
static yk_status copy(const exporter *x, const char *folder, const char *name, bool *there, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf bytes = {0};
    char *from = yk_path("%s/%s/%s", x->run, folder, name), *to = yk_path("%s/%s", x->dir, name);
    if (!from || !to) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!(*there = yk_exists(from))) goto done;
    YK_TRY(yk_file_read(from, &bytes, err));
    YK_TRY(yk_file_write(to, bytes.data, bytes.len, err));
done:
    yk_buf_free(&bytes);
    free(from);
    free(to);
    return st;
}

/* The ids that end what is generated. */
static yk_status ends_of(const exporter *x, json_t **ends, yk_error *err)
{
    yk_status st = YK_OK;
    yk_chat *chat = NULL;
    yk_sampling how = yk_sampling_of(&x->s);
    if (x->talks) {
        YK_TRY(yk_chat_new(&chat, x->r.sft_template, x->s.tokenizer, err));
        yk_chat_ends(chat, &how);
    }
    *ends = json_array();
    for (int i = 0; i < how.ends; i++) json_array_append_new(*ends, json_integer(how.end[i]));
done:
    yk_chat_free(chat);
    return st;
}

static yk_status write_configs(const exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    bool there = false;
    json_t *config = yk_hf_config_make(x->kind, yk_model_get_shape(x->s.model), x->o->type), *generation = NULL;
    json_t *ends = NULL;
    YK_TRY(ends_of(x, &ends, err));
    generation = json_pack("{s:i, s:O}", "bos_token_id", x->s.end, "eos_token_id", ends);
    if (!config || !generation) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    json_object_update(config, generation);
    YK_TRY(write_json(x, "config.json", config, err));
    if (!x->talks) YK_TRY(copy(x, "import", "generation_config.json", &there, err));
    if (!there) YK_TRY(write_json(x, "generation_config.json", generation, err));
done:
    json_decref(config);
    json_decref(generation);
    json_decref(ends);
    return st;
}

/* What puts the token before a text with which documents begin in training. */
static json_t *begin_of_text(const exporter *x)
{
    json_t *begin = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", YK_TOKEN_END, "type_id", 0);
    json_t *a = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0);
    json_t *b = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1);
    return json_pack("{s:s, s:[O, O], s:[o, o, o], s:{s:{s:s, s:[i], s:[s]}}}", "type", "TemplateProcessing", "single",
                     begin, a, "pair", begin, a, b, "special_tokens", YK_TOKEN_END, "id", YK_TOKEN_END, "ids",
                     x->s.end, "tokens", YK_TOKEN_END);
}

static yk_status write_vocabulary(const exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    bool there;
    json_t *file = NULL, *both;
    char *path = yk_path("%s/tokenizer/tokenizer.json", x->run), *imported = yk_path("%s/import", x->run);
    if (!path || !imported) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (yk_exists(imported)) {
        YK_TRY(copy(x, "tokenizer", "tokenizer.json", &there, err));
        goto done;
    }
    YK_TRY(yk_hf_json(path, &file, err));
    both = json_pack("{s:s, s:[O, o]}", "type", "Sequence", "processors", json_object_get(file, "post_processor"),
                     begin_of_text(x));
    if (!both) YK_FAIL(YK_ERR_INPUT, "%s: has no `post_processor`, or memory is short", path);
    json_object_set_new(file, "post_processor", both);
    YK_TRY(write_json(x, "tokenizer.json", file, err));
done:
    json_decref(file);
    free(path);
    free(imported);
    return st;
}

static yk_status write_tokenizer(const exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    bool there = false;
    yk_buf template = {0};
    json_t *config = NULL;
    YK_TRY(write_vocabulary(x, err));
    if (!x->talks) YK_TRY(copy(x, "import", "tokenizer_config.json", &there, err));
    if (there) goto done;
    config = json_pack("{s:s, s:I, s:s, s:s, s:s, s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                       "model_max_length", (json_int_t)x->r.pretrain_seq, "bos_token", YK_TOKEN_END, "eos_token",
                       YK_TOKEN_END, "pad_token", YK_TOKEN_END, "clean_up_tokenization_spaces", 0);
    if (x->talks) {
        YK_TRY(yk_chat_jinja(x->r.sft_template, &template, err));
        json_object_set_new(config, "chat_template", json_string(template.data));
    }
    YK_TRY(write_json(x, "tokenizer_config.json", config, err));
done:
    json_decref(config);
    yk_buf_free(&template);
    return st;
}

yk_status yk_hf_export(const char *run, const char *dir, const yk_export_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_outdir out = {0};
    exporter x = {.run = run, .o = o};
    YK_TRY(open_model(&x, err));
    YK_TRY(yk_outdir_open(&out, dir, err));
    x.dir = out.aside;
    YK_TRY(write_configs(&x, err));
    YK_TRY(write_tokenizer(&x, err));
    YK_TRY(write_weights(&x, err));
    YK_TRY(yk_outdir_commit(&out, err));
    yk_log("export     %s: %s, %.3g parameters, %zu tensors", dir, x.kind->architecture,
           (double)yk_model_parameters(x.s.model), x.tensors);
done:
    yk_outdir_abandon(&out);
    free(x.tensor);
    free(x.turned);
    yk_session_close(&x.s);
    yk_recipe_free(&x.r);
    return st;
}
