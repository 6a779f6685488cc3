#include "base/watch.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 8, LAST_WORDS_SECONDS = 10, SUSPENDED_SECONDS = 1 }; /* looks a deadline */
static const double least_pause = 0.02, most_pause = 15, busy = 0.002; /* seconds; share of a processor */

/* What a rank tells in its place in <dir>/watch. */
typedef struct told {
    uint64_t run, tells, signs;
    int32_t waits_for, filler;
    char host[64], phase[64];
} told;

static struct {
    /* by the main thread */
    _Atomic uint64_t signs;
    _Atomic(const char *) phase;
    _Atomic int64_t number;
    _Atomic int waits_for;
    /* by the helpers */
    yk_watch_options o;
    char *told_path, *log_path, host[64];
    bool is_open, has_teller, stops;
    clockid_t computing; /* of the main thread */
    pthread_t watcher, teller;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t stop;
    double clock, heard;        /* yk_now() of the last look, and of what was heard last */
    told *last;                 /* [ranks] */
    yk_watch_rank *rank;        /* [ranks] */
} watch;

void yk_watch_phase(const char *name, int64_t number)
{
    atomic_store(&watch.phase, name);
    atomic_store(&watch.number, number);
    yk_watch_sign();
}

void yk_watch_sign(void)
{
    atomic_fetch_add_explicit(&watch.signs, 1, memory_order_relaxed);
}

void yk_watch_wait(int rank)
{
    atomic_store_explicit(&watch.waits_for, rank, memory_order_relaxed);
}

void yk_watch_waited(void)
{
    atomic_store_explicit(&watch.waits_for, YK_WATCH_NOBODY, memory_order_relaxed);
    yk_watch_sign();
}

/* --- the rule -------------------------------------------------------------------------------- */

/* The last sign of a rank that x[rank] waits for. */
static double awaited_sign(const yk_watch_rank *x, int ranks, int rank)
{
    double last = -1e300;
    for (int r = 0; r < ranks; r++)
        if (r != rank && (x[rank].waits_for == r || x[rank].waits_for == YK_WATCH_ANY) && x[r].known &&
            x[r].sign > last)
            last = x[r].sign;
    return last;
}

/* Of the others, the first one that waits for nobody; -1: none is known. */
static int first_idle(const yk_watch_rank *x, int ranks, int rank)
{
    for (int r = 0; r < ranks; r++)
        if (r != rank && x[r].known && x[r].waits_for == YK_WATCH_NOBODY) return r;
    return -1;
}

static int end_of_chain(const yk_watch_rank *x, int ranks, int rank)
{
    int at = rank;
    for (int steps = 0; steps < ranks; steps++) {
        const int next = x[at].waits_for;
        if (next == YK_WATCH_NOBODY) return at;
        if (next < 0 || next >= ranks) return first_idle(x, ranks, rank);
        at = next;
        if (!x[at].known) return at;
    }
    return -1;
}

yk_watch_verdict yk_watch_judge(const yk_watch_rank *x, int ranks, int rank, double now, double heard, double seconds,
                                int *whose)
{
    for (int r = 0; r < ranks && now - heard < seconds / 2; r++) {
        if (r == rank || !x[r].known || now - x[r].alive <= seconds) continue;
        *whose = r;
        return YK_WATCH_DEAD;
    }
    const bool waits = x[rank].waits_for != YK_WATCH_NOBODY;
    if (now - x[rank].sign <= seconds || (waits && now - awaited_sign(x, ranks, rank) <= seconds))
        return YK_WATCH_GOES_ON;
    *whose = end_of_chain(x, ranks, rank);
    return YK_WATCH_HANGS;
}

/* --- last words ------------------------------------------------------------------------------ */

static void name_rank(yk_buf *text, int r)
{
    const yk_watch_rank *x = &watch.rank[r];
    if (watch.o.ranks == 1) yk_buf_printf(text, "the process on %s", x->host);
    else if (x->known) yk_buf_printf(text, "rank %d on %s", r, x->host);
    else yk_buf_printf(text, "rank %d", r);
    if (x->known) yk_buf_printf(text, ", in `%s`,", x->phase);
}

static void name_awaited(yk_buf *text, int waits_for)
{
    if (waits_for == YK_WATCH_ANY) yk_buf_printf(text, " waits for the other ranks");
    else yk_buf_printf(text, " waits for rank %d", waits_for);
}

static void describe(yk_buf *text, yk_watch_verdict verdict, int whose)
{
    const yk_watch_rank *own = &watch.rank[watch.o.rank];
    yk_buf_printf(text, "yoke: watchdog: ");
    name_rank(text, watch.o.rank);
    if (own->waits_for != YK_WATCH_NOBODY) name_awaited(text, own->waits_for);
    else if (verdict == YK_WATCH_HANGS) yk_buf_printf(text, " hangs");
    else yk_buf_printf(text, " ends");
    if (verdict == YK_WATCH_HANGS) yk_buf_printf(text, " since %.0f s", watch.clock - own->sign);
    if (whose >= 0 && whose != watch.o.rank) {
        const yk_watch_rank *x = &watch.rank[whose];
        yk_buf_printf(text, "; ");
        name_rank(text, whose);
        if (x->known && watch.clock - x->alive > watch.o.seconds / 2)
            yk_buf_printf(text, " shows no sign of life since %.0f s: its process is stopped, its machine is gone, or "
                          "it cannot write to %s", watch.clock - x->alive, watch.told_path);
        else if (x->known) yk_buf_printf(text, " made no progress since %.0f s", watch.clock - x->sign);
        else yk_buf_printf(text, " was not heard of");
    }
    yk_buf_printf(text, ". The run ends; the same command goes on from the last checkpoint (`watchdog: %g`)\n",
                  watch.o.seconds);
}

static void put(int fd, const yk_buf *text)
{
    if (fd >= 0 && write(fd, text->data, text->len) < 0) {} /* there is nobody left to tell */
}

/* Not through yk_warn: the main thread may hang with the stream locked. The disk, or what reads standard error, may be
 * what hangs: the alarm ends the process then. */
static void end_process(yk_watch_verdict verdict, int whose)
{
    yk_buf text = {0};
    alarm(LAST_WORDS_SECONDS);
    describe(&text, verdict, whose);
    put(STDERR_FILENO, &text);
    put(open(watch.log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666), &text);
    _exit(YK_ERR_HANG);
}

/* --- the helpers ----------------------------------------------------------------------------- */

static double pause_of(void)
{
    const double s = watch.o.seconds / LOOKS;
    return s < least_pause ? least_pause : s > most_pause ? most_pause : s;
}

/* Sleeps until the next look. False: it is the end. The mutex is held. */
static bool next_look(void)
{
    const double s = pause_of();
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t ns = t.tv_nsec + (int64_t)(s * 1e9);
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    while (!watch.stops && pthread_cond_timedwait(&watch.stop, &watch.mutex, &t) != ETIMEDOUT) {}
    return !watch.stops;
}

static double computed(void)
{
    struct timespec t = {0};
    clock_gettime(watch.computing, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* After a suspension, at which other ranks may have been suspended too, all have their time again. */
static void wind_clock(void)
{
    const double now = yk_now(), passed = now - watch.clock;
    watch.clock = now;
    if (passed < 2 * pause_of() + SUSPENDED_SECONDS) return;
    for (int r = 0; r < watch.o.ranks; r++) watch.rank[r].alive = watch.rank[r].sign = now;
}

static void look_at_self(uint64_t *signs, double *cpu)
{
    yk_watch_rank *own = &watch.rank[watch.o.rank];
    const uint64_t signs_now = atomic_load(&watch.signs);
    const double cpu_now = computed();
    const int64_t number = atomic_load(&watch.number);
    own->waits_for = atomic_load(&watch.waits_for);
    if (own->waits_for == YK_WATCH_NOBODY && cpu_now - *cpu > busy * pause_of()) yk_watch_sign();
    if (signs_now != *signs) own->sign = watch.clock;
    *signs = signs_now;
    *cpu = cpu_now;
    snprintf(own->phase, sizeof own->phase, number < 0 ? "%s" : "%s %lld", atomic_load(&watch.phase),
             (long long)number);
}

static void *keep_watch(void *unused)
{
    uint64_t signs = 0;
    double cpu = computed();
    pthread_mutex_lock(&watch.mutex);
    while (next_look()) {
        int whose;
        wind_clock();
        look_at_self(&signs, &cpu);
        yk_watch_verdict v = yk_watch_judge(watch.rank, watch.o.ranks, watch.o.rank, watch.clock, watch.heard,
                                            watch.o.seconds, &whose);
        if (v != YK_WATCH_GOES_ON) end_process(v, whose);
    }
    pthread_mutex_unlock(&watch.mutex);
    return unused;
}

static void note(int r, told *x)
{
    yk_watch_rank *k = &watch.rank[r];
    if (x->run != watch.o.run || r == watch.o.rank) return;
    if (!k->known || x->tells != watch.last[r].tells) k->alive = watch.clock;
    if (!k->known || x->signs != watch.last[r].signs) k->sign = watch.clock;
    k->known = true;
    k->waits_for = x->waits_for;
    memcpy(k->host, x->host, sizeof k->host - 1);
    memcpy(k->phase, x->phase, sizeof k->phase - 1);
    watch.last[r] = *x;
}

/* Opened anew each time, so that a network's filesystem shows what others wrote. */
static bool tell_and_hear(const told *own, told *all)
{
    const ssize_t bytes = (ssize_t)sizeof *all * watch.o.ranks;
    int fd = open(watch.told_path, O_WRONLY | O_CLOEXEC | (watch.o.rank == 0 ? O_CREAT : 0), 0666);
    if (fd >= 0 && pwrite(fd, own, sizeof *own, (off_t)sizeof *own * watch.o.rank) < 0) {} /* the others will see */
    if (fd >= 0) close(fd);
    memset(all, 0, (size_t)bytes);
    fd = open(watch.told_path, O_RDONLY | O_CLOEXEC);
    const ssize_t found = fd >= 0 ? pread(fd, all, (size_t)bytes, 0) : -1;
    if (fd >= 0) close(fd);
    return found > 0;
}

/* This thread may hang with the disk, and then hears nothing; it does not hold the mutex meanwhile. */
static void *keep_telling(void *room)
{
    told *all = room, own = {.run = watch.o.run};
    memcpy(own.host, watch.host, sizeof own.host);
    pthread_mutex_lock(&watch.mutex);
    do {
        const yk_watch_rank *x = &watch.rank[watch.o.rank];
        own.tells++;
        own.signs = atomic_load(&watch.signs);
        own.waits_for = x->waits_for;
        memcpy(own.phase, x->phase, sizeof own.phase);
        pthread_mutex_unlock(&watch.mutex);
        const bool heard = tell_and_hear(&own, all);
        pthread_mutex_lock(&watch.mutex);
        for (int r = 0; heard && r < watch.o.ranks; r++) note(r, &all[r]);
        if (heard) watch.heard = watch.clock;
    } while (next_look());
    pthread_mutex_unlock(&watch.mutex);
    free(all);
    return NULL;
}

/* Signals are the main thread's. */
static int start_thread(pthread_t *thread, void *(*function)(void *), void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    const int bad = pthread_create(thread, NULL, function, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return bad;
}

static void prepare(const yk_watch_options *o)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch.stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&watch.mutex, NULL);
    pthread_getcpuclockid(pthread_self(), &watch.computing);
    gethostname(watch.host, sizeof watch.host - 1);
    atomic_store(&watch.waits_for, YK_WATCH_NOBODY);
    watch.o = *o;
    watch.clock = watch.heard = watch.rank[o->rank].sign = yk_now();
    watch.rank[o->rank].known = true;
    watch.rank[o->rank].waits_for = YK_WATCH_NOBODY;
    memcpy(watch.rank[o->rank].host, watch.host, sizeof watch.host);
    if (!atomic_load(&watch.phase)) yk_watch_phase("start", -1);
}

yk_status yk_watch_open(const yk_watch_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    int bad;
    told *all = NULL;
    if (o->seconds <= 0) return YK_OK;
    YK_NEW(watch.rank, o->ranks);
    YK_NEW(watch.last, o->ranks);
    YK_NEW(all, o->ranks);
    watch.told_path = yk_path("%s/watch", o->dir);
    watch.log_path = yk_path("%s/hangs.log", o->dir);
    if (!watch.told_path || !watch.log_path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    prepare(o);
    if ((bad = start_thread(&watch.watcher, keep_watch, NULL)))
        YK_FAIL(YK_ERR_MEMORY, "cannot start the watchdog's thread: %s", strerror(bad));
    watch.is_open = true;
    if (o->ranks == 1) goto done;
    if ((bad = start_thread(&watch.teller, keep_telling, all)))
        YK_FAIL(YK_ERR_MEMORY, "cannot start the watchdog's thread: %s", strerror(bad));
    watch.has_teller = true;
    all = NULL; /* the thread's */
done:
    free(all);
    if (st != YK_OK) yk_watch_close();
    return st;
}

void yk_watch_close(void)
{
    if (watch.is_open) {
        pthread_mutex_lock(&watch.mutex);
        watch.stops = true;
        pthread_cond_broadcast(&watch.stop);
        pthread_mutex_unlock(&watch.mutex);
        if (watch.has_teller) pthread_join(watch.teller, NULL);
        if (watch.has_teller && watch.o.rank == 0) unlink(watch.told_path);
        pthread_join(watch.watcher, NULL);
        pthread_cond_destroy(&watch.stop);
        pthread_mutex_destroy(&watch.mutex);
    }
    free(watch.rank);
    free(watch.last);
    free(watch.told_path);
    free(watch.log_path);
    watch.rank = NULL;
    watch.last = NULL;
    watch.told_path = watch.log_path = NULL;
    watch.is_open = watch.has_teller = watch.stops = false;
}
