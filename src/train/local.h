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
typedef struct yk_local_worker {
    yk_optimiser *optimiser, own; /* the first worker's is the learner's: moments of before lanes were on their own */
    float *weight;                /* [floats] */
} yk_local_worker;

/* A lane of any rank, as all ranks know it. */
typedef struct yk_lane {
    int64_t applied, skipped_in_a_row;
    yk_loss_scale loss_scale;
} yk_lane;

typedef struct yk_local {
    yk_outer outer;
    yk_local_worker *worker; /* [turns] */
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

/* Floats of a rank of so many lanes: all but the moments of one, which are the learner's own; and the most that a
 * checkpoint holds of lanes. */
static inline int64_t yk_local_floats_of(int64_t turns, int64_t floats)
{
    return (3 * turns - 1) * floats; /* a lane's weights and moments, the outer velocity */
}
static inline int64_t yk_local_owned_of(int64_t turns, int64_t floats)
{
    return 3 * turns * floats;
}
int64_t yk_local_floats(const struct yk_learner *l); /* 0 when lanes learn together */

/* --- checkpoints (local_state.c) ---------------------------------------------------------------- */

/* Whether lanes have learnt on their own by now. */
bool yk_local_parted(const struct yk_learner *l);

/* What they hold then, one rank each (train/saving.h): lane.<i>.optimizer.m. and .v. of all lanes but the first, whose
 * moments are the learner's own, and between outer steps lane.<i>. for weights. Returns how many; before the first
 * step on their own none. */
struct yk_state_part;
int yk_local_most_parts(const struct yk_learner *l);
int yk_local_parts(const struct yk_learner *l, struct yk_state_part *part);

/* [{applied, skipped_in_a_row, loss_scale}] of all lanes; NULL while they learn together. */
json_t *yk_local_counters(const struct yk_learner *l);
yk_status yk_local_take_counters(struct yk_learner *l, const json_t *lanes, yk_error *err);

#endif
