/* Task files of lm-evaluation-harness (Gao et al., 0.4.13), a strict subset: each line of their data is rewritten as
 * an example of our own form (align/examples.h), so that one evaluator serves both. doc/formats.md lists what is
 * supported; everything else is refused with file and line. */
#ifndef YK_ALIGN_HARNESS_H
#define YK_ALIGN_HARNESS_H

#include "align/examples.h"

typedef struct yk_harness {
    yk_form form;   /* YK_CHOICE, or YK_PROBLEM of the verifier "exact" */
    char *name;     /* of the task; NULL: not said */
    yk_list files;  /* of the split that is measured */
    yk_list until;  /* of generation: texts that end an answer */
    int64_t tokens; /* and the most of it */
    bool ignore_case, ignore_punctuation, strip; /* yk_check */
    /* private */
    char *text, *target, *choice, *delimiter, *description, *output, *fewshot_delimiter;
    yk_list choices; /* the same for all lines */
    bool continues;  /* output_type loglikelihood */
    json_t *first;   /* line: its members are those of all */
} yk_harness;

/* YK_ERR_INPUT with "file:line:column: ...". */
yk_status yk_harness_read(yk_harness *t, const char *path, yk_error *err);
void yk_harness_free(yk_harness *t); /* also after an error */

/* A yk_rewrite_fn; the context is the yk_harness. */
json_t *yk_harness_rewrite(void *context, const json_t *line, yk_error *why);

#endif
