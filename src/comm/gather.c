/* What ranks have made of a list of items, put together. */
#include "comm/world.h"

#include <stdlib.h>

enum { PIECE_BYTES = 16 << 20 };

bool yk_comm_makes(const yk_comm *c, int64_t item)
{
    return item % yk_comm_size(c) == yk_comm_rank(c);
}

/* `own` of every rank, which has `bytes` of it at least, as stream[size]. */
static void gather_streams(yk_comm *c, const yk_buf *own, yk_buf *stream, int64_t bytes)
{
    const int64_t most = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
    char *all = malloc((size_t)(most * c->size) + 1);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    for (int64_t at = 0; at < bytes; at += most) {
        const int64_t n = bytes - at < most ? bytes - at : most;
        yk_world_gather(c, own->data + at, all, n, 0);
        for (int r = 0; r < c->size; r++) yk_buf_add(&stream[r], all + r * n, (size_t)n);
    }
    free(all);
}

/* Lengths of all items, in order of ranks, `each` of a rank; returns the bytes of the rank that has the most. */
static int64_t gather_lengths(yk_comm *c, const yk_buf *item, int64_t n, int64_t *length, int64_t each)
{
    int64_t most = 0, *own = calloc((size_t)each, sizeof *own);
    if (!own) c->calls->abort(c, YK_ERR_MEMORY);
    for (int64_t i = c->rank; i < n; i += c->size) own[i / c->size] = (int64_t)item[i].len;
    yk_world_gather(c, own, length, each * (int64_t)sizeof *own, 0);
    free(own);
    for (int r = 0; r < c->size; r++) {
        int64_t sum = 0;
        for (int64_t k = 0; k < each; k++) sum += length[r * each + k];
        most = sum > most ? sum : most;
    }
    return most;
}

void yk_comm_gather_texts(yk_comm *c, yk_buf *item, int64_t n)
{
    if (!c || n == 0) return;
    const int64_t each = (n + c->size - 1) / c->size;
    int64_t *length = calloc((size_t)(each * c->size), sizeof *length);
    size_t *at = calloc((size_t)c->size, sizeof *at);
    yk_buf own = {0}, *stream = calloc((size_t)c->size, sizeof *stream);
    if (!length || !at || !stream) c->calls->abort(c, YK_ERR_MEMORY);
    const int64_t bytes = gather_lengths(c, item, n, length, each);
    yk_buf_reserve(&own, (size_t)bytes);
    for (int64_t i = c->rank; i < n; i += c->size) yk_buf_add(&own, item[i].data, item[i].len);
    gather_streams(c, &own, stream, bytes);
    for (int64_t i = 0; i < n; i++) {
        const int64_t r = i % c->size;
        const size_t k = (size_t)length[r * each + i / c->size];
        if (r != c->rank) {
            yk_buf_clear(&item[i]);
            yk_buf_add(&item[i], stream[r].data + at[r], k);
        }
        at[r] += k;
    }
    for (int r = 0; r < c->size; r++) yk_buf_free(&stream[r]);
    yk_buf_free(&own);
    free(stream);
    free(at);
    free(length);
}

void yk_comm_add_counts(yk_comm *c, int64_t *x, int64_t n)
{
    if (!c) return;
    int64_t *all = calloc((size_t)(n * c->size), sizeof *all);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    yk_world_gather(c, x, all, n * (int64_t)sizeof *x, 0);
    for (int64_t i = 0; i < n; i++) {
        x[i] = 0;
        for (int r = 0; r < c->size; r++) x[i] += all[r * n + i];
    }
    free(all);
}
