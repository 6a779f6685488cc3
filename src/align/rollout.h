/* Answers of a policy to prompts, to learn from by reinforcement. */
#ifndef YK_ALIGN_ROLLOUT_H
#define YK_ALIGN_ROLLOUT_H

#include "align/course.h"

#include <stdio.h>

/* One answer. Arrays run over the ids of the sequence: prompt and answer. */
typedef struct yk_rollout {
    const yk_example *example;
    yk_sequence sequence; /* weight 1 of the answer's ids */
    float *logp;          /* [ids.n] of the policy that made it, as yk_model_evaluate would give it; 0 in the prompt */
    yk_buf text;          /* of the answer */
    int64_t length;       /* ids of the answer */
    bool ended;           /* by the model itself, not by a limit */
} yk_rollout;

typedef struct yk_rollouts {
    yk_rollout *item;
    int64_t n;
    yk_comm *comm;          /* ranks that compute what is asked of them; NULL: this process alone */
    double seconds, tokens; /* spent in generating; made */
} yk_rollouts;

/* The first `most` (0: all) of the examples whose prompt leaves room for an answer in the context: item[*kept], with
 * room for e->n. The others before the last of these are counted in *left_out, and a warning says so. */
yk_status yk_rollout_prompts(const yk_course *c, const yk_examples *e, int64_t most, const yk_example **item,
                             int64_t *kept, int64_t *left_out, yk_error *err);

/* `group` answers to each of n prompts, those of a prompt side by side, with the weights in use. `number` names the
 * random numbers of the first; the others' follow. Prompts that leave no room in the context get an empty answer
 * (length 0). The ranks of the course's job take answers by turns, here and in what is asked of the rollouts below;
 * all of them get all. */
yk_status yk_rollouts_make(yk_rollouts *x, yk_course *c, yk_decoder *d, const yk_example *const *prompt, int64_t n,
                           int64_t group, const yk_sampling *how, uint64_t number, yk_error *err);
void yk_rollouts_free(yk_rollouts *x);

/* Appends {"messages": the prompt's and the answer's, "kind"} as a line, bytes that are not UTF-8 as U+FFFD; an
 * error names `path`. f NULL: nothing. */
yk_status yk_rollout_write(const yk_rollout *x, FILE *f, const char *path, yk_error *err);

/* One float, zero, for each id of each rollout: rows[i][ids.n]. free() it. */
yk_status yk_rollouts_rows(const yk_rollouts *x, float ***rows, yk_error *err);

/* Appends a rollout's rows to the session; -1 when they do not fit (yk_session_add). */
int64_t yk_rollout_add(const yk_rollout *x, yk_session *s);

/* Log-probabilities of the answers' ids by the weights in use (those of a reference, say): logp[i][ids.n] of rollout i,
 * 0 in the prompt. */
yk_status yk_rollouts_logp(const yk_rollouts *x, yk_session *s, float **logp, yk_error *err);

/* Scores of the score head by the weights in use: score[i][ids.n] of rollout i, at every id. */
yk_status yk_rollouts_score(const yk_rollouts *x, yk_session *s, float **score, yk_error *err);

#endif
