/* Training on pairs of which one side is preferred: what the reward model and DPO share. */
#ifndef YK_ALIGN_PAIR_COURSE_H
#define YK_ALIGN_PAIR_COURSE_H

#include "align/pairs.h"

typedef struct yk_pair_options {
    const char *name;               /* of the stage */
    const char *const *keys;        /* as in yk_learner_options */
    const yk_list *data, *heldout;  /* the recipe's keys <name>.data and <name>.heldout */
    const char *data_key, *heldout_key;
    yk_deals deal;
    bool score;                     /* the model has a score head, and model.h5 too */
    int64_t batch, checkpoint_every;
    double epochs;
    yk_schedule schedule;           /* its steps follow from batch and epochs */
} yk_pair_options;

typedef struct yk_pair_course {
    yk_course c;
    yk_pair_options o;
    yk_pairs train, heldout;
    char data[33]; /* hash over both */
    yk_learner l;
    yk_deal deal;
} yk_pair_course;

/* yk_pair_course_close() also after an error. */
yk_status yk_pair_course_open(yk_pair_course *x, const yk_job *job, const yk_pair_options *o, yk_error *err);
void yk_pair_course_close(yk_pair_course *x);

/* The pairs of the pass that an objective weighs: the i-th of x->l.places, and the first rows of its sides. */
typedef struct yk_pair_place {
    int64_t pair, chosen, rejected;
} yk_pair_place;
yk_pair_place yk_pair_place_of(yk_pair_course *x, int64_t i);

typedef struct yk_pair_stage {
    yk_objective objective; /* the loss of a step is divided by the number of its pairs */
    /* Measures the held-out pairs, at step 0 and after the last. */
    yk_status (*evaluate)(void *context, yk_error *err);
    json_t *(*remember)(const void *context); /* what evaluations found, for a checkpoint */
    void (*recall)(void *context, const json_t *document); /* the same from a checkpoint */
    json_t *(*summary)(const void *context);
    void *context; /* of these; the objective has its own */
} yk_pair_stage;

/* One optimiser step on the next pairs. */
yk_status yk_pair_course_step(yk_pair_course *x, const yk_objective *o, yk_error *err);

/* Trains, with progress, metrics and checkpoints. *finished is false when the job was to stop. */
yk_status yk_pair_course_train(yk_pair_course *x, const yk_pair_stage *s, bool *finished, yk_error *err);

#endif
