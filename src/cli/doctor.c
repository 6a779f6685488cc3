/* What of this machine, its queue and its libraries makes runs slow, wrong or end early. */
#include "config.h"

#include "base/cgroup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/room.h"
#include "cli/cli.h"
#include "comm/launcher.h"
#include "simd/kernels.h"

#include <cblas.h>
#include <hdf5.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Everything is looked at before the checks judge. */
typedef struct signs {
    yk_machine machine;
    yk_disk disk;
    yk_status team_status;
    yk_team team;
    yk_error team_error;
    int world, neighbours; /* processes of this run, and those of them on this machine, as the launcher says */
} signs;

typedef enum verdict { OK, WARN, BAD } verdict;

typedef struct finding {
    verdict verdict;
    char text[768], remedy[512];
} finding;

static void __attribute__((format(printf, 3, 4))) find(finding *f, verdict v, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(f->text, sizeof f->text, format, ap);
    va_end(ap);
    f->verdict = v;
}

static void __attribute__((format(printf, 2, 3))) advise(finding *f, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(f->remedy, sizeof f->remedy, format, ap);
    va_end(ap);
}

/* A number that the environment holds; 0 when it does not. Of "2(x4),1" the first. */
static int number_of(const char *variable)
{
    const char *text = getenv(variable);
    const long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n < 1 << 24 ? (int)n : 0;
}

/* The variable that makes OpenMP place threads; GCC's then binds the first thread before main(). */
static const char *placing_variable(void)
{
    static const char *const name[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const char *value = getenv(name[i]);
        if (value && *value && strcasecmp(value, "false") != 0) return name[i];
    }
    return NULL;
}

/* Cores that each rank of this machine can have for its own. */
static int share_of(const signs *s)
{
    const int share = s->machine.cores / s->neighbours;
    return share > 0 ? share : 1;
}

static void look_at_processors(const signs *s, finding *f)
{
    const yk_machine *m = &s->machine;
    const bool mpirun = getenv("OMPI_COMM_WORLD_SIZE"), idle = m->allowed_cores < share_of(s);
    find(f, OK, "%d threads on %d of %d cores", m->allowed_processors, m->allowed_cores, m->cores);
    if (m->allowed_processors < m->processors && placing_variable()) {
        find(f, BAD, "%s leaves a run %d of %d processors: it binds the first thread, by which the others are counted",
             placing_variable(), m->allowed_processors, m->processors);
        advise(f, "unset OMP_PROC_BIND OMP_PLACES GOMP_CPU_AFFINITY");
    } else if (mpirun && (idle || m->allowed_cores * s->neighbours > m->cores)) {
        find(f, idle ? BAD : WARN, "mpirun lets each of %d ranks here run on %d of %d cores, %s", s->neighbours,
             m->allowed_cores, m->cores, idle ? "and others stay idle" : "so that their threads share them");
        if (s->neighbours <= m->cores)
            advise(f, "mpirun -np %d --map-by ppr:%d:node:PE=%d --bind-to core", s->world, s->neighbours, share_of(s));
        else advise(f, "at most %d ranks here", m->cores);
    } else if (m->allowed_processors < m->processors && !getenv("SLURM_JOB_ID") && !mpirun) {
        find(f, WARN, "the affinity mask leaves %d of %d processors", m->allowed_processors, m->processors);
        advise(f, "start without taskset or numactl, or mean it");
    }
}

static void look_at_cpu_quota(const signs *s, finding *f)
{
    const double quota = yk_cgroup_processors("");
    find(f, OK, "none");
    if (quota == 0) return;
    find(f, OK, "the control group gives the time of %.3g processors", quota);
    if (quota >= s->machine.allowed_processors) return;
    f->verdict = WARN;
    advise(f, "--set threads=%d: more threads are stopped again and again", quota < 1 ? 1 : (int)quota);
}

static void look_at_memory_domains(const signs *s, finding *f)
{
    const yk_machine *m = &s->machine;
    char l1[32], l2[32], l3[32];
    find(f, OK, "%d of %d NUMA domains; caches L1 %s, L2 %s, L3 %s", m->allowed_domains, m->domains,
         yk_human_bytes((double)s->team.cache[0], l1), yk_human_bytes((double)s->team.cache[1], l2),
         yk_human_bytes((double)s->team.cache[2], l3));
    if (m->allowed_domains < 2) return;
    f->verdict = WARN;
    advise(f, "one rank a domain: mpirun -np %d --map-by ppr:%d:node:PE=%d --bind-to core, with `lanes` a multiple",
           m->domains, m->domains, m->cores / m->domains > 0 ? m->cores / m->domains : 1);
}

/* Whether /proc/cpuinfo lists a flag (x86: "flags", Arm: "Features"). */
static bool processor_offers(const char *flag)
{
    char line[8192], word[64];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(word, sizeof word, " %s ", flag);
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0) continue;
        line[strcspn(line, "\n")] = ' ';
        found = strstr(line, word);
        break;
    }
    if (file) fclose(file);
    return found;
}

static void look_at_instructions(const signs *s, finding *f)
{
    static const struct {
        const char *flag, *set;
    } offers[] = {{"avx2", "avx2"}, {"avx512f", "avx512"}, {"avx512_bf16", "avx512bf16"}, {"asimd", "neon"},
                  {"bf16", "neonbf16"}};
    (void)s;
    char here[128] = "";
    size_t used = 0;
    const yk_kernels *k, *best = NULL, *picked;
    yk_error err;
    for (int i = 0; (k = yk_kernels_at(i, YK_FP32)); i++) {
        if (!yk_kernels_runs_here(k)) continue;
        used += (size_t)snprintf(here + used, sizeof here - used, " %s", k->name);
        best = k;
    }
    if (yk_kernels_pick(&picked, NULL, YK_FP32, &err) != YK_OK) {
        find(f, BAD, "%s", err.text);
        advise(f, "unset YOKE_ISA");
        return;
    }
    find(f, OK, "%s; this processor runs%s", picked->name, here);
    if (picked != best) {
        f->verdict = WARN;
        advise(f, "unset YOKE_ISA: %s is quicker", best->name);
    }
    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++)
        if (processor_offers(offers[i].flag) && !strstr(here, offers[i].set)) {
            f->verdict = WARN;
            advise(f, "the compiler could not build %s, which this processor has: configure with a newer one",
                   offers[i].set);
        }
}

static void look_at_rounding(const signs *s, finding *f)
{
    find(f, OK, "to nearest, subnormal numbers kept, in %d threads", s->team.threads);
    if (s->team_status != YK_OK) find(f, BAD, "%s", s->team_error.text);
}

static void look_at_huge_pages(const signs *s, finding *f)
{
    (void)s;
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    yk_buf text = {0};
    yk_error ignored;
    if (yk_file_read(path, &text, &ignored) != YK_OK) {
        find(f, WARN, "this kernel has no transparent huge pages: memory is slower");
    } else if (strstr(text.data, "[never]")) {
        find(f, WARN, "switched off: memory is slower");
        advise(f, "as root: echo madvise >%s", path);
    } else {
        find(f, OK, "%s", strstr(text.data, "[always]") ? "always" : "where asked for, which Yoke does");
    }
    yk_buf_free(&text);
}

static void look_at_memory(const signs *s, finding *f)
{
    (void)s;
    char bytes[32];
    const yk_room room = yk_room_left("");
    if (room.bytes == INT64_MAX) {
        find(f, OK, "%s", room.of);
        return;
    }
    find(f, room.bytes < 1 << 30 ? WARN : OK, "%s left (%s)", yk_human_bytes((double)room.bytes, bytes), room.of);
    if (f->verdict != OK) advise(f, "`yoke plan RECIPE` shows what a run needs; sbatch --mem=0 asks for all of a node");
}

static void look_at_openblas(const signs *s, finding *f)
{
    (void)s;
    static const char *const threads[] = {"without threads", "with threads of its own", "with OpenMP"};
    const int kind = openblas_get_parallel();
    find(f, OK, "%s, %s", openblas_get_config(), kind >= 0 && kind < 3 ? threads[kind] : "of an unknown build");
    if (kind == 2) return;
    f->verdict = WARN;
    advise(f, "matters to `numerics: fast` alone: libopenblas0-openmp of Debian, openblas threads=openmp of Spack");
}

/* Yoke tells HDF5 not to lock, since 1.10.7; the environment overrules it. */
static void look_at_hdf5(const signs *s, finding *f)
{
    unsigned major = 0, minor = 0, release = 0;
    const char *locking = getenv("HDF5_USE_FILE_LOCKING");
    bool parallel = false, asks = !locking;
#ifdef H5_HAVE_PARALLEL
    parallel = true;
#endif
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    asks = false;
#endif
    if (locking) asks = strcmp(locking, "FALSE") != 0 && strcmp(locking, "0") != 0;
    H5get_libversion(&major, &minor, &release);
    find(f, OK, "%u.%u.%u, %s; file locking %s", major, minor, release, parallel ? "parallel" : "serial",
         asks ? "on" : "off");
    if (asks && s->disk.shared) {
        f->verdict = WARN;
        advise(f, "export HDF5_USE_FILE_LOCKING=FALSE, as the run directory is on %s", s->disk.kind);
    }
    if (parallel && strstr(YOKE_MPI, "Open MPI 4.")) {
        f->verdict = WARN;
        advise(f, "OMPIO of Open MPI 4 has damaged parallel HDF5 files: export OMPI_MCA_io=romio321, or a serial HDF5");
    }
    if (major != H5_VERS_MAJOR || minor != H5_VERS_MINOR || release != H5_VERS_RELEASE) {
        find(f, BAD, "built with %d.%d.%d and running with %u.%u.%u", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE,
             major, minor, release);
        advise(f, "load the module that Yoke was built with, or build it again");
    }
}

static void look_at_mpi(const signs *s, finding *f)
{
    const int tasks = number_of("SLURM_NTASKS");
    static const char srun[] = "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; srun --mpi=pmix yoke run ... (or "
                               "--mpi=pmi2; srun --mpi=list shows which there are)";
    const bool built = strcmp(YOKE_MPI, "no") != 0, step = getenv("SLURM_STEP_ID");
    find(f, OK, "%s %s; this process is one of %d", built ? "built with" : "built without", built ? YOKE_MPI : "MPI",
         s->world);
    if (s->world > 1 && !built) {
        find(f, BAD, "built without MPI and started as one of %d: each would perform the run", s->world);
        advise(f, "start one process, or configure --with-mpi");
    } else if (step && tasks > 1 && !yk_launched()) {
        find(f, BAD, "srun started %d processes that do not know of each other: each would perform the run", tasks);
        advise(f, "%s", srun);
    } else if (!step && tasks > 1 && s->world == 1) {
        if (getenv("OMPI_COMM_WORLD_SIZE")) return; /* mpirun -np 1 was meant */
        find(f, WARN, "the job has %d tasks; started like this a run has one", tasks);
        advise(f, "%s", srun);
    }
}

static void look_at_slurm(const signs *s, finding *f)
{
    const int each = number_of("SLURM_CPUS_PER_TASK"), tasks = number_of("SLURM_NTASKS");
    const bool step = getenv("SLURM_STEP_ID");
    find(f, OK, "not in a job");
    if (!getenv("SLURM_JOB_ID")) return;
    find(f, OK, "job %s, %d tasks of %d processors", getenv("SLURM_JOB_ID"), tasks ? tasks : 1, each ? each : 1);
    if (step && s->machine.allowed_processors < each) {
        find(f, BAD, "--cpus-per-task=%d of the job did not reach srun: this task has %d processors", each,
             s->machine.allowed_processors);
        advise(f, "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK before srun");
    } else if (!step && each > 1 && tasks > 1 && number_of("SRUN_CPUS_PER_TASK") != each) {
        find(f, WARN, "srun does not look at the job's --cpus-per-task=%d since Slurm 22.05", each);
        advise(f, "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK before srun");
    }
}

static void look_at_directory(const signs *s, finding *f)
{
    const yk_disk *d = &s->disk;
    find(f, OK, "%s is on %s%s, can be written and locked", d->folder, d->kind, d->shared ? ", shared" : "");
    if (d->refused) {
        find(f, BAD, "%s cannot be written: %s", d->folder, strerror(d->refused));
        advise(f, "another --run-dir");
    } else if (d->not_locked) {
        find(f, BAD, "%s (%s) cannot be locked, as runs do with their directory: %s", d->folder, d->kind,
             strerror(d->not_locked));
        advise(f, "another --run-dir; or have it mounted with the option flock (Lustre), or with a lock service (NFS)");
    } else if (strcmp(d->kind, "tmpfs") == 0 || strcmp(d->kind, "ramfs") == 0) {
        find(f, WARN, "%s is in memory: checkpoints are lost when the machine ends, and take memory", d->folder);
        advise(f, "another --run-dir");
    }
}

static void look_at_space(const signs *s, finding *f)
{
    enum { CHECKPOINTS = 5, BYTES = 12 }; /* kept, and a parameter: doc/errors.md */
    const double free = (double)s->disk.free;
    struct rlimit file;
    char bytes[32], most[32];
    find(f, free < 1e7 ? BAD : free < 1e9 ? WARN : OK, "%s free: checkpoints of models up to %.3g M parameters",
         yk_human_bytes(free, bytes), free / (CHECKPOINTS * BYTES) / 1e6);
    if (f->verdict != OK) advise(f, "free some, or another --run-dir; a quota (`quota`, `lfs quota`) may leave less");
    if (getrlimit(RLIMIT_FSIZE, &file) == 0 && file.rlim_cur != RLIM_INFINITY) {
        find(f, WARN, "files are limited to %s", yk_human_bytes((double)file.rlim_cur, most));
        advise(f, "ulimit -f unlimited");
    }
}

static const struct {
    const char *name;
    void (*look)(const signs *s, finding *f);
} checks[] = {
    {"processors", look_at_processors},
    {"cpu quota", look_at_cpu_quota},
    {"memory domains", look_at_memory_domains},
    {"instructions", look_at_instructions},
    {"rounding", look_at_rounding},
    {"memory", look_at_memory},
    {"huge pages", look_at_huge_pages},
    {"slurm", look_at_slurm},
    {"mpi", look_at_mpi},
    {"openblas", look_at_openblas},
    {"hdf5", look_at_hdf5},
    {"run directory", look_at_directory},
    {"space", look_at_space},
};

typedef struct options {
    const char *dir;
    bool json, quiet;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 'd') o->dir = text;
    else if (key == 'j') o->json = true;
    else if (key == 'q') o->quiet = true;
    else return false;
    return true;
}

static yk_status look(signs *s, const char *dir, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_machine_measure(&s->machine, err));
    YK_TRY(yk_disk_measure(&s->disk, dir, err));
    s->team_status = yk_team_make(&s->team, 0, &s->team_error);
    const bool mpirun = getenv("OMPI_COMM_WORLD_SIZE"), srun = getenv("SLURM_STEP_ID") && yk_launched();
    s->world = s->neighbours = 1;
    if (mpirun || srun) {
        s->world = number_of(mpirun ? "OMPI_COMM_WORLD_SIZE" : "SLURM_STEP_NUM_TASKS");
        s->neighbours = number_of(mpirun ? "OMPI_COMM_WORLD_LOCAL_SIZE" : "SLURM_STEP_TASKS_PER_NODE");
    }
    if (s->world < 1) s->world = 1;
    if (s->neighbours < 1) s->neighbours = 1;
done:
    return st;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    static const char *const word[] = {"ok", "warn", "bad"};
    yk_status st = YK_OK;
    options o = {.dir = "runs"};
    signs s = {0};
    json_t *rows = json_array();
    int bad = 0;
    YK_TRY(yk_parse(&yk_command_doctor, argc, argv, 0, take, &o, err));
    YK_TRY(look(&s, o.dir, err));
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        finding f = {0};
        checks[i].look(&s, &f);
        bad += f.verdict == BAD;
        if (o.quiet && f.verdict == OK) continue;
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "check", checks[i].name, "verdict",
                                              word[f.verdict], "text", f.text, "remedy", f.remedy));
        if (!o.json)
            printf("%-4s  %-14s  %s%s%s\n", word[f.verdict], checks[i].name, f.text, *f.remedy ? " -> " : "", f.remedy);
    }
    if (o.json) {
        json_dumpf(rows, stdout, JSON_INDENT(1));
        putchar('\n');
    }
    fflush(stdout);
    if (bad) YK_FAIL(1, "%d of %zu checks are bad", bad, sizeof checks / sizeof *checks);
done:
    json_decref(rows);
    return st;
}

static const struct argp_option option[] = {
    {"run-dir", 'd', "DIR", 0, "where runs will be (runs)", 0},
    {"quiet", 'q', NULL, 0, "show only what is not ok", 0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {0},
};

const yk_command yk_command_doctor = {
    "doctor", "", "what makes runs slow or fail on this machine",
    "Looks at processors, memory, libraries, MPI, the queue and the run directory, and says of each whether it is ok, "
    "and what to do where it is not. Start it as the run will be started. The exit code is 1 when anything is bad.\v"
    "Examples:\n  yoke doctor --run-dir /scratch/me/runs\n  srun --mpi=pmix yoke doctor --quiet",
    option, perform};
