/* The distill stage: a smaller model learns from a larger run's. From its answers (sequence-level: Kim, Rush 2016),
 * from what it makes likely at each token (Hinton, Vinyals, Dean 2015), or from both. */
#include "align/align.h"
#include "align/answers.h"
#include "align/imitate.h"
#include "align/passes.h"
#include "align/rollout.h"
#include "align/teacher.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWERS_AT_ONCE = 512 };

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.template",
                                   "distill.", NULL};
/* What the teacher's answers depend on beside the teacher and the prompts. */
static const char *const answer_keys[] = {"seed", "numerics", "sft.template", "distill.sampling_temperature",
                                          "distill.tokens", NULL};

typedef struct distiller {
    yk_course c;
    const yk_recipe *r;
    yk_teacher teacher;
    char weights[33]; /* hash over the teacher's */
    char *path;       /* distill/data.jsonl: its answers */
    yk_sequences train, heldout;
    int64_t *order;
    yk_digest *hash;
    const yk_example **prompt;    /* [prompts] while they are answered */
    int64_t prompts, kept;        /* all; answers that are in the file */
    double sampling;              /* seconds */
    yk_decoder *decoder;          /* of the teacher, while they are; NULL until it is needed */
    int32_t **likeliest;          /* [heldout.n][ids.n] of the teacher, in each row */
} distiller;

/* --- the teacher's answers ------------------------------------------------------------------- */

static bool is_usable(const yk_rollout *o)
{
    json_t *text = json_stringn(o->text.data ? o->text.data : "", o->text.len); /* NULL: is not UTF-8 */
    const bool usable = text && o->ended && o->text.len > 0 && o->text.len > strspn(o->text.data, " \t\r\n");
    json_decref(text);
    return usable;
}

/* A yk_answers' make: prompts are its items. */
static yk_status answer_some(void *context, int64_t first, int64_t n, FILE *f, bool *whole, yk_error *err)
{
    yk_status st = YK_OK;
    distiller *x = context;
    yk_rollouts a = {0};
    yk_sampling how = yk_sampling_of(&x->teacher.s);
    (void)whole;
    yk_chat_ends(x->c.chat, &how);
    how.temperature = x->r->distill_sampling_temperature;
    how.tokens = x->r->distill_tokens;
    how.seed = (uint64_t)x->r->seed;
    if (!x->decoder) YK_TRY(yk_decoder_new(&x->decoder, &x->teacher.s, YK_COURSE_SLOTS, x->c.context, err));
    YK_TRY(yk_rollouts_make(&a, &x->c, x->decoder, x->prompt + first, n, 1, &how, (uint64_t)first, err));
    for (int64_t i = 0; i < n; i++) {
        if (!is_usable(&a.item[i])) continue;
        YK_TRY(yk_rollout_write(&a.item[i], f, x->path, err));
        x->kept++;
    }
    x->sampling += a.seconds;
done:
    yk_rollouts_free(&a);
    return st;
}

static json_t *remember(const void *context)
{
    const distiller *x = context;
    return json_pack("{s:I, s:f}", "answers", (json_int_t)x->kept, "seconds", x->sampling);
}

static yk_status recall(void *context, const json_t *account, yk_error *err)
{
    distiller *x = context;
    (void)err;
    x->kept = json_integer_value(json_object_get(account, "answers"));
    x->sampling = json_number_value(json_object_get(account, "seconds"));
    return YK_OK;
}

/* Names everything that decides what the answers are. */
static void name_answers(const distiller *x, const yk_examples *e, char hex[33])
{
    yk_buf all = {0};
    yk_recipe_canonical(x->r, answer_keys, &all);
    yk_buf_printf(&all, "%s %s %lld\n", e->hash, x->weights, (long long)x->c.context);
    yk_hash128_hex(all.data, all.len, hex);
    yk_buf_free(&all);
}

/* The teacher's answers to prompts. *made is false when the job was to stop. */
static yk_status make_answers(distiller *x, const yk_examples *e, bool *made, yk_error *err)
{
    yk_status st = YK_OK;
    char name[33];
    name_answers(x, e, name);
    x->prompts = (int64_t)e->n;
    YK_NEW(x->prompt, e->n);
    for (size_t i = 0; i < e->n; i++) x->prompt[i] = &e->item[i];
    const yk_answers a = {.path = x->path, .account = "sampling.json", .name = name, .items = "prompts",
                          .total = x->prompts, .part = ANSWERS_AT_ONCE, .kept = &x->kept, .make = answer_some,
                          .remember = remember, .recall = recall, .context = x};
    YK_TRY(yk_answers_make(&a, &x->c, made, err));
    if (!*made) goto done;
    yk_log("distill    %lld of %lld answers of the teacher are kept", (long long)x->kept, (long long)x->prompts);
    if (x->kept == 0)
        YK_FAIL(YK_ERR_INPUT, "no answer of the teacher ended within distill.tokens: %lld; raise it, or take a teacher "
                "that was fine-tuned", (long long)x->r->distill_tokens);
done:
    free(x->prompt);
    yk_decoder_free(x->decoder);
    x->prompt = NULL;
    x->decoder = NULL;
    return st;
}

/* --- what is learnt from --------------------------------------------------------------------- */

/* *made is false when the job was to stop. */
static yk_status read_sets(distiller *x, bool *made, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    yk_list data = {0}, heldout = {0};
    yk_examples e = {0};
    *made = true;
    YK_TRY(yk_course_paths(&x->c, &r->distill_data, "distill.data", "train.jsonl", &data, err));
    if (strcmp(r->distill_mode, "logits") != 0) {
        YK_TRY(yk_examples_read(&e, &data, YK_PROMPT, (size_t)r->sft_bad_lines, err));
        YK_TRY(make_answers(x, &e, made, err));
        if (!*made) goto done;
        YK_TRY(yk_sequences_read(&x->train, &x->c, &(yk_list){&x->path, 1}, r->sft_bad_lines, x->hash, err));
    } else {
        YK_TRY(yk_sequences_read(&x->train, &x->c, &data, r->sft_bad_lines, x->hash, err));
    }
    if (r->distill_heldout.n || r->distill_data.n == 0) {
        YK_TRY(yk_course_paths(&x->c, &r->distill_heldout, "distill.heldout", "heldout.jsonl", &heldout, err));
        YK_TRY(yk_sequences_read(&x->heldout, &x->c, &heldout, r->sft_bad_lines, x->hash, err));
    }
    YK_NEW(x->order, x->train.n);
    for (size_t i = 0; i < x->train.n; i++) x->order[i] = (int64_t)i;
done:
    yk_examples_free(&e);
    yk_course_free_paths(&data);
    yk_course_free_paths(&heldout);
    return st;
}

/* --- agreement ------------------------------------------------------------------------------- */

static void keep_likeliest(void *context, int64_t i, const yk_session *s, int64_t row)
{
    distiller *x = context;
    memcpy(x->likeliest[i], s->best + row, x->heldout.item[i].ids.n * sizeof *s->best);
}

typedef struct agreement {
    const distiller *x;
    double tokens, same;
} agreement;

static void add_agreement(void *context, int64_t i, const yk_session *s, int64_t row)
{
    agreement *a = context;
    for (int64_t j = 0; j < (int64_t)a->x->heldout.item[i].ids.n; j++) {
        if (s->weight[row + j] == 0.0f) continue;
        a->tokens++;
        a->same += s->best[row + j] == a->x->likeliest[i][j];
    }
}

static yk_status agree(distiller *x, double *share, yk_error *err)
{
    agreement a = {.x = x};
    const yk_sequences *q = &x->heldout;
    yk_status st = yk_pass_each(&x->c.s, x->c.comm, q->item, sizeof *q->item, (int64_t)q->n, YK_PASS_LOSS,
                                add_agreement, &a, err);
    *share = a.tokens > 0 ? a.same / a.tokens : NAN;
    return st;
}

static yk_status ask_teacher(distiller *x, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_sequences *q = &x->heldout;
    YK_NEW(x->likeliest, q->n);
    for (size_t i = 0; i < q->n; i++) YK_NEW(x->likeliest[i], q->item[i].ids.n);
    YK_TRY(yk_pass_each(&x->teacher.s, x->c.comm, q->item, sizeof *q->item, (int64_t)q->n, YK_PASS_LOSS,
                        keep_likeliest, x, err));
done:
    return st;
}

/* --- the stage ------------------------------------------------------------------------------- */

static yk_status open_all(distiller *x, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_teacher_open(&x->teacher, x->r->distill_teacher, &x->c, err));
    yk_weights_hash(x->teacher.s.model, yk_model_weights(x->teacher.s.model), x->weights);
    x->hash = yk_digest_new();
    x->path = yk_path("%s/data.jsonl", x->c.dir);
    if (!x->path || !x->hash) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    yk_digest_add(x->hash, x->weights, sizeof x->weights);
done:
    return st;
}

static yk_status add_to_summary(distiller *x, double before, double after, yk_error *err)
{
    yk_status st = YK_OK;
    yk_fit fit;
    json_t *own = json_object_get(x->c.job->summary, "distill");
    YK_TRY(yk_sequences_fit(&fit, &x->teacher.s, x->c.comm, &x->heldout, err));
    json_object_update_new(own, json_pack("{s:o, s:o, s:I, s:{s:I, s:o, s:o, s:o}}", "agreement_before",
                                          yk_json_number_or_null(before), "agreement", yk_json_number_or_null(after),
                                          "parameters", (json_int_t)yk_model_parameters(x->c.s.model), "teacher",
                                          "parameters", (json_int_t)yk_model_parameters(x->teacher.s.model),
                                          "heldout_loss", yk_json_number_or_null(fit.loss), "heldout_accuracy",
                                          yk_json_number_or_null(fit.accuracy), "heldout_exact",
                                          yk_json_number_or_null(fit.exact)));
    if (x->prompts > 0)
        json_object_set_new(own, "sampled", json_pack("{s:I, s:I, s:f}", "prompts", (json_int_t)x->prompts, "answers",
                                                      (json_int_t)x->kept, "seconds", x->sampling));
    yk_log("distill    %.1f %% of held-out tokens as the teacher before, %.1f %% after; it has %.1f %% right",
           100 * before, 100 * after, 100 * fit.accuracy);
done:
    return st;
}

static yk_status distil(distiller *x, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    const yk_teaching teaching = yk_teacher_teaching(&x->teacher, r->distill_mix, r->distill_temperature);
    char data[33];
    bool made;
    double before, after;
    YK_TRY(read_sets(x, &made, err));
    if (!made) goto done;
    yk_digest_hex(x->hash, data);
    YK_TRY(ask_teacher(x, err));
    YK_TRY(agree(x, &before, err));
    const int64_t n = (int64_t)x->train.n;
    const int64_t steps = r->distill_steps ? r->distill_steps : yk_steps_of(r->distill_epochs, n, r->distill_batch);
    const yk_imitation o = {.train = &x->train, .order = x->order, .n = n, .heldout = &x->heldout, .data = data,
                            .keys = keys,
                            .schedule = {"cosine", r->distill_lr, r->distill_lr_end, r->distill_warmup, 0, steps},
                            .batch = r->distill_batch,
                            .eval_every = r->distill_eval_every ? r->distill_eval_every : (steps + 3) / 4,
                            .checkpoint_every = r->distill_checkpoint_every, .samples = r->distill_samples,
                            .deal = YK_DEAL_DISTILL,
                            .teaching = strcmp(r->distill_mode, "sampled") == 0 ? NULL : &teaching};
    YK_TRY(yk_imitate(&x->c, &o, finished, err));
    if (!*finished) goto done;
    YK_TRY(agree(x, &after, err));
    YK_TRY(add_to_summary(x, before, after, err));
done:
    return st;
}

yk_status yk_distill_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    distiller x = {.r = job->recipe};
    *finished = false;
    YK_TRY(yk_course_open(&x.c, job, "distill", YK_COURSE_ROWS, false, err));
    YK_TRY(open_all(&x, err));
    YK_TRY(distil(&x, finished, err));
done:
    for (size_t i = 0; x.likeliest && i < x.heldout.n; i++) free(x.likeliest[i]);
    free(x.likeliest);
    yk_sequences_free(&x.train);
    yk_sequences_free(&x.heldout);
    free(x.order);
    free(x.path);
    yk_digest_free(x.hash);
    yk_teacher_close(&x.teacher);
    yk_course_close(&x.c);
    return st;
}
