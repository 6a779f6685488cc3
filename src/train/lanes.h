/* Gradients of lanes, summed by one fixed binary tree (numerics contract, rule 7).
 *
 * Lanes come one after another; like the carries of a binary counter, a finished lane is added to the partial sum of
 * its left neighbour of equal size, so that lane l's place in the tree never depends on who computed it. Several ranks
 * compute them in one of two ways, with the same bits:
 *   in blocks:  rank r takes lanes [r, r + 1) lanes / size; ranks perform the upper part of the tree, once a step;
 *   by turns:   in turn t rank r takes lane t size + r; ranks perform the lower part, once a turn, and what waits for a
 *               neighbour is the own slices alone: more traffic, less memory (ZeRO stage 2). */
#ifndef YK_TRAIN_LANES_H
#define YK_TRAIN_LANES_H

#include "comm/comm.h"
#include "model/model.h"

typedef struct yk_lanes {
    yk_model *model;
    yk_comm *comm;
    const yk_kernels *k;
    yk_team team;
    bool by_turns, bf16; /* bf16: what enters an addition of the tree is rounded to it first */
    int64_t turns;    /* lanes that this rank computes */
    yk_slice *part;   /* [parts] of the gradients, which are summed here: all of them, or the own slices */
    int parts, levels;
    int64_t turn, *missing; /* of a turn's sum over ranks: [buckets] floats that are not final yet, */
    int next;               /* the node whose gradients are the next to become final, */
    int64_t ticket;         /* and the last exchange that was begun */
    float **partial;  /* [levels] sums of 2^level turns over those parts, waiting for their right neighbours */
} yk_lanes;

/* Partial sums that wait at most: ceil(log2 turns). */
static inline int yk_lanes_levels(int64_t turns)
{
    int levels = 0;
    while ((int64_t)1 << levels < turns) levels++;
    return levels;
}

/* The number of ranks is a power of two and divides `lanes`. */
yk_status yk_lanes_new(yk_lanes *l, yk_model *model, const yk_kernels *k, const yk_team *team, yk_comm *comm,
                       int64_t lanes, bool by_turns, bool bf16, yk_error *err);
void yk_lanes_free(yk_lanes *l);

/* The lane of this rank's turn; and where it stands among those of all ranks, in order of ranks and then of turns. */
int64_t yk_lanes_at(const yk_lanes *l, int64_t turn);
int64_t yk_lanes_place(const yk_lanes *l, int64_t lane);

/* Whether ranks sum up in this turn: an exchange of all. */
bool yk_lanes_meet(const yk_lanes *l, int64_t turn);

/* Of a turn in which ranks meet, during its last pass: node `node` has gone backward. Where exchanges overlap
 * (yk_comm_overlaps) the sums over ranks of what is final begin; elsewhere they all begin in merge. The first call is
 * of the last node. A rank may leave them all out: one without a row in this turn. */
void yk_lanes_backward(yk_lanes *l, int64_t turn, int node);

/* The model's gradients are those of the turn's lane. After the last turn their own slices (yk_comm_slice) are the sum
 * over all lanes, finished (yk_model_finish_gradients); the rest is undefined. */
void yk_lanes_merge(yk_lanes *l, int64_t turn);

#endif
