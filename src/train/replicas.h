/* Whether ranks that must hold the same bits do: weights, and both moments where every rank has all of them (zero: 0;
 * not of lanes that learn on their own, train/local.h).
 *
 * They compute the same from the same, so a difference is an error of a machine that nothing else notices: a bit of
 * memory that flipped, a processor that miscounts (Dixit et al., "Silent data corruptions at scale", 2021). From
 * zero: 1 on every step brings weights from the rank that owns them, and with them an error of that rank; there only
 * what went wrong in the step at hand is seen. */
#ifndef YK_TRAIN_REPLICAS_H
#define YK_TRAIN_REPLICAS_H

#include "train/learner.h"

/* Of all ranks, each: a hash of every tensor is exchanged. YK_ERR_REPLICA, the same on all, names the first tensor in
 * which they differ, the ranks that differ from most, and their machines. Does nothing when `check_replicas` is 0. */
yk_status yk_replicas_check(const yk_learner *l, yk_error *err);

/* In a step, before its update: checks in every one of `check_replicas`. For tests YOKE_FLIP_BIT=RANK:STEP flips a bit
 * of a weight of that rank there. */
yk_status yk_replicas_step(yk_learner *l, yk_error *err);

#endif
