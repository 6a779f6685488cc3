/* Ranks by MPI. The only file that includes mpi.h. */
#include "base/mem.h"
#include "base/watch.h"
#include "comm/launcher.h"
#include "comm/worker.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE_BYTES = 1 << 28, SPINS = 2000, TAG = 1, LONG_NAP = 2000000, SHORT_NAP = 50000 /* ns */ };

typedef struct world {
    MPI_Comm all, node;
    MPI_Win window;
    MPI_Request request[2][2]; /* of each slot: receive, send */
    int other[2];              /* with whom */
} world;

static world *world_of(yk_comm *c)
{
    return c->mpi;
}

/* Waits politely: first as a short message needs it, then asleep, because other ranks may be busy for hours; at most
 * longest_nap at a time, because a message may move only while it is tested. False when it took longer than `patience`
 * seconds, unless that is 0. `other`: for whom, or YK_WATCH_ANY. */
static bool finish_within(MPI_Request *request, int other, double patience, long longest_nap)
{
    const double began = MPI_Wtime();
    long nap = 10000;
    int done = 0;
    for (int spin = 0;; spin++) {
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (done && spin > SPINS) yk_watch_waited();
        if (done) return true;
        if (spin < SPINS) {
            sched_yield();
            continue;
        }
        yk_watch_wait(other);
        if (patience > 0 && MPI_Wtime() - began > patience) return false;
        nanosleep(&(struct timespec){.tv_nsec = nap}, NULL);
        if (nap < longest_nap) nap *= 2;
    }
}

static bool finish(MPI_Request *request, int other, double patience)
{
    return finish_within(request, other, patience, LONG_NAP);
}

static int piece_of(int64_t bytes, int64_t at)
{
    return (int)(bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES);
}

static void share(yk_comm *c, void *data, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += PIECE_BYTES) {
        MPI_Request request;
        MPI_Ibcast((char *)data + at, piece_of(bytes, at), MPI_BYTE, 0, world_of(c)->all, &request);
        finish(&request, c->rank == 0 ? YK_WATCH_ANY : 0, 0);
    }
}

static bool gather(yk_comm *c, const void *piece, void *all, int64_t bytes, double patience)
{
    MPI_Request request;
    MPI_Iallgather(piece, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, world_of(c)->all, &request);
    return finish(&request, YK_WATCH_ANY, patience);
}

static void send(yk_comm *c, int to, const void *data, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += PIECE_BYTES) {
        MPI_Request request;
        MPI_Isend((const char *)data + at, piece_of(bytes, at), MPI_BYTE, to, TAG, world_of(c)->all, &request);
        finish(&request, to, 0);
    }
}

static void receive(yk_comm *c, int from, void *data, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += PIECE_BYTES) {
        MPI_Request request;
        MPI_Irecv((char *)data + at, piece_of(bytes, at), MPI_BYTE, from, TAG, world_of(c)->all, &request);
        finish(&request, from, 0);
    }
}

static void exchange(yk_comm *c, int slot, int other, const void *out, int64_t out_bytes, void *in, int64_t in_bytes)
{
    world *w = world_of(c);
    w->other[slot] = other;
    MPI_Irecv(in, (int)in_bytes, MPI_BYTE, other, TAG, w->all, &w->request[slot][0]);
    MPI_Isend(out, (int)out_bytes, MPI_BYTE, other, TAG, w->all, &w->request[slot][1]);
}

static void wait(yk_comm *c, int slot)
{
    for (int i = 0; i < 2; i++) finish_within(&world_of(c)->request[slot][i], world_of(c)->other[slot], 0, SHORT_NAP);
}

static void end_world(yk_comm *c, yk_status st)
{
    MPI_Abort(world_of(c)->all, (int)st);
    abort();
}

static void close_world(yk_comm *c)
{
    world *w = world_of(c);
    yk_watch_phase("end", -1);
    yk_watch_wait(YK_WATCH_ANY);
    if (w->window != MPI_WIN_NULL) MPI_Win_free(&w->window);
    if (w->node != MPI_COMM_NULL) MPI_Comm_free(&w->node);
    free(w);
    MPI_Finalize();
    yk_watch_waited();
}

static const yk_world_calls calls = {close_world, share, gather, send, receive, exchange, wait, end_world};

/* The first rank on the node of each rank; sets how many are on this one. */
static void find_nodes(yk_comm *c, int *first)
{
    MPI_Comm here;
    int leader = c->rank;
    MPI_Comm_split_type(world_of(c)->all, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &here);
    MPI_Comm_size(here, &c->ranks_here);
    MPI_Bcast(&leader, 1, MPI_INT, 0, here);
    MPI_Comm_free(&here);
    MPI_Allgather(&leader, 1, MPI_INT, first, 1, MPI_INT, world_of(c)->all);
}

/* The largest power of two such that each aligned group of so many ranks is on one node. */
static int group_of(const int *first, int size)
{
    const char *asked = getenv("YOKE_NODE_RANKS");
    const int most = asked && atoi(asked) > 0 ? atoi(asked) : size;
    int ranks = 1;
    for (bool together = true; together && 2 * ranks <= most && size % (2 * ranks) == 0;) {
        for (int i = 0; i < size; i++) together = together && first[i] == first[i - i % (2 * ranks)];
        if (together) ranks *= 2;
    }
    return ranks;
}

static yk_status open_window(yk_comm *c, yk_error *err)
{
    yk_status st = YK_OK;
    world *w = world_of(c);
    yk_window *n = &c->node;
    void *base;
    MPI_Comm_split(w->all, c->rank / n->ranks, c->rank, &w->node);
    YK_NEW(n->base, n->ranks);
    YK_NEW(n->scratch, YK_STAGE_FLOATS);
    YK_NEW(n->source, n->ranks);
    YK_NEW(n->part, n->ranks);
    MPI_Win_allocate_shared(yk_window_bytes(), 1, MPI_INFO_NULL, w->node, &base, &w->window);
    for (int i = 0; i < n->ranks; i++) {
        MPI_Aint bytes;
        int unit;
        MPI_Win_shared_query(w->window, i, &bytes, &unit, &n->base[i]);
    }
    yk_node_begin(n);
    MPI_Barrier(w->node);
done:
    return st;
}

static yk_status open_node(yk_comm *c, bool threads, yk_error *err)
{
    yk_status st = YK_OK;
    int *first = NULL;
    YK_NEW(first, c->size);
    for (int slot = 0; slot < 2; slot++) {
        YK_NEW(c->message[slot], YK_MESSAGE_FLOATS);
        YK_NEW(c->rounded[slot], YK_MESSAGE_FLOATS);
    }
    find_nodes(c, first);
    c->node.ranks = group_of(first, c->size);
    c->node.rank = c->rank % c->node.ranks;
    c->node.first = c->rank - c->node.rank;
    if (c->node.ranks > 1) YK_TRY(open_window(c, err));
    if (threads && c->node.ranks < c->size) YK_TRY(yk_worker_start(c, err));
done:
    free(first);
    return st;
}

yk_status yk_world_open(yk_comm **out, yk_error *err)
{
    yk_status st = YK_OK;
    int level, size;
    yk_comm *c = NULL;
    world *w;
    if (!yk_launched()) return yk_not_alone(err);
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1) {
        MPI_Finalize();
        return yk_not_alone(err);
    }
    YK_NEW(c, 1);
    *out = c;
    c->calls = &calls;
    c->node.ranks = c->ranks_here = 1;
    c->size = size;
    YK_NEW(w, 1);
    c->mpi = w;
    *w = (world){.all = MPI_COMM_WORLD, .node = MPI_COMM_NULL, .window = MPI_WIN_NULL};
    MPI_Comm_rank(MPI_COMM_WORLD, &c->rank);
    YK_TRY(open_node(c, level >= MPI_THREAD_SERIALIZED, err));
done:
    if (st != YK_OK) MPI_Abort(MPI_COMM_WORLD, (int)st);
    return st;
}
