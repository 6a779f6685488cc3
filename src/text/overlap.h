/* Overlap of texts with evaluation sets by word n-grams, as in Brown et al. 2020 (arXiv 2005.14165, appendix C).
 *
 * Words are those of text/words.h. Two texts overlap when they share n words in a row, or when the one is shorter than
 * n words, but not than three, and occurs whole in the other. */
#ifndef YK_TEXT_OVERLAP_H
#define YK_TEXT_OVERLAP_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct yk_overlap yk_overlap;

/* An empty index of `words` >= 1 words in a row. It holds hashes of 64 bits, at most 32 x `words` bytes for each word
 * added. */
yk_status yk_overlap_new(yk_overlap **o, size_t words, yk_error *err);
void yk_overlap_free(yk_overlap *o); /* NULL is allowed */

yk_status yk_overlap_add(yk_overlap *o, const char *text, size_t n, yk_error *err);

/* Adds every text in every object of a JSON lines file, plain, .gz or .zst, nested ones too. YK_ERR_INPUT names file
 * and line. */
yk_status yk_overlap_add_file(yk_overlap *o, const char *path, yk_error *err);

/* Whether the text overlaps with one that was added. Thread-safe while nothing is added. */
yk_status yk_overlap_find(const yk_overlap *o, const char *text, size_t n, bool *hit, yk_error *err);

#endif
