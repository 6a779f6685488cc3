/* Ranks: the processes that perform one run together.
 *
 * Every rank performs the same stages on the same recipe (SPMD) and holds the same small state; what is dear is dealt
 * out: lanes of a step, slices of what belongs to the parameters. Nothing here rounds but the one fixed tree, so bits
 * do not depend on how many ranks there are (numerics contract, rule 7). Rank 0 alone writes files.
 *
 * A yk_comm * that is NULL is this process alone. comm_mpi.c is the only file that includes mpi.h, comm_self.c what
 * stands for it in a build without MPI. Every function but rank, size, node, sent and slice is collective: all
 * ranks call it, in the same order, with arguments of the same shape. */
#ifndef YK_COMM_COMM_H
#define YK_COMM_COMM_H

#include "base/status.h"
#include "simd/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct yk_comm yk_comm;

/* The world that mpirun or srun started; NULL for a process alone. MPI is started with MPI_THREAD_FUNNELED, and only
 * where a launcher is seen. YK_ERR_USAGE with the right command when the launcher or the queue meant several ranks and
 * this process stands alone. YOKE_NODE_RANKS=n takes every n ranks for a node of their own, for tests of the network's
 * part on one machine. */
yk_status yk_comm_open(yk_comm **c, yk_error *err);
void yk_comm_close(yk_comm *c);

int yk_comm_rank(const yk_comm *c);
int yk_comm_size(const yk_comm *c);
int yk_comm_node(const yk_comm *c); /* how many ranks share this node's memory, this one included */
int64_t yk_comm_sent(const yk_comm *c); /* bytes that this rank has sent to others so far, inside its node too */
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

/* Rank r's part of x[n] is [r n / size, (r + 1) n / size); afterwards all hold all. */
void yk_comm_gather_doubles(yk_comm *c, double *x, int64_t n);

/* A slice of flat arrays of so many floats: rank r's is [begin, end), whole blocks of YK_SUM_BLOCK (the array's last
 * one may be short), about floats / size. It follows from halving once a bit of r, the lowest bit first, as the tree
 * does; so slices do not lie in the order of ranks, and may be empty. The slices of a shorter array, which begins where
 * that one does, are the same ones cut at its end: all functions below take its length n and those `floats`. */
typedef struct yk_slice {
    int64_t begin, end;
} yk_slice;
yk_slice yk_comm_slice(const yk_comm *c, int64_t n, int64_t floats, int rank);

/* A tree over ranks: rank r's x[n] is the sum of its lanes; afterwards its slice of x holds the sum over all ranks,
 * ((x0 + x1) + (x2 + x3)) + ...; the rest is undefined. size is a power of two. Through shared memory where ranks
 * share a node, by recursive halving (Thakur, Rabenseifner, Gropp 2005) between nodes. */
void yk_comm_sum_slices(yk_comm *c, const yk_kernels *k, const yk_team *team, float *x, int64_t n, int64_t floats);

/* Every rank's slice of x, for all; and the same of arrays with one number a block. */
void yk_comm_gather_slices(yk_comm *c, const yk_team *team, float *x, int64_t n, int64_t floats);
void yk_comm_gather_blocks(yk_comm *c, const yk_team *team, double *x, int64_t floats);

/* x of rank `from`, to rank `to`; for the others nothing. */
void yk_comm_pass(yk_comm *c, int from, int to, void *x, int64_t bytes);

/* Between rank 0's whole[floats] (NULL elsewhere) and every rank's `own`, its slice alone. */
void yk_comm_collect_slices(yk_comm *c, float *whole, const float *own, int64_t floats);
void yk_comm_deal_slices(yk_comm *c, const float *whole, float *own, int64_t floats);

#endif
