/* The fixed tree against MPI's own reductions, on the same buffers; by hand:
 *   make tests/comm/compare && mpirun -np 2 tests/comm/compare [MB ...]
 * Prints for each size the median seconds of sum_slices, MPI_Reduce_scatter_block, both halves (sum_slices and
 * gather_slices) and MPI_Allreduce, in GB of one buffer a second. */
#include "base/log.h"
#include "comm/comm.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPEATS = 9, WAYS = 4 };

typedef struct setting {
    yk_comm *comm;
    const yk_kernels *k;
    yk_team team;
    float *x, *y;
    int64_t n;
} setting;

static void reduce(const setting *s, int way)
{
    const int size = yk_comm_size(s->comm);
    switch (way) {
    case 0: yk_comm_sum_slices(s->comm, &s->team, &(yk_sum){.k = s->k, .x = s->x, .n = s->n, .floats = s->n}); break;
    case 1: MPI_Reduce_scatter_block(s->x, s->y, (int)(s->n / size), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD); break;
    case 2:
        yk_comm_sum_slices(s->comm, &s->team, &(yk_sum){.k = s->k, .x = s->x, .n = s->n, .floats = s->n});
        yk_comm_gather_slices(s->comm, &s->team, s->x, s->n, s->n);
        break;
    default: MPI_Allreduce(MPI_IN_PLACE, s->x, (int)s->n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    }
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double measure(const setting *s, int way)
{
    double seconds[REPEATS];
    for (int i = -1; i < REPEATS; i++) {
        for (int64_t j = 0; j < s->n; j++) s->x[j] = (float)(j % 7);
        MPI_Barrier(MPI_COMM_WORLD);
        const double began = yk_now();
        reduce(s, way);
        MPI_Barrier(MPI_COMM_WORLD);
        if (i >= 0) seconds[i] = yk_now() - began;
    }
    qsort(seconds, REPEATS, sizeof *seconds, ascending);
    return seconds[REPEATS / 2];
}

int main(int argc, char **argv)
{
    yk_error err = {""};
    setting s = {.team.threads = 1};
    if (yk_comm_open(&s.comm, &err) != YK_OK || yk_kernels_pick(&s.k, NULL, YK_FP32, &err) != YK_OK || !s.comm) {
        fprintf(stderr, "compare: %s\n", err.text[0] ? err.text : "start it by mpirun");
        return 1;
    }
    if (yk_comm_leads(s.comm)) printf("    MB  sum_slices  Reduce_scatter  sum+gather  Allreduce   (GB/s)\n");
    for (int i = 1; i < argc; i++) {
        const double mb = atof(argv[i]);
        s.n = (int64_t)(mb * 1e6 / 4) / 65536 * 65536;
        s.x = s.k->alloc(s.n * 4);
        s.y = s.k->alloc(s.n * 4);
        double rate[WAYS];
        for (int w = 0; w < WAYS; w++) rate[w] = 4e-9 * (double)s.n / measure(&s, w);
        if (yk_comm_leads(s.comm))
            printf("%6.0f  %10.2f  %14.2f  %10.2f  %9.2f\n", mb, rate[0], rate[1], rate[2], rate[3]);
        s.k->free(s.x);
        s.k->free(s.y);
    }
    yk_comm_close(s.comm);
    return 0;
}
