/* Exchanges that go on while a rank computes. */
#ifndef YK_COMM_WORKER_H
#define YK_COMM_WORKER_H

#include "comm/world.h"

/* One that has been begun: what performs it, and its arguments. */
typedef struct yk_exchange {
    void (*perform)(yk_comm *c, const yk_team *team, const struct yk_exchange *e);
    yk_sum sum;
    int bucket;
    yk_slice range;
} yk_exchange;

/* Without a worker what is begun is performed at once. */
yk_status yk_worker_start(yk_comm *c, yk_error *err);
void yk_worker_stop(yk_comm *c);

/* Its ticket, for yk_comm_await. */
int64_t yk_worker_begin(yk_comm *c, const yk_team *team, const yk_exchange *e);

#endif
