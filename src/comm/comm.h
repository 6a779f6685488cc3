/* Ranks: the processes that perform one run together.
 *
 * Every rank performs the same stages on the same recipe (SPMD) and holds the same small state; what is dear is dealt
 * out: lanes of a step, texts to be generated or scored, documents to be read. Nothing here rounds but the one fixed
 * tree, so bits do not depend on how many ranks there are (numerics contract, rule 7). Rank 0 alone writes files.
 *
 * comm_self.c is one process without MPI; comm_mpi.c is the only file that includes mpi.h. Every function but rank and
 * size is collective: all ranks call it, in the same order, with arguments of the same shape. */
#ifndef YK_COMM_COMM_H
#define YK_COMM_COMM_H

#include "base/status.h"
#include "simd/kernels.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_comm yk_comm;

/* Of the world that mpirun or srun started, or of one process alone. MPI is started with MPI_THREAD_FUNNELED. */
yk_status yk_comm_open(yk_comm **c, yk_error *err);
void yk_comm_close(yk_comm *c);

int yk_comm_rank(const yk_comm *c);
int yk_comm_size(const yk_comm *c);
static inline bool yk_comm_leads(const yk_comm *c)
{
    return yk_comm_rank(c) == 0;
}

/* The end of a phase: YK_OK when all ranks say so, else on every rank the status and message of the lowest rank that
 * failed, which the message names. So one rank's failure is a clear message and not a hang. */
yk_status yk_comm_agree(yk_comm *c, yk_status mine, yk_error *err);

/* All ranks hold the same bytes (a canonical recipe, say), or YK_ERR_SHAPE naming the first rank that differs. */
yk_status yk_comm_same(yk_comm *c, const char *what, const void *data, size_t bytes, yk_error *err);

/* What rank `root` holds, for all. */
void yk_comm_share(yk_comm *c, void *data, int64_t bytes, int root);

/* Pieces of all ranks, one after another in their order; *out (new; free) and the end of each piece in end[size]. */
yk_status yk_comm_gather(yk_comm *c, const void *piece, int64_t bytes, char **out, int64_t *end, yk_error *err);

/* A share of a flat array: rank r's is [begin, end), whole blocks of 16 floats, of about floats / size each. */
typedef struct yk_slice {
    int64_t begin, end;
} yk_slice;
yk_slice yk_comm_slice(const yk_comm *c, int64_t floats, int rank);

/* The upper part of the lanes' tree: rank r's x[floats] is the sum of its lanes, which are one subtree; afterwards its
 * slice of x holds the sum over all ranks, ((x0 + x1) + (x2 + x3)) + ...; the rest is undefined. size is a power of
 * two. Through shared memory where ranks share a node, recursive halving (Thakur et al., 2005) between nodes. */
void yk_comm_sum_slices(yk_comm *c, const yk_kernels *k, const yk_team *team, float *x, int64_t floats);

/* Every rank's slice of x, for all. */
void yk_comm_gather_slices(yk_comm *c, float *x, int64_t floats);

/* Doubles (losses of lanes, block sums of a norm) in order: rank r's part of x[n] is [r n / size, (r + 1) n / size). */
void yk_comm_gather_doubles(yk_comm *c, double *x, int64_t n);

#endif
