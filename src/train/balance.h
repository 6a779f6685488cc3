/* How evenly the ranks of a run were busy, and what they lost to each other and to the network. */
#ifndef YK_TRAIN_BALANCE_H
#define YK_TRAIN_BALANCE_H

#include "train/learner.h"

/* Of several ranks, all of which call it: member `balance` of `to` becomes
 *   {ranks, seconds (of a rank's steps), phases: {forward, backward, update, exchange, rows: {min, avg, max}},
 *    imbalance, network, uneven, advice}
 * over the steps of this process:
 *   imbalance = sum over steps of (most seconds of a rank's passes - their mean) / seconds: so long ranks wait, as a
 *               mean, for the slowest of the step;
 *   network   = mean exchange / seconds - imbalance: the rest of what they spend with each other;
 *   uneven    = sum over steps of (most rows of a rank - their mean) / rows: unequal work, whoever is slow. */
yk_status yk_learner_balance(const yk_learner *l, json_t *to, yk_error *err);

#endif
