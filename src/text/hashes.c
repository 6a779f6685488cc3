#include "text/hashes.h"

#include "base/mem.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 1 << 10 };

static uint64_t *find(uint64_t *slot, size_t slots, uint64_t hash)
{
    size_t i = hash & (slots - 1);
    while (slot[i] && slot[i] != hash) i = (i + 1) & (slots - 1);
    return &slot[i];
}

yk_status yk_hashes_add(yk_hashes *h, uint64_t hash, bool *fresh, yk_error *err)
{
    yk_status st = YK_OK;
    hash += hash == 0;
    if (2 * h->n >= h->slots) {
        size_t slots = h->slots ? 2 * h->slots : FIRST_SLOTS;
        uint64_t *larger;
        YK_NEW(larger, slots);
        for (size_t i = 0; i < h->slots; i++)
            if (h->slot[i]) *find(larger, slots, h->slot[i]) = h->slot[i];
        free(h->slot);
        h->slot = larger;
        h->slots = slots;
    }
    uint64_t *at = find(h->slot, h->slots, hash);
    if (fresh) *fresh = *at == 0;
    h->n += *at == 0;
    *at = hash;
done:
    return st;
}

bool yk_hashes_has(const yk_hashes *h, uint64_t hash)
{
    return yk_hashes_slot(h, hash) != SIZE_MAX;
}

size_t yk_hashes_slot(const yk_hashes *h, uint64_t hash)
{
    const uint64_t *at = h->slots ? find(h->slot, h->slots, hash + (hash == 0)) : NULL;
    return at && *at ? (size_t)(at - h->slot) : SIZE_MAX;
}

void yk_hashes_free(yk_hashes *h)
{
    free(h->slot);
    *h = (yk_hashes){0};
}
