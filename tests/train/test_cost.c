/* The model of a step's costs against sums by hand, and what is recommended with it. */
#include "train/advice.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A million weights without a second gradient, a token of 6 million FLOPs. */
static const yk_load load = {.tokens = 8192, .rows = 1024, .passes = 1, .products = 6e6, .floats = 1e6,
                             .gradients = 1e6, .lanes = 8, .outer = 1};
static const yk_cluster cluster = {.nodes = 1, .ranks = 1, .flops = 1e11, .plain = 1e11, .memory = 1e10, .shared = 4e10,
                                   .network = 1.25e8, .latency = 1e-5, .pace = 1};

static yk_cost cost(int64_t nodes, int64_t ranks, int64_t zero, int64_t outer)
{
    yk_cluster c = cluster;
    yk_load l = load;
    c.nodes = nodes, c.ranks = ranks;
    l.zero = zero, l.outer = outer;
    return yk_cost_of(&c, &l);
}

static void near(double found, double wanted)
{
    if (!(fabs(found - wanted) <= 1e-9 * fabs(wanted))) fail_msg("%.12g, wanted %.12g", found, wanted);
}

static void bytes_that_a_rank_sends(void **state)
{
    (void)state;
    near(cost(1, 1, 0, 1).sent, 0);
    for (int64_t nodes = 1; nodes <= 8; nodes *= 2) { /* wherever they are */
        near(cost(nodes, 8 / nodes, 0, 1).sent, 7.0 / 8 * 8e6);
        near(cost(nodes, 8 / nodes, 1, 1).sent, 7.0 / 8 * 8e6);
        near(cost(nodes, 8 / nodes, 2, 1).sent, 7.0 / 8 * 8e6);
    }
    near(cost(2, 1, 2, 1).sent, 1.0 / 2 * (4 * 4e6 + 4e6)); /* four lanes a rank */
    near(cost(2, 1, 3, 1).sent, 1.0 / 2 * (4 * 4e6 + 2 * 4 * 4e6));
    near(cost(4, 1, 0, 10).sent, 3.0 / 4 * 8e6 / 10);
}

static void seconds_of_each_part(void **state)
{
    (void)state;
    const yk_cost one = cost(1, 1, 0, 1), four = cost(4, 1, 1, 1), same = cost(1, 4, 1, 1);
    near(one.passes, 8192 * 6e6 / 0.92 / 1e11 + 8 * 8e6 / 1e10);
    near(one.update, (36e6 + 16e6 + 7 * 24e6) / 1e10);
    near(one.network + one.node, 0);
    near(four.passes, one.passes / 4);
    near(four.update, (36e6 / 4 + 4e6 + 16e6 + 24e6) / 1e10);
    const double buckets = 3.0 / 4 * 8e6 / (4.0 * YK_MESSAGE_FLOATS) + 2 * 2;
    near(four.network, 3.0 / 4 * 8e6 / (0.94 * 1.25e8) + 3 * 1e-5 * buckets + 6 * 2 * 1e-5);
    near(same.node, (5 * 3.0 / 4 * 4e6 + 2 * 4e6) / 1e10);
    near(same.network, 0);
    near(same.seconds, same.passes + same.update + same.node);
    const yk_cost crowded = cost(1, 8, 1, 1);
    near(crowded.node, (5 * 7.0 / 8 * 4e6 + 2 * 4e6) / 5e9); /* eight share what memory gives to four */
    assert_true(cost(4, 1, 0, 10).network < cost(4, 1, 0, 1).network / 9);
}

static void plan_for(yk_planning *p, yk_recipe *r, const yk_kernels **k, int64_t room)
{
    static const char *const set[] = {"model.width=256", "model.layers=6", "tokenizer.vocab=4096", "pretrain.seq=256",
                                      "pretrain.batch=32", "lanes=8"};
    yk_error err;
    if (yk_recipe_load(r, NULL, set, sizeof set / sizeof *set, &err) != YK_OK) fail_msg("%s", err.text);
    *k = yk_kernels_at(0, YK_FP32);
    *p = (yk_planning){.r = r, .vocab = 4096, .cluster = cluster, .room = room, .outer = 1, .k = *k,
                       .team = {.threads = 1}};
    p->cluster.nodes = 4, p->cluster.ranks = 2;
}

static void recommends_what_fits(void **state)
{
    (void)state;
    yk_recipe r;
    yk_planning p;
    yk_advice a, tight, none;
    yk_error err;
    const yk_kernels *k;
    plan_for(&p, &r, &k, INT64_MAX);
    assert_int_equal(yk_advise(&a, &p, &err), YK_OK);
    assert_true(a.best.fits && a.best.lanes == 8 && strcmp(a.best.with.recompute, "none") == 0);
    assert_non_null(strstr(a.zero, "2: "));
    p.room = a.best.needs.total * 2 - 1;
    assert_int_equal(yk_advise(&tight, &p, &err), YK_OK);
    assert_true(tight.best.fits && tight.best.cost.seconds >= 0.99 * a.best.cost.seconds);
    assert_true(tight.best.needs.total * 2 <= p.room);
    p.room = 1 << 20;
    assert_int_equal(yk_advise(&none, &p, &err), YK_OK);
    assert_true(!none.best.fits && none.best.needs.total < tight.best.needs.total);
    assert_non_null(strstr(none.recompute, "none: does not fit"));
    yk_recipe_free(&r);
}

static void computing_again_costs_time(void **state)
{
    (void)state;
    yk_recipe r;
    yk_planning p;
    yk_error err;
    yk_option o;
    const yk_kernels *k;
    double last = 0;
    plan_for(&p, &r, &k, INT64_MAX);
    for (int i = 0; i < 3; i++) { /* none, attention, block */
        const yk_setting with = {yk_recompute_policies[i], 4, 0};
        assert_int_equal(yk_option_price(&o, &p, &p.cluster, &with, 8, &err), YK_OK);
        assert_true(o.cost.passes > last && (i == 0 || o.cost.passes < 1.4 * last));
        last = o.cost.passes;
    }
    yk_recipe_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_a_rank_sends),
        cmocka_unit_test(seconds_of_each_part),
        cmocka_unit_test(recommends_what_fits),
        cmocka_unit_test(computing_again_costs_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
