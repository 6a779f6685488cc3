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
                       int64_t lanes, bool by_turns, bool bf16, yk_error *err)
{
    yk_status st = YK_OK;
    *l = (yk_lanes){.model = model, .k = k, .team = *team, .comm = comm, .turns = lanes / yk_comm_size(comm),
                    .by_turns = comm && by_turns, .bf16 = bf16, .turn = -1};
    YK_NEW(l->part, 2 * buckets_of(l));
    YK_NEW(l->missing, buckets_of(l));
    const int64_t floats = find_parts(l);
    l->levels = yk_lanes_levels(l->turns);
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
    free(l->missing);
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

/* gradient[range] += the sum that waits on its left, in order of levels, as far as there is one. */
static void add_waiting(yk_lanes *l, yk_slice range)
{
    float *y = yk_model_gradients(l->model) + range.begin;
    for (int level = 0; length(range) > 0 && l->turn >> level & 1; level++)
        l->k->add(&l->team, &(yk_add){.y = y, .a = l->partial[level] + range.begin, .b = y, .n = length(range),
                                      .rounds = l->bf16});
}

static void begin_sum(yk_lanes *l, bool second, int bucket)
{
    const int64_t floats = yk_model_floats(l->model), behind = yk_model_gradient_floats(l->model) - floats;
    float *x = yk_model_gradients(l->model);
    const yk_sum sum = {.k = l->k, .x = second ? x + floats : x, .n = second ? behind : floats, .floats = floats,
                        .bf16 = l->bf16};
    if (sum.n > 0) l->ticket = yk_comm_begin_sum(l->comm, &l->team, &sum, bucket);
}

/* Begins the sums of the buckets that this range makes final. */
static void begin_buckets(yk_lanes *l, yk_slice range)
{
    const int64_t floats = yk_model_floats(l->model);
    for (int i = buckets_of(l); i-- > 0;) {
        const yk_slice here = yk_cut(yk_comm_bucket(l->comm, floats, floats, i), range.begin, range.end);
        if (length(here) == 0 || (l->missing[i] -= length(here)) > 0) continue;
        begin_sum(l, false, i);
    }
}

/* The embedding's second gradient is final. */
static void begin_second(yk_lanes *l)
{
    for (int i = buckets_of(l); i-- > 0;) begin_sum(l, true, i);
}

/* What node l->next makes final. */
static void go_down(yk_lanes *l)
{
    yk_slice range[YK_MOST_RANGES];
    yk_model_finals(l->model, l->next--, range);
    for (int i = 0; i < YK_MOST_RANGES; i++) {
        if (!l->by_turns) add_waiting(l, range[i]);
        if (range[i].begin >= yk_model_floats(l->model)) begin_second(l);
        else begin_buckets(l, range[i]);
    }
}

/* Nothing is final yet. */
static void start_at_top(yk_lanes *l, int64_t turn)
{
    const int64_t floats = yk_model_floats(l->model);
    l->turn = turn;
    l->next = yk_model_nodes(l->model) - 1;
    l->ticket = 0;
    for (int i = 0; i < buckets_of(l); i++) l->missing[i] = length(yk_comm_bucket(l->comm, floats, floats, i));
}

void yk_lanes_backward(yk_lanes *l, int64_t turn, int node)
{
    if (!yk_comm_overlaps(l->comm)) return;
    if (node == yk_model_nodes(l->model) - 1) start_at_top(l, turn);
    go_down(l);
}

/* Begins the sums over ranks that have not begun, and ends them all. */
static void sum_over_ranks(yk_lanes *l, int64_t turn)
{
    if (l->turn != turn) start_at_top(l, turn);
    while (l->next >= 0) go_down(l);
    yk_comm_await(l->comm, &l->team, l->ticket);
    l->turn = -1;
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

/* By turns, or of the rank alone. */
static int add_left(yk_lanes *l, int64_t turn)
{
    int level = 0;
    for (; turn >> level & 1; level++) {
        const float *left = l->partial[level];
        for (int i = 0; i < l->parts; i++) {
            float *y = yk_model_gradients(l->model) + l->part[i].begin;
            l->k->add(&l->team, &(yk_add){.y = y, .a = left, .b = y, .n = length(l->part[i]), .rounds = l->bf16});
            left += length(l->part[i]);
        }
    }
    return level;
}

void yk_lanes_merge(yk_lanes *l, int64_t turn)
{
    const bool is_last = turn + 1 == l->turns;
    if (yk_lanes_meet(l, turn)) sum_over_ranks(l, turn);
    if (l->by_turns || !is_last) {
        const int level = add_left(l, turn);
        if (!is_last) put_aside(l, level, yk_model_gradients(l->model));
    }
    if (is_last) finish(l);
}
