/* <run>/tune/trials.jsonl, the record of a search: one line a finished rung,
 * {"search", "trial", "rung", "step", "values": {key: value}, "score", "seconds"}. Because a search is a function of
 * its results, it is resumed by going through it again and looking up what is recorded. */
#ifndef YK_TUNE_TRIALS_H
#define YK_TUNE_TRIALS_H

#include "base/mem.h"
#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct yk_trials {
    FILE *file;
    char *path, search[33];
    json_t *known; /* {"<trial>/<step>": line} */
} yk_trials;

typedef struct yk_result {
    int64_t trial, rung, step;
    const char *values; /* a JSON object of numbers and texts */
    double score;       /* INFINITY, null in the file: training left the finite numbers */
    double seconds;
} yk_result;

/* Reads and opens the file for appending. `search` is the hash of what the scores depend on beside the values. Damaged
 * lines are warned about and dropped, so that their rungs are done again; YK_ERR_SHAPE when a line is of another
 * search, YK_ERR_INPUT when the file is no record of any size a search has. */
yk_status yk_trials_open(yk_trials *t, const char *path, const char search[33], yk_error *err);
void yk_trials_close(yk_trials *t);

/* The score of r->trial at r->step with r->values, and how long it took, when it is recorded. */
bool yk_trials_find(const yk_trials *t, yk_result *r);

/* Appends a line. */
yk_status yk_trials_add(yk_trials *t, const yk_result *r, yk_error *err);

/* The held-out bits per byte that <dir>/metrics.jsonl has for a step (INFINITY: not finite); *found is false when it
 * has none. */
yk_status yk_trials_score(const char *dir, int64_t step, double *score, bool *found, yk_error *err);

#endif
