/* All 2^32 inputs through every elementary function of every table, by hand: make exhaustive.
 *   exhaustive [FUNCTION [FIRST LAST]]    one function; the inputs' bits from FIRST / 256 to LAST / 256 of 2^32
 * Prints a row a function: inputs in its range, the bound, the largest error in ulp and where, the share that is
 * rounded correctly and the number that is not, wrong values outside the range, differences of tables from portable.
 * Fails when a bound of tests/simd/elementary.h is exceeded, a special value is wrong or tables differ. */
#include "tests/simd/elementary.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_THREADS = 1024 };

typedef struct sweep {
    const elementary *f;
    uint32_t first;   /* bits of the first input */
    verdict *verdict; /* [threads] */
} sweep;

static void sweep_chunks(const void *args, int64_t begin, int64_t end, int thread)
{
    const sweep *s = args;
    float x[CHUNK];
    for (int64_t c = begin; c < end; c++) {
        for (int i = 0; i < CHUNK; i++) x[i] = float_of(s->first + (uint32_t)(c * CHUNK) + (uint32_t)i);
        judge(s->f, x, CHUNK, &s->verdict[thread]);
    }
}

/* Of equal errors the one at the smaller input, so that the row does not depend on the threads. */
static void add_verdict(verdict *sum, const verdict *v)
{
    sum->inputs += v->inputs, sum->correct += v->correct, sum->special += v->special;
    for (int t = 0; t < MOST_TABLES; t++) sum->differ[t] += v->differ[t];
    if (v->worst > sum->worst || (v->worst == sum->worst && v->at < sum->at)) sum->worst = v->worst, sum->at = v->at;
}

int main(int argc, char **argv)
{
    static verdict part[MOST_THREADS];
    uint64_t first = argc > 3 ? strtoull(argv[2], NULL, 10) : 0, last = argc > 3 ? strtoull(argv[3], NULL, 10) : 256;
    char processor[128], date[32];
    yk_team team;
    yk_error err;
    time_t now = time(NULL);
    int bad = 0, rows = 0;
    if (yk_team_make(&team, 0, &err) != YK_OK || team.threads > MOST_THREADS) return 1;
    yk_processor_name(processor, sizeof processor);
    strftime(date, sizeof date, "%Y-%m-%d", localtime(&now));
    printf("%s, %s; tables:", processor, date);
    for (int t = 0; yk_kernels_at(t, YK_FP32); t++)
        if (yk_kernels_runs_here(yk_kernels_at(t, YK_FP32))) printf(" %s", yk_kernels_at(t, YK_FP32)->name);
    printf("\n%-8s %11s %6s %8s %16s %10s %11s %8s %11s\n", "function", "inputs", "bound", "worst", "at", "rounded",
           "wrongly", "special", "differences");
    for (const elementary *f = elementaries; f < elementaries + ELEMENTARIES; f++) {
        if (argc > 1 && strcmp(argv[1], f->name) != 0) continue;
        verdict sum = {0};
        memset(part, 0, sizeof part);
        yk_team_rows(&team, (int64_t)((last - first) << 24) / CHUNK, 256, sweep_chunks,
                     &(sweep){f, (uint32_t)(first << 24), part});
        for (int i = 0; i < team.threads; i++) add_verdict(&sum, &part[i]);
        printf("%-8s %11lld %6.3f %8.4f %16a %9.4f%% %11lld %8lld %11lld%s\n", f->name, (long long)sum.inputs, f->bound,
               sum.worst, (double)sum.at, 100.0 * (double)sum.correct / (double)(sum.inputs ? sum.inputs : 1),
               (long long)(sum.inputs - sum.correct), (long long)sum.special, (long long)differences(&sum),
               kept(f, &sum) ? "" : "  EXCEEDED");
        fflush(stdout);
        bad += !kept(f, &sum);
        rows++;
    }
    return bad > 0 || rows == 0;
}
