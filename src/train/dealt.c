#include "train/dealt.h"

#include <stdlib.h>
#include <string.h>

yk_status yk_dealt_new(yk_dealt *d, yk_model *model, const yk_kernels *k, const yk_team *team, yk_comm *comm,
                       float *weight, yk_error *err)
{
    yk_status st = YK_OK;
    *d = (yk_dealt){.model = model, .comm = comm, .k = k, .team = *team, .weight = weight, .is_whole = true};
    d->visit = yk_model_visits(model, &d->visits);
    YK_NEW(d->ticket, d->visits + 1);
done:
    return st;
}

void yk_dealt_free(yk_dealt *d)
{
    free(d->ticket);
    *d = (yk_dealt){0};
}

static void forget(const yk_dealt *d, int64_t begin, int64_t end)
{
    if (begin < end) d->k->forget(d->weight + begin, (end - begin) * (int64_t)sizeof(float));
}

/* What others own of a range. */
static void drop(const yk_dealt *d, yk_slice range)
{
    const int64_t floats = yk_model_floats(d->model);
    int64_t at = range.begin;
    for (int i = 0; i < yk_comm_buckets(d->comm, floats) && at < range.end; i++) {
        const yk_slice own = yk_comm_slice(d->comm, floats, floats, yk_comm_rank(d->comm), i);
        if (own.begin == own.end || own.end <= at) continue;
        forget(d, at, own.begin < range.end ? own.begin : range.end);
        at = own.end;
    }
    forget(d, at, range.end);
}

/* Copies between the slices in their places and `packed`. */
static void copy_own(const yk_dealt *d, float *packed, bool back)
{
    const int64_t floats = yk_model_floats(d->model);
    for (int i = 0; i < yk_comm_buckets(d->comm, floats); i++) {
        const yk_slice own = yk_comm_slice(d->comm, floats, floats, yk_comm_rank(d->comm), i);
        const int64_t n = own.end - own.begin;
        float *place = d->weight + own.begin;
        memcpy(back ? place : packed, back ? packed : place, (size_t)n * sizeof *packed);
        packed += n;
    }
}

/* Of huge pages a part does not go back. So all is dropped, and what is owned put into small ones; where there is no
 * memory for that, it stays as it is. */
void yk_dealt_part(yk_dealt *d)
{
    if (!d->comm || !d->is_whole) return;
    const int64_t floats = yk_model_floats(d->model);
    float *own = malloc((size_t)yk_comm_owned(d->comm, floats, floats, yk_comm_rank(d->comm)) * sizeof *own);
    if (own) {
        copy_own(d, own, false);
        forget(d, 0, floats);
        copy_own(d, own, true);
    } else {
        drop(d, (yk_slice){0, floats});
    }
    free(own);
    d->is_whole = false;
}

void yk_dealt_whole(yk_dealt *d)
{
    if (!d->comm || d->is_whole) return;
    yk_comm_collect_slices(d->comm, d->weight, NULL, yk_model_floats(d->model));
    d->is_whole = true;
}

static void begin_gathering(yk_dealt *d, int visit)
{
    yk_slice range[YK_MOST_RANGES];
    yk_model_reads(d->model, d->visit[visit], range);
    for (int i = 0; i < YK_MOST_RANGES; i++) {
        const int64_t ticket = yk_comm_begin_gather(d->comm, &d->team, d->weight, range[i], yk_model_floats(d->model));
        if (ticket > d->ticket[visit]) d->ticket[visit] = ticket;
    }
}

/* The next visit is of the same node, forward again and then backward. */
static bool goes_on(const yk_dealt *d, int visit)
{
    return visit >= yk_model_nodes(d->model) && visit + 1 < d->visits && d->visit[visit + 1] == ~d->visit[visit];
}

void yk_dealt_begins(yk_dealt *d)
{
    if (!d->comm) return;
    const bool ahead = yk_comm_overlaps(d->comm);
    const int next = d->at + 1;
    if (d->at == 0) memset(d->ticket, 0, (size_t)d->visits * sizeof *d->ticket);
    if (d->at == 0 || (!ahead && !goes_on(d, d->at - 1))) begin_gathering(d, d->at);
    if (ahead && next < d->visits && !goes_on(d, d->at)) begin_gathering(d, next);
    yk_comm_await(d->comm, &d->team, d->ticket[d->at]);
}

void yk_dealt_ended(yk_dealt *d)
{
    yk_slice range[YK_MOST_RANGES];
    if (!d->comm) return;
    yk_model_reads(d->model, d->visit[d->at], range);
    for (int i = 0; i < YK_MOST_RANGES && !goes_on(d, d->at); i++) drop(d, range[i]);
    d->at = (d->at + 1) % d->visits;
}
