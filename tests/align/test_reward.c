/* The objective of a reward model: its gradient, and what may not change its bits. */
#include "slopes.h"

#include "align/bradley_terry.h"

enum { PAIRS = ANSWERS / 2 };

/* Answers in pairs of which the first is said to be better. */
typedef struct world {
    made_answers m;
    yk_sequence side[ANSWERS]; /* those of the answers, not copied */
    double margin[PAIRS];
    yk_pair_course x;
    yk_bradley_terry objective;
} world;

static void world_open(world *w, int64_t rows, int threads, double rate, int64_t batch, const char *const *more)
{
    yk_error err;
    int count;
    *w = (world){.objective = {&w->x, 0.8}};
    made_answers_open(&w->m, &(yk_session_options){.rows = rows, .training = true, .score = true}, threads, more);
    const yk_rng rng = yk_rng_make(6, YK_STREAM_TEST, 1);
    const yk_param *p = yk_model_params(w->m.x.s.model, &count);
    for (int i = 0; i < count; i++)
        for (int64_t j = 0; strcmp(p[i].name, YK_SCORE_NAME) == 0 && j < p[i].count; j++)
            yk_model_weights(w->m.x.s.model)[p[i].offset + j] = 0.3f * (float)yk_rng_normal(&rng, (uint64_t)j);
    yk_model_weights_changed(w->m.x.s.model);
    for (int i = 0; i < ANSWERS; i++) w->side[i] = w->m.r.item[i].sequence;
    for (int i = 0; i < PAIRS; i++) w->margin[i] = (double)(i % 3);
    w->x.o.batch = batch;
    w->x.train = (yk_pairs){.sequence = w->side, .margin = w->margin, .n = PAIRS};
    must(yk_deal_new(&w->x.deal, 3, YK_DEAL_REWARD, PAIRS, &err), &err);
    made_learner_open(&w->x.l, &w->m, NULL, rate);
}

static void world_close(world *w)
{
    yk_learner_close(&w->x.l);
    yk_deal_free(&w->x.deal);
    made_answers_close(&w->m);
}

static const yk_objective *objective_of(world *w, yk_objective *o)
{
    *o = (yk_objective){true, yk_bradley_terry_weigh, &w->objective};
    return o;
}

static double total_loss(const void *context)
{
    const world *w = context;
    yk_error err;
    float **score;
    double sum = 0;
    must(yk_rollouts_rows(&w->m.r, &score, &err), &err);
    must(yk_rollouts_score(&w->m.r, (yk_session *)&w->m.x.s, score, &err), &err);
    for (int i = 0; i < PAIRS; i++) {
        const double chosen = (double)score[2 * i][w->side[2 * i].ids.n - 1];
        const double rejected = (double)score[2 * i + 1][w->side[2 * i + 1].ids.n - 1];
        sum += log1p(exp(-(chosen - rejected - 0.8 * w->margin[i])));
    }
    free(score);
    return sum;
}

static void gradients_match_finite_differences(void **state)
{
    (void)state;
    world w;
    yk_objective o;
    yk_error err;
    world_open(&w, 200, 1, 0, PAIRS, (const char *const[]){"model.init_std=0.1", NULL});
    w.x.l.optimiser.o.clip = 0;
    const double before = total_loss(&w);
    must(yk_pair_course_step(&w.x, objective_of(&w, &o), &err), &err);
    assert_true(fabs(w.x.l.loss * PAIRS - before) < 1e-4);
    compare_slopes(&(descent){&w.x.l, PAIRS, total_loss, &w});
    world_close(&w);
}

/* Few rows a pass or many, threads and sets. */
static void bits_do_not_depend_on_the_micro_batch(void **state)
{
    (void)state;
    static const int64_t rows[] = {1200, 130, 260, 200};
    static const char *const kinds[][3] = {{"precision=fp32", NULL}, {"precision=bf16", "lanes=2", NULL}};
    for (int kind = 0; kind < 2; kind++) {
        char digest[4][33];
        for (int way = 0; way < 4; way++) {
            world w;
            yk_objective o;
            yk_error err;
            setenv("YOKE_ISA", way == 3 ? "portable" : "", 1);
            world_open(&w, rows[way], way % 3 + 1, 1e-2, 8, kinds[kind]);
            unsetenv("YOKE_ISA");
            for (int step = 0; step < 3; step++) must(yk_pair_course_step(&w.x, objective_of(&w, &o), &err), &err);
            yk_learner_digest(&w.x.l, digest[way], &err);
            world_close(&w);
            assert_string_equal(digest[way], digest[0]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_match_finite_differences),
                                       cmocka_unit_test(bits_do_not_depend_on_the_micro_batch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
