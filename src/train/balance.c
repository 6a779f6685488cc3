#include "train/balance.h"

#include <stdlib.h>

enum { SECONDS, FORWARD, BACKWARD, UPDATE, EXCHANGE, ROWS, FIGURES };
static const char *const name[FIGURES] = {NULL, "forward", "backward", "update", "exchange", "rows"};
static const double MUCH_NETWORK = 0.2, MUCH_WAITING = 0.05;

typedef struct spread {
    double min, avg, max;
} spread;

static spread spread_of(const double *all, int ranks, int figure)
{
    spread s = {all[figure], 0, all[figure]};
    for (int r = 0; r < ranks; r++) {
        const double x = all[r * FIGURES + figure];
        s.avg += x / ranks;
        if (x < s.min) s.min = x;
        if (x > s.max) s.max = x;
    }
    return s;
}

/* At most 77 columns, for the table at the end of a run. */
static const char *advice_of(double imbalance, double network, double uneven)
{
    if (network > MUCH_NETWORK && network > imbalance)
        return "exchange takes long: more sequences a step or ranks a node (yoke plan)";
    if (imbalance > MUCH_WAITING && uneven > MUCH_WAITING)
        return "ranks get unequal numbers of tokens: more sequences a step level them out";
    if (imbalance > MUCH_WAITING)
        return "ranks are not equally fast: look for other work, binding, unlike nodes";
    return "ranks are busy most of the time";
}

static json_t *balance_json(const double *all, int ranks, const yk_step_times *t)
{
    json_t *phases = json_object();
    const double seconds = spread_of(all, ranks, SECONDS).avg;
    for (int i = 0; i < FIGURES; i++) {
        const spread s = spread_of(all, ranks, i);
        if (name[i])
            json_object_set_new(phases, name[i],
                                json_pack("{s:f, s:f, s:f}", "min", s.min, "avg", s.avg, "max", s.max));
    }
    const double imbalance = t->lost / seconds, network = spread_of(all, ranks, EXCHANGE).avg / seconds - imbalance;
    const double uneven = t->uneven / spread_of(all, ranks, ROWS).avg;
    return json_pack("{s:i, s:f, s:o, s:f, s:f, s:f, s:s}", "ranks", ranks, "seconds", seconds, "phases", phases,
                     "imbalance", imbalance, "network", network, "uneven", uneven, "advice",
                     advice_of(imbalance, network, uneven));
}

yk_status yk_learner_balance(const yk_learner *l, json_t *to, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    const int ranks = yk_comm_size(comm);
    const yk_step_times *t = &l->times;
    double *all = NULL;
    if (ranks == 1) return YK_OK;
    YK_NEW(all, ranks * FIGURES);
    double *own = all + yk_comm_rank(comm) * FIGURES;
    own[SECONDS] = t->seconds, own[FORWARD] = t->forward, own[BACKWARD] = t->backward, own[UPDATE] = t->update;
    own[EXCHANGE] = t->exchange, own[ROWS] = t->rows;
    yk_comm_gather_doubles(comm, all, ranks * FIGURES);
    if (t->rows > 0) json_object_set_new(to, "balance", balance_json(all, ranks, t));
done:
    free(all);
    return st;
}
