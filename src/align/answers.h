/* Answers that a stage makes before it learns from them, kept so that a stop or a kill loses one part of them at most:
 * <run>/<stage>/data.jsonl grows part by part, and <run>/<stage>/sampling.json beside it is the account of how far it
 * is. What the account speaks of is on the disk before the account is; what is past it is cut off and made again. */
#ifndef YK_ALIGN_ANSWERS_H
#define YK_ALIGN_ANSWERS_H

#include "align/course.h"

#include <stdio.h>

typedef struct yk_answers {
    const char *name; /* a hash over everything that decides the answers; those of another name are made anew */
    int64_t total;    /* items: prompts, problems, ... in their order */
    int64_t part;     /* items between two accounts */
    /* Appends to f, whose path is for messages, what comes of the items first, ..., first + n - 1: a function of these
     * and of what came out before. *whole, true at first, is set to false where it left off early because the job is to
     * stop: what it appended is cut off then, and nothing is remembered of it. */
    yk_status (*make)(void *context, int64_t first, int64_t n, FILE *f, const char *path, bool *whole, yk_error *err);
    /* What came out so far (new): members of the account beside {of, total, done, bytes}. */
    json_t *(*remember)(const void *context);
    void (*recall)(void *context, const json_t *account); /* the same from the account of an earlier process */
    void *context;
} yk_answers;

/* Makes what is missing of <c->dir>/data.jsonl. *made is false when the job was to stop before all was there. */
yk_status yk_answers_make(const yk_answers *a, const yk_course *c, bool *made, yk_error *err);

/* The path of data.jsonl; free() it. NULL when memory is exhausted. */
char *yk_answers_path(const yk_course *c);

#endif
