/* The loss scale: when it is dynamic, how it falls and grows, and where it ends. */
#include "train/loss_scale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static yk_loss_scale of(const char *precision, int64_t fixed)
{
    return yk_loss_scale_of(&(yk_recipe){.precision = (char *)(uintptr_t)precision, .pretrain_loss_scale = fixed,
                                         .pretrain_loss_scale_every = 3});
}

static void fixed_unless_fp16(void **state)
{
    (void)state;
    static const char *const precision[] = {"fp32", "bf16", "fp16"};
    for (int p = 0; p < 3; p++) {
        yk_loss_scale chosen = of(precision[p], 0), given = of(precision[p], 64);
        assert_true(chosen.value == (p == 2 ? YK_LOSS_SCALE_START : 1));
        assert_true(given.value == 64);
        for (int i = 0; i < 10; i++) yk_loss_scale_good(&given);
        assert_false(yk_loss_scale_overflow(&given));
        assert_true(given.value == 64);
    }
}

static void grows_after_good_steps_in_a_row(void **state)
{
    (void)state;
    yk_loss_scale s = of("fp16", 0);
    yk_loss_scale_good(&s);
    yk_loss_scale_good(&s);
    assert_true(yk_loss_scale_overflow(&s));
    assert_true(s.value == YK_LOSS_SCALE_START / 2);
    yk_loss_scale_good(&s);
    yk_loss_scale_good(&s);
    assert_true(s.value == YK_LOSS_SCALE_START / 2);
    yk_loss_scale_good(&s);
    assert_true(s.value == YK_LOSS_SCALE_START);
    for (int i = 0; i < 100; i++) yk_loss_scale_good(&s);
    assert_true(s.value == YK_LOSS_SCALE_MOST);
}

static void blames_no_scale_of_one(void **state)
{
    (void)state;
    yk_loss_scale s = of("fp16", 0);
    int halved = 0;
    while (yk_loss_scale_overflow(&s)) halved++;
    assert_int_equal(1 << halved, YK_LOSS_SCALE_START);
    assert_true(s.value == 1);
    for (int i = 0; i < 3; i++) yk_loss_scale_good(&s);
    assert_true(s.value == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_unless_fp16),
        cmocka_unit_test(grows_after_good_steps_in_a_row),
        cmocka_unit_test(blames_no_scale_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
