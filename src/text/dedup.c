#include "text/dedup.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

/* Open addressing from a hash to the document that first had it. */
typedef struct seen {
    uint64_t *key;
    uint32_t *doc;
    size_t n, slots;
} seen;

struct yk_dedup {
    yk_dedup_options o;
    uint64_t *multiply, *add; /* [bands rows] of the hash family */
    seen exact, band;
    uint32_t *signature; /* [documents][bands rows] */
    size_t documents, room;
};

yk_status yk_dedup_new(yk_dedup **out, const yk_dedup_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_dedup *d = NULL;
    YK_NEW(d, 1);
    d->o = *o;
    YK_NEW(d->multiply, yk_dedup_size(d));
    YK_NEW(d->add, yk_dedup_size(d));
    yk_rng rng = yk_rng_make(0, YK_STREAM_MINHASH, 0);
    for (size_t i = 0; i < yk_dedup_size(d); i++) {
        d->multiply[i] = yk_rng_bits(&rng, 2 * i) | 1;
        d->add[i] = yk_rng_bits(&rng, 2 * i + 1);
    }
    *out = d;
    d = NULL;
done:
    yk_dedup_free(d);
    return st;
}

void yk_dedup_free(yk_dedup *d)
{
    if (!d) return;
    free(d->multiply);
    free(d->add);
    free(d->exact.key);
    free(d->exact.doc);
    free(d->band.key);
    free(d->band.doc);
    free(d->signature);
    free(d);
}

size_t yk_dedup_size(const yk_dedup *d)
{
    return d->o.bands * d->o.rows;
}

void yk_dedup_sign(const yk_dedup *d, const uint64_t *word, size_t n, uint32_t *signature)
{
    size_t size = yk_dedup_size(d);
    memset(signature, 0xFF, size * sizeof *signature);
    size_t last = n < d->o.shingle ? 1 : n - d->o.shingle + 1;
    for (size_t i = 0; i < last; i++) {
        uint64_t h = 0;
        for (size_t j = i; j < n && j < i + d->o.shingle; j++) h = (h ^ word[j]) * 0x9E3779B97F4A7C15u + (h >> 29);
        for (size_t k = 0; k < size; k++) {
            uint32_t x = (uint32_t)((d->multiply[k] * h + d->add[k]) >> 32);
            signature[k] = x < signature[k] ? x : signature[k];
        }
    }
}

static yk_status seen_grow(seen *s, yk_error *err)
{
    yk_status st = YK_OK;
    seen bigger = {.n = s->n, .slots = s->slots ? 2 * s->slots : 4096};
    YK_NEW(bigger.key, bigger.slots);
    YK_NEW(bigger.doc, bigger.slots);
    for (size_t i = 0; i < s->slots; i++) {
        if (!s->doc[i]) continue;
        size_t at = s->key[i] & (bigger.slots - 1);
        while (bigger.doc[at]) at = (at + 1) & (bigger.slots - 1);
        bigger.key[at] = s->key[i];
        bigger.doc[at] = s->doc[i];
    }
    free(s->key);
    free(s->doc);
    *s = bigger;
    bigger = (seen){0};
done:
    free(bigger.key);
    free(bigger.doc);
    return st;
}

/* The document of `key` plus one; 0 when it is new, and then `doc` becomes its. */
static yk_status seen_put(seen *s, uint64_t key, uint32_t doc, uint32_t *there, yk_error *err)
{
    if (2 * (s->n + 1) > s->slots && seen_grow(s, err) != YK_OK) return YK_ERR_MEMORY;
    size_t at = key & (s->slots - 1);
    while (s->doc[at] && s->key[at] != key) at = (at + 1) & (s->slots - 1);
    *there = s->doc[at];
    if (*there) return YK_OK;
    s->key[at] = key;
    s->doc[at] = doc + 1;
    s->n++;
    return YK_OK;
}

static bool similar(const yk_dedup *d, const uint32_t *a, const uint32_t *b)
{
    size_t equal = 0, size = yk_dedup_size(d);
    for (size_t i = 0; i < size; i++) equal += a[i] == b[i];
    return (double)equal >= d->o.similarity * (double)size;
}

/* The document of `key` plus one, or 0. */
static uint32_t seen_get(const seen *s, uint64_t key)
{
    if (s->slots == 0) return 0;
    size_t at = key & (s->slots - 1);
    while (s->doc[at] && s->key[at] != key) at = (at + 1) & (s->slots - 1);
    return s->doc[at];
}

static uint64_t band_key(const yk_dedup *d, const uint32_t *signature, size_t b)
{
    return yk_hash64(signature + b * d->o.rows, d->o.rows * sizeof *signature, b + 1);
}

/* A band is keyed by its first holder only: a later document is compared with that one. */
const char *yk_dedup_find(const yk_dedup *d, uint64_t exact, const uint32_t *signature)
{
    if (seen_get(&d->exact, exact)) return "exact duplicate";
    for (size_t b = 0; b < d->o.bands; b++) {
        uint32_t there = seen_get(&d->band, band_key(d, signature, b));
        if (there && similar(d, signature, d->signature + (there - 1) * yk_dedup_size(d))) return "near duplicate";
    }
    return NULL;
}

yk_status yk_dedup_add(yk_dedup *d, uint64_t exact, const uint32_t *signature, const char **reason, yk_error *err)
{
    yk_status st = YK_OK;
    size_t size = yk_dedup_size(d);
    uint32_t there, me = (uint32_t)d->documents;
    *reason = yk_dedup_find(d, exact, signature);
    YK_TRY(seen_put(&d->exact, exact, me, &there, err));
    if (there) return YK_OK;
    if (d->documents == d->room) {
        size_t room = d->room ? 2 * d->room : 1024;
        uint32_t *grown = yk_regrow(d->signature, room * size, sizeof *grown, err);
        if (!grown) return YK_ERR_MEMORY;
        d->signature = grown;
        d->room = room;
    }
    memcpy(d->signature + d->documents++ * size, signature, size * sizeof *signature);
    for (size_t b = 0; b < d->o.bands; b++) YK_TRY(seen_put(&d->band, band_key(d, signature, b), me, &there, err));
done:
    return st;
}
