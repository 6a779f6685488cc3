/* Byte-pair encoding of pieces: of all adjacent pairs the one of lowest rank is merged, leftmost first, until
 * none has a rank. A heap of candidates keeps long pieces at O(n log n). */
#include "base/hash.h"
#include "token/unicode.h"
#include "token/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_SLOTS = 1 << 15, CACHED_BYTES = 24, CACHED_IDS = 8 };

/* A candidate: (rank, place) ordered; `id` is what it makes. */
typedef struct candidate {
    uint32_t rank, place;
    int32_t left, right, id;
} candidate;

typedef struct cached {
    uint8_t bytes[CACHED_BYTES], length, ids;
    int32_t id[CACHED_IDS];
} cached;

struct yk_encoder {
    const yk_tokenizer *t;
    yk_splitter split;
    bool specials;
    yk_ids *out; /* of the text in work */
    cached *cache;
    candidate *heap;
    size_t heap_n, heap_room;
    int32_t *id, *next, *prev; /* linked list over the piece's symbols */
    size_t room;
};

yk_status yk_encoder_new(yk_encoder **out, const yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_encoder *e = NULL;
    YK_NEW(e, 1);
    e->t = t;
    e->split.stages = &t->stages;
    YK_NEW(e->cache, CACHE_SLOTS);
    *out = e;
    e = NULL;
done:
    yk_encoder_free(e);
    return st;
}

void yk_encoder_free(yk_encoder *e)
{
    if (!e) return;
    yk_splitter_free(&e->split);
    free(e->cache);
    free(e->heap);
    free(e->id);
    free(e->next);
    free(e->prev);
    free(e);
}

void yk_encoder_specials(yk_encoder *e, bool specials)
{
    e->specials = specials;
}

static bool before(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->place < b->place;
}

static yk_status push(yk_encoder *e, int32_t place, int32_t right, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t value;
    if (place < 0 || right < 0 || !yk_table_get(&e->t->rank, yk_pair(e->id[place], e->id[right]), &value)) return YK_OK;
    YK_ROOM(e->heap, e->heap_n, e->heap_room);
    candidate c = {(uint32_t)(value >> 32), (uint32_t)place, e->id[place], e->id[right], (int32_t)(uint32_t)value};
    size_t i = e->heap_n++;
    for (; i && before(&c, &e->heap[(i - 1) / 2]); i = (i - 1) / 2) e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = c;
done:
    return st;
}

static candidate pop(yk_encoder *e)
{
    candidate top = e->heap[0], last = e->heap[--e->heap_n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < e->heap_n; i = child) {
        if (child + 1 < e->heap_n && before(&e->heap[child + 1], &e->heap[child])) child++;
        if (!before(&e->heap[child], &last)) break;
        e->heap[i] = e->heap[child];
    }
    e->heap[i] = last;
    return top;
}

static yk_status make_room(yk_encoder *e, size_t n, yk_error *err)
{
    if (n <= e->room) return YK_OK;
    int32_t **array[] = {&e->id, &e->next, &e->prev};
    for (int i = 0; i < 3; i++) {
        int32_t *grown = yk_regrow(*array[i], 2 * n, sizeof *grown, err);
        if (!grown) return YK_ERR_MEMORY;
        *array[i] = grown;
    }
    e->room = 2 * n;
    return YK_OK;
}

static yk_status add_id(yk_ids *out, int32_t id, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(out->id, out->n, out->cap);
    out->id[out->n++] = id;
done:
    return st;
}

static yk_status encode_piece(yk_encoder *e, const uint8_t *piece, size_t n, yk_ids *out, yk_error *err)
{
    yk_status st = YK_OK;
    int32_t whole = e->t->ignore_merges ? yk_token_find(e->t, piece, n) : -1;
    if (whole >= 0) return add_id(out, whole, err);
    YK_TRY(make_room(e, n, err));
    for (size_t i = 0; i < n; i++) {
        e->id[i] = e->t->byte_id[piece[i]];
        e->next[i] = i + 1 < n ? (int32_t)i + 1 : -1;
        e->prev[i] = (int32_t)i - 1;
    }
    e->heap_n = 0;
    for (size_t i = 0; i + 1 < n; i++) YK_TRY(push(e, (int32_t)i, (int32_t)i + 1, err));
    while (e->heap_n) {
        candidate c = pop(e);
        int32_t left = (int32_t)c.place, right = e->next[left];
        if (e->id[left] != c.left || right < 0 || e->id[right] != c.right) continue; /* out of date */
        e->id[left] = c.id;
        e->id[right] = -1;
        e->next[left] = e->next[right];
        if (e->next[right] >= 0) e->prev[e->next[right]] = left;
        YK_TRY(push(e, e->prev[left], left, err));
        YK_TRY(push(e, left, e->next[left], err));
    }
    for (int32_t i = 0; i >= 0; i = e->next[i]) YK_TRY(add_id(out, e->id[i], err));
done:
    return st;
}

/* Most pieces are words seen before. */
static yk_status encode_cached(void *context, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yk_encoder *e = context;
    yk_ids *out = e->out;
    const uint8_t *piece = (const uint8_t *)text;
    if (n > CACHED_BYTES) return encode_piece(e, piece, n, out, err);
    cached *c = &e->cache[yk_hash64(piece, n, 0) % CACHE_SLOTS];
    if (c->length == n && memcmp(c->bytes, piece, n) == 0) {
        for (int i = 0; i < c->ids; i++) YK_TRY(add_id(out, c->id[i], err));
        return YK_OK;
    }
    size_t from = out->n;
    YK_TRY(encode_piece(e, piece, n, out, err));
    if (out->n - from <= CACHED_IDS) {
        memcpy(c->bytes, piece, n);
        c->length = (uint8_t)n;
        c->ids = (uint8_t)(out->n - from);
        memcpy(c->id, out->id + from, c->ids * sizeof *c->id);
    }
done:
    return st;
}

/* A part of normalised text, or an added token. */
static yk_status encode_composed(void *context, const char *text, size_t n, const yk_added *token, yk_error *err)
{
    yk_encoder *e = context;
    return token ? add_id(e->out, token->id, err) : yk_split(&e->split, text, n, encode_cached, e, err);
}

static yk_status encode_part(void *context, const char *text, size_t n, const yk_added *token, yk_error *err)
{
    yk_encoder *e = context;
    const uint8_t *kinds = e->t->stages.kinds;
    if (token) return add_id(e->out, token->id, err);
    if (e->t->nfc && yk_nfc(kinds, text, n, &e->split.composed))
        text = e->split.composed.data, n = e->split.composed.len;
    return yk_finder_parts(&e->t->composed, kinds, e->specials, text, n, encode_composed, e, err);
}

yk_status yk_encode(yk_encoder *e, const char *text, size_t n, yk_ids *out, yk_error *err)
{
    yk_status st = YK_OK;
    e->out = out;
    for (size_t at = 0, valid; at < n; at += valid) {
        valid = yk_utf8_valid(text + at, n - at);
        YK_TRY(yk_finder_parts(&e->t->raw, e->t->stages.kinds, e->specials, text + at, valid, encode_part, e, err));
        if (valid > 0) continue;
        YK_TRY(add_id(out, e->t->byte_id[(uint8_t)text[at]], err)); /* a byte outside */
        valid = 1;
    }
done:
    return st;
}

void yk_ids_free(yk_ids *ids)
{
    free(ids->id);
    *ids = (yk_ids){0};
}
