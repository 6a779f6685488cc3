/* Asynchronous successive halving (Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020):
 * trials are trained to a low rung, and one in `factor` goes on to the next. It never waits for a rung to fill: at any
 * moment it promotes a trial that is among the best of its rung so far, or else begins a new one. What to do next is a
 * function of the results alone, so that a search can be replayed from its record. */
#ifndef YK_TUNE_HALVING_H
#define YK_TUNE_HALVING_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_halving {
    int64_t trials; /* at most */
    int64_t rungs, factor;
    double *score; /* [trials][rungs]: lower is better; NAN: no result yet; INFINITY: diverged */
} yk_halving;

yk_status yk_halving_new(yk_halving *h, int64_t trials, int64_t rungs, int64_t factor, yk_error *err);
void yk_halving_free(yk_halving *h);

/* The step at which a rung ends when the last ends at `steps`: steps / factor^(rungs - 1 - rung), rounded up. */
int64_t yk_halving_step(const yk_halving *h, int64_t steps, int64_t rung);

/* The score of a trial at a rung; the trials before it have begun, and so have its rungs below. */
double *yk_halving_score(const yk_halving *h, int64_t trial, int64_t rung);

/* Which trial to train to which rung next. From the highest rung down the best trial that is among the
 * floor(n / factor) best of the n in its rung and has not gone on; else a new trial; when there is none left to
 * promote or begin and none has come to the end, the best that waits at the highest rung, until one has.
 * False: the search is over. */
bool yk_halving_next(const yk_halving *h, int64_t *trial, int64_t *rung);

/* Trials begun so far. */
int64_t yk_halving_begun(const yk_halving *h);

/* The highest rung that a trial has a result at; -1: none. */
int64_t yk_halving_reached(const yk_halving *h, int64_t trial);

/* Whether the trial lies so low in its rung that no result to come can promote it, unless better ones diverge. */
bool yk_halving_dropped(const yk_halving *h, int64_t trial);

/* The best trial of the last rung; -1: none has a finite score there. */
int64_t yk_halving_best(const yk_halving *h);

#endif
