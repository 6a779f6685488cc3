/* What belongs to the parameters, dealt out to ranks: who owns which part of the flat arrays, sums over ranks to the
 * owners, and the way back. */
#include "comm/worker.h"

#include <stdlib.h>
#include <string.h>

enum { FLOAT = sizeof(float), LEAST_BUCKETS = 16, MOST_BLOCKS = 64 /* of a rank in a bucket */ };

/* Halves of `blocks`, once for each bit below `ranks`, the lowest first. */
static yk_slice halved(int64_t blocks, int rank, int ranks)
{
    yk_slice s = {0, blocks};
    for (int bit = 1; bit < ranks; bit *= 2) {
        const int64_t middle = s.begin + (s.end - s.begin + 1) / 2;
        *(rank & bit ? &s.begin : &s.end) = middle;
    }
    return s;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t blocks_of(int64_t floats)
{
    return (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK;
}

static int64_t blocks_of_bucket(const yk_comm *c, int64_t floats)
{
    const int64_t blocks = blocks_of(floats), even = (blocks + LEAST_BUCKETS - 1) / LEAST_BUCKETS;
    if (!c) return blocks;
    return even < c->size ? c->size : least(even, (int64_t)MOST_BLOCKS * c->size);
}

int yk_comm_buckets(const yk_comm *c, int64_t floats)
{
    const int64_t a_bucket = blocks_of_bucket(c, floats);
    return a_bucket > 0 ? (int)((blocks_of(floats) + a_bucket - 1) / a_bucket) : 0;
}

/* Blocks of a bucket; of the array that they are in, bytes [begin, end) alone count. */
typedef struct stretch {
    int64_t block, blocks, begin, end;
} stretch;

static stretch stretch_of(const yk_comm *c, int64_t begin, int64_t end, int64_t floats, int bucket)
{
    const int64_t a_bucket = blocks_of_bucket(c, floats), first = bucket * a_bucket;
    return (stretch){first, least(a_bucket, blocks_of(floats) - first), begin * FLOAT, end * FLOAT};
}

static int64_t within(stretch b, int64_t block)
{
    const int64_t at = block * YK_SUM_BLOCK * FLOAT;
    return at < b.begin ? b.begin : least(at, b.end);
}

/* In bytes. */
static yk_slice part_of(stretch b, int rank, int ranks)
{
    const yk_slice s = halved(b.blocks, rank, ranks);
    return (yk_slice){within(b, b.block + s.begin), within(b, b.block + s.end)};
}

static int64_t length(yk_slice s)
{
    return s.end - s.begin;
}

static yk_slice in_pieces(yk_slice s, int64_t bytes)
{
    return (yk_slice){s.begin / bytes, s.end / bytes};
}

yk_slice yk_comm_bucket(const yk_comm *c, int64_t n, int64_t floats, int bucket)
{
    return in_pieces(part_of(stretch_of(c, 0, n, floats, bucket), 0, 1), FLOAT);
}

yk_slice yk_comm_slice(const yk_comm *c, int64_t n, int64_t floats, int rank, int bucket)
{
    return in_pieces(part_of(stretch_of(c, 0, n, floats, bucket), rank, yk_comm_size(c)), FLOAT);
}

int64_t yk_comm_owned(const yk_comm *c, int64_t n, int64_t floats, int rank)
{
    int64_t sum = 0;
    for (int i = 0; i < yk_comm_buckets(c, floats); i++) {
        const yk_slice s = yk_comm_slice(c, n, floats, rank, i);
        sum += s.end - s.begin;
    }
    return sum;
}

int64_t yk_comm_owned_of(int64_t ranks, int64_t n, int64_t floats)
{
    const yk_comm c = {.size = (int)ranks};
    return yk_comm_owned(ranks > 1 ? &c : NULL, n, floats, 0);
}

/* What the ranks of this node keep among them, by their number in it, in pieces of so many bytes. */
static const yk_slice *parts_of_node(yk_comm *c, stretch b, int64_t piece)
{
    for (int i = 0; i < c->node.ranks; i++) c->node.part[i] = in_pieces(part_of(b, i, c->node.ranks), piece);
    return c->node.part;
}

/* Bytes of what is sent at a time, at `at` inside a part. */
static int64_t message_bytes(yk_slice part, int64_t at)
{
    const int64_t left = part.end - part.begin - at, most = YK_MESSAGE_FLOATS * (int64_t)FLOAT;
    return left < 0 ? 0 : least(left, most);
}

static void exchange(yk_comm *c, int slot, int other, const void *out, int64_t out_bytes, void *in, int64_t in_bytes)
{
    c->sent += out_bytes;
    c->calls->exchange(c, slot, other, out, out_bytes, in, in_bytes);
}

/* A sum's exchange with another rank: `theirs` goes there, `mine` stays. */
typedef struct halving {
    const yk_sum *sum;
    int other;
    yk_slice theirs, mine; /* in bytes of sum->x */
} halving;

static void begin_exchange(yk_comm *c, const yk_team *team, const halving *h, int slot, int64_t at)
{
    const int64_t out = message_bytes(h->theirs, at), in = message_bytes(h->mine, at);
    const float *x = h->sum->x + (h->theirs.begin + at) / FLOAT;
    if (!h->sum->bf16) {
        exchange(c, slot, h->other, x, out, c->message[slot], in);
        return;
    }
    h->sum->k->round(team, &(yk_round){.y = c->rounded[slot], .x = x, .n = out / FLOAT});
    exchange(c, slot, h->other, c->rounded[slot], out / 2, c->message[slot], in / 2);
}

static void add_message(yk_comm *c, const yk_team *team, const halving *h, int slot, int64_t at)
{
    float *y = h->sum->x + (h->mine.begin + at) / FLOAT;
    const int64_t n = message_bytes(h->mine, at) / FLOAT;
    const void *message = c->message[slot];
    if (n > 0)
        h->sum->k->add(team, &(yk_add){.y = y, .a = y, .b = message, .n = n, .rounds = h->sum->bf16,
                                       .half = h->sum->bf16 ? message : NULL});
}

/* One level of halving: `other` gets its half, what it sends is added to mine. A message is under way while the one
 * before it is added. */
static void halve(yk_comm *c, const yk_team *team, const halving *h)
{
    const int64_t step = YK_MESSAGE_FLOATS * (int64_t)FLOAT;
    const int64_t a = h->theirs.end - h->theirs.begin, b = h->mine.end - h->mine.begin, most = a > b ? a : b;
    if (most > 0) begin_exchange(c, team, h, 0, 0);
    for (int64_t at = 0, i = 0; at < most; at += step, i++) {
        if (at + step < most) begin_exchange(c, team, h, (i + 1) % 2, at + step);
        c->calls->wait(c, i % 2);
        add_message(c, team, h, i % 2, at);
    }
}

static void sum_bucket(yk_comm *c, const yk_team *team, const yk_exchange *e)
{
    const yk_sum *s = &e->sum;
    const stretch b = stretch_of(c, 0, s->n, s->floats, e->bucket);
    if (c->node.ranks > 1) {
        yk_node_sum(&c->node, team, s, parts_of_node(c, b, FLOAT));
        c->sent += length(part_of(b, 0, 1)) - length(part_of(b, c->node.rank, c->node.ranks));
    }
    for (int bit = c->node.ranks; bit < c->size; bit *= 2)
        halve(c, team, &(halving){s, c->rank ^ bit, part_of(b, c->rank ^ bit, 2 * bit), part_of(b, c->rank, 2 * bit)});
}

bool yk_comm_overlaps(const yk_comm *c)
{
    return c && c->worker;
}

int64_t yk_comm_begin_sum(yk_comm *c, const yk_team *team, const yk_sum *s, int bucket)
{
    if (!c) return 0;
    return yk_worker_begin(c, team, &(yk_exchange){.perform = sum_bucket, .sum = *s, .bucket = bucket});
}

void yk_comm_sum_slices(yk_comm *c, const yk_team *team, const yk_sum *s)
{
    int64_t last = 0;
    for (int i = yk_comm_buckets(c, s->floats); i-- > 0;) last = yk_comm_begin_sum(c, team, s, i);
    yk_comm_await(c, team, last);
}

/* The way back: what `other` has comes to where it belongs. */
static void double_part(yk_comm *c, char *x, int other, yk_slice theirs, yk_slice mine)
{
    const int64_t step = YK_MESSAGE_FLOATS * (int64_t)FLOAT;
    const int64_t a = theirs.end - theirs.begin, b = mine.end - mine.begin, most = a > b ? a : b;
    for (int64_t at = 0; at < most; at += step) {
        exchange(c, 0, other, x + mine.begin + at, message_bytes(mine, at), x + theirs.begin + at,
                 message_bytes(theirs, at));
        c->calls->wait(c, 0);
    }
}

static void gather_stretch(yk_comm *c, const yk_team *team, char *x, stretch b)
{
    for (int bit = c->size / 2; bit >= c->node.ranks; bit /= 2)
        double_part(c, x, c->rank ^ bit, part_of(b, c->rank ^ bit, 2 * bit), part_of(b, c->rank, 2 * bit));
    if (c->node.ranks > 1) {
        yk_node_gather(&c->node, team, x, parts_of_node(c, b, 1));
        c->sent += length(part_of(b, c->node.rank, c->node.ranks)) * (c->node.ranks - 1);
    }
}

static void gather_range(yk_comm *c, const yk_team *team, const yk_exchange *e)
{
    const int64_t a_bucket = blocks_of_bucket(c, e->sum.floats) * YK_SUM_BLOCK;
    for (int64_t i = e->range.begin / a_bucket; i * a_bucket < e->range.end; i++)
        gather_stretch(c, team, (char *)e->sum.x,
                       stretch_of(c, e->range.begin, e->range.end, e->sum.floats, (int)i));
}

int64_t yk_comm_begin_gather(yk_comm *c, const yk_team *team, float *x, yk_slice range, int64_t floats)
{
    if (!c || range.begin >= range.end) return 0;
    return yk_worker_begin(c, team, &(yk_exchange){.perform = gather_range, .sum = {.x = x, .floats = floats},
                                                   .range = range});
}

void yk_comm_gather_slices(yk_comm *c, const yk_team *team, float *x, int64_t n, int64_t floats)
{
    yk_comm_await(c, team, yk_comm_begin_gather(c, team, x, (yk_slice){0, n}, floats));
}

/* Blocks of a slice, whose last one may be short. */
static yk_slice blocks_in(yk_slice s)
{
    return s.begin < s.end ? (yk_slice){s.begin / YK_SUM_BLOCK, blocks_of(s.end)} : (yk_slice){0, 0};
}

void yk_comm_gather_blocks(yk_comm *c, double *x, int64_t floats)
{
    if (!c) return;
    int64_t most = 0;
    for (int i = 0; i < yk_comm_buckets(c, floats); i++) most += blocks_of_bucket(c, floats) / c->size + 1;
    double *own = calloc((size_t)most, sizeof *own), *all = calloc((size_t)(most * c->size), sizeof *all);
    if (!own || !all) c->calls->abort(c, YK_ERR_MEMORY);
    int64_t at = 0;
    for (int i = 0; i < yk_comm_buckets(c, floats); i++) {
        const yk_slice s = blocks_in(yk_comm_slice(c, floats, floats, c->rank, i));
        for (int64_t b = s.begin; b < s.end; b++) own[at++] = x[b];
    }
    yk_world_gather(c, own, all, most * (int64_t)sizeof *own, 0);
    for (int r = 0; r < c->size; r++) {
        at = r * most;
        for (int i = 0; i < yk_comm_buckets(c, floats); i++) {
            const yk_slice s = blocks_in(yk_comm_slice(c, floats, floats, r, i));
            for (int64_t b = s.begin; b < s.end; b++) x[b] = all[at++];
        }
    }
    free(own);
    free(all);
}

void yk_comm_collect_slices(yk_comm *c, float *whole, const float *own, int64_t floats)
{
    for (int i = 0; i < yk_comm_buckets(c, floats); i++) {
        for (int r = 0; r < yk_comm_size(c); r++) {
            const yk_slice s = yk_comm_slice(c, floats, floats, r, i);
            const int64_t bytes = (s.end - s.begin) * FLOAT;
            if (r == yk_comm_rank(c) && r > 0) yk_world_send(c, 0, own ? own : whole + s.begin, bytes);
            else if (r == yk_comm_rank(c) && own) memcpy(whole + s.begin, own, (size_t)bytes);
            else if (r > 0 && yk_comm_leads(c)) c->calls->receive(c, r, whole + s.begin, bytes);
            if (r == yk_comm_rank(c) && own) own += s.end - s.begin;
        }
    }
}
