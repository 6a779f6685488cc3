#include "data/measure.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "config/schema.h"
#include "text/documents.h"

#include <stdlib.h>

typedef struct counting {
    yk_bpe_trainer *trainer; /* NULL: only bytes */
    yk_comm *comm;
    double share, bytes;     /* of documents taken; taken so far */
    int64_t documents;       /* taken so far, by any rank */
    uint64_t seed;
} counting;

static yk_status count_document(void *context, const yk_document *doc, yk_error *err)
{
    counting *c = context;
    double place = (double)(yk_hash64(doc->text, doc->length, c->seed ^ 0x746f6b) >> 11) * 0x1p-53;
    if (place >= c->share) return YK_OK;
    c->bytes += (double)doc->length;
    if (!c->trainer || !yk_comm_makes(c->comm, c->documents++)) return YK_OK;
    return yk_bpe_trainer_add(c->trainer, doc->text, doc->length, err);
}

static yk_status each_domain(const yk_recipe *r, const char *run_dir, counting *c, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < r->corpora && st == YK_OK; i++) {
        char *path = yk_documents_path(run_dir, r->corpus[i].domain, false);
        st = path ? yk_documents_read(path, count_document, c, err) : yk_fail(err, YK_ERR_MEMORY, "out of memory");
        free(path);
    }
    return st;
}

yk_status yk_count_documents(const yk_recipe *r, const char *run_dir, yk_bpe_trainer *trainer, yk_comm *comm,
                             double *bytes, yk_error *err)
{
    yk_status st = YK_OK;
    counting all = {.share = 1, .seed = (uint64_t)r->seed};
    counting some = {.trainer = trainer, .comm = comm, .seed = (uint64_t)r->seed};
    YK_TRY(each_domain(r, run_dir, &all, err));
    some.share = all.bytes > 0 ? (double)r->tokenizer_sample_bytes / all.bytes : 1;
    YK_TRY(each_domain(r, run_dir, &some, err));
    YK_TRY(yk_bpe_trainer_share(trainer, comm, err));
    *bytes = some.bytes;
done:
    return st;
}

typedef struct measuring {
    yk_encoder *encoder;
    yk_ids ids;
    double bytes, tokens; /* of the domain */
    json_t *languages;    /* {code: [bytes, tokens]} */
} measuring;

static yk_status measure_document(void *context, const yk_document *doc, yk_error *err)
{
    yk_status st = YK_OK;
    measuring *m = context;
    m->ids.n = 0;
    YK_TRY(yk_encode(m->encoder, doc->text, doc->length, &m->ids, err));
    json_t *sums = json_object_get(m->languages, doc->lang);
    double bytes = json_real_value(json_array_get(sums, 0)), tokens = json_real_value(json_array_get(sums, 1));
    json_object_set_new(m->languages, doc->lang,
                        json_pack("[f, f]", bytes + (double)doc->length, tokens + (double)m->ids.n));
    m->bytes += (double)doc->length;
    m->tokens += (double)m->ids.n;
done:
    return st;
}

static json_t *ratios(json_t *languages)
{
    json_t *out = json_object(), *sums;
    const char *code;
    json_object_foreach(languages, code, sums) {
        double tokens = json_real_value(json_array_get(sums, 1));
        if (tokens > 0) json_object_set_new(out, code, json_real(json_real_value(json_array_get(sums, 0)) / tokens));
    }
    return out;
}

yk_status yk_measure_tokenizer(const yk_recipe *r, const char *run_dir, const yk_tokenizer *t, json_t *into,
                               yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    measuring m = {.languages = json_object()};
    json_t *by_domain = json_object();
    YK_TRY(yk_encoder_new(&m.encoder, t, err));
    for (size_t i = 0; i < r->corpora; i++) {
        free(path);
        path = yk_documents_path(run_dir, r->corpus[i].domain, true);
        if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        m.bytes = m.tokens = 0;
        YK_TRY(yk_documents_read(path, measure_document, &m, err));
        if (m.tokens > 0) json_object_set_new(by_domain, r->corpus[i].domain, json_real(m.bytes / m.tokens));
    }
    json_object_set(into, "by_domain", by_domain);
    json_object_set_new(into, "by_language", ratios(m.languages));
done:
    free(path);
    yk_ids_free(&m.ids);
    yk_encoder_free(m.encoder);
    json_decref(m.languages);
    json_decref(by_domain);
    return st;
}

/* The mean over domains, each weighing the same. */
static double mean_of(json_t *by_domain)
{
    const char *name;
    json_t *x;
    double sum = 0;
    json_object_foreach(by_domain, name, x) sum += json_real_value(x);
    return json_object_size(by_domain) ? sum / (double)json_object_size(by_domain) : 0;
}

static yk_status try_vocab(const yk_recipe *r, const char *run_dir, yk_bpe_trainer *trainer, int64_t vocab,
                           json_t *list, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    json_t *row = json_object();
    yk_recipe with = *r;
    yk_progress("tokenizer  vocabulary %lld", (long long)vocab);
    YK_TRY(yk_bpe_trainer_learn(trainer, (int32_t)vocab, &t, err));
    with.tokenizer_vocab = yk_tokenizer_vocab(t);
    with.model_vocab = 0;
    YK_TRY(yk_measure_tokenizer(r, run_dir, t, row, err));
    double table = (double)with.tokenizer_vocab * (double)r->model_width, all = yk_recipe_parameters(&with);
    double bytes = mean_of(json_object_get(row, "by_domain"));
    json_object_set_new(row, "vocab", json_integer(with.tokenizer_vocab));
    json_object_set_new(row, "bytes_per_token", json_real(bytes));
    json_object_set_new(row, "embedding_parameters", json_real(r->model_tied ? table : 2 * table));
    json_object_set_new(row, "embedding_share", json_real((r->model_tied ? table : 2 * table) / all));
    json_object_set_new(row, "flops_per_byte",
                        json_real(6 * (r->model_tied ? all : all - table) / (bytes > 0 ? bytes : 1)));
    json_array_append(list, row);
done:
    json_decref(row);
    yk_tokenizer_free(t);
    return st;
}

yk_status yk_tokenizer_tune(const yk_recipe *r, const char *run_dir, const yk_team *team, json_t **list, yk_error *err)
{
    yk_status st = YK_OK;
    yk_bpe_trainer *trainer = NULL;
    double bytes;
    char *folder = yk_path("%s/tokenizer", run_dir), *path = yk_path("%s/tokenizer/tune.json", run_dir);
    *list = json_array();
    if (!folder || !path || !*list) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (r->tokenizer_tune.n == 0)
        YK_FAIL(YK_ERR_CONFIG, "tokenizer.tune names no sizes; add --set 'tokenizer.tune=[1k, 2k, 4k]'");
    YK_TRY(yk_mkdirs(folder, err));
    YK_TRY(yk_bpe_trainer_new(&trainer, team, err));
    yk_progress("tokenizer  counting pieces");
    YK_TRY(yk_count_documents(r, run_dir, trainer, NULL, &bytes, err));
    for (size_t i = 0; i < r->tokenizer_tune.n; i++) {
        int64_t vocab = 0;
        yk_parse_int(r->tokenizer_tune.item[i], &vocab);
        YK_TRY(try_vocab(r, run_dir, trainer, vocab, *list, err));
    }
    YK_TRY(yk_json_write(path, *list, err));
done:
    yk_bpe_trainer_free(trainer);
    free(folder);
    free(path);
    return st;
}
