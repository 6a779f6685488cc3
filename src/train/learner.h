/* A model in training: its weights, the optimiser, lanes and loss scale, what a checkpoint holds and what the digest
 * covers. The stages that train differ in what they learn from; everything else is here. */
#ifndef YK_TRAIN_LEARNER_H
#define YK_TRAIN_LEARNER_H

#include "config/job.h"
#include "optim/optim.h"
#include "train/lanes.h"
#include "train/local.h"
#include "train/loss_scale.h"
#include "train/session.h"

#include <jansson.h>

typedef struct yk_learner_options {
    const char *kind;        /* what its checkpoints are called: pretrain, sft, reward, ... */
    const char *folder;      /* of the checkpoints */
    const char *const *keys; /* NULL-terminated prefixes of the recipe's keys that a checkpoint must agree in */
    const char *data;        /* hash over what is learnt from, which it must agree in too */
    yk_schedule schedule;    /* schedule.steps: how long it trains */
    yk_adamw_options adamw;
    int64_t checkpoint_every, keep; /* steps, 0: about one a minute; recent ones kept */
    yk_local_options local;         /* whether lanes learn on their own */
} yk_learner_options;

/* Other numbers [floats of the model] that checkpoints hold, under names with a prefix. */
typedef struct yk_also {
    const char *prefix;
    float *base;
} yk_also;
enum { YK_MOST_ALSO = 4 };

/* The sums of a lane, before its tallies; and after how many steps in a row that were not finite a learner gives up. */
enum { YK_LANE_LOSS, YK_LANE_WEIGHT, YK_LANE_SUMS };
enum { YK_GIVE_UP_AFTER = 20 };

/* An item of the step at hand whose rows the session holds, from `row` on. */
typedef struct yk_place {
    int64_t item, row;
} yk_place;

typedef struct yk_learner {
    const yk_job *job;
    yk_session *s;      /* may be shared by several learners */
    yk_weights weights; /* what this one trains: of the session's model, or a set of its own */
    yk_learner_options o;
    yk_optimiser optimiser;
    yk_lanes lanes;
    yk_loss_scale loss_scale;
    yk_local *local; /* NULL: lanes learn together */
    int64_t step, applied, skipped, skipped_in_a_row;
    char began_with[33]; /* hash over the weights, in which a checkpoint must agree */
    char chain[33];     /* hash over the losses of all steps so far */
    double seconds;     /* of all steps so far */
    int64_t sent;       /* bytes, from this rank to others, in the steps of this process */
    double saved;       /* yk_now() of the last checkpoint */
    double *record;     /* [lanes][YK_LANE_SUMS + tallies] of the step */
    bool counts_flushed;
    yk_place *place;    /* [places] of the pass at hand, in order: what an objective needs to tell rows apart */
    int64_t places;
    size_t place_room;
    yk_also also[YK_MOST_ALSO];
    int alsos;
    /* of the last step */
    int64_t passes;                 /* over several, weights that were packed once a step pay */
    double loss, norm, rate, scale; /* scale: of the loss */
    bool step_skipped;
    int64_t flushed; /* elements of its gradient that bf16 flushes, if counts_flushed */
} yk_learner;

/* AdamW as the recipe's group `pretrain` has it, which all stages share but for what they set themselves. */
yk_adamw_options yk_adamw_of(const yk_recipe *r);

/* `weights` NULL: those of the session's model; they are what training begins with. Strings of the options must live as
 * long as the learner. */
yk_status yk_learner_open(yk_learner *l, const yk_job *job, yk_session *s, const yk_weights *weights,
                          const yk_learner_options *o, yk_error *err);
void yk_learner_close(yk_learner *l);

/* What is learnt from in one step: items in order, of which lane i takes [i, i + 1) items / lanes. Of several ranks
 * each sees the items of its lanes alone; what all must know goes through tallies. */
enum { YK_MOST_TALLIES = 4 };
typedef struct yk_work {
    int64_t items;
    /* Appends the rows of an item to the session's (yk_session_add); false, and nothing appended, when they do not fit
     * beside those that are there. An item is never split over passes; one without rows has no place. */
    bool (*add)(void *context, int64_t item, yk_session *s);
    /* Called after each pass, in order, when s->loss and s->weight hold those of its rows (not scaled).
     * NULL: nothing. */
    void (*passed)(void *context, const yk_session *s);
    const yk_objective *objective; /* NULL: cross-entropy with the rows' weights, or */
    const yk_teaching *teaching;   /* distillation with them; NULL: none */
    void *context;                 /* of both functions; the objective has its own */
    double *tally; /* [tallies] that `passed` adds to: 0 before a lane; after the step the sums over lanes in order */
    int tallies;   /* at most YK_MOST_TALLIES */
    double z_loss;
    double unit; /* the gradient of the sum over rows is divided by this; 0: by the sum of the weights of all rows */
} yk_work;

/* One optimiser step. Lanes are computed one after another and merged by the fixed tree; the losses of rows are summed
 * in order inside their lane. A step whose loss or gradient is not finite is skipped and counted; YK_ERR_NUMERIC after
 * many in a row. The chain of losses grows by the step's. The ranks of job->comm compute lanes side by side. */
yk_status yk_learner_step(yk_learner *l, const yk_work *w, yk_error *err);

/* For train/local.c: one lane of a step, its gradient into the model's; record [YK_LANE_SUMS + tallies]. */
yk_status yk_learner_lane(yk_learner *l, const yk_work *w, int64_t lane, double *record, yk_error *err);

/* {"type": "step", step, loss, lr, grad_norm, seconds, skipped, loss_scale}: the begin of a metrics row. */
json_t *yk_learner_row(const yk_learner *l, double seconds);

/* Checkpoints from now on hold, and resuming reads, these numbers too: a value model's, a reference's. */
void yk_learner_also(yk_learner *l, const char *prefix, float *base);

/* {step, applied, skipped, loss_scale, losses, seconds}: what a checkpoint says of a learner beside its tensors, for a
 * second learner whose tensors are the first one's yk_learner_also. */
json_t *yk_learner_counters(const yk_learner *l);
yk_status yk_learner_take_counters(yk_learner *l, const json_t *counters, yk_error *err);

/* Saves weights, both moments and a document: the learner's state and the members of `extra` (or NULL; not taken). Of
 * several ranks all call these, and rank 0 writes and reads. */
yk_status yk_learner_save(yk_learner *l, const char *path, const json_t *extra, yk_error *err);
yk_status yk_learner_save_step(yk_learner *l, const json_t *extra, yk_error *err); /* and prunes old ones */
bool yk_learner_save_is_due(const yk_learner *l);
bool yk_learner_save_is_late(const yk_learner *l); /* by this rank's clock */

/* Whether the run is to end here: a signal or the deadline came to one of the ranks. */
bool yk_learner_stops(const yk_learner *l);

/* Goes on from the newest checkpoint in the folder; *document (new) is NULL when there is none. YK_ERR_SHAPE when it
 * was made with other keys or data, or from other weights. */
yk_status yk_learner_resume(yk_learner *l, json_t **document, yk_error *err);

/* Over the weights and both moments in declaration order, then the chain of losses. */
yk_status yk_learner_digest(const yk_learner *l, char hex[33], yk_error *err);

/* How many of x[n] are not zero and below 2^-56, which bf16 flushes (numerics contract, rule 4). */
int64_t yk_learner_count_flushed(const yk_learner *l, const float *x, int64_t n);

#endif
