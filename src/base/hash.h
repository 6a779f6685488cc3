/* Hashes: XXH3 for tables and digests of the program's own data, SHA-256 for files that travel. */
#ifndef YK_BASE_HASH_H
#define YK_BASE_HASH_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

uint64_t yk_hash64(const void *data, size_t n, uint64_t seed);

/* A running 128-bit digest over any number of pieces; the piece boundaries do not matter. */
typedef struct yk_digest yk_digest;
yk_digest *yk_digest_new(void); /* NULL when memory is exhausted */
void yk_digest_add(yk_digest *d, const void *data, size_t n);
void yk_digest_hex(const yk_digest *d, char hex[33]); /* of what was added so far */
void yk_digest_free(yk_digest *d);

void yk_hash128_hex(const void *data, size_t n, char hex[33]);

/* Of one hash after another, in hex; `hex` may be either. */
void yk_hash128_join(const char *first, const char *second, char hex[33]);

/* A hash that is a sum, so that the parts of an array can be hashed apart and added up: of the array's lines of 64
 * bytes (the last one may be shorter) the 128-bit XXH3 with the line's number as seed, each half added modulo 2^64. */
#define YK_HASH_LINE 64
typedef struct yk_hash_sum {
    uint64_t high, low;
} yk_hash_sum;

/* Adds the n bytes that begin with line `line`; all but the array's last part are whole lines. */
void yk_hash_sum_add(yk_hash_sum *h, const void *data, size_t n, uint64_t line);
void yk_hash_sum_hex(yk_hash_sum h, char hex[33]);

void yk_sha256_hex(const void *data, size_t n, char hex[65]);
yk_status yk_sha256_file(const char *path, char hex[65], yk_error *err);

#endif
