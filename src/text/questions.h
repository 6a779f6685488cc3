/* The questions stage: questions from the clean documents and generated problems, for the stages that fine-tune.
 *
 * Writes below <dir>/questions/, one JSON object a line (doc/formats.md):
 *   train.jsonl, heldout.jsonl              {prompt, completion, kind, level (of problems)}
 *   pairs.train.jsonl, pairs.heldout.jsonl  {prompt, chosen, rejected, margin, kind}
 *   problems.train.jsonl, .heldout.jsonl    {prompt, answer, verifier, kind, level}
 *   report.json                             {kinds: {kind: {train, heldout}}, dropped: {reason: count}, samples}
 * heldout.jsonl is made from held-out documents and held-out problems; no prompt is in two files, and what a problem
 * asks is in one file alone (yk_problem_use). Of prompts that are near duplicates (text/near.h) one stays, that of a
 * held-out file first; two generated problems are none unless they ask the same. The output does not depend on the
 * number of threads.
 * Sets summary member questions {train, heldout, pairs, problems, by_kind}. YK_ERR_INPUT when documents are asked for
 * and the clean stage's are missing. */
#ifndef YK_TEXT_QUESTIONS_H
#define YK_TEXT_QUESTIONS_H

#include "config/job.h"

/* A hash over the names and contents of the files in questions.against. */
yk_status yk_questions_stamp(const yk_recipe *r, char hex[33], yk_error *err);

yk_status yk_questions_stage(const yk_job *job, bool *finished, yk_error *err);

#endif
