/* The refine stage: rejection sampling into a second round of fine-tuning (DeepSeek-AI, DeepSeek-R1, 2025; RAFT, Dong
 * et al. 2023): the model learns from its own answers that are right, with some of the first round's examples. */
#include "align/align.h"
#include "align/answers.h"
#include "align/grading.h"
#include "align/imitate.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWERS_AT_ONCE = 512 };

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.", "verify.",
                                   "refine.", NULL};
/* What its answers depend on beside the model and the problems. */
static const char *const answer_keys[] = {"seed", "precision", "numerics", "model.", "sft.template", "verify.",
                                          "refine.group", "refine.temperature", "refine.tokens", "refine.keep",
                                          "refine.order", NULL};

typedef struct refiner {
    yk_course c;
    const yk_recipe *r;
    yk_grader grader;
    yk_problem_set train, heldout;
    yk_decoder *decoder;
    char *path; /* refine/data.jsonl */
    yk_sequences sequences, measured;
    int64_t *order, n;
    yk_digest *hash;
    int64_t solved, answers, right, kept;
    double sampling; /* seconds */
    yk_marks before; /* of the model that made the answers */
    json_t *counts;  /* of the grader, of earlier processes; once data.jsonl is made, of all of it */
} refiner;

/* Which of the right answers to a problem are kept, marked in `keeps`; the shortest first, or those made first. */
static int64_t choose(const refiner *x, const yk_rollout *answer, const yk_reward_parts *part, bool *keeps)
{
    const bool shortest = strcmp(x->r->refine_order, "shortest") == 0;
    int64_t kept = 0;
    while (kept < x->r->refine_keep) {
        int64_t best = -1;
        for (int64_t i = 0; i < x->r->refine_group; i++) {
            bool known = keeps[i] || part[i].accuracy < 1 || part[i].format < 1;
            for (int64_t j = 0; j < x->r->refine_group && !known; j++)
                known = keeps[j] && strcmp(answer[i].text.data, answer[j].text.data) == 0;
            if (!known && (best < 0 || (shortest && answer[i].length < answer[best].length))) best = i;
        }
        if (best < 0) break;
        keeps[best] = true;
        kept++;
    }
    return kept;
}

static yk_status keep_some(refiner *x, const yk_rollouts *a, const yk_reward_parts *part, FILE *f, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t group = x->r->refine_group;
    bool *keeps = NULL;
    for (int64_t p = 0; p < a->n; p += group) {
        free(keeps);
        YK_NEW(keeps, group);
        int64_t kept = choose(x, a->item + p, part + p, keeps);
        x->solved += kept > 0;
        x->kept += kept;
        for (int64_t i = 0; i < group; i++) {
            x->right += part[p + i].accuracy >= 1;
            if (keeps[i]) YK_TRY(yk_rollout_write(&a->item[p + i], f, x->path, err));
        }
    }
    x->answers += a->n;
done:
    free(keeps);
    return st;
}

/* A yk_answers' make: problems are its items. The first part marks the model that makes the answers, too. */
static yk_status answer_some(void *context, int64_t first, int64_t n, FILE *f, bool *whole, yk_error *err)
{
    yk_status st = YK_OK;
    refiner *x = context;
    const int64_t group = x->r->refine_group;
    yk_rollouts a = {0};
    yk_reward_parts *part = NULL;
    yk_sampling how = yk_sampling_of(&x->c.s);
    yk_chat_ends(x->c.chat, &how);
    how.temperature = x->r->refine_temperature, how.tokens = x->r->refine_tokens, how.seed = (uint64_t)x->r->seed;
    if (first == 0)
        YK_TRY(yk_problem_set_mark(&x->heldout, &x->c, x->decoder, &x->grader, how.tokens, 0, 0, &x->before, err));
    *whole = !yk_grader_was_cut(&x->grader);
    if (!*whole) goto done;
    YK_NEW(part, n * group);
    YK_TRY(yk_rollouts_make(&a, &x->c, x->decoder, x->train.item + first, n, group, &how, (uint64_t)(first * group),
                            err));
    YK_TRY(yk_grade(&x->grader, &a, part, err));
    *whole = !yk_grader_was_cut(&x->grader);
    if (!*whole) goto done;
    YK_TRY(keep_some(x, &a, part, f, err));
    x->sampling += a.seconds;
done:
    yk_rollouts_free(&a);
    free(part);
    return st;
}

static json_t *remember(const void *context)
{
    const refiner *x = context;
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "problems_solved", (json_int_t)x->solved, "answers",
                     (json_int_t)x->answers, "right", (json_int_t)x->right, "kept", (json_int_t)x->kept, "seconds",
                     x->sampling, "before", yk_marks_json(&x->heldout, &x->before), "verifier",
                     yk_grader_counts(&x->grader, x->counts));
}

static yk_status recall(void *context, const json_t *account, yk_error *err)
{
    refiner *x = context;
    (void)err;
    x->solved = json_integer_value(json_object_get(account, "problems_solved"));
    x->answers = json_integer_value(json_object_get(account, "answers"));
    x->right = json_integer_value(json_object_get(account, "right"));
    x->kept = json_integer_value(json_object_get(account, "kept"));
    x->sampling = json_number_value(json_object_get(account, "seconds"));
    x->before = yk_marks_of_json(&x->heldout, json_object_get(account, "before"));
    x->counts = json_incref(json_object_get(account, "verifier"));
    return YK_OK;
}

/* Names everything that decides what the answers are. */
static void name_answers(const refiner *x, char hex[33])
{
    yk_buf all = {0};
    char weights[33];
    yk_weights_hash(x->c.s.model, yk_model_weights(x->c.s.model), weights);
    yk_recipe_canonical(x->r, answer_keys, &all);
    yk_buf_printf(&all, "%s %s %s %lld\n", x->train.examples.hash, x->heldout.examples.hash, weights,
                  (long long)x->c.context);
    yk_hash128_hex(all.data, all.len, hex);
    yk_buf_free(&all);
}

/* *made is false when the job was to stop. */
static yk_status make_answers(refiner *x, bool *made, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t group = x->r->refine_group;
    char name[33];
    name_answers(x, name);
    const yk_answers a = {.path = x->path, .account = "sampling.json", .name = name, .items = "problems",
                          .total = x->train.n, .part = ANSWERS_AT_ONCE > group ? ANSWERS_AT_ONCE / group : 1,
                          .kept = &x->kept, .make = answer_some, .remember = remember, .recall = recall, .context = x};
    YK_TRY(yk_answers_make(&a, &x->c, made, err));
    if (!*made) goto done;
    yk_log("refine     %lld of %lld problems solved, %lld of %lld answers right, %lld kept", (long long)x->solved,
           (long long)x->train.n, (long long)x->right, (long long)x->answers, (long long)x->kept);
    if (x->kept == 0)
        YK_FAIL(YK_ERR_INPUT, "no answer of the model is right and well-formed: there is nothing to learn from; train "
                "it longer before `refine`, or raise refine.group");
    json_t *counts = yk_grader_counts(&x->grader, x->counts);
    json_decref(x->counts);
    x->counts = counts;
done:
    return st;
}

/* All kept answers, then as many of the first round's examples as make up their share, chosen at random. */
static yk_status mix(refiner *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_list sft = {0}, heldout = {0};
    uint64_t *perm = NULL;
    const double share = x->r->refine_sft_share;
    const int64_t bad = x->r->refine_bad_lines;
    YK_TRY(yk_sequences_read(&x->sequences, &x->c, &(yk_list){&x->path, 1}, bad, x->hash, err));
    const int64_t own = (int64_t)x->sequences.n;
    if (share > 0) {
        YK_TRY(yk_course_paths(&x->c, &x->r->sft_data, "sft.data", "train.jsonl", &sft, err));
        YK_TRY(yk_sequences_read(&x->sequences, &x->c, &sft, bad, x->hash, err));
    }
    const int64_t others = (int64_t)x->sequences.n - own, wanted = (int64_t)((double)own * share / (1 - share) + 0.5);
    x->n = own + (wanted < others ? wanted : others);
    YK_NEW(x->order, x->n);
    YK_NEW(perm, others);
    const yk_rng rng = yk_rng_make((uint64_t)x->r->seed, YK_STREAM_DEAL, (uint64_t)YK_DEAL_REFINE << 48);
    yk_rng_permutation(&rng, perm, (uint64_t)others);
    for (int64_t i = 0; i < x->n; i++) x->order[i] = i < own ? i : own + (int64_t)perm[i - own];
    if (x->r->sft_heldout.n || x->r->sft_data.n == 0) {
        YK_TRY(yk_course_paths(&x->c, &x->r->sft_heldout, "sft.heldout", "heldout.jsonl", &heldout, err));
        YK_TRY(yk_sequences_read(&x->measured, &x->c, &heldout, bad, x->hash, err));
    }
done:
    free(perm);
    yk_course_free_paths(&sft);
    yk_course_free_paths(&heldout);
    return st;
}

static yk_status begin_with(refiner *x, yk_error *err)
{
    yk_status st = YK_OK;
    if (strcmp(x->r->refine_base, "sft") != 0) return YK_OK;
    char *path = yk_path("%s/sft/model.h5", x->c.job->dir);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    st = yk_session_load(&x->c.s, path, false, err);
done:
    free(path);
    return st;
}

static void add_to_summary(const refiner *x, const yk_marks *after)
{
    const yk_marks *before = &x->before;
    json_t *own = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:O}", "problems",
                            (json_int_t)x->train.n, "problems_solved", (json_int_t)x->solved, "answers",
                            (json_int_t)x->answers, "right", (json_int_t)x->right, "kept", (json_int_t)x->kept,
                            "accuracy_before", before->accuracy / before->n, "accuracy_after",
                            after->accuracy / after->n, "format_before", before->format / before->n, "format_after",
                            after->format / after->n, "sampling_seconds", x->sampling, "by_kind",
                            yk_marks_by_kind(&x->heldout, before, after), "verifier", x->counts);
    json_object_update_new(json_object_get(x->c.job->summary, "refine"), own);
}

static yk_status open_all(refiner *x, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    x->hash = yk_digest_new();
    x->path = yk_path("%s/data.jsonl", x->c.dir);
    if (!x->path || !x->hash) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_grader_new(&x->grader, x->c.job, err));
    YK_TRY(yk_problem_set_read(&x->train, &x->c, &x->grader, &r->refine_data, "refine.data", "problems.train.jsonl",
                               r->refine_bad_lines, err));
    YK_TRY(yk_problem_set_read(&x->heldout, &x->c, &x->grader, &r->refine_heldout, "refine.heldout",
                               "problems.heldout.jsonl", r->refine_bad_lines, err));
    YK_TRY(yk_decoder_new(&x->decoder, &x->c.s, YK_COURSE_SLOTS, x->c.context, err));
done:
    return st;
}

static yk_status refine(refiner *x, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    yk_marks after;
    char data[33];
    bool made;
    YK_TRY(make_answers(x, &made, err));
    if (!made) goto done;
    YK_TRY(mix(x, err));
    YK_TRY(begin_with(x, err));
    yk_digest_hex(x->hash, data);
    const int64_t steps = r->refine_steps ? r->refine_steps : yk_steps_of(r->refine_epochs, x->n, r->refine_batch);
    const yk_imitation o = {.train = &x->sequences, .order = x->order, .n = x->n, .heldout = &x->measured, .data = data,
                            .keys = keys,
                            .schedule = {"cosine", r->refine_lr, r->refine_lr_end, r->refine_warmup, 0, steps},
                            .batch = r->refine_batch,
                            .eval_every = r->refine_eval_every ? r->refine_eval_every : (steps + 3) / 4,
                            .checkpoint_every = r->refine_checkpoint_every, .samples = r->refine_samples,
                            .deal = YK_DEAL_REFINE};
    YK_TRY(yk_imitate(&x->c, &o, finished, err));
    if (!*finished) goto done;
    YK_TRY(yk_problem_set_mark(&x->heldout, &x->c, x->decoder, &x->grader, r->refine_tokens, 0, 0, &after, err));
    if (yk_grader_was_cut(&x->grader)) *finished = false;
    if (!*finished) goto done;
    yk_log("refine     held-out problems %.1f %% right before, %.1f %% after", 100 * x->before.accuracy / x->before.n,
           100 * after.accuracy / after.n);
    add_to_summary(x, &after);
done:
    return st;
}

yk_status yk_refine_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    refiner x = {.r = job->recipe};
    *finished = false;
    YK_TRY(yk_course_open(&x.c, job, "refine", YK_COURSE_ROWS, false, err));
    YK_TRY(open_all(&x, err));
    YK_TRY(refine(&x, finished, err));
done:
    yk_decoder_free(x.decoder);
    yk_problem_set_free(&x.train);
    yk_problem_set_free(&x.heldout);
    yk_grader_free(&x.grader);
    yk_sequences_free(&x.sequences);
    yk_sequences_free(&x.measured);
    free(x.order);
    free(x.path);
    json_decref(x.counts);
    yk_digest_free(x.hash);
    yk_course_close(&x.c);
    return st;
}
