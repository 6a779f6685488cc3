/* The tokenizer's tables. Private to src/token. */
#ifndef YK_TOKEN_VOCABULARY_H
#define YK_TOKEN_VOCABULARY_H

#include "token/added.h"
#include "token/split.h"
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
    char *bytes; /* NULL: no token has this id */
    uint32_t length;
    bool literal; /* its text is in no byte alphabet: no piece can be it */
    bool added;   /* in `added_tokens` alone, not in the vocabulary of the model */
    bool listed, special; /* in `added_tokens`; as a special one */
} yk_token;

struct yk_tokenizer {
    yk_token *token; /* [vocab] */
    int32_t vocab;
    int32_t byte_id[256];
    int32_t begin, end; /* of a document; -1: none */
    int32_t (*merge)[2]; /* [merges] by rank */
    size_t merges;
    yk_table rank; /* pair -> rank << 32 | merged id */
    yk_table whole; /* hash of bytes -> id, when ignore_merges */
    yk_stages stages;
    yk_finder raw, composed; /* added tokens, looked for before and after normalisation */
    struct json_t *settings; /* tokenizer.json without vocabulary and merges */
    bool nfc;                /* the normaliser is NFC */
    bool ignore_merges;      /* a piece that is a token is that token */
};

enum { YK_MAX_VOCAB = 4 << 20 };

/* Ids 0..255: the byte with that id; and its inverse. */
void yk_byte_alphabet(uint8_t byte_of_id[256], int32_t id_of_byte[256]);

/* An empty tokenizer with room for `vocab` tokens; tokens and merges are filled by the caller. Takes `settings`. */
yk_status yk_tokenizer_new(yk_tokenizer **t, int32_t vocab, size_t merges, struct json_t *settings, yk_error *err);
yk_status yk_token_set(yk_token *t, const char *bytes, size_t n, yk_error *err);

/* Puts into force what the settings say: stages of the split, normaliser, model, added tokens (which get their id's
 * token). Fills byte_id and the tables; merged[r] is the id that merge r makes. YK_ERR_INPUT names what is not
 * supported, or a byte without a token. */
yk_status yk_tokenizer_ready(yk_tokenizer *t, const int32_t *merged, yk_error *err);

/* A rank file of tiktoken; see yk_tokenizer_import. */
yk_status yk_tokenizer_from_ranks(yk_tokenizer **t, const char *path, const char *pattern, const char *const *special,
                                  size_t specials, yk_error *err);

/* Reads the settings into stages, nfc, ignore_merges. */
yk_status yk_settings_read(yk_tokenizer *t, yk_error *err);

/* Settings of a tokenizer with this pattern, NULL for ByteLevel's own. NULL when memory is exhausted or the pattern is
 * not UTF-8. */
struct json_t *yk_settings_new(const char *pattern, bool nfc, bool ignore_merges);

/* Appends special tokens, NAME or NAME=ID; `*next` is the id of the first without, and then of the next. */
yk_status yk_settings_specials(struct json_t *settings, const char *const *special, size_t n, int32_t *next,
                               yk_error *err);

/* The id of the token with these bytes, or -1; needs `whole`. */
int32_t yk_token_find(const yk_tokenizer *t, const uint8_t *bytes, size_t n);

#endif
