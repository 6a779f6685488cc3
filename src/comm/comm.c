#include "comm/comm.h"

#include "base/hash.h"
#include "base/log.h"
#include "comm/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 60 }; /* seconds */

yk_status yk_comm_open(yk_comm **c, yk_error *err)
{
    *c = NULL;
    return yk_world_open(c, err);
}

void yk_comm_close(yk_comm *c)
{
    if (!c) return;
    yk_worker_stop(c);
    for (int slot = 0; slot < 2; slot++) {
        free(c->message[slot]);
        free(c->rounded[slot]);
    }
    free(c->node.base);
    free(c->node.scratch);
    free(c->node.source);
    free(c->node.part);
    c->calls->close(c);
    free(c);
}

int yk_comm_rank(const yk_comm *c)
{
    return c ? c->rank : 0;
}

int yk_comm_size(const yk_comm *c)
{
    return c ? c->size : 1;
}

int yk_comm_node(const yk_comm *c)
{
    return c ? c->ranks_here : 1;
}

int64_t yk_comm_sent(const yk_comm *c)
{
    return c ? c->sent : 0;
}

bool yk_world_gather(yk_comm *c, const void *piece, void *all, int64_t bytes, double patience)
{
    c->sent += bytes * (c->size - 1);
    return c->calls->gather(c, piece, all, bytes, patience);
}

void yk_world_send(yk_comm *c, int to, const void *data, int64_t bytes)
{
    c->sent += bytes;
    c->calls->send(c, to, data, bytes);
}

yk_comm_times yk_comm_since(const yk_comm *c, yk_comm_times before)
{
    if (!c) return (yk_comm_times){0};
    return (yk_comm_times){c->times.worked - before.worked, c->times.waited - before.waited,
                           c->times.agreed - before.agreed};
}

int64_t yk_comm_bytes(int64_t size, int64_t node)
{
    const int64_t messages = 2 * YK_MESSAGE_FLOATS * (int64_t)(sizeof(float) + sizeof(uint16_t));
    const int64_t scratch = YK_STAGE_FLOATS * (int64_t)sizeof(float);
    return size > 1 ? messages + (node > 1 ? yk_window_bytes() + scratch : 0) : 0;
}

/* --- agreements ------------------------------------------------------------------------------ */

/* The others are somewhere else; what this rank has to say would be lost. */
static void end_all(yk_comm *c, yk_status mine, const yk_error *err)
{
    yk_log_aloud();
    yk_warn("rank %d of %d failed, and the others did not hear of it for %d s: %s", c->rank, c->size, PATIENCE,
            err->text);
    c->calls->abort(c, mine);
}

/* All fail as rank `first` did. */
static yk_status hear(yk_comm *c, yk_status st, int first, const char *mine, yk_error *err)
{
    yk_error own = {""}, *all = calloc((size_t)c->size, sizeof *all);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    snprintf(own.text, sizeof own.text, "%s", mine);
    yk_world_gather(c, &own, all, sizeof own, 0);
    yk_fail(err, st, "%s", all[first].text);
    free(all);
    return first > 0 ? yk_context(err, st, "rank %d", first) : st;
}

yk_status yk_comm_agree(yk_comm *c, yk_status mine, yk_error *err)
{
    yk_status st = YK_OK;
    if (!c) return mine;
    if (c->failed != YK_OK) return mine != YK_OK ? mine : c->failed;
    yk_status *all = calloc((size_t)c->size, sizeof *all);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    const double began = yk_now();
    if (!yk_world_gather(c, &mine, all, sizeof mine, mine == YK_OK ? 0 : PATIENCE)) end_all(c, mine, err);
    c->times.agreed += yk_now() - began;
    int first = 0;
    while (first < c->size && all[first] == YK_OK) first++;
    if (first < c->size) st = hear(c, all[first], first, mine == YK_OK ? "" : err->text, err);
    free(all);
    return c->failed = st;
}

bool yk_comm_any(yk_comm *c, bool mine)
{
    if (!c) return mine;
    double any = 0, *all = calloc((size_t)c->size, sizeof *all);
    if (!all) c->calls->abort(c, YK_ERR_MEMORY);
    yk_world_gather(c, &(double){mine}, all, sizeof *all, 0);
    for (int i = 0; i < c->size; i++) any += all[i];
    free(all);
    return any > 0;
}

yk_status yk_comm_same(yk_comm *c, const char *what, const void *data, size_t bytes, yk_error *err)
{
    yk_status st = YK_OK;
    char own[33], first[33];
    if (!c) return YK_OK;
    yk_hash128_hex(data, bytes, own);
    memcpy(first, own, sizeof first);
    yk_comm_share(c, first, sizeof first);
    if (strcmp(own, first) != 0)
        st = yk_fail(err, YK_ERR_CONFIG, "%s differs from that of rank 0; all ranks must be given the same", what);
    return yk_comm_agree(c, st, err);
}

/* --- small state ----------------------------------------------------------------------------- */

void yk_comm_share(yk_comm *c, void *data, int64_t bytes)
{
    if (!c || bytes <= 0) return;
    if (c->rank == 0) c->sent += bytes * (c->size - 1);
    c->calls->share(c, data, bytes);
}

yk_status yk_comm_share_text(yk_comm *c, char **text, yk_error *err)
{
    yk_status st = YK_OK;
    if (!c) return YK_OK;
    int64_t length = *text ? (int64_t)strlen(*text) + 1 : 0;
    yk_comm_share(c, &length, sizeof length);
    if (c->rank > 0) {
        free(*text);
        *text = length ? malloc((size_t)length) : NULL;
        if (length && !*text) st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
    }
    st = yk_comm_agree(c, st, err);
    if (st == YK_OK) yk_comm_share(c, *text, length);
    return st;
}

void yk_comm_gather(yk_comm *c, const void *piece, void *all, int64_t bytes)
{
    if (c) yk_world_gather(c, piece, all, bytes, 0);
    else memcpy(all, piece, (size_t)bytes);
}

void yk_comm_gather_doubles(yk_comm *c, double *x, int64_t n)
{
    if (!c) return;
    const int64_t most = n / c->size + 1;
    double *own = calloc((size_t)most, sizeof *own), *all = calloc((size_t)(most * c->size), sizeof *all);
    if (!own || !all) c->calls->abort(c, YK_ERR_MEMORY);
    for (int64_t i = c->rank * n / c->size; i < (c->rank + 1) * n / c->size; i++) own[i - c->rank * n / c->size] = x[i];
    yk_world_gather(c, own, all, most * (int64_t)sizeof *own, 0);
    for (int r = 0; r < c->size; r++)
        for (int64_t i = r * n / c->size; i < (r + 1) * n / c->size; i++) x[i] = all[r * most + i - r * n / c->size];
    free(own);
    free(all);
}

void yk_comm_pass(yk_comm *c, int from, int to, void *x, int64_t bytes)
{
    if (!c || from == to) return;
    if (c->rank == from) yk_world_send(c, to, x, bytes);
    if (c->rank == to) c->calls->receive(c, from, x, bytes);
}
