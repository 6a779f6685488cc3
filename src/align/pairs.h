/* Preferences as pairs of sequences: what the reward model and DPO learn from. */
#ifndef YK_ALIGN_PAIRS_H
#define YK_ALIGN_PAIRS_H

#include "align/course.h"

typedef struct yk_pairs {
    yk_sequence *sequence; /* [2 n] chosen of pair i at 2 i, rejected after it */
    char **asked;          /* [n] the last turn before the answers, for people */
    double *margin;        /* [n] */
    int64_t n;
    size_t left_out; /* longer than the context */
    char hash[33];
} yk_pairs;

/* Reads the files that the recipe names, else <run>/questions/<file>; `key` is the recipe's, for messages. */
yk_status yk_pairs_read(yk_pairs *p, const yk_course *c, const yk_list *named, const char *key, const char *file,
                        int64_t bad_lines, yk_error *err);
void yk_pairs_free(yk_pairs *p);

/* Appends both sides of pair i, the chosen one first; false, and nothing, when they do not fit. */
bool yk_pairs_add(const yk_pairs *p, int64_t i, yk_session *s);

/* The row, from a sequence's first, of the last id that the assistant said: that of its end. */
int64_t yk_sequence_end(const yk_sequence *q);

#endif
