/* What `yoke bench` measures: each fills a JSON object and can print it for people. Private to src/cli. */
#ifndef YK_CLI_BENCH_H
#define YK_CLI_BENCH_H

#include "base/status.h"
#include "base/team.h"
#include "simd/kernels.h"

#include <jansson.h>

typedef struct yk_bench {
    const char *what, *model, *precision, *recompute, *against, *profile;
    long threads, batch, seq, micro_batch, repeats; /* 0: chosen */
    bool json;
    yk_team team;
    const yk_kernels *k[YK_PRECISIONS]; /* of the profile */
    yk_kernels fast;
} yk_bench;

/* One thing to measure: what it adds to the result, and how the result is shown. */
typedef struct yk_bench_kind {
    const char *name;
    yk_status (*measure)(const yk_bench *b, json_t *result, yk_error *err);
    void (*print)(const json_t *result);
} yk_bench_kind;

extern const yk_bench_kind yk_bench_attention, yk_bench_gemm, yk_bench_step, yk_bench_decode;

#endif
