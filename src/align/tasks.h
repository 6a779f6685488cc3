/* Evaluation tasks: files of questions with choices, minimal pairs, preferences, and problems with checked answers;
 * and task files of lm-evaluation-harness. */
#ifndef YK_ALIGN_TASKS_H
#define YK_ALIGN_TASKS_H

#include "align/grading.h"
#include "align/harness.h"

/* A file that was read. */
typedef struct yk_task {
    char *name, *path;
    yk_form form;        /* YK_CHOICE or YK_PROBLEM */
    yk_list files;       /* of the examples: `path`, or what the task file names */
    yk_examples examples;
    bool *overlaps;      /* [examples.n] with training text (yk_contamination_find); NULL: not known */
    yk_harness harness;  /* of a task file */
    bool from_harness;
} yk_task;

/* Reads `path`, a task file when it ends in .yaml or .yml, else JSON lines of which at most `most_bad` may be left out.
 * `name` NULL: what the task file says, else "arc" of path/to/arc.jsonl.gz. Errors name the file and the line. */
yk_status yk_task_read(yk_task *t, const char *path, const char *name, size_t most_bad, yk_error *err);
void yk_task_free(yk_task *t);

/* Measures the model that `c` holds on a task, and sets `into`:
 *   choices, pairs, preferences   {n, accuracy, stderr: by the likelihood of the choice; accuracy_norm, stderr_norm:
 *                                 of a character of it; accuracy_bytes: of a byte (acc, acc_norm and acc_bytes of
 *                                 lm-eval 0.4.13, lm_eval/api/task.py)}; of a single choice accuracy is the share that
 *                                 greedy decoding would give, beside perplexity (lm-eval's of loglikelihood)
 *   problems                      {n, accuracy, stderr, format: of greedy answers; pass_at_1, pass_at_k, k, samples: of
 *                                 answers at temperature 0.8, by the unbiased estimator of Chen et al. 2021}
 *   exact answers of a task file  {n, accuracy (exact_match of lm-eval), stderr}
 * and, where items overlap with training text, n_clean and accuracy_clean of those that do not. c->plain: prompts are
 * plain text that the choice continues, else rendered by the chat template. The results do not depend on the batch;
 * they are of no use when the grader was cut. */
yk_status yk_task_measure(yk_course *c, const yk_grader *g, const yk_task *t, json_t **into, yk_error *err);

/* 1 - C(n - right, k) / C(n, k): the chance that one of k answers, drawn from n of which `right` are right,
 * is right. */
double yk_pass_at(int64_t n, int64_t right, int64_t k);

#endif
