/* Answers that a stage makes before they are learnt from, kept so that a stop or a kill loses one part of them at most:
 * a file grows part by part, and a JSON file beside it is the account of how far it is. What the account speaks of is
 * on the disk before the account is; what is past it is cut off and made again. */
#ifndef YK_ALIGN_ANSWERS_H
#define YK_ALIGN_ANSWERS_H

#include "align/course.h"

#include <stdio.h>

typedef struct yk_answers {
    const char *path;    /* of the file that grows, in c->dir */
    const char *account; /* the name of its account there */
    const char *name;    /* a hash over everything that decides the answers; those of another name are made anew */
    const char *items;   /* what they are made of, in its order, for people: "prompts", "problems", ... */
    int64_t total, part; /* items: all; between two accounts */
    const int64_t *kept; /* answers that came out so far, for people */
    /* Appends to f what comes of the items first, ..., first + n - 1: a function of these and of what came out before.
     * *whole, true at first, is set to false where it left off early because the job is to stop: what it appended is
     * cut off then, and nothing is remembered of it. All ranks of the course's job make the same; f is NULL but on rank
     * 0, and nothing is written to it. */
    yk_status (*make)(void *context, int64_t first, int64_t n, FILE *f, bool *whole, yk_error *err);
    /* What came out so far (new): members of the account beside {of, total, done, bytes}. */
    json_t *(*remember)(const void *context);
    /* The same from the account of an earlier process, or from its rows: the file has them, and nothing else. */
    yk_status (*recall)(void *context, const json_t *account, yk_error *err);
    void *context;
} yk_answers;

/* Makes what is missing of the file. *made is false when the job was to stop before all was there. */
yk_status yk_answers_make(const yk_answers *a, const yk_course *c, bool *made, yk_error *err);

#endif
