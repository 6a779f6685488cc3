/* The pretrain stage: the loop around the step. */
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/watch.h"
#include "train/decoder.h"
#include "train/balance.h"
#include "train/memory.h"
#include "train/metrics.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { ROWS_AT_ONCE = 4096 };

/* What is counted of a step, besides its loss. */
enum { CAUSAL_NATS, CAUSAL_TARGETS, MASKED_NATS, MASKED_TARGETS, TALLIES };

typedef struct trainer {
    const yk_job *job;
    const yk_recipe *r;
    yk_session s;
    yk_domain *domains;
    yk_sampler *sampler;
    yk_learner l;
    int64_t began; /* with this step of the learner, in this process */
    yk_metrics metrics;
    char *checkpoints, *best_path;
    int64_t micro;
    char data[33];  /* hash over the training shards */
    double start_bpb, best_bpb, peak;
    json_t *expert_load; /* at the last evaluation */
    double flops_before; /* that made the model it begins with, as far as they are known */
    int64_t passed_over, spare; /* steps whose data rollbacks left behind, and the most there is data for */
    double pace; /* seconds a step, smoothed over the last twenty or so, for the progress line */
    /* of the step */
    bool masked[ROWS_AT_ONCE]; /* the samples of a pass */
    int64_t samples;
    double tally[TALLIES];
} trainer;

int64_t yk_micro_batch(const yk_recipe *r)
{
    int64_t micro = r->pretrain_micro_batch ? r->pretrain_micro_batch : ROWS_AT_ONCE / r->pretrain_seq;
    int64_t per_lane = r->pretrain_batch / r->lanes, most = per_lane < ROWS_AT_ONCE ? per_lane : ROWS_AT_ONCE;
    return micro < 1 ? 1 : micro > most ? most : micro;
}

/* What must be equal for a checkpoint to be gone on from. */
static const char *const key_prefixes[] = {"seed", "lanes", "precision", "numerics", "corpus.", "clean.", "tokenizer.",
                                           "model.", "pretrain.", NULL};

/* Of training so far, those of the model that this one grew from included. */
static double flops(const trainer *t)
{
    return t->flops_before + yk_model_flops_per_token(t->s.model, t->r->pretrain_seq) *
                                 (double)(t->l.step * t->r->pretrain_batch * t->r->pretrain_seq);
}

static json_t *own_document(const trainer *t)
{
    return json_pack("{s:f, s:f, s:f, s:I}", "start_bpb", t->start_bpb, "best_bpb", t->best_bpb, "flops", flops(t),
                     "passed_over", (json_int_t)t->passed_over);
}

static yk_status save_best(trainer *t, yk_error *err)
{
    json_t *own = own_document(t);
    yk_status st = yk_learner_save_model(&t->l, t->best_path, own, err);
    json_decref(own);
    return st;
}

static yk_status save_step(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *own = own_document(t);
    YK_TRY(yk_metrics_settle(&t->metrics, err));
    YK_TRY(yk_learner_save_step(&t->l, own, err));
done:
    json_decref(own);
    return st;
}

static void hash_data(trainer *t)
{
    yk_digest *d = yk_digest_new();
    for (size_t i = 0; i < t->r->corpora; i++) yk_digest_add(d, &t->domains[i].train.hash, sizeof(uint64_t));
    yk_digest_hex(d, t->data);
    yk_digest_free(d);
}

static yk_status inherit(trainer *t, yk_error *err)
{
    json_t *document = NULL;
    yk_status st = yk_learner_inherit(&t->l, t->job->model, &document, err);
    t->flops_before = json_number_value(json_object_get(document, "flops"));
    json_decref(document);
    return st;
}

static yk_status resume(trainer *t, yk_error *err)
{
    json_t *document;
    yk_status st = yk_learner_resume(&t->l, &document, err);
    t->start_bpb = json_real_value(json_object_get(document, "start_bpb"));
    t->best_bpb = json_real_value(json_object_get(document, "best_bpb"));
    t->passed_over = json_integer_value(json_object_get(document, "passed_over"));
    json_decref(document);
    return st;
}

/* As shares of the parameters; there is no gradient before the first step. */
static json_t *flushed_shares(const trainer *t)
{
    double all = (double)yk_model_parameters(t->s.model);
    double weights = (double)yk_learner_count_flushed(&t->l, yk_model_weights(t->s.model), yk_model_floats(t->s.model));
    return json_pack("{s:f, s:o}", "weights", weights / all, "gradients",
                     t->l.step > 0 ? json_real((double)t->l.flushed / all) : json_null());
}

/* By all ranks, or, of weights dealt out, by rank 0, which has all of them now. */
static yk_status heldout(trainer *t, size_t domain, int64_t most, yk_heldout *sum, yk_error *err)
{
    yk_status st = YK_OK;
    const bool alone = t->l.dealt.comm;
    yk_comm *comm = t->job->comm;
    if (!alone || yk_comm_leads(comm))
        st = yk_evaluate_shard(&t->s, alone ? NULL : comm, &t->domains[domain].heldout, t->r->evaluate_stride, most, sum,
                               err);
    if (!alone) return st;
    yk_comm_share(comm, sum, sizeof *sum);
    return yk_comm_agree(comm, st, err);
}

/* The first evaluation takes all of the held-out text, as the last one (the evaluate stage) does; those between,
 * a part. */
static yk_status evaluate(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_heldout all = {0};
    const int64_t most = t->l.step == 0 ? 0 : t->r->pretrain_eval_tokens;
    json_t *by_domain = json_object();
    yk_watch_phase("evaluation after step", t->l.step);
    yk_learner_whole(&t->l);
    yk_progress("pretrain   step %lld: held-out loss", (long long)t->l.step);
    yk_model_reset_loads(t->s.model);
    for (size_t d = 0; d < t->r->corpora; d++) {
        yk_heldout one = {0};
        YK_TRY(heldout(t, d, most, &one, err));
        json_object_set_new(by_domain, t->domains[d].name, yk_json_number_or_null(one.nats / M_LN2 / one.bytes));
        all.nats += one.nats;
        all.bytes += one.bytes;
    }
    double bpb = all.nats / M_LN2 / all.bytes;
    if (t->l.step == 0) t->start_bpb = t->best_bpb = bpb;
    json_t *row = json_pack("{s:s, s:I, s:I, s:f, s:o, s:O}", "type", "eval", "step", (json_int_t)t->l.step, "tokens",
                            (json_int_t)(t->l.step * t->r->pretrain_batch * t->r->pretrain_seq), "flops", flops(t),
                            "bpb", yk_json_number_or_null(bpb), "by_domain", by_domain);
    if (t->s.k->precision == YK_BF16) json_object_set_new(row, "flushed", flushed_shares(t));
    json_decref(t->expert_load);
    t->expert_load = yk_metrics_expert_load(t->s.model, t->job->comm);
    if (t->expert_load) json_object_set(row, "expert_load", t->expert_load);
    YK_TRY(yk_metrics_add(&t->metrics, row, err));
    if (t->l.step > 0 && bpb < t->best_bpb) {
        t->best_bpb = bpb;
        YK_TRY(save_best(t, err));
    }
    yk_log("pretrain   step %lld of %lld: held-out %.3f bits per byte", (long long)t->l.step,
           (long long)t->r->pretrain_steps, bpb);
done:
    json_decref(by_domain);
    return st;
}

static bool collect(void *context, const char *bytes, size_t n)
{
    yk_buf_add(context, bytes, n);
    return true;
}

static yk_status show_samples(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    yk_sampling how = yk_sampling_of(&t->s);
    how.temperature = t->r->pretrain_sample_temperature;
    how.top_k = 50;
    how.tokens = t->r->pretrain_sample_tokens;
    for (size_t i = 0; i < t->r->pretrain_prompts.n; i++) {
        how.seed = (uint64_t)t->r->seed + i;
        yk_buf_clear(&text);
        yk_buf_reserve(&text, 1);
        if (yk_comm_leads(t->job->comm))
            st = yk_generate(&t->s, t->r->pretrain_prompts.item[i], &how, collect, &text, err);
        YK_TRY(yk_comm_agree(t->job->comm, st, err));
        YK_TRY(yk_metrics_sample(&t->metrics, t->l.step, t->r->pretrain_prompts.item[i], &text, err));
    }
done:
    yk_buf_free(&text);
    return st;
}

/* One sample of the step, if it fits. */
static bool add_sample(void *context, int64_t item, yk_session *s)
{
    trainer *t = context;
    const int64_t row = s->rows, T = t->r->pretrain_seq;
    if (row + T > s->max_rows) return false;
    yk_sample x = {.token = s->token + row, .target = s->target + row, .position = s->position + row,
                   .weight = s->weight + row, .segment = s->segment + s->segments};
    yk_sampler_fill(t->sampler, (t->l.step + t->passed_over) * t->r->pretrain_batch + item, &x);
    for (int64_t g = 0; g < x.segments; g++) {
        x.segment[g].query += (int32_t)row;
        x.segment[g].key += (int32_t)row;
    }
    s->rows += T;
    s->segments += x.segments;
    t->masked[t->samples++] = x.masked;
    return true;
}

static void count_pass(void *context, const yk_session *s)
{
    trainer *t = context;
    for (int64_t r = 0; r < s->rows; r++) {
        bool masked = t->masked[r / t->r->pretrain_seq];
        t->tally[masked ? MASKED_NATS : CAUSAL_NATS] += (double)s->loss[r];
        t->tally[masked ? MASKED_TARGETS : CAUSAL_TARGETS] += (double)s->weight[r];
    }
    t->samples = 0;
}

/* A trial is evaluated where it pauses only. */
static bool evaluation_is_due(const trainer *t, int64_t step)
{
    if (t->job->until) return step == t->job->until;
    return step % t->r->pretrain_eval_every == 0 || step == t->r->pretrain_steps;
}

/* A lane's few samples may all be masked and have few targets. On its own it divides by its rows instead, so that a
 * target weighs as much as in a step together. */
static yk_status train_step(trainer *t, yk_error *err)
{
    const int64_t batch = t->r->pretrain_batch;
    const yk_work work = {.items = batch, .add = add_sample, .passed = count_pass, .context = t, .tally = t->tally,
                          .tallies = TALLIES, .z_loss = t->r->pretrain_z_loss,
                          .unit = yk_local_is_next(&t->l) ? (double)(batch * t->r->pretrain_seq) : 0};
    t->l.counts_flushed = t->s.k->precision == YK_BF16 && evaluation_is_due(t, t->l.step + 1);
    return yk_learner_step(&t->l, &work, err);
}

/* Bits a byte of the step's causal sequences; NAN when it had none. */
static double step_bpb(const trainer *t)
{
    double bytes = json_real_value(json_object_get(json_object_get(t->job->summary, "tokenizer"), "bytes_per_token"));
    return t->tally[CAUSAL_TARGETS] > 0 && bytes > 0
               ? t->tally[CAUSAL_NATS] / t->tally[CAUSAL_TARGETS] / M_LN2 / bytes
               : NAN;
}

static void show_step(trainer *t, double tokens_per_s)
{
    double share = tokens_per_s * yk_model_flops_per_token(t->s.model, t->r->pretrain_seq) / t->peak;
    double tokens = (double)((t->r->pretrain_steps - t->l.step) * t->r->pretrain_batch * t->r->pretrain_seq);
    char time[32];
    yk_progress("pretrain   %lld/%lld  loss %.3f  %.3f bits/byte  %.0f tokens/s  %.0f %% of peak  %s left",
                (long long)t->l.step, (long long)t->r->pretrain_steps, t->l.loss, step_bpb(t), tokens_per_s,
                100 * share, yk_human_seconds(tokens / tokens_per_s, time));
}

static yk_status record_step(trainer *t, double seconds, yk_error *err)
{
    double a_step = (double)(t->r->pretrain_batch * t->r->pretrain_seq);
    t->pace = t->pace > 0 ? 0.95 * t->pace + 0.05 * seconds : seconds;
    show_step(t, a_step / t->pace);
    json_t *row = yk_learner_row(&t->l, seconds);
    json_object_set_new(row, "masked_loss", yk_json_number_or_null(t->tally[MASKED_NATS] / t->tally[MASKED_TARGETS]));
    json_object_set_new(row, "bpb", yk_json_number_or_null(step_bpb(t)));
    json_object_set_new(row, "tokens", json_integer((json_int_t)((double)t->l.step * a_step)));
    json_object_set_new(row, "tokens_per_s", json_real(a_step / seconds));
    return yk_metrics_add(&t->metrics, row, err);
}

/* Back to a checkpoint from before the step at hand, and on with the data behind it; where there is none any more, on
 * without the step. A run that is cut, and goes on from a checkpoint before the step, comes here again. */
static yk_status roll_back(trainer *t, bool *went, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t from = t->l.step;
    const int64_t to = yk_spikes_target(from, t->r->pretrain_rollback_steps, t->r->pretrain_checkpoint_every);
    const double loss = t->l.loss, norm = t->l.norm;
    json_t *document = NULL;
    if (to > 0 && t->passed_over + from - to <= t->spare) YK_TRY(yk_learner_return(&t->l, to, &document, err));
    *went = document;
    if (!document) {
        yk_warn("there is no checkpoint %lld steps before step %lld, or no data to pass over: on without the step",
                (long long)t->r->pretrain_rollback_steps, (long long)from);
        goto done;
    }
    t->passed_over += from - to;
    yk_log("pretrain   back from step %lld to %lld; %lld steps of data are passed over", (long long)from, (long long)to,
           (long long)t->passed_over);
    yk_metrics_close(&t->metrics);
    YK_TRY(yk_metrics_open(&t->metrics, t->job->comm, t->job->dir, to, err));
    /* under the step that comes next, so that it stands there once however often it is computed */
    YK_TRY(yk_metrics_add(&t->metrics, json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:I}", "type", "rollback",
                                                 "step", (json_int_t)to + 1, "from", (json_int_t)from, "rollbacks",
                                                 (json_int_t)t->l.spikes.rollbacks, "loss",
                                                 yk_json_number_or_null(loss), "grad_norm",
                                                 yk_json_number_or_null(norm), "passed_over",
                                                 (json_int_t)t->passed_over), err));
done:
    json_decref(document);
    return st;
}

static int64_t last_step(const trainer *t)
{
    return t->job->until ? t->job->until : t->r->pretrain_steps;
}

static yk_status loop(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t steps = last_step(t);
    if (t->l.step == 0 && !t->job->until) YK_TRY(evaluate(t, err));
    while (t->l.step < steps && !yk_learner_stops(&t->l)) {
        double before = t->l.seconds;
        bool went_back = false;
        YK_TRY(train_step(t, err));
        if (t->l.remedy == YK_REMEDY_ROLL_BACK) YK_TRY(roll_back(t, &went_back, err));
        if (went_back) continue;
        YK_TRY(record_step(t, t->l.seconds - before, err));
        if (evaluation_is_due(t, t->l.step)) {
            YK_TRY(evaluate(t, err));
            YK_TRY(show_samples(t, err));
        }
        if (t->l.step < steps && yk_learner_save_is_due(&t->l)) YK_TRY(save_step(t, err));
    }
    YK_TRY(save_step(t, err));
    YK_TRY(yk_learner_finish_save(&t->l, err));
done:
    return st;
}

static yk_status record_mixture(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t *drawn = NULL, samples = (t->l.step + t->passed_over) * t->r->pretrain_batch;
    double *epochs = NULL;
    json_t *mixture = json_object();
    YK_NEW(drawn, t->r->corpora);
    YK_NEW(epochs, t->r->corpora);
    yk_sampler_mixture(t->sampler, samples, drawn, epochs);
    for (size_t d = 0; d < t->r->corpora; d++)
        json_object_set_new(mixture, t->domains[d].name,
                            json_pack("{s:f, s:f, s:f}", "wanted", t->domains[d].weight, "realised",
                                      (double)drawn[d] / (double)(samples ? samples : 1), "epochs", epochs[d]));
    YK_TRY(yk_metrics_add(&t->metrics, json_pack("{s:s, s:O}", "type", "mixture", "domains", mixture), err));
done:
    json_decref(mixture);
    free(drawn);
    free(epochs);
    return st;
}

static double sum_over_ranks(yk_comm *comm, double mine)
{
    double sum = 0, *x = calloc((size_t)yk_comm_size(comm), sizeof *x);
    if (!x) return NAN;
    x[yk_comm_rank(comm)] = mine;
    yk_comm_gather_doubles(comm, x, yk_comm_size(comm));
    for (int r = 0; r < yk_comm_size(comm); r++) sum += x[r];
    free(x);
    return sum;
}

/* Threads of all ranks, at once. */
static double measure_peak(const trainer *t)
{
    return sum_over_ranks(t->job->comm, t->s.k->peak_flops(t->job->team, 0.2));
}

/* Bytes a step that all ranks together sent to each other in the steps of this process. */
static double traffic(const trainer *t)
{
    const int64_t steps = t->l.step - t->began;
    return steps > 0 ? sum_over_ranks(t->job->comm, (double)t->l.sent) / (double)steps : 0;
}

static int64_t peak_resident(void)
{
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) == 0 ? use.ru_maxrss * 1024 : 0;
}

static yk_status summarise(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    char digest[33];
    const yk_model_shape *m = yk_model_get_shape(t->s.model);
    double tokens = (double)(t->l.step * t->r->pretrain_batch * t->r->pretrain_seq);
    double rate = t->l.seconds > 0 ? tokens / t->l.seconds : 0;
    const double sent = traffic(t);
    yk_learner_whole(&t->l);
    YK_TRY(yk_learner_digest(&t->l, digest, err));
    json_t *pretrain = json_pack("{s:I, s:f, s:f, s:f, s:I, s:f, s:f, s:{s:f}}", "steps", (json_int_t)t->l.step,
                                 "tokens", tokens, "tokens_per_s", rate, "peak_share",
                                 rate * yk_model_flops_per_token(t->s.model, t->r->pretrain_seq) / t->peak,
                                 "skipped_steps", (json_int_t)t->l.skipped, "loss_scale", t->l.loss_scale.value,
                                 "checkpoint_seconds", t->l.waited, "heldout_bpb", "start", t->start_bpb);
    json_t *model = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "parameters",
                              (json_int_t)yk_model_parameters(t->s.model), "width", (json_int_t)m->width, "layers",
                              (json_int_t)m->layers, "heads", (json_int_t)m->heads, "kv_heads", (json_int_t)m->kv_heads,
                              "ffn", (json_int_t)m->ffn, "vocab", (json_int_t)m->vocab, "memory",
                              (json_int_t)yk_learner_memory(&t->l), "peak_resident",
                              (json_int_t)peak_resident());
    if (!pretrain || !model) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (t->expert_load) json_object_set(model, "expert_load", t->expert_load);
    if (t->job->comm) {
        json_object_set_new(pretrain, "traffic_bytes", json_real(sent));
        json_object_set_new(pretrain, "exchange_seconds", json_real(t->l.exchanged.waited));
        json_object_set_new(pretrain, "exchange_hidden", json_real(yk_comm_hidden(t->l.exchanged)));
    }
    YK_TRY(yk_learner_balance(&t->l, pretrain, err));
    json_object_set_new(t->job->summary, "pretrain", pretrain);
    json_object_set_new(t->job->summary, "model", model);
    json_object_set_new(t->job->summary, "isa", json_string(t->s.k->name));
    json_object_set_new(t->job->summary, "digest", json_string(digest));
done:
    return st;
}

static yk_status start(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = t->r;
    char number[32];
    yk_needs needs;
    const yk_setting setting = yk_setting_of(r);
    t->micro = yk_micro_batch(r);
    if (yk_comm_leads(t->job->comm)) YK_TRY(yk_mkdirs(t->checkpoints, err));
    const yk_session_options with = {.rows = t->micro * r->pretrain_seq, .training = true, .comm = t->job->comm};
    YK_TRY(yk_session_open(&t->s, r, t->job->dir, t->job->team, &with, err));
    if (t->job->model) YK_TRY(yk_session_load(&t->s, t->job->model, false, err));
    if (t->s.mask < 0 && r->pretrain_masked_share > 0)
        YK_FAIL(YK_ERR_CONFIG, "pretrain.masked_share is %g, but the tokenizer has no special token %s; set it to 0",
                r->pretrain_masked_share, YK_TOKEN_MASK);
    YK_TRY(yk_domains_open(&t->domains, r, t->job->dir, err));
    t->spare = yk_spikes_of(r, true).rolls_back ? r->pretrain_steps : 0;
    yk_sampler_options o = {.seed = (uint64_t)r->seed, .seq = r->pretrain_seq,
                            .samples = r->pretrain_steps * r->pretrain_batch, .spare = t->spare * r->pretrain_batch,
                            .begin = t->s.begin, .end = t->s.end, .mask = t->s.mask, .plain = t->s.plain,
                            .masked_share = r->pretrain_masked_share, .mask_rate = r->pretrain_mask_rate,
                            .mask_rate_end = r->pretrain_mask_rate_end, .mask_span = r->pretrain_mask_span};
    YK_TRY(yk_sampler_new(&t->sampler, t->domains, r->corpora, &o, err));
    hash_data(t);
    yk_learner_options l = {.kind = "pretrain", .folder = t->checkpoints, .keys = key_prefixes, .data = t->data,
                            .schedule = {r->pretrain_schedule, r->pretrain_lr, r->pretrain_lr_end, r->pretrain_warmup,
                                         r->pretrain_decay_share, r->pretrain_steps},
                            .adamw = yk_adamw_of(r), .checkpoint_every = r->pretrain_checkpoint_every,
                            .keep = r->pretrain_keep, .deals_weights = true, .judges_spikes = true,
                            .local = {r->pretrain_local_steps, r->pretrain_local_after, r->pretrain_local_lr,
                                      r->pretrain_outer_lr, r->pretrain_outer_momentum}};
    YK_TRY(yk_learner_open(&t->l, t->job, &t->s, NULL, &l, err));
    if (t->job->model) YK_TRY(inherit(t, err));
    YK_TRY(resume(t, err));
    t->began = t->l.step;
    t->peak = measure_peak(t);
    YK_TRY(yk_metrics_open(&t->metrics, t->job->comm, t->job->dir, t->l.step, err));
    t->metrics.late = r->pretrain_local_steps > 0;
    YK_TRY(yk_needs_of(&needs, r, yk_tokenizer_vocab(t->s.tokenizer), &setting, yk_ranks_of(t->job->comm), t->s.k,
                       t->job->team, err));
    yk_log("pretrain   %.2fM parameters, %lld steps of %lld x %lld tokens, %s, threads %d, %s%s%s",
           (double)yk_model_parameters(t->s.model) / 1e6, (long long)r->pretrain_steps, (long long)r->pretrain_batch,
           (long long)r->pretrain_seq, t->s.k->name, t->job->team->threads,
           yk_human_bytes((double)needs.total, number), yk_comm_size(t->job->comm) > 1 ? " a rank" : "",
           t->s.openblas ? ", products by OpenBLAS" : "");
done:
    return st;
}

yk_status yk_pretrain_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    trainer *t = NULL;
    *finished = false;
    YK_NEW(t, 1);
    t->job = job;
    t->r = job->recipe;
    t->checkpoints = yk_path("%s/checkpoints", job->dir);
    t->best_path = yk_path("%s/checkpoints/best.h5", job->dir);
    if (!t->checkpoints || !t->best_path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(start(t, err));
    YK_TRY(loop(t, err));
    *finished = t->l.step >= last_step(t);
    if (*finished) YK_TRY(record_mixture(t, err));
    YK_TRY(summarise(t, err));
done:
    if (t) {
        yk_metrics_close(&t->metrics);
        yk_learner_close(&t->l);
        yk_sampler_free(t->sampler);
        yk_domains_close(t->domains, job->recipe->corpora);
        yk_session_close(&t->s);
        json_decref(t->expert_load);
        free(t->checkpoints);
        free(t->best_path);
    }
    free(t);
    return st;
}
