/* Lanes that learn on their own between outer steps (DiLoCo, optim/outer.h), where a network is slow.
 *
 * Every lane is a worker: it has weights and moments of its own and takes optimiser steps on its own share of the
 * samples, under its own loss scale and norm. After each step whose number `steps` divides, and after the last one of
 * all, the outer optimiser moves the global weights, which lanes then begin with anew, keeping their moments. The
 * learner's own weights are the global ones: evaluation, samples and whoever reads a checkpoint see those.
 *
 * A rank performs the steps of its lanes one after another. Lanes meet in the tree of lanes (train/lanes.h), so nothing
 * depends on the number of ranks. Between outer steps there is one exchange of a few doubles a step, in which every
 * rank hears what lanes lost, that a signal came, that a checkpoint is due, or that a rank failed. */
#ifndef YK_TRAIN_LOCAL_H
#define YK_TRAIN_LOCAL_H

#include "optim/optim.h"
#include "optim/outer.h"
#include "train/loss_scale.h"

#include <jansson.h>

typedef struct yk_local_options {
    int64_t steps;       /* between outer steps; 0: lanes learn together */
    int64_t after;       /* steps that they learn together before that */
    double share;        /* of the learning rate, that lanes on their own take */
    double lr, momentum; /* of the outer optimiser */
} yk_local_options;

/* A lane of this rank. */
typedef struct yk_worker {
    yk_optimiser *optimiser, own; /* the first worker's is the learner's: moments of before lanes were on their own */
    float *weight;                /* [floats] */
} yk_worker;

/* A lane of any rank, as all ranks know it. */
typedef struct yk_lane {
    int64_t applied, skipped_in_a_row;
    yk_loss_scale loss_scale;
} yk_lane;

typedef struct yk_local {
    yk_outer outer;
    yk_worker *worker; /* [turns] */
    yk_lane *lane;     /* [lanes] */
    double *told;      /* of a step, rank by rank: sums of each of its lanes, then what else it has to say */
    int heard;         /* of all ranks in the last step */
    bool packs;        /* a lane's step takes several passes */
} yk_local;

struct yk_learner;
struct yk_work;

/* Sets l->local, or leaves it NULL when l->o.local says that lanes learn together. */
yk_status yk_local_open(struct yk_learner *l, yk_error *err);
void yk_local_close(struct yk_learner *l);

/* Whether the next step is one of lanes on their own. */
bool yk_local_is_next(const struct yk_learner *l);

/* yk_learner_step of such a step. The norm and the loss scale that it tells are the mean and the least of lanes. A lane
 * whose loss or gradient is not finite skips the step, the others do not. */
yk_status yk_local_step(struct yk_learner *l, const struct yk_work *w, yk_error *err);

/* Whether after this step lanes' weights differ from the global ones. */
bool yk_local_is_between(const struct yk_learner *l, int64_t step);

/* What was heard in the last step: whether the run is to end, whether a checkpoint by the clock is due. Such a
 * checkpoint waits for an outer step, where lanes' weights need not be kept. False, and nothing said, before the
 * first. */
bool yk_local_heard(const struct yk_learner *l, bool *stops, bool *due);

/* --- checkpoints (local_state.c) ---------------------------------------------------------------- */

/* What lanes hold after `step`, under their names: lane.<i>.optimizer.m. and .v. of all lanes but the first, whose
 * moments are the learner's own, and between outer steps lane.<i>. for weights. */
typedef struct yk_lane_part {
    char prefix[48];
    float *base; /* [floats of the model]; NULL where another rank owns it */
    int owner;
} yk_lane_part;
typedef struct yk_lane_parts {
    yk_lane_part *part;
    int64_t n;
    float **copy; /* [n] on rank 0: of parts that other ranks own, else NULL */
} yk_lane_parts;

/* Memory on rank 0 for what others own: an agreement must follow. collect brings it there, deal from there. */
yk_status yk_lane_parts_begin(yk_lane_parts *x, const struct yk_learner *l, int64_t step, yk_error *err);
void yk_lane_parts_collect(const yk_lane_parts *x, const struct yk_learner *l);
void yk_lane_parts_deal(const yk_lane_parts *x, const struct yk_learner *l);
void yk_lane_parts_end(yk_lane_parts *x, const struct yk_learner *l);

/* [{applied, skipped_in_a_row, loss_scale}] of all lanes; NULL while they learn together. */
json_t *yk_local_counters(const struct yk_learner *l);
yk_status yk_local_take_counters(struct yk_learner *l, const json_t *lanes, yk_error *err);

#endif
