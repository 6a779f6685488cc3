#include "align/losses.h"

#include "base/math64.h"

#include <math.h>

yk_slope yk_preference_loss(double x)
{
    double e = yk_exp64(x < 0 ? x : -x); /* of minus the magnitude */
    double sigmoid = x < 0 ? e / (1 + e) : 1 / (1 + e);
    return (yk_slope){.loss = yk_log64(1 + e) + (x < 0 ? -x : 0), .slope = sigmoid - 1};
}

yk_slope yk_policy_loss(double logp, double old, double advantage, double low, double high)
{
    double ratio = yk_exp64(logp - old);
    double within = ratio < 1 - low ? 1 - low : ratio > 1 + high ? 1 + high : ratio;
    bool clipped = within * advantage < ratio * advantage;
    return (yk_slope){.loss = -(clipped ? within : ratio) * advantage, .slope = clipped ? 0 : -ratio * advantage,
                      .clipped = clipped};
}

yk_slope yk_value_loss(double value, double old, double target, double clip)
{
    double within = clip <= 0 ? value : value < old - clip ? old - clip : value > old + clip ? old + clip : value;
    double free_loss = (value - target) * (value - target) / 2, held_loss = (within - target) * (within - target) / 2;
    if (held_loss > free_loss) return (yk_slope){.loss = held_loss, .clipped = true};
    return (yk_slope){.loss = free_loss, .slope = value - target};
}

yk_slope yk_kl_estimate(double logp, double reference)
{
    double x = reference - logp, e = yk_exp64(x);
    return (yk_slope){.loss = e - x - 1, .slope = 1 - e};
}

bool yk_group_advantages(const double *reward, int64_t n, bool scale, double *advantage)
{
    double sum = 0, squares = 0;
    bool equal = true;
    for (int64_t i = 0; i < n; i++) {
        sum += reward[i];
        equal &= reward[i] == reward[0];
    }
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (reward[i] - mean) * (reward[i] - mean);
    const double std = scale ? sqrt(squares / (double)n) : 1;
    for (int64_t i = 0; i < n; i++) advantage[i] = equal ? 0 : (reward[i] - mean) / std;
    return !equal;
}
