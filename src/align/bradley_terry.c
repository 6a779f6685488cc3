#include "align/bradley_terry.h"

yk_slope yk_bradley_terry_loss(const yk_bradley_terry *b, const yk_pairs *p, int64_t pair, double chosen,
                               double rejected)
{
    return yk_preference_loss(chosen - rejected - b->scale * p->margin[pair]);
}

void yk_bradley_terry_weigh(void *context, const yk_batch *batch, const float *value, const float *entropy,
                            float *weight, float *loss)
{
    const yk_bradley_terry *b = context;
    (void)entropy;
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t i = 0; i < b->x->l.places; i++) {
        const yk_pair_place p = yk_pair_place_of(b->x, i);
        const yk_sequence *q = &b->x->train.sequence[2 * p.pair];
        const int64_t chosen = p.chosen + yk_sequence_end(q), rejected = p.rejected + yk_sequence_end(q + 1);
        const yk_slope d = yk_bradley_terry_loss(b, &b->x->train, p.pair, (double)value[chosen],
                                                 (double)value[rejected]);
        weight[chosen] = -(float)d.slope;
        weight[rejected] = (float)d.slope;
        loss[chosen] = (float)d.loss;
    }
}
