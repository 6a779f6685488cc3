/* What a run directory holds, read for the report. Every part may be missing; what is damaged is
 * skipped and noted. */
#ifndef YK_REPORT_RECORD_H
#define YK_REPORT_RECORD_H

#include "base/mem.h"
#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>

/* NAN stands for a member that is not there, is null, or is no number below 1e30; sizes
 * below 1e-30 count as 0. */
typedef struct yk_step_row {
    double step, tokens, loss, masked_loss, lr, grad_norm, tokens_per_s;
    bool skipped;
} yk_step_row;

typedef struct yk_eval_row {
    double step, tokens, flops, bpb, masked_accuracy; /* flops: of training so far */
    json_t *by_domain; /* owned; NULL: none */
} yk_eval_row;

/* What a stage after pretraining wrote below its folder. */
typedef struct yk_course_record {
    const char *name;      /* of the stage, in the summary's list */
    json_t **rows;         /* of its metrics.jsonl, with a step each */
    size_t row_count, row_cap;
    json_t **samples;
    size_t sample_count, sample_cap;
} yk_course_record;

enum { YK_MOST_COURSES = 16 };

typedef struct yk_record {
    char *name;      /* summary.name, else the directory's own name      */
    json_t *summary; /* owned objects; NULL: no such file                 */
    json_t *clean, *tokenizer, *manifest, *proposals;
    json_t *mixture; /* `domains` of the last mixture line                */
    yk_step_row *steps;
    size_t step_count, step_cap;
    yk_eval_row *evals;
    size_t eval_count, eval_cap;
    json_t **samples; /* in order of the file                              */
    size_t sample_count, sample_cap;
    json_t **trials; /* of a search, in order of the file                  */
    size_t trial_count, trial_cap;
    yk_course_record courses[YK_MOST_COURSES];
    size_t course_count;
    char **domains; /* every domain named anywhere, in first appearance  */
    size_t domain_count, domain_cap;
    yk_buf recipe; /* recipe.yaml                                       */
    yk_buf notes;  /* one line each: what could not be read             */
} yk_record;

/* Reads the directory. YK_ERR_INPUT when it is none, or holds no file of a run. A step that comes
 * again after a restart replaces what the cut run wrote from there on. */
yk_status yk_record_read(yk_record *r, const char *run_dir, yk_error *err);
void yk_record_free(yk_record *r);

/* The directory's own name: "runs/quickstart/" gives "quickstart". free() it; NULL: no memory. */
char *yk_record_directory(const char *dir);

/* Index of a domain in r->domains (its colour); -1 if unknown. */
int yk_record_domain(const yk_record *r, const char *name);

/* Lookup by a path such as "pretrain.heldout_bpb.start"; NULL or NAN when it is not there. Any json
 * may be NULL. Names that contain a dot cannot be reached. */
json_t *yk_json_at(json_t *from, const char *path);
double yk_json_number(json_t *from, const char *path);
const char *yk_json_text(json_t *from, const char *path);

#endif
