/* Checkpoints of a learner, written aside while training goes on.
 *
 * A save copies what this rank owns of weights, moments and what else belongs to them, and hands the copy to a thread
 * (base/task.h), which makes no call of MPI. Training goes on; before its next step ranks ask each other whether all
 * files are there, and when they are, rank 0 writes the manifest of several and removes old checkpoints. The next save
 * waits for that, and so do the last one of a stage and a stop. Nothing else may call HDF5 meanwhile. */
#ifndef YK_TRAIN_SAVING_H
#define YK_TRAIN_SAVING_H

#include "train/learner.h"

/* What this rank owns of the flat index, in order; of a process alone all of it. free() it; NULL: no memory. */
yk_slice *yk_learner_slices(const yk_learner *l, int *slices);

/* Weights, then both moments, then what else belongs to them, then what lanes hold on their own. */
enum { YK_STATE_PARTS = 3, YK_EVERY_RANK = -1 };
typedef struct yk_state_part {
    char prefix[48]; /* of the names */
    float *base;
    bool is_packed; /* base has this rank's slices alone, one after another */
    int owner;      /* the one rank that has it, whole; elsewhere base is not to be read. YK_EVERY_RANK: its slices */
} yk_state_part;
/* After the learner's step; free() them. NULL: no memory. */
yk_state_part *yk_state_parts(const yk_learner *l, int *parts);

/* What the document of a checkpoint says of a learner, with the members of `extra` (or NULL); NULL: no memory. */
json_t *yk_learner_document(const yk_learner *l, const json_t *extra);

#endif
