/* Near duplicates among short texts: MinHash signatures of word pairs (text/dedup.h). Texts that differ in their
 * numbers, or in the order of these, are never alike: problems with other operands are other problems. */
#ifndef YK_TEXT_NEAR_H
#define YK_TEXT_NEAR_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_near yk_near;

/* An empty index. Texts are alike when the Jaccard similarity of their sets of word pairs, estimated by 100 hashes (its
 * standard deviation is at most 0.05), is at least `similarity`. It holds about 700 bytes a text. */
yk_status yk_near_new(yk_near **n, double similarity, yk_error *err);
void yk_near_free(yk_near *n); /* NULL is allowed */

/* `group`: texts of different groups are never alike. */
yk_status yk_near_add(yk_near *n, const char *text, uint64_t group, yk_error *err);
yk_status yk_near_find(yk_near *n, const char *text, uint64_t group, bool *hit, yk_error *err);

/* The similarity itself of two texts; 0 when their numbers differ. */
yk_status yk_near_similarity(const char *a, const char *b, double *similarity, yk_error *err);

#endif
