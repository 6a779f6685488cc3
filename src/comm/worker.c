/* Exchanges that go on while a rank computes: a queue, and a thread that performs it in order. Whoever waits for one
 * helps: exchanges that have not begun yet are then performed by the caller, with its whole team. So one after another
 * is performed, by either of the two, and MPI is never called by both (MPI_THREAD_SERIALIZED). */
#include "comm/worker.h"

#include "base/log.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

enum { QUEUE = 256 };

struct yk_worker {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    yk_exchange queue[QUEUE];
    int64_t begun, taken, done; /* how many so far */
    bool ends;
};

/* Performs the next one, without the lock that the caller holds. */
static void perform(yk_comm *c, yk_worker *w, const yk_team *team)
{
    const yk_exchange e = w->queue[w->taken++ % QUEUE];
    pthread_mutex_unlock(&w->mutex);
    const double began = yk_now();
    e.perform(c, team, &e);
    const double took = yk_now() - began;
    pthread_mutex_lock(&w->mutex);
    c->times.worked += took;
    w->done++;
    pthread_cond_broadcast(&w->changed);
}

static void *work(void *comm)
{
    yk_comm *c = comm;
    yk_worker *w = c->worker;
    const yk_team alone = {.threads = 1};
    pthread_mutex_lock(&w->mutex);
    while (!w->ends) {
        if (w->taken < w->begun && w->taken == w->done)
            perform(c, w, &alone);
        else
            pthread_cond_wait(&w->changed, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

yk_status yk_worker_start(yk_comm *c, yk_error *err)
{
    yk_status st = YK_OK;
    yk_worker *w;
    YK_NEW(w, 1);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    c->worker = w;
    if (pthread_create(&w->thread, NULL, work, c) != 0) {
        c->worker = NULL;
        free(w);
        YK_FAIL(YK_ERR_MEMORY, "no thread could be had for exchanges between nodes");
    }
done:
    return st;
}

void yk_worker_stop(yk_comm *c)
{
    yk_worker *w = c->worker;
    if (!w) return;
    pthread_mutex_lock(&w->mutex);
    w->ends = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w);
    c->worker = NULL;
}

static void wait_for(yk_comm *c, yk_worker *w, const yk_team *team, int64_t count)
{
    const double began = yk_now();
    pthread_mutex_lock(&w->mutex);
    while (w->done < count) {
        if (w->taken == w->done)
            perform(c, w, team);
        else
            pthread_cond_wait(&w->changed, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    c->times.waited += yk_now() - began;
}

int64_t yk_worker_begin(yk_comm *c, const yk_team *team, const yk_exchange *e)
{
    yk_worker *w = c->worker;
    if (!w) {
        const double began = yk_now();
        e->perform(c, team, e);
        c->times.worked += yk_now() - began;
        c->times.waited += yk_now() - began;
        return 0;
    }
    if (w->begun >= QUEUE) wait_for(c, w, team, w->begun - QUEUE + 1);
    pthread_mutex_lock(&w->mutex);
    w->queue[w->begun % QUEUE] = *e;
    const int64_t ticket = ++w->begun;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return ticket;
}

void yk_comm_await(yk_comm *c, const yk_team *team, int64_t ticket)
{
    if (c && c->worker && ticket > 0) wait_for(c, c->worker, team, ticket);
}
