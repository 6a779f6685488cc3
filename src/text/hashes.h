/* A set of 64-bit hashes. Private to src/text. */
#ifndef YK_TEXT_HASHES_H
#define YK_TEXT_HASHES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; open addressing, at most half full. The hash 0 counts as 1. */
typedef struct yk_hashes {
    uint64_t *slot; /* 0: free */
    size_t n, slots;
} yk_hashes;

/* *fresh, unless it is NULL, tells whether the hash was not there before. */
yk_status yk_hashes_add(yk_hashes *h, uint64_t hash, bool *fresh, yk_error *err);
bool yk_hashes_has(const yk_hashes *h, uint64_t hash);
size_t yk_hashes_slot(const yk_hashes *h, uint64_t hash); /* where it lies while nothing is added; SIZE_MAX: nowhere */
void yk_hashes_free(yk_hashes *h);

#endif
