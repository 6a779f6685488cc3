#include "text/pool.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t place_of(const yk_pool *p, uint64_t rank)
{
    size_t low = 0, high = p->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->asked[middle].rank < rank) low = middle + 1;
        else high = middle;
    }
    return low;
}

yk_status yk_pool_offer(yk_pool *p, const yk_asked *q, bool *repeated, yk_error *err)
{
    yk_status st = YK_OK;
    size_t at = place_of(p, q->rank), prompt = strlen(q->prompt) + 1, answer = strlen(q->answer) + 1;
    char *text = NULL;
    *repeated = at < p->n && p->asked[at].rank == q->rank;
    if (*repeated || at == p->most) return YK_OK;
    YK_ROOM(p->asked, p->n, p->room);
    YK_NEW(text, prompt + answer);
    memcpy(text, q->prompt, prompt);
    memcpy(text + prompt, q->answer, answer);
    if (p->n == p->most) free(p->asked[--p->n].prompt);
    memmove(p->asked + at + 1, p->asked + at, (p->n - at) * sizeof *p->asked);
    p->asked[at] = (yk_asked){q->rank, q->kind, text, text + prompt};
    p->n++;
done:
    return st;
}

void yk_pool_clear(yk_pool *p)
{
    while (p->n > 0) free(p->asked[--p->n].prompt);
}

void yk_pool_free(yk_pool *p)
{
    yk_pool_clear(p);
    free(p->asked);
    *p = (yk_pool){0};
}
