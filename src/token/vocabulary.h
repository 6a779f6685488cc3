/* The tokenizer's tables. Private to src/token. */
#ifndef YK_TOKEN_VOCABULARY_H
#define YK_TOKEN_VOCABULARY_H

#include "token/tokenizer.h"

#include <stdbool.h>

/* A hash table from 64-bit keys (not UINT64_MAX) to 64-bit values, open addressing. Zero-initialise. */
typedef struct yk_table {
    uint64_t *key, *value;
    size_t n, room; /* room is a power of two */
} yk_table;
yk_status yk_table_put(yk_table *t, uint64_t key, uint64_t value, yk_error *err);
bool yk_table_get(const yk_table *t, uint64_t key, uint64_t *value);
void yk_table_free(yk_table *t);

static inline uint64_t yk_pair(int32_t a, int32_t b)
{
    return (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
}

typedef struct yk_token {
    char *bytes;
    uint32_t length;
    bool special;
} yk_token;

struct yk_tokenizer {
    yk_token *token; /* [vocab] */
    int32_t vocab;
    int32_t byte_id[256];
    int32_t (*merge)[2]; /* [merges] by rank */
    size_t merges;
    yk_table rank; /* pair -> rank << 32 | merged id */
    char *pattern;
    bool nfc; /* the file names the NFC normaliser */
};

/* Ids 0..255: the byte with that id; and its inverse. */
void yk_byte_alphabet(uint8_t byte_of_id[256], int32_t id_of_byte[256]);

/* An empty tokenizer with room for `vocab` tokens; tokens and merges are filled by the caller. */
yk_status yk_tokenizer_new(yk_tokenizer **t, int32_t vocab, size_t merges, const char *pattern, yk_error *err);
yk_status yk_token_set(yk_token *t, const char *bytes, size_t n, bool special, yk_error *err);

/* Fills byte_id and rank from tokens and merges; YK_ERR_INPUT when a byte has no token. merged[r] is the id that
 * merge r makes. */
yk_status yk_tokenizer_index(yk_tokenizer *t, const int32_t *merged, yk_error *err);

#endif
