#include "config.h"
#include "simd/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef YOKE_HAVE_AVX2
#include <cpuid.h>
#endif
#ifdef YOKE_HAVE_NEONBF16
#include <sys/auxv.h>
#endif

typedef struct set {
    const yk_kernels *tables; /* [YK_PRECISIONS] */
    bool (*runs_here)(void);
} set;

static bool always(void)
{
    return true;
}

#ifdef YOKE_HAVE_AVX2
/* Clang does not ask for f16c by name. */
static bool has_avx2(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) &&
           (c & bit_F16C);
}
#endif
#ifdef YOKE_HAVE_AVX512
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif
#ifdef YOKE_HAVE_AVX512BF16
static bool has_avx512bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif
#ifdef YOKE_HAVE_NEONBF16
static bool has_neonbf16(void)
{
    return getauxval(AT_HWCAP2) & HWCAP2_BF16;
}
#endif

extern const yk_kernels yk_portable_kernels[], yk_avx2_kernels[], yk_avx512_kernels[], yk_avx512bf16_kernels[],
    yk_neon_kernels[], yk_neonbf16_kernels[];

/* Slowest first. */
static const set sets[] = {
    {yk_portable_kernels, always},
#ifdef YOKE_HAVE_AVX2
    {yk_avx2_kernels, has_avx2},
#endif
#ifdef YOKE_HAVE_AVX512
    {yk_avx512_kernels, has_avx512},
#endif
#ifdef YOKE_HAVE_AVX512BF16
    {yk_avx512bf16_kernels, has_avx512bf16},
#endif
#ifdef YOKE_HAVE_NEON
    {yk_neon_kernels, always},
#endif
#ifdef YOKE_HAVE_NEONBF16
    {yk_neonbf16_kernels, has_neonbf16},
#endif
};
enum { SETS = sizeof sets / sizeof *sets };

const yk_kernels *yk_kernels_at(int i, yk_precision precision)
{
    return i >= 0 && i < SETS ? sets[i].tables + precision : NULL;
}

bool yk_kernels_runs_here(const yk_kernels *table)
{
    for (int i = 0; i < SETS; i++)
        if (sets[i].tables + table->precision == table) return sets[i].runs_here();
    return false;
}

int64_t yk_type_size(const yk_kernels *k, yk_type type)
{
    return type == YK_FLOAT || k->precision == YK_FP32 ? 4 : 2;
}

static void list_sets(char *out, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < SETS && used < size; i++)
        if (sets[i].runs_here())
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", sets[i].tables->name);
}

yk_status yk_kernels_pick(const yk_kernels **table, const char *name, yk_precision precision, yk_error *err)
{
    char here[256] = "";
    if (!name || !*name) name = getenv("YOKE_ISA");
    if (!name || !*name) {
        for (int i = 0; i < SETS; i++)
            if (sets[i].runs_here()) *table = sets[i].tables + precision;
        return YK_OK;
    }
    list_sets(here, sizeof here);
    for (int i = 0; i < SETS; i++) {
        if (strcmp(sets[i].tables->name, name) != 0) continue;
        if (!sets[i].runs_here())
            return yk_fail(err, YK_ERR_USAGE, "YOKE_ISA=%s: this processor lacks it; it runs %s", name, here);
        *table = sets[i].tables + precision;
        return YK_OK;
    }
    return yk_fail(err, YK_ERR_USAGE, "YOKE_ISA=%s: no such instruction set in this build; there are %s", name,
                   here);
}
