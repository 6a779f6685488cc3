/* The evaluate stage. */
#include "base/file.h"
#include "base/log.h"
#include "text/documents.h"
#include "train/baseline.h"
#include "train/made.h"
#include "train/session.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

static yk_status commonest(const yk_domain *domains, size_t n, int32_t vocab, int32_t *best, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t *count = NULL;
    YK_NEW(count, vocab);
    for (size_t d = 0; d < n; d++)
        for (uint64_t i = 0; i < domains[d].train.tokens; i++) count[yk_shard_id(&domains[d].train, i)]++;
    *best = 0;
    for (int32_t i = 0; i < vocab; i++)
        if (count[i] > count[*best]) *best = i;
done:
    free(count);
    return st;
}

static yk_status heldout(const yk_job *job, yk_session *s, const yk_domain *domains, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    yk_heldout all = {0};
    yk_masked masked = {0};
    int32_t common = 0;
    json_t *by_domain = json_object(), *pretrain = json_object_get(job->summary, "pretrain");
    if (yk_comm_leads(job->comm)) st = commonest(domains, r->corpora, yk_tokenizer_vocab(s->tokenizer), &common, err);
    YK_TRY(yk_comm_agree(job->comm, st, err));
    yk_comm_share(job->comm, &common, sizeof common);
    for (size_t d = 0; d < r->corpora; d++) {
        yk_heldout one = {0};
        yk_progress("evaluate   %s", domains[d].name);
        YK_TRY(yk_evaluate_shard(s, job->comm, &domains[d].heldout, r->evaluate_stride, 0, &one, err));
        if (s->mask >= 0)
            yk_evaluate_masked(s, job->comm, &domains[d].heldout, common, r->pretrain_eval_tokens, &masked);
        json_object_set_new(by_domain, domains[d].name, json_real(one.nats / M_LN2 / one.bytes));
        all.nats += one.nats;
        all.bytes += one.bytes;
    }
    if (!pretrain) json_object_set_new(job->summary, "pretrain", pretrain = json_object());
    json_t *bpb = json_object_get(pretrain, "heldout_bpb");
    if (!bpb) json_object_set_new(pretrain, "heldout_bpb", bpb = json_object());
    json_object_set_new(bpb, "end", json_real(all.nats / M_LN2 / all.bytes));
    json_object_set(bpb, "by_domain", by_domain);
    double targets = masked.targets > 0 ? masked.targets : 1;
    if (s->mask >= 0)
        json_object_set_new(job->summary, "masked",
                            json_pack("{s:f, s:f}", "accuracy", masked.right / targets, "unigram_accuracy",
                                      masked.unigram_right / targets));
done:
    json_decref(by_domain);
    return st;
}

static yk_status compressors(const yk_job *job, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    yk_baseline all = {0};
    json_t *by_domain = json_object();
    for (size_t d = 0; d < job->recipe->corpora; d++) {
        yk_baseline before = all;
        free(path);
        path = yk_documents_path(job->dir, job->recipe->corpus[d].domain, true);
        if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        yk_progress("evaluate   gzip -9 and xz -9e on %s", job->recipe->corpus[d].domain);
        YK_TRY(yk_baseline_add(&all, path, job->team, job->comm, err));
        double raw = (double)(all.raw - before.raw) / 8;
        json_object_set_new(by_domain, job->recipe->corpus[d].domain,
                            json_pack("{s:f, s:f}", "gzip_bpb", (double)(all.gzip - before.gzip) / raw, "xz_bpb",
                                      (double)(all.xz - before.xz) / raw));
    }
    double raw = (double)all.raw / 8;
    json_object_set_new(job->summary, "baseline", json_pack("{s:f, s:f, s:O}", "gzip_bpb", (double)all.gzip / raw,
                                                            "xz_bpb", (double)all.xz / raw, "by_domain", by_domain));
done:
    json_decref(by_domain);
    free(path);
    return st;
}

yk_status yk_evaluate_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    yk_session s = {0};
    yk_domain *domains = NULL;
    char *latest = NULL;
    *finished = true;
    int64_t rows = job->recipe->pretrain_seq > 4096 ? job->recipe->pretrain_seq : 4096;
    YK_TRY(yk_run_newest(job->dir, &latest, err));
    YK_TRY(yk_session_open(&s, job->recipe, job->dir, job->team, &(yk_session_options){.rows = rows}, err));
    YK_TRY(yk_session_load(&s, latest, false, err));
    YK_TRY(yk_comm_agree(job->comm, yk_domains_open(&domains, job->recipe, job->dir, err), err));
    YK_TRY(heldout(job, &s, domains, err));
    if (job->recipe->evaluate_compressors) YK_TRY(compressors(job, err));
done:
    yk_domains_close(domains, job->recipe->corpora);
    yk_session_close(&s);
    free(latest);
    return st;
}
