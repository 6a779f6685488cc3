/* metrics.jsonl and samples.jsonl of a run: appended line by line; on a resume, lines past the checkpoint's step are
 * dropped, so that each step is there once. Of several ranks all call these, and rank 0 writes. */
#ifndef YK_TRAIN_METRICS_H
#define YK_TRAIN_METRICS_H

#include "base/mem.h"
#include "base/status.h"
#include "comm/comm.h"
#include "model/model.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

typedef struct yk_metrics {
    yk_comm *comm;
    FILE *metrics, *samples; /* samples: NULL until there is one */
    char *samples_path;
    bool late; /* of a line that cannot be written the others hear from yk_metrics_settle, not at once */
    yk_status failed;
    yk_error why;
} yk_metrics;

yk_status yk_metrics_open(yk_metrics *m, yk_comm *comm, const char *run_dir, int64_t step, yk_error *err);
void yk_metrics_close(yk_metrics *m);
yk_status yk_metrics_add(yk_metrics *m, json_t *row, yk_error *err); /* takes `row` */

/* [{layer, max, min}] of the layers with experts: rows that the busiest and the idlest of each were given, divided by
 * their mean (yk_model_loads, which become those of all ranks); NULL where there are none. */
json_t *yk_metrics_expert_load(const yk_model *m, yk_comm *comm);
yk_status yk_metrics_settle(yk_metrics *m, yk_error *err);

/* Bytes that are not UTF-8 are shown as U+FFFD. */
yk_status yk_metrics_sample(yk_metrics *m, int64_t step, const char *prompt, const yk_buf *text, yk_error *err);

#endif
