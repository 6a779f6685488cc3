/* How evenly the ranks of a run were busy, and what they lost to each other and to the network. */
#ifndef YK_TRAIN_BALANCE_H
#define YK_TRAIN_BALANCE_H

#include "train/learner.h"

/* Of several ranks, all of which call it: member `balance` of `to` becomes
 *   {ranks, steps' seconds (the mean over ranks), phases: {forward, backward, update, exchange, rows: {min, avg, max}},
 *    imbalance, network, advice}
 * over the steps of this process. With c the seconds of forward, backward and update of a rank, e those of its exchange:
 *   imbalance = (max c - mean c) / seconds: the ranks wait so long for the slowest;
 *   network   = min e / seconds: who waits least is who the others wait for, so that this is exchange alone. */
yk_status yk_learner_balance(const yk_learner *l, json_t *to, yk_error *err);

#endif
