/* Evaluation tasks: files of questions with choices, minimal pairs, preferences, and problems with checked answers. */
#ifndef YK_ALIGN_TASKS_H
#define YK_ALIGN_TASKS_H

#include "align/grading.h"

/* Measures the model that `c` holds on a file, and sets `into`:
 *   choices, pairs, preferences   {n, accuracy, stderr: by the likelihood of the whole choice; accuracy_norm: by that
 *                                 of a byte of it (acc and acc_norm of lm-eval)}
 *   problems                      {n, accuracy, stderr, format: of greedy answers; pass_at_1, pass_at_k, k, samples: of
 *                                 answers at temperature 0.8, by the unbiased estimator of Chen et al. 2021}
 * `chat`: prompts are rendered by the chat template, else as plain text that the choice continues. Errors name the file
 * and the line. The results do not depend on the batch; they are of no use when the grader was cut, and *into may be
 * NULL then. */
yk_status yk_task_measure(yk_course *c, const yk_grader *g, const char *path, bool chat, json_t **into, yk_error *err);

/* 1 - C(n - right, k) / C(n, k): the chance that one of k answers, drawn from n of which `right` are right,
 * is right. */
double yk_pass_at(int64_t n, int64_t right, int64_t k);

#endif
