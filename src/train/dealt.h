/* Weights dealt out to ranks (ZeRO stage 3; Rajbhandari et al. 2020).
 *
 * Between steps a rank holds the slices of the weights that it owns, in their places of the flat array; the memory of
 * the rest has gone back to the system. In a training pass those that a node reads are gathered before it computes,
 * where exchanges overlap (yk_comm_overlaps) while the node before it does, and are dropped after it. All ranks take
 * their passes together, so that each has as many. Bits do not change. */
#ifndef YK_TRAIN_DEALT_H
#define YK_TRAIN_DEALT_H

#include "comm/comm.h"
#include "model/model.h"

typedef struct yk_dealt {
    yk_model *model;
    yk_comm *comm; /* NULL: nothing is dealt out, and the functions below do nothing */
    const yk_kernels *k;
    yk_team team;
    float *weight;      /* [floats of the model] */
    const int *visit;   /* [visits] of a training pass: yk_model_visits */
    int visits, at;     /* the next one */
    int64_t *ticket;    /* [visits] of their gatherings */
    bool is_whole;      /* on rank 0 */
} yk_dealt;

/* The weights are whole now, on all ranks. */
yk_status yk_dealt_new(yk_dealt *d, yk_model *model, const yk_kernels *k, const yk_team *team, yk_comm *comm,
                       float *weight, yk_error *err);
void yk_dealt_free(yk_dealt *d);

/* Before a step: each rank drops what it does not own. After it, when something else is to read the weights: rank 0 has
 * all of them (collective), the others need not. */
void yk_dealt_part(yk_dealt *d);
void yk_dealt_whole(yk_dealt *d);

/* Of a training pass, in its order: a yk_watcher's. */
void yk_dealt_begins(yk_dealt *d);
void yk_dealt_ended(yk_dealt *d);

#endif
