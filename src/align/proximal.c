#include "align/proximal.h"

#include "align/losses.h"

static bool add_answer(void *context, int64_t item, yk_session *s)
{
    const yk_proximal *p = context;
    return yk_rollout_add(&p->e->x.item[p->item[item]], s) >= 0;
}

/* The loss at the value of the row that predicts id t of answer i. */
typedef yk_slope (*loss_fn)(yk_proximal *p, double value, uint64_t i, int64_t t);

static yk_slope policy_loss(yk_proximal *p, double logp, uint64_t i, int64_t t)
{
    const yk_slope d = yk_policy_loss(logp, (double)p->e->x.item[i].logp[t], (double)p->e->advantage[i][t], p->clip,
                                      p->clip);
    p->tally[0] += d.clipped;
    p->tally[1]++;
    return d;
}

static yk_slope value_loss(yk_proximal *p, double value, uint64_t i, int64_t t)
{
    return yk_value_loss(value, (double)p->e->value[i][t], (double)p->e->target[i][t], p->value_clip);
}

static void weigh(yk_proximal *p, const yk_batch *batch, const float *value, float *weight, float *loss,
                  loss_fn loss_of)
{
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t k = 0; k < p->l->places; k++) {
        const uint64_t i = p->item[p->l->place[k].item];
        const yk_sequence *q = &p->e->x.item[i].sequence;
        for (int64_t t = q->prompt; t < (int64_t)q->ids.n; t++) {
            const int64_t row = p->l->place[k].row + t - 1;
            const yk_slope d = loss_of(p, (double)value[row], i, t);
            weight[row] = -(float)d.slope;
            loss[row] = (float)d.loss;
        }
    }
}

static void weigh_policy(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                         float *loss)
{
    (void)entropy;
    weigh(context, batch, value, weight, loss, policy_loss);
}

static void weigh_value(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                        float *loss)
{
    (void)entropy;
    weigh(context, batch, value, weight, loss, value_loss);
}

yk_status yk_proximal_step(yk_proximal *p, yk_learner *policy, yk_learner *critic, const uint64_t *item, int64_t n,
                           yk_error *err)
{
    yk_status st = YK_OK;
    const yk_objective objective[2] = {{.weigh = weigh_policy, .context = p},
                                       {.score = true, .weigh = weigh_value, .context = p}};
    yk_learner *const learner[2] = {policy, critic};
    double tokens = 0;
    for (int64_t i = 0; i < n; i++) tokens += (double)p->e->x.item[item[i]].length;
    p->item = item;
    for (int i = 0; i < 2; i++) {
        const yk_work work = {.items = n, .add = add_answer, .objective = &objective[i], .context = p,
                              .tally = p->tally, .tallies = i == 0 ? 2 : 0, .unit = tokens > 0 ? tokens : 1};
        p->l = learner[i];
        YK_TRY(yk_learner_step(learner[i], &work, err));
    }
    p->clipped += p->tally[0];
    p->tokens += p->tally[1];
done:
    return st;
}
