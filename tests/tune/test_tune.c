/* The search: rungs and promotions by hand, the sampler against chance, and whole searches cut and damaged. */
#include "base/file.h"
#include "base/log.h"
#include "data/shard.h"
#include "text/clean.h"
#include "tune/halving.h"
#include "tune/sampler.h"
#include "tune/tune.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static yk_error err;

static void next_is(const yk_halving *h, int64_t trial, int64_t rung)
{
    int64_t t = -9, k = -9;
    assert_true(yk_halving_next(h, &t, &k));
    if (t != trial || k != rung)
        fail_msg("trial %lld to rung %lld instead of %lld to %lld", (long long)t, (long long)k, (long long)trial,
                 (long long)rung);
}

static void rungs(void **state)
{
    (void)state;
    yk_halving h;
    assert_int_equal(yk_halving_new(&h, 9, 3, 3, &err), YK_OK);
    assert_int_equal(yk_halving_step(&h, 360, 0), 40);
    assert_int_equal(yk_halving_step(&h, 360, 1), 120);
    assert_int_equal(yk_halving_step(&h, 360, 2), 360);
    assert_int_equal(yk_halving_step(&h, 100, 0), 12);
    assert_int_equal(yk_halving_step(&h, 100, 1), 34);
    assert_int_equal(yk_halving_step(&h, INT64_C(9007199254740991), 2), INT64_C(9007199254740991));
    yk_halving_free(&h);
}

/* One in two goes on. */
static void promotions(void **state)
{
    (void)state;
    yk_halving h;
    int64_t t, k;
    assert_int_equal(yk_halving_new(&h, 4, 3, 2, &err), YK_OK);
    assert_int_equal(yk_halving_best(&h), -1);
    next_is(&h, 0, 0);
    *yk_halving_score(&h, 0, 0) = 5;
    next_is(&h, 1, 0); /* half of one is none */
    *yk_halving_score(&h, 1, 0) = 6;
    next_is(&h, 0, 1);
    *yk_halving_score(&h, 0, 1) = 4;
    next_is(&h, 2, 0);
    *yk_halving_score(&h, 2, 0) = 5; /* equal: the earlier is the better, and has gone on */
    next_is(&h, 3, 0);
    assert_false(yk_halving_dropped(&h, 2));
    assert_true(yk_halving_dropped(&h, 1)); /* two of four can go on, two are better */
    *yk_halving_score(&h, 3, 0) = INFINITY;
    assert_true(yk_halving_dropped(&h, 3));
    next_is(&h, 2, 1);
    *yk_halving_score(&h, 2, 1) = 3;
    next_is(&h, 2, 2);
    assert_int_equal(yk_halving_best(&h), -1);
    *yk_halving_score(&h, 2, 2) = 2;
    assert_false(yk_halving_next(&h, &t, &k));
    assert_int_equal(yk_halving_best(&h), 2);
    assert_false(yk_halving_dropped(&h, 2));
    yk_halving_free(&h);
}

/* Fewer trials than it takes to fill the rungs: the best goes on to the end all the same. */
static void few_trials(void **state)
{
    (void)state;
    yk_halving h;
    int64_t t, k;
    assert_int_equal(yk_halving_new(&h, 2, 3, 4, &err), YK_OK);
    *yk_halving_score(&h, 0, 0) = 2;
    *yk_halving_score(&h, 1, 0) = 1;
    next_is(&h, 1, 1);
    *yk_halving_score(&h, 1, 1) = 1;
    next_is(&h, 1, 2);
    *yk_halving_score(&h, 1, 2) = 1;
    assert_false(yk_halving_next(&h, &t, &k));
    *yk_halving_score(&h, 1, 2) = INFINITY; /* diverged late: the next goes on in its place */
    next_is(&h, 0, 1);
    *yk_halving_score(&h, 0, 1) = INFINITY;
    assert_false(yk_halving_next(&h, &t, &k));
    assert_int_equal(yk_halving_best(&h), -1);
    yk_halving_free(&h);
    assert_int_equal(yk_halving_new(&h, 1, 1, 4, &err), YK_OK);
    *yk_halving_score(&h, 0, 0) = INFINITY;
    assert_false(yk_halving_next(&h, &t, &k));
    assert_int_equal(yk_halving_best(&h), -1);
    yk_halving_free(&h);
}

enum { KEYS = 3, TRIALS = 40 };
static const int64_t choices[KEYS] = {0, 0, 4};

/* Smallest, 0, at (0.31, 0.74, 2). */
static double bowl(const double at[KEYS])
{
    double x = at[0] - 0.31, y = at[1] - 0.74;
    return x * x + y * y + (at[2] == 2 ? 0 : 0.2);
}

/* The lowest value of the function in TRIALS trials; with startup = TRIALS that is chance. */
static double search_bowl(uint64_t seed, int64_t startup, double at[TRIALS][KEYS])
{
    yk_tpe t = {.seed = seed, .startup = startup, .good_share = 0.15, .candidates = 8, .keys = KEYS,
                .choices = choices};
    yk_seen seen[TRIALS];
    double best = INFINITY;
    for (int64_t i = 0; i < TRIALS; i++) {
        assert_int_equal(yk_tpe_propose(&t, seen, i, i, at[i], &err), YK_OK);
        for (int k = 0; k < KEYS; k++) {
            assert_true(at[i][k] >= 0 && at[i][k] <= (choices[k] ? (double)choices[k] - 1 : 1));
            assert_true(!choices[k] || at[i][k] == floor(at[i][k]));
        }
        seen[i] = (yk_seen){at[i], 0, bowl(at[i])};
        best = fmin(best, seen[i].score);
    }
    return best;
}

static void better_than_chance(void **state)
{
    (void)state;
    enum { SEEDS = 40 };
    double at[TRIALS][KEYS], mean = 0, chance = 0;
    int wins = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        double a = search_bowl(seed, 8, at), b = search_bowl(seed, TRIALS, at);
        mean += a / SEEDS;
        chance += b / SEEDS;
        wins += a < b;
    }
    print_message("lowest of %d trials, mean of %d seeds: %.5f; by chance %.5f; better in %d\n", TRIALS, SEEDS, mean,
                  chance,
                  wins);
    assert_true(2 * mean < chance && wins > 3 * SEEDS / 4);
}

static void same_proposals(void **state)
{
    (void)state;
    double a[TRIALS][KEYS], b[TRIALS][KEYS];
    search_bowl(7, 8, a);
    search_bowl(7, 8, b);
    assert_memory_equal(a, b, sizeof a);
    search_bowl(8, 8, b);
    assert_memory_not_equal(a, b, sizeof a);
    for (int k = 0; k < 2; k++) { /* the first trials are spread: one in each eighth */
        int parts = 0;
        for (int i = 0; i < 8; i++) parts |= 1 << (int)(8 * a[i][k]);
        assert_int_equal(parts, 255);
    }
}

/* Trials at one point, at the ends, without a finite score, and at different rungs. */
static void odd_histories(void **state)
{
    (void)state;
    double same[KEYS] = {0.5, 0.5, 1}, ends[2][KEYS] = {{0, 0, 0}, {1, 1, 3}}, at[KEYS];
    yk_tpe t = {.seed = 1, .startup = 1, .good_share = 0.9, .candidates = 50, .keys = KEYS, .choices = choices};
    yk_seen seen[500];
    for (int64_t n = 2; n < 500; n += n < 20 ? 1 : 97) {
        for (int64_t i = 0; i < n; i++) seen[i] = (yk_seen){n % 2 ? same : ends[i % 2], i % 3, i % 4 ? INFINITY : 1};
        assert_int_equal(yk_tpe_propose(&t, seen, n, n, at, &err), YK_OK);
        for (int k = 0; k < KEYS; k++) assert_true(at[k] >= 0 && at[k] <= (choices[k] ? 3 : 1));
    }
}

/* --- whole searches -------------------------------------------------------------------------------- */

static const char recipe_text[] =
    "stages: [clean, tokenizer, tune]\nsize: 100k\nseed: 3\ncorpus: [{domain: sums, generate: 300}]\n"
    "tokenizer: {vocab: 300}\nmodel: {width: 32, layers: 1, heads: 2, kv_heads: 1, head_size: 16, ffn: 64}\n"
    "pretrain: {seq: 32, batch: 4, steps: 18, eval_tokens: 500, checkpoint_every: 4}\n"
    "tuning: {trials: 5, rungs: 3, factor: 2, startup: 2}\n"
    "tune:\n- {key: pretrain.lr, scale: log, low: 1e-4, high: 1e-1}\n- {key: pretrain.beta2, low: 0.9, high: 0.99}\n"
    "- {key: pretrain.schedule, scale: choice, values: [wsd, cosine]}\n";

typedef struct world {
    char dir[64], recipe[96];
    yk_buf trials, best; /* of a search that was left alone */
} world;

static void remove_tree(const char *dir)
{
    char *command = yk_path("rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    free(command);
}

/* Cleans and tokenizes into <dir>/<run> when it is new. */
static void make_run(const world *w, const char *run)
{
    char *command = yk_path("mkdir '%s/%s' && cp -r '%s/data' '%s/tokenizer' '%s/%s/'", w->dir, run, w->dir, w->dir,
                            w->dir,
                            run);
    assert_int_equal(system(command), 0);
    free(command);
}

static yk_status search(const world *w, const char *run, const char *set, int threads, double seconds, bool *finished)
{
    yk_recipe r;
    yk_team team;
    sig_atomic_t stop = 0;
    char *dir = yk_path("%s/%s", w->dir, run);
    assert_int_equal(yk_recipe_load(&r, w->recipe, &set, set != NULL, &err), YK_OK);
    assert_int_equal(yk_team_make(&team, threads, &err), YK_OK);
    yk_job job = {.recipe = &r, .dir = dir, .team = &team, .stop = &stop, .summary = json_object(),
                  .deadline = seconds > 0 ? yk_now() + seconds : 0};
    yk_status st = yk_tune_stage(&job, finished, &err);
    if (st == YK_OK && *finished) assert_true(json_is_object(json_object_get(job.summary, "tune")));
    json_decref(job.summary);
    yk_recipe_free(&r);
    free(dir);
    return st;
}

static void read_text(const world *w, const char *run, const char *file, yk_buf *out)
{
    char *path = yk_path("%s/%s/tune/%s", w->dir, run, file);
    yk_buf_clear(out);
    assert_int_equal(yk_file_read(path, out, &err), YK_OK);
    free(path);
}

/* trials.jsonl in the order of trials and steps, without the times; best.yaml without the places of its values. */
static void read_outcome(const world *w, const char *run, yk_buf *trials, yk_buf *best)
{
    char *command = yk_path("cd '%s/%s/tune' && sed 's/,\"seconds.*//' trials.jsonl | sort -u >sorted && "
                            "sed 's/  *#.*//' best.yaml >plain", w->dir, run);
    assert_int_equal(system(command), 0);
    read_text(w, run, "sorted", trials);
    read_text(w, run, "plain", best);
    free(command);
}

static void same_outcome(const world *w, const char *run)
{
    yk_buf trials = {0}, best = {0};
    read_outcome(w, run, &trials, &best);
    assert_string_equal(trials.data, w->trials.data);
    assert_string_equal(best.data, w->best.data);
    yk_buf_free(&trials);
    yk_buf_free(&best);
}

static int make_world(void **state)
{
    world *w = calloc(1, sizeof *w);
    yk_recipe r;
    yk_team team;
    sig_atomic_t stop = 0;
    bool finished;
    strcpy(w->dir, "/tmp/yoke-tune-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->recipe, sizeof w->recipe, "%s/r.yaml", w->dir);
    assert_int_equal(yk_file_write(w->recipe, recipe_text, strlen(recipe_text), &err), YK_OK);
    if (yk_recipe_load(&r, w->recipe, NULL, 0, &err) != YK_OK) fail_msg("%s", err.text);
    assert_int_equal(yk_team_make(&team, 2, &err), YK_OK);
    yk_job job = {.recipe = &r, .dir = w->dir, .team = &team, .stop = &stop, .summary = json_object()};
    assert_int_equal(yk_clean_stage(&job, &finished, &err), YK_OK);
    assert_int_equal(yk_tokenizer_stage(&job, &finished, &err), YK_OK);
    json_decref(job.summary);
    yk_recipe_free(&r);
    make_run(w, "alone");
    if (search(w, "alone", NULL, 2, 0, &finished) != YK_OK) fail_msg("%s", err.text);
    assert_true(finished);
    read_outcome(w, "alone", &w->trials, &w->best);
    *state = w;
    return 0;
}

static int remove_world(void **state)
{
    world *w = *state;
    remove_tree(w->dir);
    yk_buf_free(&w->trials);
    yk_buf_free(&w->best);
    free(w);
    return 0;
}

static void any_threads(void **state)
{
    const world *w = *state;
    bool finished;
    make_run(w, "single");
    assert_int_equal(search(w, "single", NULL, 1, 0, &finished), YK_OK);
    same_outcome(w, "single");
}

/* Ended again and again after a moment, as by max_hours; each time the trial that was cut goes on. */
static void cut_short(void **state)
{
    const world *w = *state;
    bool finished = false;
    int times = 0;
    make_run(w, "short");
    for (; !finished; times++) {
        assert_true(times < 200);
        if (search(w, "short", NULL, 2, 0.3, &finished) != YK_OK) fail_msg("%s", err.text);
    }
    assert_true(times > 1);
    same_outcome(w, "short");
}

/* The record cut at any byte or damaged, the trials' checkpoints as they are: the search comes to the same end. */
static void damaged_record(void **state)
{
    const world *w = *state;
    yk_buf text = {0};
    bool finished;
    char *path = yk_path("%s/alone/tune/trials.jsonl", w->dir);
    assert_int_equal(yk_file_read(path, &text, &err), YK_OK);
    char *second = strchr(text.data, '\n') + 1;
    const size_t cuts[] = {0, (size_t)(second - text.data) / 2, text.len / 2, text.len - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(yk_file_write(path, text.data, cuts[i], &err), YK_OK);
        if (search(w, "alone", NULL, 2, 0, &finished) != YK_OK) fail_msg("%s", err.text);
        same_outcome(w, "alone");
    }
    memset(second + 3, '#', 20);
    assert_int_equal(yk_file_write(path, text.data, text.len, &err), YK_OK);
    assert_int_equal(search(w, "alone", NULL, 2, 0, &finished), YK_OK);
    same_outcome(w, "alone");
    yk_buf_free(&text);
    free(path);
}

/* Of the trials only the winner keeps a checkpoint; all keep their metrics. */
static void what_is_left(void **state)
{
    const world *w = *state;
    char *command = yk_path("cd '%s/alone/tune' && test $(ls -d trial-*/checkpoints | wc -l) = 1 && "
                            "test $(ls trial-*/metrics.jsonl | wc -l) = 5", w->dir);
    assert_int_equal(system(command), 0);
    free(command);
    yk_recipe r;
    char *path = yk_path("%s/alone/tune/best.yaml", w->dir);
    if (yk_recipe_load(&r, path, NULL, 0, &err) != YK_OK) fail_msg("%s", err.text);
    assert_int_equal(r.tuned, 0);
    assert_int_equal(r.stages.n, 3);
    assert_string_equal(r.stages.item[2], "pretrain");
    yk_recipe_free(&r);
    free(path);
}

static void another_search(void **state)
{
    const world *w = *state;
    bool finished;
    assert_int_equal(search(w, "alone", "pretrain.clip=2", 2, 0, &finished), YK_ERR_SHAPE);
    assert_non_null(strstr(err.text, "trials.jsonl: holds trials of another recipe or corpus; remove its folder"));
    make_run(w, "hot");
    if (search(w, "hot", "tune=[{key: pretrain.lr, low: 9, high: 10}]", 2, 0, &finished) == YK_ERR_NUMERIC)
        assert_non_null(strstr(err.text, "all trials diverged"));
}

/* More trials than before: those that are recorded are not trained again. */
static void more_trials(void **state)
{
    const world *w = *state;
    bool finished;
    yk_buf before = {0}, after = {0};
    read_text(w, "alone", "trials.jsonl", &before);
    assert_int_equal(search(w, "alone", "tuning.trials=6", 2, 0, &finished), YK_OK);
    read_text(w, "alone", "trials.jsonl", &after);
    assert_true(after.len > before.len);
    assert_memory_equal(after.data, before.data, before.len);
    yk_buf_free(&before);
    yk_buf_free(&after);
}

int main(void)
{
    const struct CMUnitTest parts[] = {
        cmocka_unit_test(rungs),          cmocka_unit_test(promotions),     cmocka_unit_test(few_trials),
        cmocka_unit_test(better_than_chance), cmocka_unit_test(same_proposals), cmocka_unit_test(odd_histories),
    };
    const struct CMUnitTest searches[] = {
        cmocka_unit_test(what_is_left),   cmocka_unit_test(any_threads),    cmocka_unit_test(cut_short),
        cmocka_unit_test(damaged_record), cmocka_unit_test(another_search), cmocka_unit_test(more_trials),
    };
    int failed = cmocka_run_group_tests(parts, NULL, NULL);
    return failed + cmocka_run_group_tests(searches, make_world, remove_world);
}
