#include "tune/halving.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

yk_status yk_halving_new(yk_halving *h, int64_t trials, int64_t rungs, int64_t factor, yk_error *err)
{
    yk_status st = YK_OK;
    *h = (yk_halving){.trials = trials, .rungs = rungs, .factor = factor};
    YK_NEW(h->score, trials * rungs);
    for (int64_t i = 0; i < trials * rungs; i++) h->score[i] = NAN;
done:
    return st;
}

void yk_halving_free(yk_halving *h)
{
    free(h->score);
    *h = (yk_halving){0};
}

int64_t yk_halving_step(const yk_halving *h, int64_t steps, int64_t rung)
{
    int64_t part = 1;
    for (int64_t k = rung + 1; k < h->rungs && part < steps; k++) part *= h->factor;
    return (steps + part - 1) / part;
}

double *yk_halving_score(const yk_halving *h, int64_t trial, int64_t rung)
{
    return &h->score[trial * h->rungs + rung];
}

static bool has_result(const yk_halving *h, int64_t trial, int64_t rung)
{
    return !isnan(*yk_halving_score(h, trial, rung));
}

int64_t yk_halving_begun(const yk_halving *h)
{
    int64_t n = 0;
    while (n < h->trials && has_result(h, n, 0)) n++;
    return n;
}

int64_t yk_halving_reached(const yk_halving *h, int64_t trial)
{
    int64_t k = h->rungs - 1;
    while (k >= 0 && !has_result(h, trial, k)) k--;
    return k;
}

/* How many trials of the rung are better; of equals the earlier one. */
static int64_t rank(const yk_halving *h, int64_t trial, int64_t rung)
{
    double mine = *yk_halving_score(h, trial, rung);
    int64_t better = 0;
    for (int64_t t = 0; t < h->trials; t++) {
        double other = *yk_halving_score(h, t, rung);
        better += other < mine || (other == mine && t < trial);
    }
    return better;
}

/* The best trial of a rung that has not gone on and whose rank is below `limit`; -1: none. */
static int64_t best_waiting(const yk_halving *h, int64_t rung, int64_t limit)
{
    int64_t best = -1;
    for (int64_t t = 0; t < h->trials; t++) {
        double score = *yk_halving_score(h, t, rung);
        if (!isfinite(score) || (rung + 1 < h->rungs && has_result(h, t, rung + 1))) continue;
        if (best >= 0 && *yk_halving_score(h, best, rung) <= score) continue;
        if (rank(h, t, rung) < limit) best = t;
    }
    return best;
}

static int64_t results_at(const yk_halving *h, int64_t rung)
{
    int64_t n = 0;
    for (int64_t t = 0; t < h->trials; t++) n += has_result(h, t, rung);
    return n;
}

bool yk_halving_next(const yk_halving *h, int64_t *trial, int64_t *rung)
{
    for (int64_t k = h->rungs - 2; k >= 0; k--) {
        *rung = k + 1;
        if ((*trial = best_waiting(h, k, results_at(h, k) / h->factor)) >= 0) return true;
    }
    *trial = yk_halving_begun(h);
    *rung = 0;
    if (*trial < h->trials) return true;
    for (int64_t k = h->rungs - 2; k >= 0 && yk_halving_best(h) < 0; k--) {
        *rung = k + 1;
        if ((*trial = best_waiting(h, k, h->trials)) >= 0) return true;
    }
    return false;
}

bool yk_halving_dropped(const yk_halving *h, int64_t trial)
{
    int64_t k = yk_halving_reached(h, trial), most = h->trials / h->factor;
    if (k < 0) return false;
    if (k == h->rungs - 1) return trial != yk_halving_best(h);
    return !isfinite(*yk_halving_score(h, trial, k)) || rank(h, trial, k) >= (most > 1 ? most : 1);
}

int64_t yk_halving_best(const yk_halving *h)
{
    int64_t top = h->rungs - 1, best = -1;
    for (int64_t t = 0; t < h->trials; t++) {
        double score = *yk_halving_score(h, t, top);
        if (isfinite(score) && (best < 0 || score < *yk_halving_score(h, best, top))) best = t;
    }
    return best;
}
