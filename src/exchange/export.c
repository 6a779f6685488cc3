#include "exchange/exchange.h"

#include "align/chat.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "exchange/config.h"
#include "exchange/shards.h"
#include "train/decoder.h"
#include "train/made.h"
#include "train/opened.h"

#include <stdlib.h>
#include <string.h>

typedef struct exporter {
    const char *run, *dir; /* dir: aside */
    const yk_export_options *o;
    yk_opened open;
    const yk_session *s; /* of open */
    bool talks;          /* the model was taught the chat template */
    const yk_hf_kind *kind;
    yk_hf_tensor *tensor;
    size_t tensors;
    float *turned; /* room for one */
} exporter;

static yk_status open_model(exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_open_options with = {.run = x->run, .checkpoint = x->o->checkpoint, .weights = true};
    YK_TRY(yk_open_run(&x->open, &with, err));
    x->s = &x->open.s;
    x->talks = yk_run_converses(&x->open.r);
    YK_TRY(yk_context(err, yk_hf_kind_of(yk_model_get_shape(x->s->model), &x->kind, err), "%s", x->run));
done:
    return st;
}

/* --- weights --------------------------------------------------------------------------------- */

static const float *numbers(void *context, size_t i)
{
    const exporter *x = context;
    const yk_hf_tensor *t = &x->tensor[i];
    const float *ours = yk_model_weights(x->s->model) + t->offset;
    if (!t->turned) return ours;
    yk_hf_turn(x->turned, ours, t->shape[1], t->shape[0]);
    return x->turned;
}

static yk_status write_weights(exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_safe_item *item = NULL;
    int64_t most = 0;
    YK_TRY(yk_hf_tensors(x->kind, x->s->model, &x->tensor, &x->tensors, err));
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
    char *path = yk_path("%s/%s", x->dir, name);
    yk_status st = path ? yk_json_write(path, value, err) : yk_fail(err, YK_ERR_MEMORY, "out of memory");
    free(path);
    return st;
}

/* <run>/<folder>/<name>, when it is there. */
static yk_status copy(const exporter *x, const char *folder, const char *name, bool *there, yk_error *err)
{
    yk_status st = YK_OK;
    char *from = yk_path("%s/%s/%s", x->run, folder, name), *to = yk_path("%s/%s", x->dir, name);
    if (!from || !to) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if ((*there = yk_exists(from))) YK_TRY(yk_file_copy(from, to, err));
done:
    free(from);
    free(to);
    return st;
}

/* The ids that end what is generated. */
static yk_status ends_of(const exporter *x, json_t **ends, yk_error *err)
{
    yk_status st = YK_OK;
    yk_chat *chat = NULL;
    yk_sampling how = yk_sampling_of(x->s);
    if (x->talks) {
        YK_TRY(yk_chat_new(&chat, x->open.r.sft_template, x->s->tokenizer, err));
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
    json_t *config = yk_hf_config_make(x->kind, yk_model_get_shape(x->s->model), x->o->type), *generation = NULL;
    json_t *ends = NULL;
    YK_TRY(ends_of(x, &ends, err));
    generation = json_pack("{s:i, s:O}", "bos_token_id", x->s->begin, "eos_token_id", ends);
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

/* The text of an added token. */
static yk_status text_of(const exporter *x, int32_t id, yk_buf *text, yk_error *err)
{
    yk_tokenizer_text(x->s->tokenizer, id, text);
    return text->data ? YK_OK : yk_fail(err, YK_ERR_MEMORY, "out of memory");
}

/* What puts the token before a text with which documents begin in training. NULL: out of memory. */
static json_t *begin_of_text(const exporter *x, const char *token)
{
    json_t *begin = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", token, "type_id", 0);
    json_t *a = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0);
    json_t *b = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1);
    return json_pack("{s:s, s:[O, O], s:[o, o, o], s:{s:{s:s, s:[i], s:[s]}}}", "type", "TemplateProcessing", "single",
                     begin, a, "pair", begin, a, b, "special_tokens", token, "id", token, "ids", x->s->begin, "tokens",
                     token);
}

/* The post-processor of a tokenizer.json so that a text begins as in training; new. Of another maker's only ByteLevel
 * is kept, which is for places in the text: others put tokens, which then would be there twice. */
static json_t *processor_of(const exporter *x, const json_t *file, const char *token)
{
    json_t *own = json_object_get(file, "post_processor"), *begin = begin_of_text(x, token);
    const char *type = json_string_value(json_object_get(own, "type"));
    if (!type || strcmp(type, "ByteLevel") != 0) return begin;
    return json_pack("{s:s, s:[O, o]}", "type", "Sequence", "processors", own, begin);
}

/* An imported tokenizer leaves as it came. */
static yk_status write_vocabulary(const exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    bool there;
    json_t *file = NULL, *processor;
    yk_buf token = {0};
    char *path = yk_path("%s/tokenizer/tokenizer.json", x->run), *imported = yk_path("%s/import", x->run);
    if (!path || !imported) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (yk_exists(imported)) {
        YK_TRY(copy(x, "tokenizer", "tokenizer.json", &there, err));
        goto done;
    }
    YK_TRY(yk_hf_json(path, &file, err));
    YK_TRY(text_of(x, x->s->begin, &token, err));
    if (!(processor = processor_of(x, file, token.data))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    json_object_set_new(file, "post_processor", processor);
    YK_TRY(write_json(x, "tokenizer.json", file, err));
done:
    json_decref(file);
    yk_buf_free(&token);
    free(path);
    free(imported);
    return st;
}

static yk_status write_tokenizer(const exporter *x, yk_error *err)
{
    yk_status st = YK_OK;
    bool there = false;
    yk_buf template = {0}, begin = {0}, end = {0};
    json_t *config = NULL;
    YK_TRY(write_vocabulary(x, err));
    if (!x->talks) YK_TRY(copy(x, "import", "tokenizer_config.json", &there, err));
    if (there) goto done;
    YK_TRY(text_of(x, x->s->begin, &begin, err));
    YK_TRY(text_of(x, x->s->end, &end, err));
    config = json_pack("{s:s, s:I, s:s, s:s, s:s, s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                       "model_max_length", (json_int_t)x->open.r.pretrain_seq, "bos_token", begin.data, "eos_token",
                       end.data, "pad_token", end.data, "clean_up_tokenization_spaces", 0);
    if (x->talks) {
        YK_TRY(yk_chat_jinja(x->open.r.sft_template, x->s->tokenizer, &template, err));
        json_object_set_new(config, "chat_template", json_string(template.data));
    }
    YK_TRY(write_json(x, "tokenizer_config.json", config, err));
done:
    json_decref(config);
    yk_buf_free(&template);
    yk_buf_free(&begin);
    yk_buf_free(&end);
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
           (double)yk_model_parameters(x.s->model), x.tensors);
done:
    yk_outdir_abandon(&out);
    free(x.tensor);
    free(x.turned);
    yk_opened_close(&x.open);
    return st;
}
