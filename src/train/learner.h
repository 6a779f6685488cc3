/* A model in training: its weights, the optimiser, lanes and loss scale, what a checkpoint holds and what the digest
 * covers. The stages that train differ in what they learn from; everything else is here. */
#ifndef YK_TRAIN_LEARNER_H
#define YK_TRAIN_LEARNER_H

#include "config/job.h"
#include "optim/optim.h"
#include "train/dealt.h"
#include "train/lanes.h"
#include "train/local.h"
#include "train/loss_scale.h"
#include "train/session.h"
#include "train/spikes.h"

#include <jansson.h>

typedef struct yk_learner_options {
    const char *kind;        /* what its checkpoints are called: pretrain, sft, reward, ... */
    const char *folder;      /* of the checkpoints */
    const char *const *keys; /* NULL-terminated prefixes of the recipe's keys that a checkpoint must agree in */
    const char *data;        /* hash over what is learnt from, which it must agree in too */
    yk_schedule schedule;    /* schedule.steps: how long it trains */
    yk_adamw_options adamw;
    bool deals_weights;      /* with zero 3; every lane then has as many passes. Without it zero 3 is zero 2 */
    int64_t checkpoint_every, keep; /* steps, 0: about one a minute; recent ones kept */
    bool whole; /* every rank holds all moments, whatever `zero` says: they are another learner's yk_learner_also */
    bool judges_spikes;      /* by the recipe's group `pretrain` */
    yk_local_options local;  /* whether lanes learn on their own */
} yk_learner_options;

/* Other numbers [floats of the model] that checkpoints hold, under names with a prefix. */
typedef struct yk_also {
    const char *prefix;
    float *base;
} yk_also;
enum { YK_MOST_ALSO = 4 };

/* What is recorded of a lane in a step, before its tallies. */
enum { YK_LANE_LOSS, YK_LANE_WEIGHT, YK_LANE_SECONDS, YK_LANE_ROWS, YK_LANE_SUMS };

/* An item of the step at hand whose rows the session holds, from `row` on. */
typedef struct yk_place {
    int64_t item, row;
} yk_place;

/* Of this rank, in all steps of this process. */
typedef struct yk_step_times {
    double seconds, forward, backward, update, exchange; /* exchange: with waiting for other ranks */
    double rows;         /* computed */
    double lost, uneven; /* of all ranks: seconds and rows of the rank with most of them above the mean, step by step */
} yk_step_times;
typedef struct yk_saving yk_saving;

typedef struct yk_learner {
    const yk_job *job;
    yk_session *s;      /* may be shared by several learners */
    yk_weights weights; /* what this one trains: of the session's model, or a set of its own */
    yk_learner_options o;
    yk_optimiser optimiser;
    yk_lanes lanes;
    yk_dealt dealt;
    yk_loss_scale loss_scale;
    yk_local *local; /* NULL: lanes learn together */
    yk_spikes spikes;
    int64_t step, applied, skipped;
    char began_with[33]; /* hash over the weights, in which a checkpoint must agree */
    char chain[33];     /* hash over the losses of all steps so far */
    double seconds;     /* of all steps so far */
    yk_comm_times exchange, exchanged; /* of the last step; of all steps of this process */
    int64_t sent;       /* bytes, from this rank to others, in the steps of this process */
    int64_t turn;       /* whose last pass is under way; -1: none is */
    double saved;       /* yk_now() of the last checkpoint */
    double *record;     /* [lanes][YK_LANE_SUMS + tallies] of the step */
    yk_step_times times;
    double waited;      /* seconds that training stood still for checkpoints so far */
    yk_saving *saving;  /* one that is under way, or NULL */
    int64_t saved_step; /* of the last one, or of the one gone on from; -1: none */
    float *copy;        /* of what is saved, from the first save on; NULL: there is no memory for it, */
    bool says_waits;    /* which was said */
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
    yk_remedy remedy; /* for it, but that of an overflow under a dynamic loss scale, which is the scale's */
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
    double *tally; /* [tallies] that `passed` or the objective adds to: 0 before a lane; after the step the sums over
                      lanes in order */
    int tallies;   /* at most YK_MOST_TALLIES */
    double z_loss;
    double unit; /* the gradient of the sum over rows is divided by this; 0: by the sum of the weights of all rows */
} yk_work;

/* One optimiser step. Lanes are computed one after another and merged by the fixed tree; the losses of rows are summed
 * in order inside their lane. A step whose loss or gradient is not finite, or a spike (train/spikes.h), is not applied
 * but counted; the caller goes back to a checkpoint where the remedy is that. YK_ERR_NUMERIC when it is to give up. The
 * chain of losses grows by the step's. The ranks of job->comm compute lanes side by side. */
yk_status yk_learner_step(yk_learner *l, const yk_work *w, yk_error *err);

/* For train/local.c. One lane of a step, its gradient into the model's, and what is recorded of it: record
 * [YK_LANE_SUMS + tallies]. Seconds that this rank spent with the others so far. When all ranks have the step's records
 * of all lanes: how unequal they were. */
yk_status yk_learner_lane(yk_learner *l, const yk_work *w, int64_t lane, double *record, yk_error *err);
double yk_learner_talking(const yk_learner *l);
void yk_learner_count_balance(yk_learner *l, const yk_work *w);

/* Bytes that model, optimiser, lanes, batch and ranks' buffers take: what yk_needs_of says beforehand. */
int64_t yk_learner_memory(const yk_learner *l);

/* {"type": "step", step, loss, lr, grad_norm, seconds, skipped, loss_scale}: the begin of a metrics row. */
json_t *yk_learner_row(const yk_learner *l, double seconds);

/* Checkpoints from now on hold, and resuming reads, these numbers too: a value model's, a reference's. */
void yk_learner_also(yk_learner *l, const char *prefix, float *base);

/* {step, applied, skipped, loss_scale, losses, seconds, checkpoint_seconds}: what a checkpoint says of a learner beside
 * its tensors, for a second learner whose tensors are the first one's yk_learner_also. */
json_t *yk_learner_counters(const yk_learner *l);
yk_status yk_learner_take_counters(yk_learner *l, const json_t *counters, yk_error *err);

/* Checkpoints, written aside (train/saving.h); all ranks call these. The document holds the learner's state and the
 * members of `extra` (or NULL; not taken). What goes wrong aside is told by the next of these calls or by the next
 * step. */

/* Weights and both moments into the folder, by every rank its slice; then old ones are pruned. When it returns after
 * the last step, or when the run stops, all is written. A step that is saved already is not saved again. */
yk_status yk_learner_save_step(yk_learner *l, const json_t *extra, yk_error *err);
/* The weights alone, as one file of rank 0. */
yk_status yk_learner_save_model(yk_learner *l, const char *path, const json_t *extra, yk_error *err);
yk_status yk_learner_finish_save(yk_learner *l, yk_error *err); /* waits for what is under way */
yk_status yk_learner_poll_save(yk_learner *l, yk_error *err);   /* the same if all ranks have written */
void yk_learner_drop_save(yk_learner *l); /* waits for this rank's file alone: the learner is closed */
bool yk_learner_save_is_due(const yk_learner *l);
bool yk_learner_save_is_late(const yk_learner *l); /* by this rank's clock */

/* Before anything but a step reads the weights: rank 0 has all of them (of weights dealt out; collective). */
void yk_learner_whole(yk_learner *l);
/* Bytes of the copy that saves take, from the first one on, on a rank that owns so many floats of what is saved; whole:
 * how many floats the flat arrays have on rank 0, which saves models, elsewhere 0. Where they, and as much again,
 * cannot be had, training waits until a checkpoint is written. */
int64_t yk_saving_bytes(int64_t whole, int64_t owned);

/* Whether the run is to end here: a signal or the deadline came to one of the ranks. */
bool yk_learner_stops(const yk_learner *l);

/* Goes on from the newest checkpoint in the folder; *document (new) is NULL when there is none. YK_ERR_SHAPE when it
 * was made with other keys or data, or from other weights. */
yk_status yk_learner_resume(yk_learner *l, json_t **document, yk_error *err);

/* Before a resume: the moments of a checkpoint that has them, as that of a grown model (train/grow.h), and how many
 * steps they are of; *document (new). */
yk_status yk_learner_inherit(yk_learner *l, const char *path, json_t **document, yk_error *err);

/* Goes back to the checkpoint of a step in the folder, but for the number of ways back so far; *document (new) is NULL,
 * and nothing happened, when that one is no longer there. */
yk_status yk_learner_return(yk_learner *l, int64_t step, json_t **document, yk_error *err);

/* Over the weights, which rank 0 has (yk_learner_whole), and both moments in declaration order, then the chain of
 * losses. */
yk_status yk_learner_digest(const yk_learner *l, char hex[33], yk_error *err);

/* How many of x[n] are not zero and below 2^-56, which bf16 flushes (numerics contract, rule 4). */
int64_t yk_learner_count_flushed(const yk_learner *l, const float *x, int64_t n);

#endif
