#include "base/team.h"

#include <fenv.h>
#include <float.h>
#include <hwloc.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int allowed_processors(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

static int keeps_ieee754(void)
{
    volatile float smallest = FLT_MIN;
    volatile float half = smallest * 0.5f;
    return fegetround() == FE_TONEAREST && half > 0.0f && half * 2.0f == smallest;
}

/* The first data or unified cache of each level. */
static void measure_caches(int64_t cache[3])
{
    static const hwloc_obj_type_t level[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE};
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) return;
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    for (int i = 0; i < 3; i++) hwloc_topology_set_type_filter(topology, level[i], HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(topology) == 0)
        for (int i = 0; i < 3; i++) {
            hwloc_obj_t found = hwloc_get_obj_by_type(topology, level[i], 0);
            if (found) cache[i] = (int64_t)found->attr->cache.size;
        }
    hwloc_topology_destroy(topology);
}

yk_status yk_team_make(yk_team *team, int threads, yk_error *err)
{
    *team = (yk_team){.threads = threads > 0 ? threads : allowed_processors()};
    measure_caches(team->cache);
    omp_set_dynamic(0);
    int bad = 0;
#pragma omp parallel num_threads(team->threads) reduction(+ : bad)
    bad += !keeps_ieee754();
    if (bad)
        return yk_fail(err, YK_ERR_NUMERIC,
                       "%d of %d threads flush subnormal numbers or do not round to nearest; "
                       "remove what sets FTZ/DAZ (an LD_PRELOAD, a library built with -ffast-math)",
                       bad, team->threads);
    return YK_OK;
}

yk_team yk_team_alone(const yk_team *team)
{
    return (yk_team){.threads = 1, .cache = {team->cache[0], team->cache[1], team->cache[2] / team->threads}};
}

void yk_team_rows(const yk_team *team, int64_t rows, int64_t grain, yk_rows_fn fn, const void *args)
{
    if (rows <= 0) return;
    if (team->threads == 1 || rows <= (grain > 0 ? grain : 1)) {
        fn(args, 0, rows, 0);
        return;
    }
    if (grain <= 0) {
#pragma omp parallel num_threads(team->threads)
        {
            int64_t n = omp_get_num_threads(), me = omp_get_thread_num();
            int64_t begin = rows * me / n, end = rows * (me + 1) / n;
            if (begin < end) fn(args, begin, end, (int)me);
        }
        return;
    }
    int64_t parts = (rows + grain - 1) / grain;
#pragma omp parallel for num_threads(team->threads) schedule(dynamic, 1)
    for (int64_t p = 0; p < parts; p++) {
        int64_t begin = p * grain, end = begin + grain < rows ? begin + grain : rows;
        fn(args, begin, end, omp_get_thread_num());
    }
}

void yk_processor_name(char *out, size_t size)
{
    char line[256];
    snprintf(out, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10) != 0) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (f) fclose(f);
}
