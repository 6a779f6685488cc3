/* Exact and near duplicates: a hash of the words, and MinHash signatures (Broder 1997) of word n-grams with locality-
 * sensitive hashing in bands, as in FineWeb. Holds signatures, never texts. Private to src/text. */
#ifndef YK_TEXT_DEDUP_H
#define YK_TEXT_DEDUP_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_dedup_options {
    size_t shingle;     /* words of an n-gram */
    size_t bands, rows; /* hashes: rows a band */
    double similarity;  /* share of equal hashes, an estimate of Jaccard's, from which two are near duplicates */
} yk_dedup_options;

typedef struct yk_dedup yk_dedup;
yk_status yk_dedup_new(yk_dedup **d, const yk_dedup_options *o, yk_error *err);
void yk_dedup_free(yk_dedup *d);

/* Signature of a document with these word hashes: bands x rows minima. Thread-safe. */
size_t yk_dedup_size(const yk_dedup *d);
void yk_dedup_sign(const yk_dedup *d, const uint64_t *word, size_t n, uint32_t *signature);

/* NULL, "exact duplicate" or "near duplicate": whether a document like it is there. Thread-safe while none is added. */
const char *yk_dedup_find(const yk_dedup *d, uint64_t exact, const uint32_t *signature);

/* The same, and adds the document unless it is an exact duplicate. */
yk_status yk_dedup_add(yk_dedup *d, uint64_t exact, const uint32_t *signature, const char **reason, yk_error *err);

#endif
