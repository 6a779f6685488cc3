/* Threads: the one place that knows OpenMP.
 *
 * Work is a number of rows; threads only decide who computes a row, never in what order its
 * operations happen, so results do not depend on the size of the team (numerics contract, rule 2). */
#ifndef YK_BASE_TEAM_H
#define YK_BASE_TEAM_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct yk_team {
    int threads;      /* >= 1 */
    int64_t cache[3]; /* bytes of L1, L2 and L3 that a thread reaches; 0: unknown */
} yk_team;

/* threads = 0 takes as many as the affinity mask of the process allows. Cache sizes come from hwloc. Fails with
 * YK_ERR_NUMERIC when a thread does not round to nearest or flushes subnormal numbers. */
yk_status yk_team_make(yk_team *team, int threads, yk_error *err);

/* A thread of the team as a team of its own, with its share of the last cache. */
yk_team yk_team_alone(const yk_team *team);

/* rows [begin, end) are this call's share; `thread` < team->threads selects private scratch. */
typedef void (*yk_rows_fn)(const void *args, int64_t begin, int64_t end, int thread);

/* Splits [0, rows) and runs `fn` on each part. grain = 0: one contiguous share a thread;
 * grain > 0: shares of that many rows, handed out as threads become free. */
void yk_team_rows(const yk_team *team, int64_t rows, int64_t grain, yk_rows_fn fn, const void *args);

/* The processor's name as the system tells it, such as "AMD EPYC 9654", or "unknown". */
void yk_processor_name(char *out, size_t size);

#endif
