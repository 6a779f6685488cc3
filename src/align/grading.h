/* Problems whose answers can be checked: read, answered and graded as the recipe's group `verify` has it. */
#ifndef YK_ALIGN_GRADING_H
#define YK_ALIGN_GRADING_H

#include "align/rollout.h"
#include "align/verify.h"

typedef struct yk_grader {
    yk_verifier *verifier;
    yk_reward_weights weights;
    yk_comm *comm; /* ranks that grade; each has a verifier of its own */
} yk_grader;
yk_status yk_grader_new(yk_grader *g, const yk_job *job, yk_error *err);
void yk_grader_free(yk_grader *g);

/* parts[x->n] of the answers to problems, which ranks take by turns; all ranks get all. A slow verifier does not hold
 * up a job that is to stop: ask yk_grader_was_cut() before you use them, and marks, for anything that lasts. */
yk_status yk_grade(const yk_grader *g, const yk_rollouts *x, yk_reward_parts *parts, yk_error *err);

bool yk_grader_was_cut(const yk_grader *g); /* of any rank */

/* {regex_limits, asked, timeouts, crashes, rubbish, starts} so far and of all ranks, added to those of `before` (NULL:
 * none). */
json_t *yk_grader_counts(const yk_grader *g, const json_t *before);

enum { YK_MOST_KINDS = 64 };

typedef struct yk_problem_set {
    yk_examples examples;    /* what yk_problem_set_read() read */
    const yk_example **item; /* [n] those whose prompt leaves room for an answer */
    int64_t n, left_out;
    const char *kind[YK_MOST_KINDS]; /* in the order in which they come; those beyond the last are counted as "other" */
    int kinds;
    int *kind_of;            /* [n] */
    double *right;           /* [n] accuracy of the answers that were marked last */
    const char *const *stop; /* texts that end an answer and do not belong to it; the caller's */
    size_t stops;
} yk_problem_set;

/* Reads the files that the recipe names, else <run>/questions/<file>, as yk_course_paths(). Lines without a problem are
 * left out as yk_examples_read() has it; a problem that its verifier cannot check is YK_ERR_INPUT. */
yk_status yk_problem_set_read(yk_problem_set *p, const yk_course *c, const yk_grader *g, const yk_list *named,
                              const char *key, const char *file, int64_t most_bad, yk_error *err);

/* The same, into a set that is zero, of problems that were read from the files `paths`, and outlive the set. */
yk_status yk_problem_set_of(yk_problem_set *p, const yk_course *c, const yk_grader *g, const yk_examples *e,
                            const yk_list *paths, yk_error *err);
void yk_problem_set_free(yk_problem_set *p);

/* How a problem's user put it: the last turn of its prompt. */
const char *yk_problem_prompt(const yk_example *problem);

/* Sums over the answers to a set of problems. */
typedef struct yk_marks {
    double n, accuracy, format, tokens;
    struct {
        double n, accuracy;
    } kind[YK_MOST_KINDS];
} yk_marks;

/* Marks of greedy answers, of at most `tokens` tokens, to all problems. The first `samples` go to c->metrics as of
 * `step`. */
yk_status yk_problem_set_mark(const yk_problem_set *p, yk_course *c, yk_decoder *d, const yk_grader *g, int64_t tokens,
                              int64_t samples, int64_t step, yk_marks *marks, yk_error *err);

/* {kind: {before, after, n}} accuracies. */
json_t *yk_marks_by_kind(const yk_problem_set *p, const yk_marks *before, const yk_marks *after);

/* What a checkpoint keeps of marks. */
json_t *yk_marks_json(const yk_problem_set *p, const yk_marks *m);
yk_marks yk_marks_of_json(const yk_problem_set *p, const json_t *x);

#endif
