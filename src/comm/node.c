/* Ranks of one node, through memory that they share.
 *
 * Each rank has a window: a counter of the rounds it has entered, then two stages. In a round a rank puts what the
 * others need into one of its stages, enters, waits until all have entered, and reads. The next round takes the other
 * stage; who enters it has read, so that one counter is enough. A stage is small enough to stay in the caches: the
 * buffers themselves are read and written once. */
#include "base/watch.h"
#include "comm/world.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { HEAD_BYTES = 4096, SPINS = 256, YIELDS = 20000, NAP = 50000 /* ns */ };

int64_t yk_window_bytes(void)
{
    return HEAD_BYTES + 2 * (int64_t)YK_STAGE_FLOATS * (int64_t)sizeof(float);
}

static _Atomic uint64_t *counter(const yk_window *w, int rank)
{
    return (_Atomic uint64_t *)(void *)w->base[rank];
}

static float *stage(const yk_window *w, int rank)
{
    return (float *)(void *)(w->base[rank] + HEAD_BYTES) + w->rounds % 2 * YK_STAGE_FLOATS;
}

void yk_node_begin(yk_window *w)
{
    w->rounds = 0;
    atomic_store(counter(w, w->rank), 0);
}

/* Enters round `rounds` + 1 when its stage is filled, and goes on when it is everybody's. */
static void meet(yk_window *w)
{
    const uint64_t round = w->rounds + 1;
    atomic_store_explicit(counter(w, w->rank), round, memory_order_release);
    bool slow = false;
    for (int i = 0; i < w->ranks; i++)
        for (int spin = 0; atomic_load_explicit(counter(w, i), memory_order_acquire) < round; spin++) {
            if (spin < SPINS) continue;
            if (!slow) yk_watch_wait(w->first + i);
            slow = true;
            if (spin > YIELDS) nanosleep(&(struct timespec){.tv_nsec = NAP}, NULL);
            else sched_yield();
        }
    if (slow) yk_watch_waited();
}

typedef struct copy_args {
    char *to;
    const char *from;
} copy_args;

static void copy_part(const void *args, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const copy_args *a = args;
    memcpy(a->to + begin, a->from + begin, (size_t)(end - begin));
}

void yk_copy_bytes(const yk_team *team, void *to, const void *from, int64_t bytes)
{
    if (bytes > 0) yk_team_rows(team, bytes, 0, copy_part, &(copy_args){to, from});
}

static int64_t longest(const yk_window *w, const yk_slice *part)
{
    int64_t most = 0;
    for (int i = 0; i < w->ranks; i++)
        if (part[i].end - part[i].begin > most) most = part[i].end - part[i].begin;
    return most;
}

/* Of the piece that begins at `at` inside a part. */
static int64_t length(yk_slice part, int64_t at, int64_t piece)
{
    const int64_t left = part.end - part.begin - at;
    return left < 0 ? 0 : left < piece ? left : piece;
}

/* out = ((source[0] + source[1]) + (source[2] + source[3])) + ... */
static void add_tree(const yk_window *w, const yk_sum *s, const yk_team *team, float *out, int64_t n)
{
    const int64_t room = YK_STAGE_FLOATS / w->ranks;
    for (int apart = 1; apart < w->ranks; apart *= 2)
        for (int i = 0; i < w->ranks; i += 2 * apart) {
            float *y = 2 * apart == w->ranks ? out : w->scratch + i / 2 * room;
            s->k->add(team, &(yk_add){.y = y, .a = w->source[i], .b = w->source[i + apart], .n = n,
                                      .rounds = s->bf16});
            w->source[i] = y;
        }
}

void yk_node_sum(yk_window *w, const yk_team *team, const yk_sum *s, const yk_slice *part)
{
    const int64_t piece = YK_STAGE_FLOATS / w->ranks, most = longest(w, part);
    float *x = s->x, *own = x + part[w->rank].begin;
    for (int64_t at = 0; at < most; at += piece) {
        for (int i = 0; i < w->ranks; i++)
            if (i != w->rank)
                yk_copy_bytes(team, stage(w, w->rank) + i * piece, x + part[i].begin + at,
                              length(part[i], at, piece) * (int64_t)sizeof(float));
        meet(w);
        for (int i = 0; i < w->ranks; i++)
            w->source[i] = i == w->rank ? own + at : stage(w, i) + w->rank * piece;
        w->rounds++;
        const int64_t n = length(part[w->rank], at, piece);
        if (n > 0) add_tree(w, s, team, own + at, n);
    }
}

void yk_node_gather(yk_window *w, const yk_team *team, char *x, const yk_slice *part)
{
    const int64_t piece = YK_STAGE_FLOATS * (int64_t)sizeof(float), most = longest(w, part);
    for (int64_t at = 0; at < most; at += piece) {
        yk_copy_bytes(team, stage(w, w->rank), x + part[w->rank].begin + at, length(part[w->rank], at, piece));
        meet(w);
        for (int i = 0; i < w->ranks; i++)
            if (i != w->rank) yk_copy_bytes(team, x + part[i].begin + at, stage(w, i), length(part[i], at, piece));
        w->rounds++;
    }
}
