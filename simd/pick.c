#include "config.h"
#include "simd/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const yk_kernels yk_portable_kernels;
#ifdef YOKE_HAVE_AVX2
extern const yk_kernels yk_avx2_kernels;
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif
#ifdef YOKE_HAVE_AVX512
extern const yk_kernels yk_avx512_kernels;
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

static bool always(void)
{
    return true;
}

/* Slowest first. */
static const yk_kernels *const tables[] = {
    &yk_portable_kernels,
#ifdef YOKE_HAVE_AVX2
    &yk_avx2_kernels,
#endif
#ifdef YOKE_HAVE_AVX512
    &yk_avx512_kernels,
#endif
};
static bool (*const runs_here[])(void) = {
    always,
#ifdef YOKE_HAVE_AVX2
    has_avx2,
#endif
#ifdef YOKE_HAVE_AVX512
    has_avx512,
#endif
};
enum { TABLES = sizeof tables / sizeof *tables };

const yk_kernels *const *yk_kernels_all(int *count)
{
    *count = TABLES;
    return tables;
}

bool yk_kernels_runs_here(const yk_kernels *table)
{
    for (int i = 0; i < TABLES; i++)
        if (tables[i] == table) return runs_here[i]();
    return false;
}

static void list_tables(char *out, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < TABLES && used < size; i++)
        if (runs_here[i]())
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", tables[i]->name);
}

yk_status yk_kernels_pick(const yk_kernels **table, const char *name, yk_error *err)
{
    char here[256] = "";
    if (!name || !*name) name = getenv("YOKE_ISA");
    if (!name || !*name) {
        for (int i = 0; i < TABLES; i++)
            if (runs_here[i]()) *table = tables[i];
        return YK_OK;
    }
    list_tables(here, sizeof here);
    for (int i = 0; i < TABLES; i++) {
        if (strcmp(tables[i]->name, name) != 0) continue;
        if (!runs_here[i]())
            return yk_fail(err, YK_ERR_USAGE, "YOKE_ISA=%s: this processor lacks it; it runs %s", name, here);
        *table = tables[i];
        return YK_OK;
    }
    return yk_fail(err, YK_ERR_USAGE, "YOKE_ISA=%s: no such instruction set in this build; there are %s", name,
                   here);
}
