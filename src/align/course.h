/* What the stages after pretraining share: each begins with the model made so far, trains it in a folder of its own,
 * and leaves <run>/<stage>/model.h5 for the next. */
#ifndef YK_ALIGN_COURSE_H
#define YK_ALIGN_COURSE_H

#include "align/chat.h"
#include "align/examples.h"
#include "train/decoder.h"
#include "train/learner.h"
#include "train/metrics.h"

enum {
    YK_COURSE_ROWS = 4096, /* of a pass over answers that are known */
    YK_COURSE_SLOTS = 128  /* answers made at once */
};

typedef struct yk_course {
    const yk_job *job;
    yk_comm *comm; /* of the job */
    const yk_recipe *r;
    const char *name;               /* of the stage */
    char *dir, *checkpoints, *path; /* <run>/<stage>, its checkpoints, its model.h5 */
    yk_session s;
    yk_chat *chat;
    yk_metrics metrics;
    int64_t context; /* tokens that a sequence may have */
    bool plain;      /* prompts are written as plain text, not by the chat template: yk_chat_plain() */
} yk_course;

/* Loads the model made so far (job->model; YK_ERR_INPUT when there is none) into a session of `rows` rows a pass, or
 * one sequence if that is more, for training; `score`: with a score head, zero. */
yk_status yk_course_open(yk_course *c, const yk_job *job, const char *name, int64_t rows, bool score, yk_error *err);
/* The same to measure the model alone: no gradients, no folder of its own. */
yk_status yk_course_open_to_measure(yk_course *c, const yk_job *job, const char *name, int64_t rows, yk_error *err);
void yk_course_close(yk_course *c);

/* The file that the recipe names, else <run>/questions/<file>. YK_ERR_INPUT when it is not there: which stage would
 * make it, which key could name another. The list is to be freed by yk_course_free_paths(). */
yk_status yk_course_paths(const yk_course *c, const yk_list *named, const char *key, const char *file, yk_list *paths,
                          yk_error *err);
void yk_course_free_paths(yk_list *paths);

/* Prompts, `stride` bytes apart: the sequences begin with them. */
typedef struct yk_prompts {
    const yk_sequence *first;
    size_t stride;
    char *const *asked; /* [n] for people */
    int64_t n;
} yk_prompts;

/* Greedy answers of the weights in use, to samples.jsonl as of `step`. */
yk_status yk_course_samples(yk_course *c, const yk_prompts *p, int64_t step, yk_error *err);

/* Saves the weights in use as <run>/<stage>/model.h5, and makes `summary` (taken) a member of summary.json; its member
 * digest, and so the run's, covers the learner and all that was before. */
yk_status yk_course_finish(yk_course *c, const yk_learner *l, bool with_score, json_t *summary, yk_error *err);

/* Makes the digest of what the stage has made part of the run's, after those of the stages before. */
void yk_course_add_digest(const yk_course *c, const char hex[33]);

/* The endless sequence of items 0 .. total - 1, in a new random order each epoch: a pure function of (seed, deal,
 * position). */
typedef enum yk_deals {
    YK_DEAL_SFT = 1,
    YK_DEAL_DISTILL,
    YK_DEAL_REWARD,
    YK_DEAL_PPO,
    YK_DEAL_DPO,
    YK_DEAL_GRPO,
    YK_DEAL_REFINE
} yk_deals;
/* Steps of `epochs` epochs of n items in batches of `batch`, at least one. */
int64_t yk_steps_of(double epochs, int64_t n, int64_t batch);

typedef struct yk_deal {
    uint64_t seed, deal;
    int64_t total;
    uint64_t *order; /* [total] of the epoch at hand */
    int64_t epoch;
} yk_deal;
yk_status yk_deal_new(yk_deal *d, uint64_t seed, uint64_t deal, int64_t total, yk_error *err);
void yk_deal_free(yk_deal *d);
int64_t yk_deal_item(yk_deal *d, int64_t position);

#endif
