/* The watchdog: ends a process that hangs, so that launcher and queue end the job instead of paying for its silence.
 *
 * The main thread says what it is at, and that is a sign of progress; so is every yk_progress, every message that came,
 * and, where it waits for no other rank, time that it computes: a long phase is no hang. Two helper threads look on.
 * One has the deadline, touches nothing but memory, and, when there was no sign for so long, says on standard error and
 * in <dir>/hangs.log who hangs where, and ends the process with YK_ERR_HANG. The other, where there are several ranks,
 * tells <dir>/watch of this rank's signs and reads there of the others': who waits for a rank that works is not
 * hanging, and a rank that shows no sign of life (stopped, its machine gone) ends those that do. Neither calls MPI.
 * After a process was suspended the time counts anew.
 *
 * A process has one main thread and so one watchdog, which layers cannot hand to each other: what is below works on it,
 * and does nothing before yk_watch_open. */
#ifndef YK_BASE_WATCH_H
#define YK_BASE_WATCH_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_watch_options {
    const char *dir; /* the run directory, which all ranks see */
    int rank, ranks;
    uint64_t run;    /* the same for all ranks, another one in every run */
    double seconds;  /* without a sign of progress; 0: there is no watchdog */
} yk_watch_options;

/* The calling thread is the one that is watched. */
yk_status yk_watch_open(const yk_watch_options *o, yk_error *err);
void yk_watch_close(void);

/* What begins now: `name` lives for ever; number -1: there is none. */
void yk_watch_phase(const char *name, int64_t number);

/* A sign of progress; from any thread. */
void yk_watch_sign(void);

/* Around a wait for another rank, or for who knows which: then time that passes in computing (polling) is no sign. */
enum { YK_WATCH_NOBODY = -1, YK_WATCH_ANY = -2 };
void yk_watch_wait(int rank);
void yk_watch_waited(void);

/* --- the rule, without threads and clocks ---------------------------------------------------- */

/* A rank as this one knows it; times are seconds of one clock. */
typedef struct yk_watch_rank {
    bool known;           /* it was heard of in this run */
    double alive, sign;   /* when its threads last told something, and when its last sign of progress was heard of */
    int waits_for;        /* a rank, YK_WATCH_NOBODY or YK_WATCH_ANY */
    char host[64], phase[64];
} yk_watch_rank;

typedef enum yk_watch_verdict { YK_WATCH_GOES_ON, YK_WATCH_HANGS, YK_WATCH_DEAD } yk_watch_verdict;

/* x[ranks], of which `rank` is this one, at a time when others were read of last at `heard`. HANGS: x[rank] showed no
 * progress for `seconds`, nor did a rank that it waits for; *whose is the rank at which the chain of those that wait
 * ends (-1: all wait for each other). DEAD: *whose told nothing at all for so long, while this rank could hear. */
yk_watch_verdict yk_watch_judge(const yk_watch_rank *x, int ranks, int rank, double now, double heard, double seconds,
                                int *whose);

#endif
