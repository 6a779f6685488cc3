/* A finished run opened for use. */
#ifndef YK_TRAIN_OPENED_H
#define YK_TRAIN_OPENED_H

#include "train/session.h"

typedef struct yk_opened {
    yk_recipe r;
    yk_session s;
} yk_opened;

typedef struct yk_open_options {
    const char *run, *checkpoint; /* checkpoint NULL: the model that the run's last stage left */
    bool pretrained;              /* ... the one that pretraining left */
    long threads;
    int64_t rows;                 /* of a pass, if more than a sequence has */
    bool weights;                 /* are all that is needed: there will be no pass */
} yk_open_options;

/* Recipe, tokenizer and weights. yk_opened_close() also after an error. */
yk_status yk_open_run(yk_opened *x, const yk_open_options *o, yk_error *err);
void yk_opened_close(yk_opened *x);

#endif
