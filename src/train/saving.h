/* Checkpoints of a learner, written aside while training goes on.
 *
 * A save copies what this rank owns of weights, moments and what else belongs to them, and hands the copy to a thread
 * (base/task.h), which makes no call of MPI. Training goes on; before its next step ranks ask each other whether all
 * files are there, and when they are, rank 0 writes the manifest of several and removes old checkpoints. The next save
 * waits for that, and so do the last one of a stage and a stop. Nothing else may call HDF5 meanwhile. */
#ifndef YK_TRAIN_SAVING_H
#define YK_TRAIN_SAVING_H

#include "train/learner.h"

/* Weights, then both moments, then what else belongs to them: of the flat index i base[i - begin] is here, for i in
 * [begin, end). */
enum { YK_STATE_PARTS = 3, YK_MOST_PARTS = YK_STATE_PARTS + YK_MOST_ALSO };
typedef struct yk_state_part {
    const char *prefix; /* of the names */
    float *base;
    int64_t begin, end;
} yk_state_part;
int yk_state_parts(const yk_learner *l, yk_state_part part[YK_MOST_PARTS]);

/* What the document of a checkpoint says of a learner, with the members of `extra` (or NULL); NULL: no memory. */
json_t *yk_learner_document(const yk_learner *l, const json_t *extra);

#endif
