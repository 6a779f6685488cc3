/* The stage that searches values for keys of the recipe. */
#ifndef YK_TUNE_TUNE_H
#define YK_TUNE_TUNE_H

#include "config/job.h"

/* Trains trials of the recipe below <dir>/tune/trial-000, ... with values for the keys that `tune:` names, and keeps
 * those that do best on held-out text (halving.h, sampler.h). A trial is the pretrain stage on the run's own tokenizer
 * and shards, paused where its rung ends and gone on with the same bits when it is promoted. Writes the record
 * <dir>/tune/trials.jsonl, from which a search that was cut goes on to the same end, and <dir>/tune/best.yaml, a whole
 * recipe with the winner's values; of the trials metrics stay, of the winner its checkpoint too. Sets summary member
 * tune {trials, steps, runs, best {key: value}, trial, score}: `steps` of training were spent, as many as `runs` whole
 * runs have. The ranks of the job train each trial together. YK_ERR_NUMERIC when all trials diverged. */
yk_status yk_tune_stage(const yk_job *job, bool *finished, yk_error *err);

#endif
