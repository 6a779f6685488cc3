/* The sft stage: what is learnt from, how often, for how long. */
#include "align/align.h"
#include "align/imitate.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "config/schema.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.", NULL};

/* What an epoch has of n sequences from `first` on, that come `weight` times each: a share of them, chosen at random,
 * comes once more than the others. */
static yk_status order_set(int64_t first, int64_t n, double weight, uint64_t seed, uint64_t set, int64_t **order,
                           int64_t *length, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t *perm = NULL;
    int64_t wanted = (int64_t)(weight * (double)n + 0.5);
    const yk_rng rng = yk_rng_make(seed, YK_STREAM_DEAL, (uint64_t)YK_DEAL_SFT << 48 | set);
    YK_NEW(perm, n);
    yk_rng_permutation(&rng, perm, (uint64_t)n);
    int64_t *grown = yk_regrow(*order, (size_t)(*length + wanted), sizeof *grown, err);
    if (!grown) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    *order = grown;
    for (int64_t i = 0; i < wanted; i++) (*order)[(*length)++] = first + (int64_t)perm[i % n];
done:
    free(perm);
    return st;
}

typedef struct sets {
    yk_sequences train, heldout;
    int64_t *order, n;
    yk_digest *hash;
} sets;

static yk_status weight_of(const yk_recipe *r, size_t i, size_t files, double *weight, yk_error *err)
{
    *weight = 1;
    if (r->sft_weights.n == 0) return YK_OK;
    if (r->sft_weights.n != files)
        return yk_fail(err, YK_ERR_CONFIG, "sft.weights has %zu numbers, but sft.data %zu files", r->sft_weights.n,
                       files);
    if (yk_parse_real(r->sft_weights.item[i], weight) && *weight > 0 && *weight <= 1000) return YK_OK;
    return yk_fail(err, YK_ERR_CONFIG, "sft.weights: `%.40s` is no number above 0 and up to 1000",
                   r->sft_weights.item[i]);
}

/* Where the recipe names no files: those of the stage `questions`, then what the model proposed. */
static yk_status training_paths(const yk_course *c, yk_list *paths, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_course_paths(c, &c->r->sft_data, "sft.data", "train.jsonl", paths, err));
    if (c->r->sft_data.n || !yk_recipe_has_stage(c->r, "propose")) goto done;
    char **grown = yk_regrow(paths->item, paths->n + 1, sizeof *grown, err);
    if (!grown) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    paths->item = grown;
    paths->item[paths->n] = yk_path("%s/propose/train.jsonl", c->job->dir);
    if (!paths->item[paths->n++]) YK_FAIL(YK_ERR_MEMORY, "out of memory");
done:
    return st;
}

static yk_status read_sets(sets *x, const yk_course *c, yk_error *err)
{
    yk_status st = YK_OK;
    yk_list train = {0}, heldout = {0};
    YK_TRY(training_paths(c, &train, err));
    for (size_t i = 0; i < train.n; i++) {
        const yk_list one = {&train.item[i], 1};
        int64_t first = (int64_t)x->train.n;
        double weight;
        YK_TRY(weight_of(c->r, i, train.n, &weight, err));
        YK_TRY(yk_sequences_read(&x->train, c, &one, c->r->sft_bad_lines, x->hash, err));
        YK_TRY(order_set(first, (int64_t)x->train.n - first, weight, (uint64_t)c->r->seed, i, &x->order, &x->n, err));
    }
    if (c->r->sft_heldout.n || c->r->sft_data.n == 0) {
        YK_TRY(yk_course_paths(c, &c->r->sft_heldout, "sft.heldout", "heldout.jsonl", &heldout, err));
        YK_TRY(yk_sequences_read(&x->heldout, c, &heldout, c->r->sft_bad_lines, x->hash, err));
    }
    if (x->n == 0) YK_FAIL(YK_ERR_CONFIG, "sft.weights leaves no example");
done:
    yk_course_free_paths(&train);
    yk_course_free_paths(&heldout);
    return st;
}

yk_status yk_sft_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    yk_course c;
    sets x = {.hash = yk_digest_new()};
    char data[33];
    YK_TRY(yk_course_open(&c, job, "sft", YK_COURSE_ROWS, false, err));
    if (!x.hash) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(read_sets(&x, &c, err));
    yk_digest_hex(x.hash, data);
    int64_t steps = r->sft_steps ? r->sft_steps : yk_steps_of(r->sft_epochs, x.n, r->sft_batch);
    const yk_imitation o = {.train = &x.train, .order = x.order, .n = x.n, .heldout = &x.heldout, .data = data,
                            .keys = keys, .schedule = {"cosine", r->sft_lr, r->sft_lr_end, r->sft_warmup, 0, steps},
                            .batch = r->sft_batch,
                            .eval_every = r->sft_eval_every ? r->sft_eval_every : (steps + 3) / 4,
                            .checkpoint_every = r->sft_checkpoint_every, .samples = r->sft_samples,
                            .deal = YK_DEAL_SFT};
    YK_TRY(yk_imitate(&c, &o, finished, err));
done:
    yk_sequences_free(&x.train);
    yk_sequences_free(&x.heldout);
    free(x.order);
    yk_digest_free(x.hash);
    yk_course_close(&c);
    return st;
}
