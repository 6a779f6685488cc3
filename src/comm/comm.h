/* Ranks: the processes that perform one run together.
 *
 * Every rank performs the same stages on the same recipe (SPMD) and holds the same small state; what is dear is dealt
 * out: lanes of a step, slices of what belongs to the parameters. Nothing here rounds but the one fixed tree, so bits
 * do not depend on how many ranks there are (numerics contract, rule 7). Rank 0 alone writes files.
 *
 * A yk_comm * that is NULL is this process alone. comm_mpi.c is the only file that includes mpi.h, comm_self.c what
 * stands for it in a build without MPI. Every function but rank, size, node, bytes, sent, makes and those that say who
 * owns what is collective: all ranks call it, in the same order, with arguments of the same shape. */
#ifndef YK_COMM_COMM_H
#define YK_COMM_COMM_H

#include "base/mem.h"
#include "base/status.h"
#include "simd/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_comm yk_comm;

enum { YK_MESSAGE_FLOATS = 1 << 18 }; /* of a sum or gathering between nodes, at most */

/* The world that mpirun or srun started; NULL for a process alone. MPI is asked for MPI_THREAD_SERIALIZED, and started
 * only where a launcher is seen. YK_ERR_USAGE with the right command when the launcher or the queue meant several ranks
 * and this process stands alone. YOKE_NODE_RANKS=n takes every n ranks for a node of their own, for tests of the
 * network's part on one machine. */
yk_status yk_comm_open(yk_comm **c, yk_error *err);
void yk_comm_close(yk_comm *c);

int yk_comm_rank(const yk_comm *c);
int yk_comm_size(const yk_comm *c);
int yk_comm_node(const yk_comm *c); /* how many ranks share this node's memory, this one included */
int64_t yk_comm_sent(const yk_comm *c); /* bytes that this rank has sent to others so far, inside its node too */
int64_t yk_comm_bytes(int64_t size, int64_t node); /* that a rank of so many, so many of them on its node, allocates */
static inline bool yk_comm_leads(const yk_comm *c)
{
    return yk_comm_rank(c) == 0;
}

/* The end of a phase: YK_OK when all ranks say so, else on every rank the status and message of the lowest rank that
 * failed, which the message names. So one rank's failure is a clear message and not a hang. It may say so at a later
 * agreement than the others are at, because after one that failed there is no other: ranks only clean up, and those
 * that follow return at once. What rank 0 does alone ends in an agreement, and between what may fail on one rank and
 * the next exchange of any other kind there is one. A rank that failed waits a minute for the others, which may be
 * stuck where they need it, then says its message and ends them all. */
yk_status yk_comm_agree(yk_comm *c, yk_status mine, yk_error *err);

/* Whether any rank says so: a stop signal, a deadline. */
bool yk_comm_any(yk_comm *c, bool mine);

/* All ranks hold the same bytes (a canonical recipe, say), or YK_ERR_CONFIG naming the first rank that differs from
 * rank 0. */
yk_status yk_comm_same(yk_comm *c, const char *what, const void *data, size_t bytes, yk_error *err);

/* What rank 0 holds, for all. share_text: *text (malloc'd; NULL: none) replaces what the others had. */
void yk_comm_share(yk_comm *c, void *data, int64_t bytes);
yk_status yk_comm_share_text(yk_comm *c, char **text, yk_error *err);

/* Every rank's piece of so many bytes, at all[rank * bytes]. */
void yk_comm_gather(yk_comm *c, const void *piece, void *all, int64_t bytes);

/* Rank r's part of x[n] is [r n / size, (r + 1) n / size); afterwards all hold all. */
void yk_comm_gather_doubles(yk_comm *c, double *x, int64_t n);

/* Work on a list of items, documents, sequences or prompts, is dealt by turns: item i is made by rank i mod size. Its
 * result goes into item[i] as bytes, of any length, and afterwards all ranks have all of item[n], in order; what those
 * that a rank did not make held is replaced. So that the result is one for any number of ranks, what is made of an item
 * depends on nothing that is made of another. */
bool yk_comm_makes(const yk_comm *c, int64_t item);
void yk_comm_gather_texts(yk_comm *c, yk_buf *item, int64_t n);

/* x[n] becomes the sum over the ranks: of whole numbers alone, whose sum has no order. */
void yk_comm_add_counts(yk_comm *c, int64_t *x, int64_t n);

/* Flat arrays of so many floats are dealt out in buckets, ranges of whole blocks of YK_SUM_BLOCK (the array's last one
 * may be short), so that each can be exchanged for itself. Of a bucket rank r's slice is [begin, end), whole blocks
 * too, about length / size: what halving leaves, once for a bit of r, the lowest bit first, as the tree does. So a rank
 * owns a slice of each bucket; slices do not lie in the order of ranks, and may be empty. What it owns of an array,
 * packed, is its slices in order of buckets, yk_comm_owned floats. A process alone has one bucket, and owns it. The
 * buckets of a shorter array, which begins where that one does, are the same ones cut at its end: functions take its
 * length n and those `floats`. */
typedef struct yk_slice {
    int64_t begin, end;
} yk_slice;
/* What of it lies in [begin, end); it may be empty. */
static inline yk_slice yk_cut(yk_slice s, int64_t begin, int64_t end)
{
    const yk_slice cut = {s.begin > begin ? s.begin : begin, s.end < end ? s.end : end};
    return cut.begin < cut.end ? cut : (yk_slice){begin, begin};
}
int yk_comm_buckets(const yk_comm *c, int64_t floats);
yk_slice yk_comm_bucket(const yk_comm *c, int64_t n, int64_t floats, int bucket);
yk_slice yk_comm_slice(const yk_comm *c, int64_t n, int64_t floats, int rank, int bucket);
int64_t yk_comm_owned(const yk_comm *c, int64_t n, int64_t floats, int rank);
int64_t yk_comm_owned_of(int64_t ranks, int64_t n, int64_t floats); /* by rank 0 of so many, who has the most */

/* A tree over ranks: rank r's x[n] is the sum of its lanes; afterwards its slices of x hold the sum over all ranks,
 * ((x0 + x1) + (x2 + x3)) + ...; the rest is undefined. size is a power of two. Through shared memory where ranks
 * share a node, by recursive halving (Thakur, Rabenseifner, Gropp 2005) between nodes. */
typedef struct yk_sum {
    const yk_kernels *k;
    float *x;
    int64_t n, floats;
    bool bf16; /* what enters an addition is rounded to it first, and goes so between nodes: half the bytes */
} yk_sum;
void yk_comm_sum_slices(yk_comm *c, const yk_team *team, const yk_sum *s);

/* Every rank's slices of x, for all; and the same of arrays with one number a block. */
void yk_comm_gather_slices(yk_comm *c, const yk_team *team, float *x, int64_t n, int64_t floats);
void yk_comm_gather_blocks(yk_comm *c, double *x, int64_t floats);

/* The same of one bucket, or of a range, while the caller computes: performed by a thread of the rank's own, one after
 * another, so that all ranks begin the same ones in the same order. Where ranks are on one node, whose memory there is
 * no use in copying beside computing, or where MPI allows no second thread to call it, yk_comm_overlaps is false, and
 * they are performed before the call returns. await: until the exchange of this ticket, and all before it, have ended;
 * the caller helps with its team. What is exchanged is not touched before, and no other collective function is called
 * until the last one has been awaited. */
bool yk_comm_overlaps(const yk_comm *c);
int64_t yk_comm_begin_sum(yk_comm *c, const yk_team *team, const yk_sum *s, int bucket);
int64_t yk_comm_begin_gather(yk_comm *c, const yk_team *team, float *x, yk_slice range, int64_t floats);
void yk_comm_await(yk_comm *c, const yk_team *team, int64_t ticket);

/* Seconds that sums and gatherings took, and that the caller waited for them (or performed them itself), since
 * `before`. hidden: the share of them beside which it computed. */
typedef struct yk_comm_times {
    double worked, waited;
    double agreed; /* seconds in agreements: waiting for slower ranks */
} yk_comm_times;
yk_comm_times yk_comm_since(const yk_comm *c, yk_comm_times before);
static inline double yk_comm_hidden(yk_comm_times t)
{
    return t.worked > t.waited ? 1 - t.waited / t.worked : 0;
}

/* x of rank `from`, to rank `to`; for the others nothing. */
void yk_comm_pass(yk_comm *c, int from, int to, void *x, int64_t bytes);

/* Into rank 0's whole[floats], what every rank owns: `own`, packed, or where it lies in the rank's `whole` (own NULL).
 * With `own` the other ranks' `whole` is not used. */
void yk_comm_collect_slices(yk_comm *c, float *whole, const float *own, int64_t floats);

#endif
