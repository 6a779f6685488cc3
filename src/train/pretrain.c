/* The pretrain stage: the loop around the step. */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "optim/optim.h"
#include "train/lanes.h"
#include "train/loss_scale.h"
#include "train/metrics.h"
#include "train/session.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_ONCE = 4096, GIVE_UP_AFTER = 20 };

typedef struct trainer {
    const yk_job *job;
    const yk_recipe *r;
    yk_session s;
    yk_domain *domains;
    yk_sampler *sampler;
    yk_optimiser optimiser;
    yk_lanes lanes;
    yk_loss_scale loss_scale;
    yk_metrics metrics;
    char *checkpoints, *best_path;
    int64_t micro, step, applied, skipped, skipped_in_a_row;
    char chain[33]; /* hash over the losses of all steps so far */
    char data[33];  /* hash over the training shards */
    double start_bpb, best_bpb, trained_seconds, peak;
    double pace; /* seconds a step, smoothed over the last twenty or so, for the progress line */
    /* of the step */
    double loss, norm, rate, scale; /* scale: of the loss */
    double causal_nats, causal_targets, masked_nats, masked_targets;
    bool step_skipped;
    int64_t flushed; /* elements of its gradient that bf16 would flush, when an evaluation follows */
} trainer;

int64_t yk_micro_batch(const yk_recipe *r)
{
    int64_t micro = r->pretrain_micro_batch ? r->pretrain_micro_batch : ROWS_AT_ONCE / r->pretrain_seq;
    int64_t per_lane = r->pretrain_batch / r->lanes, most = per_lane < ROWS_AT_ONCE ? per_lane : ROWS_AT_ONCE;
    return micro < 1 ? 1 : micro > most ? most : micro;
}

/* What must be equal for a checkpoint to be gone on from. */
static const char *const key_prefixes[] = {"seed", "lanes", "precision", "numerics", "corpus.", "clean.", "tokenizer.", "model.", "pretrain.", NULL};

static json_t *progress_document(const trainer *t)
{
    yk_buf recipe = {0};
    yk_recipe_canonical(t->r, key_prefixes, &recipe);
    json_t *d = json_pack("{s:s, s:I, s:I, s:I, s:{s:f, s:I}, s:s, s:s, s:f, s:f, s:f, s:s, s:s, s:b, s:s}", "kind", "pretrain",
                          "step", (json_int_t)t->step, "applied", (json_int_t)t->applied, "skipped",
                          (json_int_t)t->skipped, "loss_scale", "value", t->loss_scale.value, "good",
                          (json_int_t)t->loss_scale.good, "losses", t->chain, "data", t->data, "start_bpb", t->start_bpb,
                          "best_bpb", t->best_bpb, "seconds", t->trained_seconds, "isa", t->s.k->name, "numerics",
                          yk_contract_of(t->r), "openblas", t->s.openblas, "recipe", recipe.data);
    yk_buf_free(&recipe);
    return d;
}

/* Weights, then both moments; *n tensors. free() both. */
static yk_status all_tensors(trainer *t, yk_tensor **tensors, size_t *n, yk_buf names[3], yk_error *err)
{
    yk_status st = YK_OK;
    int count;
    yk_model_params(t->s.model, &count);
    float *const base[] = {yk_model_weights(t->s.model), t->optimiser.m, t->optimiser.v};
    static const char *const prefix[] = {"", "optimizer.m.", "optimizer.v."};
    YK_NEW(*tensors, 3 * count);
    *n = 3 * (size_t)count;
    for (int i = 0; i < 3; i++)
        YK_TRY(yk_session_tensors(&t->s, base[i], prefix[i], *tensors + i * count, &names[i], err));
done:
    return st;
}

static yk_status save(trainer *t, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tensor *tensors = NULL;
    yk_buf names[3] = {0};
    size_t n;
    json_t *document = progress_document(t);
    if (!document || !path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(all_tensors(t, &tensors, &n, names, err));
    YK_TRY(yk_checkpoint_save(path, tensors, n, document, err));
done:
    for (int i = 0; i < 3; i++) yk_buf_free(&names[i]);
    free(tensors);
    json_decref(document);
    return st;
}

static yk_status save_step(trainer *t, yk_error *err)
{
    char *path = yk_checkpoint_step_path(t->checkpoints, t->step);
    yk_status st = save(t, path, err);
    if (st == YK_OK) st = yk_checkpoint_prune(t->checkpoints, (int)t->r->pretrain_keep, err);
    free(path);
    return st;
}

/* The first line in which two canonical recipes differ, for the message. */
static yk_status same_recipe(const trainer *t, const char *theirs, const char *path, yk_error *err)
{
    yk_buf mine = {0};
    yk_recipe_canonical(t->r, key_prefixes, &mine);
    const char *a = theirs, *b = mine.data;
    yk_status st = YK_OK;
    while (*a && strcmp(a, b) != 0) {
        size_t na = strcspn(a, "\n"), nb = strcspn(b, "\n");
        if (na != nb || memcmp(a, b, na) != 0) {
            st = yk_fail(err, YK_ERR_SHAPE,
                         "%s: was made with `%.*s`, the recipe now has `%.*s`; choose another --run-dir, or remove %s to "
                         "train anew", path, (int)na, a, (int)nb, b, t->checkpoints);
            break;
        }
        a += na + (a[na] != 0);
        b += nb + (b[nb] != 0);
    }
    yk_buf_free(&mine);
    return st;
}

static yk_status same_data(const trainer *t, const char *theirs, const char *path, yk_error *err)
{
    if (theirs && strcmp(theirs, t->data) == 0) return YK_OK;
    return yk_fail(err, YK_ERR_SHAPE, "%s: was trained on other text than the corpus holds now; choose another --run-dir, "
                   "or remove %s to train anew", path, t->checkpoints);
}

static void hash_data(trainer *t)
{
    yk_digest *d = yk_digest_new();
    for (size_t i = 0; i < t->r->corpora; i++) yk_digest_add(d, &t->domains[i].train.hash, sizeof(uint64_t));
    yk_digest_hex(d, t->data);
    yk_digest_free(d);
}

static yk_status resume(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    yk_tensor *tensors = NULL;
    yk_buf names[3] = {0};
    size_t n;
    json_t *d = NULL;
    YK_TRY(yk_checkpoint_latest(t->checkpoints, &path, err));
    if (!path) goto done;
    YK_TRY(yk_checkpoint_document(path, &d, err));
    const char *recipe = json_string_value(json_object_get(d, "recipe"));
    const char *chain = json_string_value(json_object_get(d, "losses"));
    if (!recipe || !chain || strlen(chain) != 32) YK_FAIL(YK_ERR_DAMAGED, "%s: is no pretraining checkpoint", path);
    YK_TRY(same_recipe(t, recipe, path, err));
    YK_TRY(same_data(t, json_string_value(json_object_get(d, "data")), path, err));
    json_decref(d);
    d = NULL;
    YK_TRY(all_tensors(t, &tensors, &n, names, err));
    yk_model_weights_changed(t->s.model);
    YK_TRY(yk_checkpoint_load(path, tensors, n, &d, err));
    t->step = json_integer_value(json_object_get(d, "step"));
    t->applied = json_integer_value(json_object_get(d, "applied"));
    t->skipped = json_integer_value(json_object_get(d, "skipped"));
    const json_t *scale = json_object_get(d, "loss_scale");
    t->loss_scale.value = json_real_value(json_object_get(scale, "value"));
    t->loss_scale.good = json_integer_value(json_object_get(scale, "good"));
    t->start_bpb = json_real_value(json_object_get(d, "start_bpb"));
    t->best_bpb = json_real_value(json_object_get(d, "best_bpb"));
    t->trained_seconds = json_real_value(json_object_get(d, "seconds"));
    strcpy(t->chain, json_string_value(json_object_get(d, "losses")));
    yk_log("pretrain   going on from step %lld (%s)", (long long)t->step, path);
done:
    for (int i = 0; i < 3; i++) yk_buf_free(&names[i]);
    free(tensors);
    free(path);
    json_decref(d);
    return st;
}

/* How many of the model's numbers bf16 flushes: not zero and below 2^-56 (numerics contract, rule 4). */
static int64_t count_flushed(const trainer *t, const float *x)
{
    int64_t count = 0;
    yk_count_below a = {.x = x, .n = yk_model_floats(t->s.model), .bound = 0x1p-56f, .count = &count};
    t->s.k->count_below(&t->s.team, &a);
    return count;
}

/* As shares of the parameters; there is no gradient before the first step. */
static json_t *flushed_shares(const trainer *t)
{
    double all = (double)yk_model_parameters(t->s.model);
    return json_pack("{s:f, s:o}", "weights", (double)count_flushed(t, yk_model_weights(t->s.model)) / all, "gradients",
                     t->step > 0 ? json_real((double)t->flushed / all) : json_null());
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* The first evaluation takes all of the held-out text, as the last one (the evaluate stage) does; those between, a part. */
static yk_status evaluate(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_heldout all = {0};
    const int64_t most = t->step == 0 ? 0 : t->r->pretrain_eval_tokens;
    json_t *by_domain = json_object();
    yk_progress("pretrain   step %lld: held-out loss", (long long)t->step);
    for (size_t d = 0; d < t->r->corpora; d++) {
        yk_heldout one = {0};
        yk_evaluate_shard(&t->s, &t->domains[d].heldout, t->r->evaluate_stride, most, &one);
        json_object_set_new(by_domain, t->domains[d].name, number_or_null(one.nats / M_LN2 / one.bytes));
        all.nats += one.nats;
        all.bytes += one.bytes;
    }
    double bpb = all.nats / M_LN2 / all.bytes;
    if (t->step == 0) t->start_bpb = t->best_bpb = bpb;
    json_t *row = json_pack("{s:s, s:I, s:I, s:o, s:O}", "type", "eval", "step", (json_int_t)t->step, "tokens",
                            (json_int_t)(t->step * t->r->pretrain_batch * t->r->pretrain_seq), "bpb", number_or_null(bpb),
                            "by_domain", by_domain);
    if (t->s.k->precision == YK_BF16) json_object_set_new(row, "flushed", flushed_shares(t));
    YK_TRY(yk_metrics_add(&t->metrics, row, err));
    if (t->step > 0 && bpb < t->best_bpb) {
        t->best_bpb = bpb;
        YK_TRY(save(t, t->best_path, err));
    }
    yk_log("pretrain   step %lld of %lld: held-out %.3f bits per byte", (long long)t->step, (long long)t->r->pretrain_steps,
           bpb);
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
    for (size_t i = 0; i < t->r->pretrain_prompts.n; i++) {
        yk_sampling how = {.temperature = t->r->pretrain_sample_temperature, .top_p = 1, .top_k = 50,
                           .tokens = t->r->pretrain_sample_tokens, .seed = (uint64_t)t->r->seed, .number = i};
        yk_buf_clear(&text);
        yk_buf_reserve(&text, 1);
        YK_TRY(yk_generate(&t->s, t->r->pretrain_prompts.item[i], &how, collect, &text, err));
        YK_TRY(yk_metrics_sample(&t->metrics, t->step, t->r->pretrain_prompts.item[i], &text, err));
    }
done:
    yk_buf_free(&text);
    return st;
}

/* Samples [first, first + count) of the step as one micro-batch; adds their losses in order. Weights of 1 become the
 * loss scale, a power of two, so that dividing by it again is exact. */
static double train_micro(trainer *t, int64_t first, int64_t count)
{
    yk_session *s = &t->s;
    int64_t T = t->r->pretrain_seq, segments = 0;
    double targets = 0;
    bool masked[ROWS_AT_ONCE];
    for (int64_t i = 0; i < count; i++) {
        int64_t row = i * T;
        yk_sample x = {.token = s->token + row, .target = s->target + row, .position = s->position + row,
                       .weight = s->weight + row, .segment = s->segment + segments};
        yk_sampler_fill(t->sampler, first + i, &x);
        for (int64_t g = 0; g < x.segments; g++) {
            x.segment[g].query += (int32_t)row;
            x.segment[g].key += (int32_t)row;
        }
        segments += x.segments;
        masked[i] = x.masked;
        targets += x.targets;
    }
    for (int64_t r = 0; r < count * T; r++) s->weight[r] *= (float)t->scale;
    yk_batch b = {.rows = count * T, .token = s->token, .position = s->position, .target = s->target, .weight = s->weight,
                  .segment = s->segment, .segments = segments};
    yk_model_train(s->model, &b, (float)t->r->pretrain_z_loss, s->loss, NULL);
    for (int64_t r = 0; r < count * T; r++) {
        double nats = (double)s->loss[r] / t->scale, weight = (double)s->weight[r] / t->scale;
        t->loss += nats;
        *(masked[r / T] ? &t->masked_nats : &t->causal_nats) += nats;
        *(masked[r / T] ? &t->masked_targets : &t->causal_targets) += weight;
    }
    return targets;
}

static void chain_loss(trainer *t)
{
    yk_digest *d = yk_digest_new();
    yk_digest_add(d, t->chain, 32);
    yk_digest_add(d, &t->loss, sizeof t->loss);
    yk_digest_hex(d, t->chain);
    yk_digest_free(d);
}

static bool evaluation_is_due(const trainer *t)
{
    return t->step % t->r->pretrain_eval_every == 0 || t->step == t->r->pretrain_steps;
}

/* The step was not applied. One whose gradient alone overflowed is the loss scale's affair; the others may not become
 * many in a row. */
static yk_status skip_step(trainer *t, yk_error *err)
{
    t->skipped++;
    if (isfinite(t->loss) && yk_loss_scale_overflow(&t->loss_scale)) {
        yk_log("pretrain   step %lld is skipped: a gradient overflowed; the loss scale is now %.0f", (long long)t->step,
               t->loss_scale.value);
        return YK_OK;
    }
    yk_warn("step %lld: loss or gradient is not finite; the step is skipped", (long long)t->step);
    if (++t->skipped_in_a_row < GIVE_UP_AFTER) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "%d steps in a row were not finite, the last is %lld; lower pretrain.lr and run "
                   "again: it goes on from the last checkpoint", GIVE_UP_AFTER, (long long)t->step);
}

/* One optimiser step: lanes one after another, merged by the fixed tree. The loss of each sample is summed inside its
 * lane in order; the sum of weights is exact, so it needs no order. */
static yk_status train_step(trainer *t, yk_error *err)
{
    int64_t per_lane = t->r->pretrain_batch / t->r->lanes, base = t->step * t->r->pretrain_batch;
    double targets = 0, nats = 0;
    yk_status st = YK_OK;
    t->scale = t->loss_scale.value;
    t->causal_nats = t->causal_targets = t->masked_nats = t->masked_targets = 0;
    for (int64_t lane = 0; lane < t->r->lanes; lane++) {
        t->loss = 0;
        for (int64_t i = 0; i < per_lane; i += t->micro) {
            int64_t count = per_lane - i < t->micro ? per_lane - i : t->micro;
            targets += train_micro(t, base + lane * per_lane + i, count);
        }
        nats += t->loss;
        yk_lanes_merge(&t->lanes, lane);
    }
    yk_model_finish_gradients(t->s.model);
    t->step++;
    t->loss = nats / targets;
    t->rate = yk_learning_rate(t->r, t->step);
    if (t->s.k->precision == YK_BF16 && evaluation_is_due(t)) t->flushed = count_flushed(t, yk_model_gradients(t->s.model));
    double unit = isfinite(t->loss) ? 1 / (targets * t->scale) : NAN;
    t->step_skipped = !yk_optimiser_step(&t->optimiser, t->s.k, &t->s.team, unit, t->rate, t->applied + 1, &t->norm);
    if (t->step_skipped) {
        YK_TRY(skip_step(t, err));
    } else {
        t->applied++;
        t->skipped_in_a_row = 0;
        yk_loss_scale_good(&t->loss_scale);
    }
    chain_loss(t);
done:
    return st;
}

/* Bits a byte of the step's causal sequences; NAN when it had none. */
static double step_bpb(const trainer *t)
{
    double bytes = json_real_value(json_object_get(json_object_get(t->job->summary, "tokenizer"), "bytes_per_token"));
    return t->causal_targets > 0 && bytes > 0 ? t->causal_nats / t->causal_targets / M_LN2 / bytes : NAN;
}

static void show_step(trainer *t, double tokens_per_s)
{
    double share = tokens_per_s * yk_model_flops_per_token(t->s.model, t->r->pretrain_seq) / t->peak;
    double left = (double)((t->r->pretrain_steps - t->step) * t->r->pretrain_batch * t->r->pretrain_seq) / tokens_per_s;
    char time[32];
    yk_progress("pretrain   %lld/%lld  loss %.3f  %.3f bits/byte  %.0f tokens/s  %.0f %% of peak  %s left",
                (long long)t->step, (long long)t->r->pretrain_steps, t->loss, step_bpb(t), tokens_per_s, 100 * share,
                yk_human_seconds(left, time));
}

static yk_status record_step(trainer *t, double seconds, yk_error *err)
{
    double a_step = (double)(t->r->pretrain_batch * t->r->pretrain_seq);
    t->pace = t->pace > 0 ? 0.95 * t->pace + 0.05 * seconds : seconds;
    show_step(t, a_step / t->pace);
    json_t *row = json_pack("{s:s, s:I, s:o, s:o, s:o, s:f, s:o, s:I, s:f, s:f, s:b}", "type", "step", "step",
                            (json_int_t)t->step, "loss", number_or_null(t->loss), "masked_loss",
                            number_or_null(t->masked_nats / t->masked_targets), "bpb", number_or_null(step_bpb(t)), "lr",
                            t->rate, "grad_norm", number_or_null(t->norm), "tokens",
                            (json_int_t)((double)t->step * a_step), "tokens_per_s", a_step / seconds, "seconds", seconds,
                            "skipped", t->step_skipped);
    if (t->scale != 1) json_object_set_new(row, "loss_scale", json_real(t->scale));
    return yk_metrics_add(&t->metrics, row, err);
}

static bool time_to_stop(const trainer *t)
{
    return *t->job->stop || (t->job->deadline > 0 && yk_now() > t->job->deadline);
}

static yk_status loop(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    double saved = yk_now();
    const yk_recipe *r = t->r;
    if (t->step == 0) YK_TRY(evaluate(t, err));
    while (t->step < r->pretrain_steps && !time_to_stop(t)) {
        double began = yk_now();
        YK_TRY(train_step(t, err));
        double seconds = yk_now() - began;
        t->trained_seconds += seconds;
        YK_TRY(record_step(t, seconds, err));
        bool last = t->step == r->pretrain_steps;
        if (evaluation_is_due(t)) {
            YK_TRY(evaluate(t, err));
            YK_TRY(show_samples(t, err));
        }
        bool due = r->pretrain_checkpoint_every ? t->step % r->pretrain_checkpoint_every == 0 : yk_now() - saved > 60;
        if (due && !last) {
            YK_TRY(save_step(t, err));
            saved = yk_now();
        }
    }
    YK_TRY(save_step(t, err));
done:
    return st;
}

static yk_status record_mixture(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t *drawn = NULL, samples = t->step * t->r->pretrain_batch;
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

/* Over the weights and both moments in declaration order, then the chain of losses. */
static void final_digest(const trainer *t, char hex[33])
{
    int count;
    const yk_param *p = yk_model_params(t->s.model, &count);
    const float *const base[] = {yk_model_weights(t->s.model), t->optimiser.m, t->optimiser.v};
    yk_digest *d = yk_digest_new();
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < count; j++) yk_digest_add(d, base[i] + p[j].offset, (size_t)p[j].count * sizeof(float));
    yk_digest_add(d, t->chain, 32);
    yk_digest_hex(d, hex);
    yk_digest_free(d);
}

static yk_status summarise(trainer *t, yk_error *err)
{
    char digest[33];
    const yk_model_shape *m = yk_model_get_shape(t->s.model);
    double tokens = (double)(t->step * t->r->pretrain_batch * t->r->pretrain_seq);
    double rate = t->trained_seconds > 0 ? tokens / t->trained_seconds : 0;
    final_digest(t, digest);
    json_t *pretrain = json_pack("{s:I, s:f, s:f, s:f, s:I, s:f, s:{s:f}}", "steps", (json_int_t)t->step, "tokens", tokens,
                                 "tokens_per_s", rate, "peak_share",
                                 rate * yk_model_flops_per_token(t->s.model, t->r->pretrain_seq) / t->peak,
                                 "skipped_steps", (json_int_t)t->skipped, "loss_scale", t->loss_scale.value,
                                 "heldout_bpb", "start", t->start_bpb);
    json_t *model = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "parameters",
                              (json_int_t)yk_model_parameters(t->s.model), "width", (json_int_t)m->width, "layers",
                              (json_int_t)m->layers, "heads", (json_int_t)m->heads, "kv_heads", (json_int_t)m->kv_heads,
                              "ffn", (json_int_t)m->ffn, "vocab", (json_int_t)m->vocab, "memory",
                              (json_int_t)yk_memory_sum(yk_model_memory(t->s.model)));
    if (!pretrain || !model) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    json_object_set_new(t->job->summary, "pretrain", pretrain);
    json_object_set_new(t->job->summary, "model", model);
    json_object_set_new(t->job->summary, "isa", json_string(t->s.k->name));
    json_object_set_new(t->job->summary, "digest", json_string(digest));
    return YK_OK;
}

static yk_status start(trainer *t, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = t->r;
    char number[32];
    t->micro = yk_micro_batch(r);
    t->loss_scale = yk_loss_scale_of(r);
    strcpy(t->chain, "00000000000000000000000000000000");
    YK_TRY(yk_mkdirs(t->checkpoints, err));
    YK_TRY(yk_session_open(&t->s, r, t->job->dir, t->job->team, t->micro * r->pretrain_seq, true, err));
    YK_TRY(yk_domains_open(&t->domains, r, t->job->dir, err));
    yk_sampler_options o = {.seed = (uint64_t)r->seed, .seq = r->pretrain_seq,
                            .samples = r->pretrain_steps * r->pretrain_batch, .end = t->s.end, .mask = t->s.mask,
                            .plain = t->s.plain, .masked_share = r->pretrain_masked_share,
                            .mask_rate = r->pretrain_mask_rate, .mask_rate_end = r->pretrain_mask_rate_end,
                            .mask_span = r->pretrain_mask_span};
    YK_TRY(yk_sampler_new(&t->sampler, t->domains, r->corpora, &o, err));
    YK_TRY(yk_optimiser_new(&t->optimiser, t->s.model, t->s.k, r, err));
    YK_TRY(yk_lanes_new(&t->lanes, t->s.model, t->s.k, t->job->team, r->lanes, err));
    t->peak = t->s.k->peak_flops(t->job->team, 0.2);
    hash_data(t);
    YK_TRY(resume(t, err));
    YK_TRY(yk_metrics_open(&t->metrics, t->job->dir, t->step, err));
    yk_log("pretrain   %.2fM parameters, %lld steps of %lld x %lld tokens, %s, threads %d, %s%s",
           (double)yk_model_parameters(t->s.model) / 1e6, (long long)r->pretrain_steps, (long long)r->pretrain_batch,
           (long long)r->pretrain_seq, t->s.k->name, t->job->team->threads,
           yk_human_bytes((double)yk_memory_sum(yk_model_memory(t->s.model)), number),
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
    *finished = t->step >= t->r->pretrain_steps;
    if (*finished) YK_TRY(record_mixture(t, err));
    YK_TRY(summarise(t, err));
done:
    if (t) {
        yk_metrics_close(&t->metrics);
        if (t->s.k) {
            yk_optimiser_free(&t->optimiser, t->s.k);
            yk_lanes_free(&t->lanes);
        }
        yk_sampler_free(t->sampler);
        yk_domains_close(t->domains, job->recipe->corpora);
        yk_session_close(&t->s);
        free(t->checkpoints);
        free(t->best_path);
    }
    free(t);
    return st;
}
