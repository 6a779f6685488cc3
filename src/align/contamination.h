/* Evaluation sets that a model may have seen: items that share evaluate.contamination words in a row with what it was
 * trained on (Brown et al. 2020, appendix C; shorter items by the rule of text/overlap.h). */
#ifndef YK_ALIGN_CONTAMINATION_H
#define YK_ALIGN_CONTAMINATION_H

#include "align/tasks.h"
#include "config/job.h"

/* Compares the items of n tasks, and with `heldout` the documents that the clean stage held out, with the training
 * documents of the clean stage and the files that the recipe's stages learn from, as far as they are there. Sets
 * task[i].overlaps, and *into {name of a task, or heldout/<domain>: {items, overlapping, share, examples: up to 3
 * {line, ngram}}}. An item is its prompt with the right choice or answer. The result does not depend on threads, nor on
 * the ranks of the job, which share the work. */
yk_status yk_contamination_find(const yk_job *job, yk_task *task, size_t n, bool heldout, json_t **into,
                                yk_error *err);

#endif
