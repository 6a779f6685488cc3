/* A run opened for use by a command. */
#ifndef YK_CLI_OPEN_H
#define YK_CLI_OPEN_H

#include "run/run.h"
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
} yk_open_options;

/* Recipe, tokenizer and weights. yk_opened_close() also after an error. */
yk_status yk_open_run(yk_opened *x, const yk_open_options *o, yk_error *err);
void yk_opened_close(yk_opened *x);

#endif
