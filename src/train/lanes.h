/* Gradients of lanes, summed by one fixed binary tree (numerics contract, rule 7).
 *
 * Lanes come one after another; like the carries of a binary counter, a finished lane is added to the partial sum of
 * its left neighbour of equal size, so that lane l's place in the tree never depends on who computed it. */
#ifndef YK_TRAIN_LANES_H
#define YK_TRAIN_LANES_H

#include "model/model.h"

typedef struct yk_lanes {
    yk_model *model;
    const yk_kernels *k;
    yk_team team;
    int64_t lanes, floats;
    int levels;
    float **partial; /* [levels] sums of 2^level lanes, waiting for their right neighbours */
} yk_lanes;

yk_status yk_lanes_new(yk_lanes *l, yk_model *model, const yk_kernels *k, const yk_team *team, int64_t lanes,
                       yk_error *err);
void yk_lanes_free(yk_lanes *l);

/* The model's gradients are lane `lane`'s. After the last lane they are the sum over all. */
void yk_lanes_merge(yk_lanes *l, int64_t lane);

#endif
