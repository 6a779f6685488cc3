/* The questions that stay when there are more than wanted: those of lowest rank, which is a hash of the prompt, so
 * that the choice is fair to every document and the same in any order of work. Private to src/text. */
#ifndef YK_TEXT_POOL_H
#define YK_TEXT_POOL_H

#include "base/status.h"
#include "text/extract.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_asked {
    uint64_t rank;
    yk_question_kind kind;
    char *prompt, *answer; /* one allocation, at `prompt` */
} yk_asked;

/* Zero-initialise but for `most`. */
typedef struct yk_pool {
    yk_asked *asked; /* [n], rank ascending, no two alike */
    size_t n, room, most;
} yk_pool;

/* Adds a copy, unless its rank is too high. A prompt that is there already is not taken again: *repeated. */
yk_status yk_pool_offer(yk_pool *p, const yk_asked *q, bool *repeated, yk_error *err);
void yk_pool_clear(yk_pool *p); /* keeps the memory */
void yk_pool_free(yk_pool *p);

#endif
