/* The gradient that a learner's first step found, against finite differences of the loss that it descends. */
#ifndef TESTS_ALIGN_SLOPES_H
#define TESTS_ALIGN_SLOPES_H

#include "made_answers.h"

#include <math.h>

typedef struct descent {
    const yk_learner *l;                 /* after one step at rate 0, without clipping of the gradient */
    double unit;                         /* of the step */
    double (*loss)(const void *context); /* by the forward pass alone, not divided by the unit */
    const void *context;
} descent;

/* Along the direction u, at distance h. */
static double central_difference(const descent *d, const yk_param *p, const float *keep, const yk_rng *u, double h)
{
    float *w = d->l->weights.weight + p->offset;
    double side[2];
    for (int k = 0; k < 2; k++) {
        const double by = k ? -h : h;
        for (int64_t j = 0; j < p->count; j++) w[j] = (float)((double)keep[j] + by * yk_rng_normal(u, (uint64_t)j));
        yk_model_weights_changed(d->l->s->model);
        side[k] = d->loss(d->context);
    }
    memcpy(w, keep, (size_t)p->count * sizeof *keep);
    yk_model_weights_changed(d->l->s->model);
    return (side[0] - side[1]) / (2 * h);
}

/* Without clipping and decay the first moment is (1 - beta1) times the gradient of the mean. */
static void compare_slopes(const descent *d)
{
    int count;
    const yk_param *p = yk_model_params(d->l->s->model, &count);
    for (int i = 0; i < count; i++) {
        const float *m = d->l->optimiser.m + p[i].offset;
        size_t bytes = (size_t)p[i].count * sizeof(float);
        float *keep = memcpy(malloc(bytes), d->l->weights.weight + p[i].offset, bytes);
        const yk_rng u = yk_rng_make(9, YK_STREAM_TEST, (uint64_t)i);
        double slope = 0, square = 0, h = 0.02 / sqrt((double)p[i].count);
        for (int64_t j = 0; j < p[i].count; j++) {
            const double g = (double)m[j] * d->unit / (1 - d->l->o.adamw.beta1);
            slope += g * yk_rng_normal(&u, (uint64_t)j);
            square += g * g;
        }
        const double coarse = central_difference(d, &p[i], keep, &u, h);
        const double got = (4 * central_difference(d, &p[i], keep, &u, h / 2) - coarse) / 3;
        if (fabs(got - slope) > 5e-3 * (sqrt(square) + 1))
            fail_msg("%s: finite difference %g, gradient %g", p[i].name, got, slope);
        free(keep);
    }
}

#endif
