#include "comm/comm.h"

#include "base/hash.h"
#include "base/log.h"
#include "comm/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOAT = sizeof(float), PATIENCE = 60 }; /* seconds */

yk_status yk_comm_open(yk_comm **c, yk_error *err)
{
    *c = NULL;
    return yk_world_open(c, err);
}

void yk_comm_close(yk_comm *c)
{
    if (!c) return;
    free(c->bucket[0]);
    free(c->bucket[1]);
    free(c->node.base);
    free(c->node.scratch);
    free(c->node.source);
    free(c->node.part);
    c->calls->close(c);
    free(c);
}

int yk_comm_rank(const yk_comm *c)
{
    return c ? c->rank : 0;
}

int yk_comm_size(const yk_comm *c)
{
    return c ? c->size : 1;
}

int yk_comm_node(const yk_comm *c)
{
    return c ? c->ranks_here : 1;
}

int64_t yk_comm_sent(const yk_comm *c)
{
    return c ? c->sent : 0;
}

/* Every rank's piece, to all others. */
static bool gather(yk_comm *c, const void *piece, void *all, int64_t bytes, double patience)
{
    c->sent += bytes * (c->size - 1);
    return c->calls->gather(c, piece, all, bytes, patience);
}

static void send(yk_comm *c, int to, const void *data, int64_t bytes)
{
    c->sent += bytes;
    c->calls->send(c, to, data, bytes);
}

/* --- agreements ------------------------------------------------------------------------------ */

/* The others are somewhere else; what this rank has to say would be lost. */
static void end_all(yk_comm *c, yk_status mine, const yk_error *err)
{
    yk_log_aloud();
    yk_warn("rank %d of %d failed, and the others did not hear of it for %d s: %s", c->rank, c->size, PATIENCE,
            err->text);
    c->calls->abort(c, mine);
}

/* All fail as rank `first` did. */
static yk_status hear(yk_comm *c, yk_status st, int first, const char *mine, yk_error *err)
{
    yk_error own = {""}, *all = calloc((size_t)c->size, sizeof *all);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    snprintf(own.text, sizeof own.text, "%s", mine);
    gather(c, &own, all, sizeof own, 0);
    yk_fail(err, st, "%s", all[first].text);
    free(all);
    return first > 0 ? yk_context(err, st, "rank %d", first) : st;
}

yk_status yk_comm_agree(yk_comm *c, yk_status mine, yk_error *err)
{
    yk_status st = YK_OK;
    if (!c) return mine;
    if (c->failed != YK_OK) return mine != YK_OK ? mine : c->failed;
    yk_status *all = calloc((size_t)c->size, sizeof *all);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    if (!gather(c, &mine, all, sizeof mine, mine == YK_OK ? 0 : PATIENCE)) end_all(c, mine, err);
    int first = 0;
    while (first < c->size && all[first] == YK_OK) first++;
    if (first < c->size) st = hear(c, all[first], first, mine == YK_OK ? "" : err->text, err);
    free(all);
    return c->failed = st;
}

bool yk_comm_any(yk_comm *c, bool mine)
{
    if (!c) return mine;
    double any = 0, *all = calloc((size_t)c->size, sizeof *all);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    gather(c, &(double){mine}, all, sizeof *all, 0);
    for (int i = 0; i < c->size; i++) any += all[i];
    free(all);
    return any > 0;
}

yk_status yk_comm_same(yk_comm *c, const char *what, const void *data, size_t bytes, yk_error *err)
{
    yk_status st = YK_OK;
    char own[33], first[33];
    if (!c) return YK_OK;
    yk_hash128_hex(data, bytes, own);
    memcpy(first, own, sizeof first);
    yk_comm_share(c, first, sizeof first);
    if (strcmp(own, first) != 0)
        st = yk_fail(err, YK_ERR_CONFIG, "%s differs from that of rank 0; all ranks must be given the same", what);
    return yk_comm_agree(c, st, err);
}

/* --- small state ----------------------------------------------------------------------------- */

void yk_comm_share(yk_comm *c, void *data, int64_t bytes)
{
    if (!c || bytes <= 0) return;
    if (c->rank == 0) c->sent += bytes * (c->size - 1);
    c->calls->share(c, data, bytes);
}

yk_status yk_comm_share_text(yk_comm *c, char **text, yk_error *err)
{
    yk_status st = YK_OK;
    if (!c) return YK_OK;
    int64_t length = *text ? (int64_t)strlen(*text) + 1 : 0;
    yk_comm_share(c, &length, sizeof length);
    if (c->rank > 0) {
        free(*text);
        *text = length ? malloc((size_t)length) : NULL;
        if (length && !*text) st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
    }
    st = yk_comm_agree(c, st, err);
    if (st == YK_OK) yk_comm_share(c, *text, length);
    return st;
}

void yk_comm_gather_doubles(yk_comm *c, double *x, int64_t n)
{
    if (!c) return;
    const int64_t most = n / c->size + 1;
    double *own = calloc((size_t)most, sizeof *own), *all = calloc((size_t)(most * c->size), sizeof *all);
    if (!own || !all) c->calls->abort(c, YK_ERR_MEMORY);
    for (int64_t i = c->rank * n / c->size; i < (c->rank + 1) * n / c->size; i++) own[i - c->rank * n / c->size] = x[i];
    gather(c, own, all, most * (int64_t)sizeof *own, 0);
    for (int r = 0; r < c->size; r++)
        for (int64_t i = r * n / c->size; i < (r + 1) * n / c->size; i++) x[i] = all[r * most + i - r * n / c->size];
    free(own);
    free(all);
}

/* --- slices ---------------------------------------------------------------------------------- */

yk_slice yk_halved(int64_t blocks, int rank, int ranks)
{
    yk_slice s = {0, blocks};
    for (int bit = 1; bit < ranks; bit *= 2) {
        const int64_t middle = s.begin + (s.end - s.begin + 1) / 2;
        *(rank & bit ? &s.begin : &s.end) = middle;
    }
    return s;
}

/* Arrays in blocks of `unit` bytes each, the last one perhaps short. */
typedef struct blocks {
    int64_t count, unit, bytes;
} blocks;

static blocks blocks_of(int64_t n, int64_t floats)
{
    return (blocks){(floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK, YK_SUM_BLOCK * FLOAT, n * FLOAT};
}

/* In bytes. */
static yk_slice part_of(blocks b, int rank, int ranks)
{
    yk_slice s = yk_halved(b.count, rank, ranks);
    s.begin *= b.unit;
    s.end *= b.unit;
    return (yk_slice){s.begin < b.bytes ? s.begin : b.bytes, s.end < b.bytes ? s.end : b.bytes};
}

yk_slice yk_comm_slice(const yk_comm *c, int64_t n, int64_t floats, int rank)
{
    const yk_slice s = part_of(blocks_of(n, floats), rank, yk_comm_size(c));
    return (yk_slice){s.begin / FLOAT, s.end / FLOAT};
}

static int64_t bytes_of(yk_slice part)
{
    return part.end - part.begin;
}

/* What the ranks of this node keep among them, by their number in it, in pieces of so many bytes. */
static const yk_slice *parts_of_node(yk_comm *c, blocks b, int64_t piece)
{
    for (int i = 0; i < c->node.ranks; i++) {
        const yk_slice s = part_of(b, i, c->node.ranks);
        c->node.part[i] = (yk_slice){s.begin / piece, s.end / piece};
    }
    return c->node.part;
}

/* Bytes of a bucket at `at` inside a part. */
static int64_t bucket_bytes(yk_slice part, int64_t at)
{
    const int64_t left = part.end - part.begin - at, most = YK_BUCKET_FLOATS * (int64_t)FLOAT;
    return left < 0 ? 0 : left < most ? left : most;
}

static void begin_exchange(yk_comm *c, int slot, int other, char *x, yk_slice theirs, yk_slice mine, int64_t at)
{
    c->sent += bucket_bytes(theirs, at);
    c->calls->exchange(c, slot, other, x + theirs.begin + at, bucket_bytes(theirs, at), c->bucket[slot],
                       bucket_bytes(mine, at));
}

/* One level of halving: `other` gets its half, what it sends is added to mine. A bucket is under way while the one
 * before it is added. */
static void halve(yk_comm *c, const yk_kernels *k, const yk_team *team, float *x, int other, yk_slice theirs,
                  yk_slice mine)
{
    const int64_t step = YK_BUCKET_FLOATS * (int64_t)FLOAT;
    const int64_t a = theirs.end - theirs.begin, b = mine.end - mine.begin, most = a > b ? a : b;
    char *bytes = (char *)x;
    if (most > 0) begin_exchange(c, 0, other, bytes, theirs, mine, 0);
    for (int64_t at = 0, i = 0; at < most; at += step, i++) {
        if (at + step < most) begin_exchange(c, (i + 1) % 2, other, bytes, theirs, mine, at + step);
        c->calls->wait(c, i % 2);
        float *y = x + (mine.begin + at) / FLOAT;
        const int64_t n = bucket_bytes(mine, at) / FLOAT;
        if (n > 0) k->add(team, &(yk_add){.y = y, .a = y, .b = c->bucket[i % 2], .n = n});
    }
}

void yk_comm_sum_slices(yk_comm *c, const yk_kernels *k, const yk_team *team, float *x, int64_t n, int64_t floats)
{
    if (!c) return;
    const blocks b = blocks_of(n, floats);
    if (c->node.ranks > 1) {
        yk_node_sum(&c->node, k, team, x, parts_of_node(c, b, FLOAT));
        c->sent += b.bytes - bytes_of(part_of(b, c->node.rank, c->node.ranks));
    }
    for (int bit = c->node.ranks; bit < c->size; bit *= 2)
        halve(c, k, team, x, c->rank ^ bit, part_of(b, c->rank ^ bit, 2 * bit), part_of(b, c->rank, 2 * bit));
}

/* The way back: what `other` has comes to where it belongs. */
static void double_part(yk_comm *c, char *x, int other, yk_slice theirs, yk_slice mine)
{
    const int64_t step = YK_BUCKET_FLOATS * (int64_t)FLOAT;
    const int64_t a = theirs.end - theirs.begin, b = mine.end - mine.begin, most = a > b ? a : b;
    for (int64_t at = 0; at < most; at += step) {
        c->sent += bucket_bytes(mine, at);
        c->calls->exchange(c, 0, other, x + mine.begin + at, bucket_bytes(mine, at), x + theirs.begin + at,
                           bucket_bytes(theirs, at));
        c->calls->wait(c, 0);
    }
}

static void gather_parts(yk_comm *c, const yk_team *team, char *x, blocks b)
{
    for (int bit = c->size / 2; bit >= c->node.ranks; bit /= 2)
        double_part(c, x, c->rank ^ bit, part_of(b, c->rank ^ bit, 2 * bit), part_of(b, c->rank, 2 * bit));
    if (c->node.ranks > 1) {
        yk_node_gather(&c->node, team, x, parts_of_node(c, b, 1));
        c->sent += bytes_of(part_of(b, c->node.rank, c->node.ranks)) * (c->node.ranks - 1);
    }
}

void yk_comm_gather_slices(yk_comm *c, const yk_team *team, float *x, int64_t n, int64_t floats)
{
    if (c) gather_parts(c, team, (char *)x, blocks_of(n, floats));
}

void yk_comm_gather_blocks(yk_comm *c, const yk_team *team, double *x, int64_t floats)
{
    const int64_t count = blocks_of(floats, floats).count, unit = sizeof *x;
    if (c) gather_parts(c, team, (char *)x, (blocks){count, unit, count * unit});
}

void yk_comm_pass(yk_comm *c, int from, int to, void *x, int64_t bytes)
{
    if (!c || from == to) return;
    if (c->rank == from) send(c, to, x, bytes);
    if (c->rank == to) c->calls->receive(c, from, x, bytes);
}

void yk_comm_collect_slices(yk_comm *c, float *whole, const float *own, int64_t floats)
{
    for (int r = 0; r < yk_comm_size(c); r++) {
        const yk_slice s = yk_comm_slice(c, floats, floats, r);
        const int64_t bytes = (s.end - s.begin) * FLOAT;
        if (r == 0 && yk_comm_leads(c)) memcpy(whole + s.begin, own, (size_t)bytes);
        else if (yk_comm_leads(c)) c->calls->receive(c, r, whole + s.begin, bytes);
        else if (r == c->rank) send(c, 0, own, bytes);
    }
}

void yk_comm_deal_slices(yk_comm *c, const float *whole, float *own, int64_t floats)
{
    for (int r = 0; r < yk_comm_size(c); r++) {
        const yk_slice s = yk_comm_slice(c, floats, floats, r);
        const int64_t bytes = (s.end - s.begin) * FLOAT;
        if (r == 0 && yk_comm_leads(c)) memcpy(own, whole + s.begin, (size_t)bytes);
        else if (yk_comm_leads(c)) send(c, r, whole + s.begin, bytes);
        else if (r == c->rank) c->calls->receive(c, 0, own, bytes);
    }
}
