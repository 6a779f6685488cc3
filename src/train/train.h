/* The stages that train and evaluate. */
#ifndef YK_TRAIN_TRAIN_H
#define YK_TRAIN_TRAIN_H

#include "config/job.h"

/* Sequences that are computed at once: pretrain.micro_batch, or as many as make some 4,096 rows; at most a lane's. */
int64_t yk_micro_batch(const yk_recipe *r);

/* Hybrid masked and causal pretraining from the token shards. Resumes from the newest checkpoint below
 * <dir>/checkpoints; appends to <dir>/metrics.jsonl and <dir>/samples.jsonl. Sets summary members pretrain, model,
 * isa and digest: the digest covers weights, both moments and the loss of every step. With job->until it pauses after
 * that step of the same run, evaluated there and nowhere else. */
yk_status yk_pretrain_stage(const yk_job *job, bool *finished, yk_error *err);

/* Held-out bits per byte a domain, masked accuracy against the unigram baseline, and what gzip -9 and xz -9e need for
 * the same documents. Sets pretrain.heldout_bpb.end and .by_domain, masked, baseline. */
yk_status yk_evaluate_stage(const yk_job *job, bool *finished, yk_error *err);

#endif
