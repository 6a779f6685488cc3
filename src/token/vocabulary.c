#include "base/hash.h"
#include "token/vocabulary.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static size_t slot_of(const yk_table *t, uint64_t key)
{
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(h ^ h >> 29) & (t->room - 1);
    while (t->key[i] != UINT64_MAX && t->key[i] != key) i = (i + 1) & (t->room - 1);
    return i;
}

static yk_status table_grow(yk_table *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_table bigger = {.n = t->n, .room = t->room ? 2 * t->room : 1024};
    YK_NEW(bigger.key, bigger.room);
    YK_NEW(bigger.value, bigger.room);
    memset(bigger.key, 0xFF, bigger.room * sizeof *bigger.key);
    for (size_t i = 0; i < t->room; i++) {
        if (t->key[i] == UINT64_MAX) continue;
        size_t to = slot_of(&bigger, t->key[i]);
        bigger.key[to] = t->key[i];
        bigger.value[to] = t->value[i];
    }
    free(t->key);
    free(t->value);
    *t = bigger;
    bigger = (yk_table){0};
done:
    free(bigger.key);
    free(bigger.value);
    return st;
}

yk_status yk_table_put(yk_table *t, uint64_t key, uint64_t value, yk_error *err)
{
    if (2 * (t->n + 1) > t->room && table_grow(t, err) != YK_OK) return YK_ERR_MEMORY;
    size_t i = slot_of(t, key);
    t->n += t->key[i] == UINT64_MAX;
    t->key[i] = key;
    t->value[i] = value;
    return YK_OK;
}

bool yk_table_get(const yk_table *t, uint64_t key, uint64_t *value)
{
    if (!t->room) return false;
    size_t i = slot_of(t, key);
    if (t->key[i] != key) return false;
    *value = t->value[i];
    return true;
}

void yk_table_free(yk_table *t)
{
    free(t->key);
    free(t->value);
    *t = (yk_table){0};
}

void yk_byte_alphabet(uint8_t byte_of_id[256], int32_t id_of_byte[256])
{
    int id = 0;
    for (int printable = 1; printable >= 0; printable--)
        for (int b = 0; b < 256; b++) {
            bool own = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
            if (own != printable) continue;
            byte_of_id[id] = (uint8_t)b;
            id_of_byte[b] = id++;
        }
}

yk_status yk_token_set(yk_token *t, const char *bytes, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    YK_NEW(t->bytes, n + 1);
    memcpy(t->bytes, bytes, n);
    t->length = (uint32_t)n;
done:
    return st;
}

yk_status yk_tokenizer_new(yk_tokenizer **out, int32_t vocab, size_t merges, json_t *settings, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    YK_NEW(t, 1);
    t->settings = settings;
    settings = NULL;
    if (!t->settings) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    t->vocab = vocab;
    t->merges = merges;
    YK_NEW(t->token, vocab);
    YK_NEW(t->merge, merges);
    *out = t;
    t = NULL;
done:
    json_decref(settings);
    yk_tokenizer_free(t);
    return st;
}

static uint64_t key_of(const uint8_t *bytes, size_t n)
{
    return yk_hash64(bytes, n, 2) >> 1; /* no key is UINT64_MAX, nor the few after it */
}

int32_t yk_token_find(const yk_tokenizer *t, const uint8_t *bytes, size_t n)
{
    uint64_t id;
    for (uint64_t key = key_of(bytes, n); yk_table_get(&t->whole, key, &id); key++)
        if (t->token[id].length == n && memcmp(t->token[id].bytes, bytes, n) == 0) return (int32_t)id;
    return -1;
}

static yk_status index_tokens(yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    for (int32_t i = 0; i < t->vocab; i++) {
        const yk_token *x = &t->token[i];
        if (!x->bytes || x->literal || x->added) continue;
        uint64_t key = key_of((uint8_t *)x->bytes, x->length), there;
        while (yk_table_get(&t->whole, key, &there)) key++;
        YK_TRY(yk_table_put(&t->whole, key, (uint64_t)i, err));
    }
done:
    return st;
}

yk_status yk_tokenizer_ready(yk_tokenizer *t, const int32_t *merged, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_settings_read(t, err));
    YK_TRY(yk_added_read(t, err));
    for (int b = 0; b < 256; b++) t->byte_id[b] = -1;
    for (int32_t i = 0; i < t->vocab; i++)
        if (t->token[i].length == 1 && !t->token[i].literal && !t->token[i].added)
            t->byte_id[(uint8_t)t->token[i].bytes[0]] = i;
    for (int b = 0; b < 256; b++)
        if (t->byte_id[b] < 0)
            YK_FAIL(YK_ERR_INPUT, "no token for byte 0x%02x; only byte-level vocabularies are supported", b);
    for (size_t r = 0; r < t->merges; r++) /* of equal pairs the last counts, as in `tokenizers` */
        YK_TRY(yk_table_put(&t->rank, yk_pair(t->merge[r][0], t->merge[r][1]), (uint64_t)r << 32 | (uint32_t)merged[r],
                            err));
    if (t->ignore_merges) YK_TRY(index_tokens(t, err));
    t->begin = t->end = yk_tokenizer_special(t, YK_TOKEN_END);
done:
    return st;
}

void yk_tokenizer_free(yk_tokenizer *t)
{
    if (!t) return;
    for (int32_t i = 0; t->token && i < t->vocab; i++) free(t->token[i].bytes);
    free(t->token);
    free(t->merge);
    yk_table_free(&t->rank);
    yk_table_free(&t->whole);
    yk_stages_free(&t->stages);
    yk_finder_free(&t->raw);
    yk_finder_free(&t->composed);
    json_decref(t->settings);
    free(t);
}

int32_t yk_tokenizer_vocab(const yk_tokenizer *t)
{
    return t->vocab;
}

int32_t yk_tokenizer_special(const yk_tokenizer *t, const char *token)
{
    int32_t id = yk_finder_id(&t->raw, token);
    return id >= 0 ? id : yk_finder_id(&t->composed, token);
}

yk_token_kind yk_tokenizer_kind(const yk_tokenizer *t, int32_t id)
{
    const yk_token *x = &t->token[id];
    return !x->bytes ? YK_KIND_NONE : x->special ? YK_KIND_SPECIAL : x->listed ? YK_KIND_ADDED : YK_KIND_PIECE;
}

yk_status yk_tokenizer_bound(yk_tokenizer *t, const char *begin, const char *end, yk_error *err)
{
    t->begin = yk_tokenizer_special(t, begin);
    t->end = yk_tokenizer_special(t, end);
    if (t->begin >= 0 && t->end >= 0) return YK_OK;
    return yk_fail(err, YK_ERR_INPUT, "there is no special token %s, with which documents %s",
                   t->begin < 0 ? begin : end, t->begin < 0 ? "begin (tokenizer.begin)" : "end (tokenizer.end)");
}

int32_t yk_tokenizer_begin(const yk_tokenizer *t)
{
    return t->begin;
}

int32_t yk_tokenizer_end(const yk_tokenizer *t)
{
    return t->end;
}

int32_t yk_tokenizer_pieces(const yk_tokenizer *t)
{
    int32_t n = t->vocab;
    while (n > 0 && yk_tokenizer_kind(t, n - 1) != YK_KIND_PIECE) n--;
    return n;
}

size_t yk_tokenizer_merges(const yk_tokenizer *t)
{
    return t->merges;
}

void yk_tokenizer_merge(const yk_tokenizer *t, size_t rank, int32_t pair[2])
{
    pair[0] = t->merge[rank][0];
    pair[1] = t->merge[rank][1];
}

const char *yk_tokenizer_split(const yk_tokenizer *t)
{
    return yk_stages_name(&t->stages);
}

bool yk_tokenizer_ignores_merges(const yk_tokenizer *t)
{
    return t->ignore_merges;
}

const char *yk_tokenizer_conditional(const yk_tokenizer *t)
{
    for (int k = 0; k < 2; k++) {
        const yk_finder *f = k ? &t->composed : &t->raw;
        for (size_t i = 0; i < f->n; i++)
            if (f->list[i].left || f->list[i].right || f->list[i].single_word) return f->list[i].text;
    }
    return NULL;
}

void yk_tokenizer_decode(const yk_tokenizer *t, const int32_t *ids, size_t n, yk_buf *out)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < t->vocab) yk_buf_add(out, t->token[ids[i]].bytes, t->token[ids[i]].length);
}
