/* Added tokens: texts that are tokens of their own wherever they stand. Private to src/token. */
#ifndef YK_TOKEN_ADDED_H
#define YK_TOKEN_ADDED_H

#include "token/tokenizer.h"

#include <stdbool.h>

typedef struct yk_added {
    char *text;
    size_t length;
    int32_t id;
    bool special;
    bool left, right;  /* takes the blanks before it, after it, with it */
    bool single_word;  /* only where no word character is beside it */
} yk_added;

/* A set of them, in bytewise order. Zero-initialise. */
typedef struct yk_finder {
    yk_added *list;
    size_t n, room, plain; /* plain: how many are not special */
    bool first[256];       /* bytes that one begins with */
} yk_finder;
void yk_finder_free(yk_finder *f);
int32_t yk_finder_id(const yk_finder *f, const char *text); /* -1: none */

/* Reads `added_tokens` of the settings into t->raw and t->composed and gives ids their tokens. YK_ERR_INPUT. */
yk_status yk_added_read(yk_tokenizer *t, yk_error *err);

/* Calls `each` with the parts of valid UTF-8 in order: texts, and added tokens (`token` not NULL). Of those that begin
 * first the longest is taken; special ones are passed over, and stay part of the text, unless `specials`. */
typedef yk_status (*yk_part_fn)(void *context, const char *text, size_t n, const yk_added *token, yk_error *err);
yk_status yk_finder_parts(const yk_finder *f, const uint8_t *kinds, bool specials, const char *text, size_t n,
                          yk_part_fn each, void *context, yk_error *err);

#endif
