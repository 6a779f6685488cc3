/* One piece of work done aside, by a thread of its own. */
#ifndef YK_BASE_TASK_H
#define YK_BASE_TASK_H

#include "base/status.h"

#include <stdbool.h>

typedef struct yk_task yk_task;
typedef yk_status (*yk_task_fn)(void *context, yk_error *err);

/* Begins fn(context), which has a message of its own and all signals blocked; what it uses is left alone until
 * yk_task_end. Where no thread can be had the work is done here and now. NULL: no memory, nothing was done. */
yk_task *yk_task_begin(yk_task_fn fn, void *context);

/* The same, done here and now in any case. */
yk_task *yk_task_at_once(yk_task_fn fn, void *context);

bool yk_task_is_done(const yk_task *t);

/* Waits for the work; its status and message. */
yk_status yk_task_end(yk_task *t, yk_error *err);

#endif
