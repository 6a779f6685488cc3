/* Cuts text into pieces by a regular expression (PCRE2, UTF-8, Unicode classes). Private to src/token. */
#ifndef YK_TOKEN_SPLIT_H
#define YK_TOKEN_SPLIT_H

#include "base/status.h"

#include <stddef.h>

extern const char yk_pattern_qwen2[], yk_pattern_gpt2[];

typedef struct yk_splitter yk_splitter;
yk_status yk_splitter_new(yk_splitter **s, const char *pattern, yk_error *err);
void yk_splitter_free(yk_splitter *s);

/* Length of the piece that begins at text[0]; n >= 1, the result is 1..n. What the pattern does not match is one
 * character a piece; a byte outside valid UTF-8 is a piece of its own. `*valid` is how many bytes from text[0] are
 * known to be valid UTF-8: 0 at first, kept by the caller between calls on the same text. */
size_t yk_splitter_next(yk_splitter *s, const char *text, size_t n, size_t *valid);

#endif
