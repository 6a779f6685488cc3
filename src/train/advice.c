#include "train/advice.h"

#include <stdio.h>
#include <string.h>

enum { MOST_MICRO = 4096, MOST_TRIED = 16 };

yk_status yk_option_price(yk_option *o, const yk_planning *p, const yk_cluster *on, const yk_setting *with,
                          int64_t lanes, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *m = NULL;
    yk_recipe r = *p->r;
    r.recompute = (char *)(uintptr_t)with->recompute;
    r.lanes = lanes;
    *o = (yk_option){.with = *with, .lanes = lanes};
    const yk_model_shape shape = yk_model_shape_of(&r, p->vocab);
    YK_TRY(yk_needs_of(&o->needs, &r, p->vocab, with, (yk_ranks){on->nodes * on->ranks, on->ranks}, p->k, &p->team,
                       err));
    YK_TRY(yk_model_outline(&m, &shape, with->micro * r.pretrain_seq, true, p->k, &p->team, err));
    const yk_load load = yk_load_of(m, &r, with, p->outer);
    o->cost = yk_cost_of(on, &load);
    o->fits = (double)o->needs.total * (double)on->ranks <= (double)p->room;
done:
    yk_model_free(m);
    return st;
}

/* Whether x is to be preferred, which comes later in the order of trial. */
static bool is_better(const yk_option *x, const yk_option *best)
{
    if (x->fits != best->fits) return x->fits;
    return x->fits ? x->cost.seconds < 0.99 * best->cost.seconds : x->needs.total < best->needs.total;
}

/* 1, 2, 4, ... and a lane's sequences, as far as a pass may have them; how many. */
static int micros_of(const yk_planning *p, int64_t lanes, int64_t micro[MOST_TRIED])
{
    const int64_t a_lane = p->r->pretrain_batch / lanes, most = a_lane < MOST_MICRO ? a_lane : MOST_MICRO;
    int n = 0;
    for (int64_t m = 1; m < most && n < MOST_TRIED - 1; m *= 2) micro[n++] = m;
    micro[n++] = most;
    return n;
}

/* Lanes that learn on their own have moments of their own, and one rank has nobody to share with. */
static int64_t most_zero(const yk_planning *p)
{
    return p->r->pretrain_local_steps > 0 || p->cluster.nodes * p->cluster.ranks == 1 ? 0 : YK_MOST_ZERO;
}

static yk_status find_best(yk_option *best, const yk_planning *p, int64_t lanes, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t micro[MOST_TRIED];
    const int micros = micros_of(p, lanes, micro);
    bool first = true;
    for (const char *const *c = yk_recompute_policies; *c; c++)
        for (int64_t zero = 0; zero <= most_zero(p); zero++)
            for (int i = 0; i < micros; i++) {
                yk_option x;
                YK_TRY(yk_option_price(&x, p, &p->cluster, &(yk_setting){*c, micro[i], zero}, lanes, err));
                if (first || is_better(&x, best)) *best = x;
                first = false;
            }
done:
    return st;
}

/* Appends "NAME 0.123 s" or "NAME does not fit". */
static yk_status tell(char reason[YK_REASON], const char *name, const yk_planning *p, const yk_setting *with,
                      int64_t lanes, yk_error *err)
{
    yk_option x;
    const size_t used = strlen(reason);
    yk_status st = yk_option_price(&x, p, &p->cluster, with, lanes, err);
    if (st != YK_OK) return st;
    if (x.fits)
        snprintf(reason + used, YK_REASON - used, "%s%s %.3g s", used ? ", " : "", name, x.cost.seconds);
    else
        snprintf(reason + used, YK_REASON - used, "%s%s does not fit", used ? ", " : "", name);
    return YK_OK;
}

static yk_status tell_zero(yk_advice *a, const yk_planning *p, yk_error *err)
{
    yk_status st = YK_OK;
    char name[32];
    if (most_zero(p) == 0) {
        snprintf(a->zero, YK_REASON, "%s", p->r->pretrain_local_steps > 0
                                               ? "with pretrain.local_steps every lane has moments of its own"
                                               : "one rank has nobody to share with");
        return YK_OK;
    }
    for (int64_t zero = 0; zero <= YK_MOST_ZERO; zero++) {
        yk_setting with = a->best.with;
        with.zero = zero;
        snprintf(name, sizeof name, "%lld:", (long long)zero);
        YK_TRY(tell(a->zero, name, p, &with, a->best.lanes, err));
    }
done:
    return st;
}

static yk_status tell_recompute(yk_advice *a, const yk_planning *p, yk_error *err)
{
    yk_status st = YK_OK;
    char name[32];
    for (const char *const *c = yk_recompute_policies; *c; c++) {
        yk_setting with = a->best.with;
        with.recompute = *c;
        snprintf(name, sizeof name, "%s:", *c);
        YK_TRY(tell(a->recompute, name, p, &with, a->best.lanes, err));
    }
done:
    return st;
}

/* The half of it and the double. */
static yk_status tell_micro(yk_advice *a, const yk_planning *p, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t best = a->best.with.micro, most = p->r->pretrain_batch / a->best.lanes;
    const int64_t tried[3] = {best / 2, best, 2 * best < most ? 2 * best : most};
    char name[32];
    for (int i = 0; i < 3; i++) {
        yk_setting with = a->best.with;
        with.micro = tried[i];
        if (with.micro < 1 || with.micro > MOST_MICRO || (i == 2 && with.micro == best)) continue;
        snprintf(name, sizeof name, "%lld:", (long long)with.micro);
        YK_TRY(tell(a->micro, name, p, &with, a->best.lanes, err));
    }
done:
    return st;
}

yk_status yk_advise(yk_advice *a, const yk_planning *p, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t ranks = p->cluster.nodes * p->cluster.ranks;
    *a = (yk_advice){0};
    YK_TRY(find_best(&a->best, p, ranks, err));
    YK_TRY(tell_zero(a, p, err));
    YK_TRY(tell_recompute(a, p, err));
    YK_TRY(tell_micro(a, p, err));
    snprintf(a->lanes, YK_REASON, ranks == 1 ? "one rank needs one; more ranks later need as many"
                                             : "one a rank; more ranks later need as many");
done:
    return st;
}
