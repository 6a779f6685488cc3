#include "train/spikes.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

yk_spikes_options yk_spikes_of(const yk_recipe *r, bool judges)
{
    yk_spikes_options o = {.give_up_after = r->pretrain_give_up_after};
    if (!judges || r->pretrain_spike_factor <= 0) return o;
    o.factor = r->pretrain_spike_factor;
    o.window = r->pretrain_spike_window;
    o.rolls_back = strcmp(r->pretrain_on_spike, "rollback") == 0;
    return o;
}

yk_status yk_spikes_new(yk_spikes *s, const yk_spikes_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    *s = (yk_spikes){.o = *o, .loss_limit = INFINITY, .norm_limit = INFINITY};
    YK_NEW(s->loss, o->window);
    YK_NEW(s->norm, o->window);
    YK_NEW(s->sorted, o->window);
done:
    return st;
}

void yk_spikes_free(yk_spikes *s)
{
    free(s->loss);
    free(s->norm);
    free(s->sorted);
    *s = (yk_spikes){0};
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The upper one of two in the middle. */
static double median(yk_spikes *s, const double *x)
{
    memcpy(s->sorted, x, (size_t)s->o.window * sizeof *x);
    qsort(s->sorted, (size_t)s->o.window, sizeof *x, ascending);
    return s->sorted[s->o.window / 2];
}

static void set_limits(yk_spikes *s)
{
    const bool judges = s->o.factor > 0 && s->seen >= s->o.window;
    s->loss_limit = judges ? s->o.factor * median(s, s->loss) : INFINITY;
    s->norm_limit = judges ? s->o.factor * median(s, s->norm) : INFINITY;
}

void yk_spikes_good(yk_spikes *s, double loss, double norm)
{
    s->in_a_row = 0;
    if (s->o.factor <= 0) return;
    s->loss[s->seen % s->o.window] = loss;
    s->norm[s->seen % s->o.window] = norm;
    s->seen++;
    set_limits(s);
}

yk_remedy yk_spikes_bad(yk_spikes *s)
{
    if (++s->in_a_row >= s->o.give_up_after) return YK_REMEDY_GIVE_UP;
    if (!s->o.rolls_back) return YK_REMEDY_SKIP;
    return ++s->rollbacks > s->o.give_up_after ? YK_REMEDY_GIVE_UP : YK_REMEDY_ROLL_BACK;
}

static json_t *list_of(const double *x, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_real(x[i]));
    return list;
}

json_t *yk_spikes_json(const yk_spikes *s)
{
    const int64_t n = s->seen < s->o.window ? s->seen : s->o.window;
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "in_a_row", (json_int_t)s->in_a_row, "rollbacks",
                     (json_int_t)s->rollbacks, "seen", (json_int_t)s->seen, "loss", list_of(s->loss, n), "norm",
                     list_of(s->norm, n));
}

/* Whether the list is one of n numbers. */
static bool take_list(double *x, const json_t *list, int64_t n)
{
    if ((int64_t)json_array_size(list) != n) return false;
    for (int64_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_number(value)) return false;
        x[i] = json_number_value(value);
    }
    return true;
}

yk_status yk_spikes_take(yk_spikes *s, const json_t *state, yk_error *err)
{
    const int64_t seen = json_integer_value(json_object_get(state, "seen"));
    const int64_t n = seen < s->o.window ? seen : s->o.window;
    if (seen < 0 || !take_list(s->loss, json_object_get(state, "loss"), n) ||
        !take_list(s->norm, json_object_get(state, "norm"), n))
        return yk_fail(err, YK_ERR_DAMAGED, "the losses of the last steps are not those of a window of %lld",
                       (long long)s->o.window);
    s->seen = seen;
    s->in_a_row = json_integer_value(json_object_get(state, "in_a_row"));
    s->rollbacks = json_integer_value(json_object_get(state, "rollbacks"));
    set_limits(s);
    return YK_OK;
}

int64_t yk_spikes_target(int64_t step, int64_t back, int64_t every)
{
    return step > back ? (step - back) / every * every : 0;
}
