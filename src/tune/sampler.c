#include "tune/sampler.h"

#include "base/math64.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

/* Of the standard logistic distribution the standard deviation is pi / sqrt(3). */
static const double logistic_deviation = 1.8137993642342178;
static const double narrowest = 0.01;

/* A logistic density around `centre`, cut to [0, 1]: below and above are its distribution function at 0 and 1. */
typedef struct kernel {
    double centre, scale, below, above;
} kernel;

/* A density of one key. */
typedef struct density {
    int64_t choices;
    kernel *kernel;    /* [n] of an interval */
    double *frequency; /* [choices] of a choice, sum 1 */
    int64_t n;
} density;

static double distribution(const kernel *k, double x)
{
    double z = (x - k->centre) / k->scale, e = yk_exp64(-fabs(z));
    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static kernel kernel_at(double centre, double deviation)
{
    kernel k = {.centre = centre, .scale = deviation / logistic_deviation};
    k.below = distribution(&k, 0);
    k.above = distribution(&k, 1);
    return k;
}

static double kernel_density(const kernel *k, double x)
{
    double e = yk_exp64(-fabs((x - k->centre) / k->scale));
    return e / (k->scale * (1 + e) * (1 + e) * (k->above - k->below));
}

/* The inverse of the distribution. */
static double kernel_draw(const kernel *k, double u)
{
    double p = k->below + u * (k->above - k->below), x = k->centre + k->scale * yk_log64(p / (1 - p));
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static yk_status make_kernels(density *d, const yk_seen *const *of, int64_t key, int64_t seen, yk_error *err)
{
    yk_status st = YK_OK;
    double *x = NULL, least = 1 / (double)(seen + 1);
    YK_NEW(x, d->n);
    YK_NEW(d->kernel, d->n);
    for (int64_t i = 0; i < d->n; i++) x[i] = of[i]->at[key];
    qsort(x, (size_t)d->n, sizeof *x, ascending);
    if (least < narrowest) least = narrowest;
    for (int64_t i = 0; i < d->n; i++) {
        double left = x[i] - (i > 0 ? x[i - 1] : 0), right = (i + 1 < d->n ? x[i + 1] : 1) - x[i];
        double deviation = left > right ? left : right;
        d->kernel[i] = kernel_at(x[i], deviation < least ? least : deviation > 0.5 ? 0.5 : deviation);
    }
done:
    free(x);
    return st;
}

static yk_status make_frequencies(density *d, const yk_seen *const *of, int64_t key, yk_error *err)
{
    yk_status st = YK_OK;
    double each = 1 / (double)(d->n + d->choices);
    YK_NEW(d->frequency, d->choices);
    for (int64_t c = 0; c < d->choices; c++) d->frequency[c] = each;
    for (int64_t i = 0; i < d->n; i++) d->frequency[(int64_t)of[i]->at[key]] += each;
done:
    return st;
}

static yk_status density_make(density *d, int64_t choices, const yk_seen *const *of, int64_t n, int64_t key,
                              int64_t seen, yk_error *err)
{
    *d = (density){.choices = choices, .n = n};
    return choices ? make_frequencies(d, of, key, err) : make_kernels(d, of, key, seen, err);
}

static void density_free(density *d)
{
    free(d->kernel);
    free(d->frequency);
}

static double density_at(const density *d, double x)
{
    double sum = 1;
    if (d->choices) return d->frequency[(int64_t)x];
    for (int64_t i = 0; i < d->n; i++) sum += kernel_density(&d->kernel[i], x);
    return sum / (double)(d->n + 1);
}

/* Draws 2 i and 2 i + 1 of the generator make candidate i. */
static double density_draw(const density *d, const yk_rng *rng, uint64_t i)
{
    double u = yk_rng_uniform(rng, 2 * i);
    if (!d->choices) {
        int64_t which = (int64_t)yk_rng_below(rng, 2 * i + 1, (uint64_t)d->n + 1);
        return which == d->n ? u : kernel_draw(&d->kernel[which], u);
    }
    int64_t c = 0;
    while (c < d->choices - 1 && u >= d->frequency[c]) u -= d->frequency[c++];
    return (double)c;
}

static int better_first(const void *a, const void *b)
{
    const yk_seen *x = *(const yk_seen *const *)a, *y = *(const yk_seen *const *)b;
    if (x->rung != y->rung) return x->rung > y->rung ? -1 : 1;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x > y) - (x < y); /* the earlier trial */
}

static yk_status propose_key(const yk_tpe *t, const yk_seen *const *ranked, int64_t n, int64_t good, int64_t key,
                             const yk_rng *rng, double *at, yk_error *err)
{
    yk_status st = YK_OK;
    density likely = {0}, unlikely = {0};
    double best = -1;
    YK_TRY(density_make(&likely, t->choices[key], ranked, good, key, n, err));
    YK_TRY(density_make(&unlikely, t->choices[key], ranked + good, n - good, key, n, err));
    for (int64_t c = 0; c < t->candidates; c++) {
        double x = density_draw(&likely, rng, (uint64_t)(key * t->candidates + c));
        double ratio = density_at(&likely, x) / density_at(&unlikely, x);
        if (ratio <= best) continue;
        best = ratio;
        *at = x;
    }
done:
    density_free(&likely);
    density_free(&unlikely);
    return st;
}

/* Latin hypercube (McKay, Beckman, Conover 1979): each key's interval in `startup` parts, each part taken once. */
static yk_status spread(const yk_tpe *t, int64_t trial, const yk_rng *rng, double *at, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t *order = NULL, turn = (uint64_t)(trial / t->startup);
    YK_NEW(order, t->startup);
    for (int64_t k = 0; k < t->keys; k++) {
        yk_rng shuffle = yk_rng_make(t->seed, YK_STREAM_TUNE, (turn << 32) + (uint64_t)k + (UINT64_C(1) << 63));
        yk_rng_permutation(&shuffle, order, (uint64_t)t->startup);
        double u = ((double)order[trial % t->startup] + yk_rng_uniform(rng, (uint64_t)k)) / (double)t->startup;
        at[k] = t->choices[k] ? floor(u * (double)t->choices[k]) : u;
    }
done:
    free(order);
    return st;
}

yk_status yk_tpe_propose(const yk_tpe *t, const yk_seen *seen, int64_t n, int64_t trial, double *at, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_seen **ranked = NULL;
    yk_rng rng = yk_rng_make(t->seed, YK_STREAM_TUNE, (uint64_t)trial);
    int64_t good = (int64_t)ceil(t->good_share * (double)n);
    if (trial < t->startup || n < 2) return spread(t, trial, &rng, at, err);
    YK_NEW(ranked, n);
    for (int64_t i = 0; i < n; i++) ranked[i] = &seen[i];
    qsort(ranked, (size_t)n, sizeof *ranked, better_first);
    for (int64_t k = 0; k < t->keys; k++) YK_TRY(propose_key(t, ranked, n, good, k, &rng, &at[k], err));
done:
    free(ranked);
    return st;
}
