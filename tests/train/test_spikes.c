/* What is a spike, what is done about it, and that a state that was saved decides as the one that goes on. */
#include "train/spikes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static yk_spikes make(double factor, int64_t window, bool rolls_back, int64_t give_up_after)
{
    yk_spikes s;
    yk_error err;
    const yk_spikes_options o = {factor, window, rolls_back, give_up_after};
    assert_int_equal(yk_spikes_new(&s, &o, &err), YK_OK);
    return s;
}

static bool is_spike(const yk_spikes *s, double loss, double norm)
{
    return norm > yk_spikes_most_norm(s, loss);
}

static void no_factor_judges_nothing(void **state)
{
    (void)state;
    yk_spikes s = make(0, 0, false, 3);
    for (int i = 0; i < 100; i++) yk_spikes_good(&s, 1, 1);
    assert_false(is_spike(&s, 1e300, 1e300));
    yk_spikes_free(&s);
}

static void a_spike_is_above_the_median_of_a_full_window(void **state)
{
    (void)state;
    static const double loss[] = {5, 1, 9, 3, 7};
    yk_spikes s = make(2, 5, false, 3);
    for (int i = 0; i < 5; i++) {
        assert_false(is_spike(&s, 1e9, 1e9));
        yk_spikes_good(&s, loss[i], 1);
    }
    assert_true(s.loss_limit == 10 && s.norm_limit == 2); /* of 1 3 5 7 9 */
    assert_false(is_spike(&s, 10, 2));
    assert_true(is_spike(&s, 10.001, 1));
    assert_true(is_spike(&s, 1, 2.001));
    yk_spikes_good(&s, 1, 1); /* 5 leaves: 1 1 3 7 9 */
    assert_true(s.loss_limit == 6);
    yk_spikes_free(&s);
}

static void remedies(void **state)
{
    (void)state;
    yk_spikes s = make(0, 0, false, 3);
    assert_int_equal(yk_spikes_bad(&s), YK_REMEDY_SKIP);
    assert_int_equal(yk_spikes_bad(&s), YK_REMEDY_SKIP);
    yk_spikes_good(&s, 1, 1);
    assert_int_equal(yk_spikes_bad(&s), YK_REMEDY_SKIP);
    assert_int_equal(yk_spikes_bad(&s), YK_REMEDY_SKIP);
    assert_int_equal(yk_spikes_bad(&s), YK_REMEDY_GIVE_UP);
    yk_spikes_free(&s);
    s = make(2, 4, true, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(yk_spikes_bad(&s), YK_REMEDY_ROLL_BACK);
        yk_spikes_good(&s, 1, 1);
    }
    assert_int_equal(yk_spikes_bad(&s), YK_REMEDY_GIVE_UP);
    yk_spikes_free(&s);
}

/* At every step a copy goes on from what the state wrote, by way of text. */
static void a_saved_state_decides_alike(void **state)
{
    (void)state;
    yk_error err;
    yk_spikes s = make(1.1, 7, true, 9);
    for (int i = 0; i < 30; i++) {
        const double loss = 2 + sin(1.7 * i) / 3, norm = exp(cos(2.3 * i));
        yk_spikes copy = make(1.1, 7, true, 9);
        json_t *j = yk_spikes_json(&s);
        char *text = json_dumps(j, JSON_COMPACT);
        json_t *again = json_loads(text, 0, NULL);
        assert_int_equal(yk_spikes_take(&copy, again, &err), YK_OK);
        assert_memory_equal(&copy.loss_limit, &s.loss_limit, sizeof s.loss_limit);
        assert_memory_equal(&copy.norm_limit, &s.norm_limit, sizeof s.norm_limit);
        assert_true(copy.seen == s.seen && copy.in_a_row == s.in_a_row && copy.rollbacks == s.rollbacks);
        if (is_spike(&s, loss, norm)) yk_spikes_bad(&s);
        else yk_spikes_good(&s, loss, norm);
        free(text);
        json_decref(j);
        json_decref(again);
        yk_spikes_free(&copy);
    }
    assert_true(s.seen > 7 && s.rollbacks > 0);
    yk_spikes_free(&s);
}

static void a_state_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    yk_error err;
    yk_spikes s = make(2, 3, false, 3);
    static const char *const bad[] = {
        "{\"seen\": 2, \"loss\": [1], \"norm\": [1, 2]}", "{\"seen\": 1, \"loss\": [\"x\"], \"norm\": [1]}",
        "{\"seen\": -1, \"loss\": [], \"norm\": []}", "{\"seen\": 9, \"loss\": [1, 2, 3, 4], \"norm\": [1, 2, 3]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *j = json_loads(bad[i], 0, NULL);
        assert_non_null(j);
        assert_int_equal(yk_spikes_take(&s, j, &err), YK_ERR_DAMAGED);
        json_decref(j);
    }
    assert_int_equal(yk_spikes_take(&s, NULL, &err), YK_OK);
    assert_int_equal(s.seen, 0);
    yk_spikes_free(&s);
}

static void where_a_rollback_goes(void **state)
{
    (void)state;
    assert_int_equal(yk_spikes_target(105, 10, 20), 80);
    assert_int_equal(yk_spikes_target(110, 10, 20), 100);
    assert_int_equal(yk_spikes_target(21, 1, 20), 20);
    assert_int_equal(yk_spikes_target(20, 1, 20), 0);
    assert_int_equal(yk_spikes_target(5, 10, 20), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_factor_judges_nothing),
        cmocka_unit_test(a_spike_is_above_the_median_of_a_full_window),
        cmocka_unit_test(remedies),
        cmocka_unit_test(a_saved_state_decides_alike),
        cmocka_unit_test(a_state_that_does_not_fit_is_refused),
        cmocka_unit_test(where_a_rollback_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
