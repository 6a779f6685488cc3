#include "train/lanes.h"

#include <stdlib.h>

static int64_t length(yk_slice s)
{
    return s.end - s.begin;
}

static int buckets_of(const yk_lanes *l)
{
    return yk_comm_buckets(l->comm, yk_model_floats(l->model));
}

/* Of the flat gradients, or of the embedding's second one behind them. */
static yk_slice own_slice(const yk_lanes *l, bool second, int bucket)
{
    const int64_t floats = yk_model_floats(l->model), behind = yk_model_gradient_floats(l->model) - floats;
    yk_slice s = yk_comm_slice(l->comm, second ? behind : floats, floats, yk_comm_rank(l->comm), bucket);
    if (second) s.begin += floats, s.end += floats;
    return s;
}

/* What is summed here; returns its length. */
static int64_t find_parts(yk_lanes *l)
{
    int64_t floats = 0;
    if (!l->by_turns) l->part[l->parts++] = (yk_slice){0, yk_model_gradient_floats(l->model)};
    for (int second = 0; l->by_turns && second < 2; second++)
        for (int i = 0; i < buckets_of(l); i++) l->part[l->parts++] = own_slice(l, second, i);
    for (int i = 0; i < l->parts; i++) floats += length(l->part[i]);
    return floats;
}

yk_status yk_lanes_new(yk_lanes *l, yk_model *model, const yk_kernels *k, const yk_team *team, yk_comm *comm,
                       int64_t lanes, bool by_turns, yk_error *err)
{
    yk_status st = YK_OK;
    *l = (yk_lanes){.model = model, .k = k, .team = *team, .comm = comm, .turns = lanes / yk_comm_size(comm),
                    .by_turns = comm && by_turns};
    YK_NEW(l->part, 2 * buckets_of(l));
    const int64_t floats = find_parts(l);
    while ((int64_t)1 << l->levels < l->turns) l->levels++;
    YK_NEW(l->partial, l->levels);
    for (int i = 0; i < l->levels; i++)
        if (!(l->partial[i] = k->alloc(floats * (int64_t)sizeof(float))))
            YK_FAIL(YK_ERR_MEMORY, "%lld lanes need %d more gradient buffers of %lld bytes", (long long)l->turns,
                    l->levels, (long long)floats * 4);
done:
    return st;
}

void yk_lanes_free(yk_lanes *l)
{
    for (int i = 0; l->partial && i < l->levels; i++)
        if (l->partial[i]) l->k->free(l->partial[i]);
    free(l->partial);
    free(l->part);
    *l = (yk_lanes){0};
}

int64_t yk_lanes_at(const yk_lanes *l, int64_t turn)
{
    const int64_t rank = yk_comm_rank(l->comm), size = yk_comm_size(l->comm);
    return l->by_turns ? turn * size + rank : rank * l->turns + turn;
}

int64_t yk_lanes_place(const yk_lanes *l, int64_t lane)
{
    const int64_t size = yk_comm_size(l->comm);
    return l->by_turns ? lane % size * l->turns + lane / size : lane;
}

bool yk_lanes_meet(const yk_lanes *l, int64_t turn)
{
    return l->by_turns || turn + 1 == l->turns;
}

static void sum_over_ranks(const yk_lanes *l)
{
    const int64_t floats = yk_model_floats(l->model), behind = yk_model_gradient_floats(l->model) - floats;
    float *gradient = yk_model_gradients(l->model);
    yk_comm_sum_slices(l->comm, l->k, &l->team, gradient, floats, floats);
    yk_comm_sum_slices(l->comm, l->k, &l->team, gradient + floats, behind, floats);
}

static void add_left(yk_lanes *l, int level, float *gradient)
{
    const float *left = l->partial[level];
    for (int i = 0; i < l->parts; i++) {
        float *y = gradient + l->part[i].begin;
        l->k->add(&l->team, &(yk_add){.y = y, .a = left, .b = y, .n = length(l->part[i])});
        left += length(l->part[i]);
    }
}

/* The sum waits for its neighbour, and the next lane begins. */
static void put_aside(yk_lanes *l, int level, float *gradient)
{
    float *to = l->partial[level];
    for (int i = 0; i < l->parts; i++) {
        l->k->copy_rows(&l->team, &(yk_copy_rows){.y = to, .x = gradient + l->part[i].begin,
                                                  .rows = length(l->part[i]) / 16, .width = 64, .y_row = 64,
                                                  .x_row = 64});
        to += length(l->part[i]);
    }
    l->k->zero(&l->team, gradient, yk_model_gradient_floats(l->model) * (int64_t)sizeof(float));
}

static void finish(const yk_lanes *l)
{
    const int64_t floats = yk_model_floats(l->model), behind = yk_model_gradient_floats(l->model) - floats;
    for (int i = 0; i < buckets_of(l); i++) {
        const yk_slice own = own_slice(l, false, i);
        yk_model_finish_gradients(l->model, own.begin, own.end);
    }
    l->k->zero(&l->team, yk_model_gradients(l->model) + floats, behind * (int64_t)sizeof(float));
}

void yk_lanes_merge(yk_lanes *l, int64_t turn)
{
    float *gradient = yk_model_gradients(l->model);
    int level = 0;
    if (l->by_turns) sum_over_ranks(l);
    for (; turn >> level & 1; level++) add_left(l, level, gradient);
    if (turn + 1 < l->turns) {
        put_aside(l, level, gradient);
        return;
    }
    if (!l->by_turns) sum_over_ranks(l);
    finish(l);
}
