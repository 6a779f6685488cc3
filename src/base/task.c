#include "base/task.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct yk_task {
    yk_task_fn fn;
    void *context;
    pthread_t thread;
    bool has_thread;
    atomic_bool done;
    yk_status status;
    yk_error error;
};

static void *work(void *task)
{
    yk_task *t = task;
    t->status = t->fn(t->context, &t->error);
    atomic_store(&t->done, true);
    return NULL;
}

static yk_task *new_task(yk_task_fn fn, void *context)
{
    yk_task *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->fn = fn;
    t->context = context;
    return t;
}

yk_task *yk_task_begin(yk_task_fn fn, void *context)
{
    yk_task *t = new_task(fn, context);
    sigset_t all, before;
    if (!t) return NULL;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    t->has_thread = pthread_create(&t->thread, NULL, work, t) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!t->has_thread) work(t);
    return t;
}

yk_task *yk_task_at_once(yk_task_fn fn, void *context)
{
    yk_task *t = new_task(fn, context);
    if (t) work(t);
    return t;
}

bool yk_task_is_done(const yk_task *t)
{
    return atomic_load(&t->done);
}

yk_status yk_task_end(yk_task *t, yk_error *err)
{
    if (t->has_thread) pthread_join(t->thread, NULL);
    const yk_status st = t->status;
    if (st != YK_OK) *err = t->error;
    free(t);
    return st;
}
