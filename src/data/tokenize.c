/* The tokenizer stage: train or copy the tokenizer, encode every domain and split. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "data/measure.h"
#include "data/shard.h"
#include "text/documents.h"

#include <stdlib.h>

static yk_status train(const yk_job *job, yk_tokenizer **t, json_t *report, yk_error *err)
{
    yk_status st = YK_OK;
    yk_bpe_trainer *trainer = NULL;
    double bytes, began = yk_now();
    YK_TRY(yk_bpe_trainer_new(&trainer, job->team, err));
    yk_progress("tokenizer  counting pieces");
    YK_TRY(yk_count_documents(job->recipe, job->dir, trainer, job->comm, &bytes, err));
    YK_TRY(yk_bpe_trainer_learn(trainer, (int32_t)job->recipe->tokenizer_vocab, t, err));
    double seconds = yk_now() - began;
    json_object_set_new(report, "train_seconds", json_real(seconds));
    json_object_set_new(report, "train_mb_per_s", json_real(bytes / 1e6 / seconds));
done:
    yk_bpe_trainer_free(trainer);
    return st;
}

static yk_status encode_domains(const yk_job *job, const yk_tokenizer *t, json_t *report, yk_error *err)
{
    yk_status st = YK_OK;
    char *from = NULL, *to = NULL;
    double bytes = 0, tokens = 0, began = yk_now();
    for (size_t i = 0; i < 2 * job->recipe->corpora; i++) {
        const char *domain = job->recipe->corpus[i / 2].domain;
        yk_shard s;
        free(from);
        free(to);
        from = yk_documents_path(job->dir, domain, i % 2);
        to = yk_shard_path(job->dir, domain, i % 2);
        if (!from || !to) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        yk_progress("tokenizer  encoding %s", domain);
        YK_TRY(yk_shard_write(from, to, t, job->team, job->comm, err));
        if (!yk_comm_leads(job->comm)) continue;
        YK_TRY(yk_shard_open(&s, to, err));
        bytes += (double)s.bytes;
        tokens += (double)s.tokens;
        yk_shard_close(&s);
    }
    json_object_set_new(report, "bytes_per_token", json_real(tokens > 0 ? bytes / tokens : 0));
    json_object_set_new(report, "encode_mb_per_s", json_real(bytes / 1e6 / (yk_now() - began + 1e-9)));
done:
    free(from);
    free(to);
    return st;
}

static void log_rates(const json_t *report, int32_t vocab)
{
    const json_t *trained = json_object_get(report, "train_mb_per_s");
    if (trained) yk_log("tokenizer  %d entries, trained at %.1f MB/s", vocab, json_real_value(trained));
    yk_log("tokenizer  %.2f bytes a token, encoded at %.1f MB/s",
           json_real_value(json_object_get(report, "bytes_per_token")),
           json_real_value(json_object_get(report, "encode_mb_per_s")));
}

yk_status yk_tokenizer_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const bool leads = yk_comm_leads(job->comm);
    yk_tokenizer *t = NULL;
    json_t *report = json_object();
    char *path = yk_path("%s/tokenizer/tokenizer.json", job->dir);
    char *report_path = yk_path("%s/tokenizer/report.json", job->dir), *folder = yk_path("%s/tokenizer", job->dir);
    char *data = yk_path("%s/data", job->dir);
    *finished = true;
    if (!report || !path || !report_path || !folder || !data) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (leads) YK_TRY(yk_mkdirs(folder, err));
    if (leads) YK_TRY(yk_mkdirs(data, err));
    if (job->recipe->tokenizer_path[0])
        YK_TRY(yk_tokenizer_load(&t, job->recipe->tokenizer_path, err));
    else
        YK_TRY(train(job, &t, report, err));
    if (leads) YK_TRY(yk_tokenizer_save(t, path, err));
    YK_TRY(encode_domains(job, t, report, err));
    if (!leads) goto done; /* the rest is rank 0's, and quick */
    YK_TRY(yk_measure_tokenizer(job->recipe, job->dir, t, report, err));
    json_object_set_new(report, "vocab", json_integer(yk_tokenizer_vocab(t)));
    YK_TRY(yk_json_write(report_path, report, err));
    json_object_set(job->summary, "tokenizer", report);
    log_rates(report, yk_tokenizer_vocab(t));
done:
    yk_tokenizer_free(t);
    json_decref(report);
    free(path);
    free(report_path);
    free(folder);
    free(data);
    return st;
}
