/* The values of the next trial: a tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kegl, "Algorithms for
 * hyper-parameter optimization", NIPS 2011), a key at a time. The trials so far are parted into good and bad; of
 * candidates drawn from the density of the good ones the one wins at which that density is the highest multiple of the
 * density of the bad ones. */
#ifndef YK_TUNE_SAMPLER_H
#define YK_TUNE_SAMPLER_H

#include "base/status.h"

#include <stdint.h>

typedef struct yk_tpe {
    uint64_t seed;
    int64_t startup;      /* trials spread evenly (a Latin hypercube) before results count */
    double good_share;    /* of the trials: at least one                                   */
    int64_t candidates;   /* compared for each key                                         */
    int64_t keys;
    const int64_t *choices; /* [keys] values of a choice, coordinates 0, 1, ...; 0: the interval [0, 1] */
} yk_tpe;

/* A trial's result: trials that got further are better, then those of lower score. */
typedef struct yk_seen {
    const double *at; /* [keys] coordinates */
    int64_t rung;
    double score; /* may be INFINITY */
} yk_seen;

/* Coordinates at[keys] of trial number `trial`, a function of the arguments alone; `seen` in the order of trials.
 * Densities: the mean of a uniform one and of a logistic one around each trial, cut to [0, 1], whose standard
 * deviation is the distance to the farther of its neighbours (the ends of the interval count), within 1 / (seen + 1)
 * and 1/2. Of a choice the frequencies, each value counted once more. */
yk_status yk_tpe_propose(const yk_tpe *t, const yk_seen *seen, int64_t n, int64_t trial, double *at, yk_error *err);

#endif
