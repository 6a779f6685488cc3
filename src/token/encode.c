/* Byte-pair encoding of pieces: of all adjacent pairs the one of lowest rank is merged, leftmost first, until
 * none has a rank. A heap of candidates keeps long pieces at O(n log n). */
#include "base/hash.h"
#include "token/split.h"
#include "token/vocabulary.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

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
    yk_splitter *split;
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
    YK_TRY(yk_splitter_new(&e->split, t->pattern, err));
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
    yk_splitter_free(e->split);
    free(e->cache);
    free(e->heap);
    free(e->id);
    free(e->next);
    free(e->prev);
    free(e);
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
static yk_status encode_cached(yk_encoder *e, const uint8_t *piece, size_t n, yk_ids *out, yk_error *err)
{
    yk_status st = YK_OK;
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

static bool is_ascii(const char *text, size_t n)
{
    uint64_t all = 0, some;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&some, text + i, 8);
        all |= some;
    }
    for (; i < n; i++) all |= (uint64_t)(unsigned char)text[i];
    return (all & 0x8080808080808080u) == 0;
}

yk_status yk_encode(yk_encoder *e, const char *text, size_t n, yk_ids *out, yk_error *err)
{
    yk_status st = YK_OK;
    utf8proc_uint8_t *composed = NULL;
    size_t valid = 0;
    if (e->t->nfc && !is_ascii(text, n)) {
        utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &composed,
                                               UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (length >= 0) text = (const char *)composed, n = (size_t)length;
    }
    for (size_t at = 0; at < n;) {
        size_t piece = yk_splitter_next(e->split, text + at, n - at, &valid);
        YK_TRY(encode_cached(e, (const uint8_t *)text + at, piece, out, err));
        at += piece;
    }
done:
    free(composed);
    return st;
}

void yk_ids_free(yk_ids *ids)
{
    free(ids->id);
    *ids = (yk_ids){0};
}
