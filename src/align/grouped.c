#include "align/grouped.h"

#include "align/losses.h"

int64_t yk_grouped_weigh(const yk_grouped_terms *o, const yk_grouped_answer *a, const float *logp, float *weight,
                         float *loss)
{
    const double share = o->by_sequence ? 1 / (double)a->n : 1;
    int64_t clipped = 0;
    for (int64_t t = 0; t < a->n; t++) {
        yk_slope d = yk_policy_loss((double)logp[t], (double)a->old[t], a->advantage, o->low, o->high);
        if (a->reference) {
            const yk_slope kl = yk_kl_estimate((double)logp[t], (double)a->reference[t]);
            d.loss += o->kl * kl.loss;
            d.slope += o->kl * kl.slope;
        }
        weight[t] = (float)(-share * d.slope);
        loss[t] = (float)(share * d.loss);
        clipped += d.clipped;
    }
    return clipped;
}

static bool add_answer(void *context, int64_t item, yk_session *s)
{
    yk_grouped *g = context;
    const int64_t i = g->first + item;
    if (g->x->item[i].length == 0 || (g->advantage[i] == 0 && !g->reference)) return true;
    return yk_rollout_add(&g->x->item[i], s) >= 0;
}

/* The row before an id predicts it. */
static void weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                  float *loss)
{
    yk_grouped *g = context;
    (void)entropy;
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t p = 0; p < g->l->places; p++) {
        const int64_t i = g->first + g->l->place[p].item;
        const yk_rollout *o = &g->x->item[i];
        const int64_t from = o->sequence.prompt, row = g->l->place[p].row + from - 1;
        const yk_grouped_answer a = {.old = o->logp + from, .reference = g->reference ? g->reference[i] + from : NULL,
                                     .n = o->length, .advantage = g->advantage[i]};
        g->tally[0] += (double)yk_grouped_weigh(&g->terms, &a, value + row, weight + row, loss + row);
        g->tally[1] += (double)a.n;
    }
}

yk_status yk_grouped_step(yk_grouped *g, yk_learner *l, int64_t first, int64_t n, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_objective objective = {.weigh = weigh, .context = g};
    double tokens = 0;
    for (int64_t i = first; i < first + n; i++) tokens += (double)g->x->item[i].length;
    const yk_work work = {.items = n, .add = add_answer, .objective = &objective, .context = g,
                          .tally = g->tally, .tallies = 2,
                          .unit = g->terms.by_sequence ? (double)n : tokens > 0 ? tokens : 1};
    g->l = l;
    g->first = first;
    YK_TRY(yk_learner_step(l, &work, err));
    g->clipped += g->tally[0];
    g->tokens += g->tally[1];
done:
    return st;
}
