/* Exact and near duplicates: a hash of the words, and MinHash signatures (Broder 1997) of word 5-grams with locality-
 * sensitive hashing in bands, as in FineWeb. Holds signatures, never texts. Private to src/text. */
#ifndef YK_TEXT_DEDUP_H
#define YK_TEXT_DEDUP_H

#include "base/status.h"
#include "config/recipe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { YK_SHINGLE = 5 };

typedef struct yk_dedup yk_dedup;
yk_status yk_dedup_new(yk_dedup **d, const yk_recipe *r, yk_error *err);
void yk_dedup_free(yk_dedup *d);

/* Signature of a document with these word hashes: bands x rows minima. Thread-safe. */
size_t yk_dedup_size(const yk_dedup *d);
void yk_dedup_sign(const yk_dedup *d, const uint64_t *word, size_t n, uint32_t *signature);

/* Adds a document unless one like it is there: *reason is NULL, "exact duplicate" or "near duplicate". */
yk_status yk_dedup_add(yk_dedup *d, uint64_t exact, const uint32_t *signature, const char **reason, yk_error *err);

#endif
