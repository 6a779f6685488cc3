/* A whole training step of a known model, and generating with it. */
#include "cli/bench.h"

#include "base/log.h"
#include "config/schema.h"
#include "train/learner.h"
#include "train/measure.h"
#include "train/random_batch.h"
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { REPEATS = 5, MOST_REPEATS = 99, WARM_UP = 2, MOST_SETS = 24, VOCAB_SLACK = 100 };
/* Of memory traffic a parameter: the norm reads its gradient, AdamW reads and writes 4 numbers. */
enum { UPDATE_BYTES = 36 };

/* The models of the comparison with PyTorch, tests/peers/torch_step.py, and that of conf/quickstart.yaml, as overrides
 * of a recipe. */
typedef struct known {
    const char *name, *set[MOST_SETS];
    int64_t batch, seq;
} known;

static const known models[] = {
    {"gpt2-124m",
     {"tokenizer.vocab=50304", "model.width=768", "model.layers=12", "model.heads=12", "model.kv_heads=12",
      "model.head_size=64", "model.ffn=3072", "model.norm=layernorm", "model.mlp=gelu", "model.position=learned",
      "model.bias=true", "model.qk_norm=false", "model.tied=true"},
     2, 1024},
    {"llama-34m",
     {"tokenizer.vocab=16384", "model.width=512", "model.layers=8", "model.heads=8", "model.kv_heads=8",
      "model.head_size=64", "model.ffn=1408", "model.qk_norm=false", "model.tied=false"},
     8, 512},
    {"moe-168m", /* llama-34m with four times its parameters, of which a token meets as many */
     {"tokenizer.vocab=16384", "model.width=512", "model.layers=8", "model.heads=8", "model.kv_heads=8",
      "model.head_size=64", "model.ffn=1408", "model.qk_norm=false", "model.tied=false", "model.experts=32",
      "model.experts_chosen=3", "model.shared_experts=1", "model.dense_layers=0"},
     8, 512},
    {"quickstart-2m", {"tokenizer.vocab=4096", "model.width=192", "model.layers=3"}, 4, 256},
};

typedef struct bench_run {
    yk_recipe r;
    const yk_kernels *k;
    yk_model *model;
    int64_t B, T, micro;
    yk_random_batch tokens;
} bench_run;

static yk_status load(const yk_bench *b, bench_run *x, yk_error *err)
{
    yk_status st = YK_OK;
    const known *m = NULL;
    char line[4][64];
    const char *set[MOST_SETS];
    size_t n = 0;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (strcmp(b->model, models[i].name) == 0) m = &models[i];
    if (!m) YK_FAIL(YK_ERR_USAGE, "--model %s: expected gpt2-124m, llama-34m, moe-168m or quickstart-2m",
                    b->model);
    x->B = b->batch ? b->batch : m->batch;
    x->T = b->seq ? b->seq : m->seq;
    while (m->set[n]) set[n] = m->set[n], n++;
    snprintf(line[0], sizeof line[0], "pretrain.batch=%lld", (long long)x->B);
    snprintf(line[1], sizeof line[1], "pretrain.seq=%lld", (long long)x->T);
    snprintf(line[2], sizeof line[2], "precision=%.40s", b->precision);
    snprintf(line[3], sizeof line[3], "recompute=%.40s", b->recompute);
    for (int i = 0; i < 4; i++) set[n++] = line[i];
    YK_TRY(yk_recipe_load(&x->r, NULL, set, n, err));
    x->r.pretrain_micro_batch = b->micro_batch;
    x->micro = yk_micro_batch(&x->r);
    if (x->B % x->micro != 0) x->micro = 1;
    for (int p = 0; p < YK_PRECISIONS; p++)
        if (strcmp(b->precision, p == YK_FP32 ? "fp32" : p == YK_BF16 ? "bf16" : "fp16") == 0) x->k = b->k[p];
done:
    return st;
}

/* at_once: the most rows that the model gets. */
static yk_status prepare(const yk_bench *b, bench_run *x, int64_t at_once, bool training, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t vocab = x->r.tokenizer_vocab;
    yk_model_shape shape = yk_model_shape_of(&x->r, vocab);
    YK_TRY(yk_model_new(&x->model, &shape, at_once, training, x->k, &b->team, err));
    yk_model_initialise(x->model, 1);
    YK_TRY(yk_random_batch_new(&x->tokens, 1, vocab - VOCAB_SLACK, x->B, x->T, err));
done:
    return st;
}

static void release(bench_run *x)
{
    yk_model_free(x->model);
    yk_random_batch_free(&x->tokens);
    yk_recipe_free(&x->r);
}

/* Forward and backward of a whole batch. */
static yk_status pass(bench_run *x, yk_error *err)
{
    yk_status st = YK_OK;
    if (x->micro < x->B) YK_TRY(yk_model_pack(x->model, true, err)); /* as yk_learner_step does */
    for (int64_t at = 0; at < x->B * x->T; at += x->micro * x->T) {
        const yk_random_batch *all = &x->tokens;
        yk_batch batch = {.rows = x->micro * x->T, .token = all->token + at, .position = all->position + at,
                          .target = all->target + at, .weight = all->weight + at, .segment = all->segment,
                          .segments = x->micro};
        yk_model_train(x->model, &batch, 0.0f, all->loss + at, NULL);
    }
    yk_model_finish_gradients(x->model, 0, yk_model_floats(x->model));
done:
    return st;
}

/* Seconds a step; update: of the optimiser, 0 where there is none, nor a way back. */
static json_t *phases_of(const yk_model *m, double update, int64_t steps)
{
    json_t *phases = json_object();
    const yk_phase *p;
    for (int i = 0; (p = yk_model_phase(m, i)); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s forward", p->name);
        json_object_set_new(phases, name, json_real(p->forward / (double)steps));
        snprintf(name, sizeof name, "%s backward", p->name);
        if (update > 0) json_object_set_new(phases, name, json_real(p->backward / (double)steps));
    }
    if (update > 0) json_object_set_new(phases, "update", json_real(update));
    return phases;
}

static yk_status measure_step(const yk_bench *b, json_t *result, yk_error *err)
{
    yk_status st = YK_OK;
    bench_run x = {0};
    yk_optimiser o = {0};
    double whole[MOST_REPEATS], update[MOST_REPEATS], norm;
    int repeats = b->repeats > 0 && b->repeats < MOST_REPEATS ? (int)b->repeats : REPEATS;
    YK_TRY(load(b, &x, err));
    YK_TRY(prepare(b, &x, x.micro * x.T, true, err));
    const yk_adamw_options adamw = yk_adamw_of(&x.r);
    YK_TRY(yk_optimiser_new(&o, x.model, x.k, &adamw, NULL, err));
    double peak = x.k->peak_flops(&b->team, 0.5), tokens = (double)(x.B * x.T);
    for (int i = -WARM_UP; i < repeats; i++) {
        if (i == 0) yk_model_reset_phases(x.model);
        double began = yk_now();
        YK_TRY(pass(&x, err));
        double passed = yk_now();
        yk_optimiser_step(&o, x.k, &b->team, 1 / tokens, 1e-4, i + WARM_UP + 1, &norm);
        if (i < 0) continue;
        whole[i] = yk_now() - began;
        update[i] = yk_now() - passed;
    }
    peak = fmax(peak, x.k->peak_flops(&b->team, 0.5)); /* threads may not have had their processors at once */
    double seconds = yk_median(whole, repeats), loss = 0, slowest = whole[repeats - 1], fastest = whole[0];
    for (int64_t i = 0; i < x.B * x.T; i++) loss += (double)x.tokens.loss[i] / tokens;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double updated = yk_median(update, repeats);
    json_object_update_new(
        result,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:o, s:f, s:f}", "model",
                  b->model, "precision", b->precision, "batch", (json_int_t)x.B, "seq", (json_int_t)x.T, "micro_batch",
                  (json_int_t)x.micro, "recompute", b->recompute, "parameters",
                  (json_int_t)yk_model_parameters(x.model), "seconds", seconds, "seconds_min", fastest, "seconds_max",
                  slowest, "tokens_per_s", tokens / seconds, "gflops",
                  yk_model_flops_per_token(x.model, x.T) * tokens / seconds / 1e9, "share",
                  yk_model_flops_per_token(x.model, x.T) * tokens / seconds / peak, "peak_memory_mib",
                  (json_int_t)use.ru_maxrss / 1024, "phases",
                  phases_of(x.model, updated, repeats), "loss", loss, "adamw_gbs",
                  UPDATE_BYTES * (double)yk_model_floats(x.model) / updated / 1e9));
done:
    yk_optimiser_free(&o, x.k);
    release(&x);
    return st;
}

static double real_of(const json_t *x, const char *key)
{
    return json_number_value(json_object_get(x, key));
}

static void print_phases(const json_t *r)
{
    const char *name;
    json_t *seconds;
    json_object_foreach(json_object_get(r, "phases"), name, seconds)
        printf("  %-20s %8.2f ms %5.1f%%\n", name, 1e3 * json_real_value(seconds),
               100 * json_real_value(seconds) / real_of(r, "seconds"));
}

static void print_step(const json_t *r)
{
    printf("%s, %s, %.0f x %.0f tokens, %.0f at once: %.1f tokens/s, %.1f%% of peak, %.3f s a step (%.3f to %.3f), "
           "%.0f MiB\n",
           json_string_value(json_object_get(r, "model")), json_string_value(json_object_get(r, "precision")),
           real_of(r, "batch"), real_of(r, "seq"), real_of(r, "micro_batch"), real_of(r, "tokens_per_s"),
           100 * real_of(r, "share"), real_of(r, "seconds"), real_of(r, "seconds_min"), real_of(r, "seconds_max"),
           real_of(r, "peak_memory_mib"));
    print_phases(r);
    printf("  the update moves %.1f GB/s, %.0f%% of what an update in place of plain memory does\n",
           real_of(r, "adamw_gbs"), 100 * real_of(r, "adamw_gbs") / real_of(r, "update_gbs"));
}

const yk_bench_kind yk_bench_step = {"step", measure_step, print_step};

/* The next token of every sequence, the i-th of each; logits[B,V]. Sequence j has rows j T on of the cache. */
static void decode_step(bench_run *x, yk_cache *cache, int32_t i, int32_t *cache_row, int32_t *wanted, float *logits)
{
    int32_t B = (int32_t)x->B, T = (int32_t)x->T, *position = x->tokens.position;
    yk_segment *segment = x->tokens.segment;
    for (int32_t j = 0; j < B; j++) {
        segment[j] = (yk_segment){.query = j, .key = j * T, .first = i, .count = 1, .keys = i + 1, .causal = 1};
        position[j] = i;
        cache_row[j] = j * T + i;
        wanted[j] = j;
    }
    yk_batch batch = {.rows = B, .token = x->tokens.token + i * B, .position = position, .segment = segment,
                      .segments = B};
    yk_model_decode(x->model, cache, &batch, cache_row, wanted, B, logits);
}

/* Sequences of T tokens side by side, token by token, from an empty cache. */
static yk_status measure_decode(const yk_bench *b, json_t *result, yk_error *err)
{
    yk_status st = YK_OK;
    bench_run x = {0};
    yk_cache cache = {0};
    float *logits = NULL;
    int32_t *cache_row = NULL, *wanted = NULL;
    YK_TRY(load(b, &x, err));
    x.B = x.micro = b->batch > 0 ? b->batch : 1;
    YK_TRY(prepare(b, &x, x.B, false, err));
    YK_TRY(yk_cache_new(&cache, x.model, x.B * x.T, err));
    YK_NEW(logits, x.B * x.r.tokenizer_vocab);
    YK_NEW(cache_row, x.B);
    YK_NEW(wanted, x.B);
    YK_TRY(yk_model_pack(x.model, false, err));
    double began = yk_now();
    for (int32_t i = 0; i < x.T; i++) decode_step(&x, &cache, i, cache_row, wanted, logits);
    double seconds = (yk_now() - began) / (double)x.T;
    json_object_update_new(result, json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:o}", "model", b->model, "precision",
                                             b->precision, "batch", (json_int_t)x.B, "seq", (json_int_t)x.T, "seconds",
                                             seconds, "tokens_per_s", (double)x.B / seconds, "phases",
                                             phases_of(x.model, 0, x.T)));
done:
    free(logits);
    free(cache_row);
    free(wanted);
    if (x.model) yk_cache_free(&cache, x.model);
    release(&x);
    return st;
}

static void print_decode(const json_t *r)
{
    printf("%s, %s: %.1f tokens/s over %.0f x %.0f tokens, %.0f at once\n",
           json_string_value(json_object_get(r, "model")), json_string_value(json_object_get(r, "precision")),
           real_of(r, "tokens_per_s"), real_of(r, "batch"), real_of(r, "seq"), real_of(r, "batch"));
    print_phases(r);
}

const yk_bench_kind yk_bench_decode = {"decode", measure_decode, print_decode};
