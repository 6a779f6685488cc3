/* The losses of alignment: their slopes by differences, their values by direct definition. */
#include "align/gae.h"
#include "align/losses.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { STEPS = 7 };

static const double places[] = {-40, -3.1, -1.2, -0.3, -0.05, 0, 0.07, 0.4, 1.3, 2.9, 41};
enum { PLACES = sizeof places / sizeof *places };

static void near(double found, double wanted, double tolerance)
{
    if (!(fabs(found - wanted) <= tolerance * (1 + fabs(wanted)))) fail_msg("found %.12g, wanted %.12g", found, wanted);
}

static void preferences(void **state)
{
    (void)state;
    const double h = 1e-5;
    for (int i = 0; i < PLACES; i++) {
        double x = places[i];
        yk_slope d = yk_preference_loss(x);
        near(d.loss, x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x, 1e-12);
        near(d.slope, (yk_preference_loss(x + h).loss - yk_preference_loss(x - h).loss) / (2 * h), 1e-6);
    }
}

/* Away from the corners the slope is that of the value; the clip takes it where it must, and only there. */
static void policies(void **state)
{
    (void)state;
    const double h = 1e-6, old = -1.5;
    for (int i = 1; i < PLACES - 1; i++)
        for (double advantage = -2; advantage <= 2; advantage += 0.5) {
            double logp = old + places[i], ratio = exp(places[i]), low = 0.2, high = 0.3;
            double within = fmin(fmax(ratio, 1 - low), 1 + high);
            yk_slope d = yk_policy_loss(logp, old, advantage, low, high);
            near(d.loss, -fmin(ratio * advantage, within * advantage), 1e-12);
            double up = yk_policy_loss(logp + h, old, advantage, low, high).loss;
            double down = yk_policy_loss(logp - h, old, advantage, low, high).loss;
            near(d.slope, (up - down) / (2 * h), 1e-6);
            assert_int_equal(d.clipped, (advantage > 0 && ratio > 1 + high) || (advantage < 0 && ratio < 1 - low));
        }
    yk_slope first = yk_policy_loss(old, old, 1.7, 0.2, 0.2); /* before any update the ratio is 1 */
    assert_true(first.loss == -1.7 && first.slope == -1.7 && !first.clipped);
}

static void values(void **state)
{
    (void)state;
    const double h = 1e-6;
    for (int i = 1; i < PLACES - 1; i++)
        for (int j = 1; j < PLACES - 1; j++) {
            double v = places[i], target = places[j] + 0.011, old = 0.21, clip = 0.25;
            double within = fmin(fmax(v, old - clip), old + clip);
            yk_slope d = yk_value_loss(v, old, target, clip);
            near(d.loss, fmax((v - target) * (v - target), (within - target) * (within - target)) / 2, 1e-12);
            const yk_slope up = yk_value_loss(v + h, old, target, clip), down = yk_value_loss(v - h, old, target, clip);
            near(d.slope, (up.loss - down.loss) / (2 * h), 1e-6);
            near(yk_value_loss(v, old, target, 0).slope, v - target, 1e-12);
        }
}

static void divergence(void **state)
{
    (void)state;
    const double h = 1e-6;
    for (int i = 1; i < PLACES - 1; i++) {
        yk_slope d = yk_kl_estimate(-2 + places[i], -2);
        near(d.loss, exp(-places[i]) + places[i] - 1, 1e-12);
        assert_true(d.loss >= 0);
        const yk_slope up = yk_kl_estimate(-2 + places[i] + h, -2), down = yk_kl_estimate(-2 + places[i] - h, -2);
        near(d.slope, (up.loss - down.loss) / (2 * h), 1e-6);
    }
}

/* Against the sum over all later deltas. */
static void advantages_over_time(void **state)
{
    (void)state;
    const double reward[STEPS] = {0.1, -0.4, 0, 0.3, -0.2, 0, 1.5}, value[STEPS] = {0.2, 0.1, -0.3, 0.5, 0.7, 0.9, 1.1};
    double advantage[STEPS];
    for (double gamma = 0.8; gamma <= 1; gamma += 0.1)
        for (double lambda = 0; lambda <= 1; lambda += 0.25) {
            yk_gae(reward, value, STEPS, gamma, lambda, advantage);
            for (int t = 0; t < STEPS; t++) {
                double sum = 0;
                for (int u = t; u < STEPS; u++) {
                    double next = u + 1 < STEPS ? value[u + 1] : 0;
                    sum += pow(gamma * lambda, u - t) * (reward[u] + gamma * next - value[u]);
                }
                near(advantage[t], sum, 1e-12);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preferences), cmocka_unit_test(policies),            cmocka_unit_test(values),
        cmocka_unit_test(divergence),  cmocka_unit_test(advantages_over_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
