/* The losses of alignment and their gradients against PyTorch (tests/peers/align_reference.py), on every table. */
#include "../model/reference.h"

#include "align/losses.h"

#include "reference_values.h"

/* Where a value of row r, or the log-probability or score of it now, came from. */
static double beside(uint32_t stream, double scale, double value, int64_t r)
{
    return value + scale * number(stream, (uint32_t)r);
}

typedef void (*rows_fn)(const yk_batch *b, const float *value, double *loss, double *slope);

static yk_slope policy(double logp, int64_t r, double high)
{
    return yk_policy_loss(logp, beside(3, 0.6, logp, r), 4 * number(5, (uint32_t)r), 0.2, high);
}

static yk_slope grouped(double logp, int64_t r)
{
    yk_slope d = policy(logp, r, 0.28), kl = yk_kl_estimate(logp, beside(4, 0.8, logp, r));
    return (yk_slope){.loss = d.loss + 0.05 * kl.loss, .slope = d.slope + 0.05 * kl.slope};
}

static void sft(const yk_batch *b, const float *value, double *loss, double *slope)
{
    for (int64_t r = 0; r < b->rows; r++)
        if (b->weight[r] != 0.0f) loss[r] = -(double)value[r], slope[r] = -1;
}

static void bradley_terry(const yk_batch *b, const float *value, double *loss, double *slope)
{
    (void)b;
    yk_slope d = yk_preference_loss((double)value[13] - (double)value[19] - 0.25);
    loss[13] = d.loss;
    slope[13] = d.slope;
    slope[19] = -d.slope;
}

static void ppo_policy(const yk_batch *b, const float *value, double *loss, double *slope)
{
    for (int64_t r = 0; r < b->rows; r++) {
        if (b->weight[r] == 0.0f) continue;
        yk_slope d = policy((double)value[r], r, 0.2);
        loss[r] = d.loss, slope[r] = d.slope;
    }
}

static void ppo_value(const yk_batch *b, const float *value, double *loss, double *slope)
{
    for (int64_t r = 0; r < b->rows; r++) {
        double v = (double)value[r];
        yk_slope d = yk_value_loss(v, beside(6, 1, v, r), beside(7, 3, v, r), 0.2);
        loss[r] = d.loss, slope[r] = d.slope;
    }
}

static void grpo_token(const yk_batch *b, const float *value, double *loss, double *slope)
{
    for (int64_t r = 0; r < b->rows; r++) {
        if (b->weight[r] == 0.0f) continue;
        yk_slope d = grouped((double)value[r], r);
        loss[r] = d.loss, slope[r] = d.slope;
    }
}

static void grpo_sequence(const yk_batch *b, const float *value, double *loss, double *slope)
{
    grpo_token(b, value, loss, slope);
    for (int64_t s = 0; s < b->segments; s++) {
        const int64_t first = b->segment[s].query, last = first + b->segment[s].count;
        double n = 0;
        for (int64_t r = first; r < last; r++) n += (double)b->weight[r];
        for (int64_t r = first; r < last; r++) loss[r] /= n, slope[r] /= n;
    }
}

static void dpo(const yk_batch *b, const float *value, double *loss, double *slope)
{
    double moved[2] = {0};
    for (int s = 0; s < 2; s++)
        for (int64_t r = b->segment[s].query; r < b->segment[s].query + b->segment[s].count; r++)
            if (b->weight[r] != 0.0f) moved[s] += (double)value[r] - beside(4, 0.8, (double)value[r], r);
    yk_slope d = yk_preference_loss(0.3 * (moved[0] - moved[1]));
    loss[0] = d.loss;
    for (int s = 0; s < 2; s++)
        for (int64_t r = b->segment[s].query; r < b->segment[s].query + b->segment[s].count; r++)
            if (b->weight[r] != 0.0f) slope[r] = 0.3 * d.slope * (s ? -1 : 1);
}

static void weigh(void *context, const yk_batch *b, const float *value, const float *entropy, float *w, float *loss)
{
    (void)entropy;
    double l[ROWS] = {0}, slope[ROWS] = {0};
    (*(rows_fn *)context)(b, value, l, slope);
    for (int64_t r = 0; r < b->rows; r++) {
        w[r] = -(float)slope[r];
        loss[r] = (float)l[r];
    }
}

static const struct {
    const char *name;
    rows_fn rows;
    bool score;
    double loss;
    const double (*gradients)[1 + PROBES];
} losses[] = {
#define LOSS(name, score) {#name, name, score, name##_loss, name##_gradients}
    LOSS(sft, false), LOSS(bradley_terry, true), LOSS(ppo_policy, false), LOSS(ppo_value, true),
    LOSS(grpo_sequence, false), LOSS(grpo_token, false), LOSS(dpo, false),
};

static void losses_and_gradients_agree(void **state)
{
    (void)state;
    const yk_kernels *k;
    for (int t = 0; (k = yk_kernels_at(t, YK_FP32)); t++)
        for (size_t i = 0; yk_kernels_runs_here(k) && i < sizeof losses / sizeof *losses; i++) {
            reference x = {.name = losses[i].name, .shape = SHAPE(32, 1, 4, 1, 32, 64, true, true),
                           .loss = losses[i].loss, .gradients = losses[i].gradients};
            x.shape.score = true;
            yk_model *m = make(&x, k);
            rows_fn rows = losses[i].rows;
            const yk_objective o = {.score = losses[i].score, .weigh = weigh, .context = &rows};
            const yk_batch b = {.rows = ROWS, .token = token, .position = position, .target = target, .weight = weight,
                                .segment = segments, .segments = 3};
            float w[ROWS], loss[ROWS];
            double sum = 0;
            yk_model_descend(m, &b, &o, w, loss);
            yk_model_finish_gradients(m, 0, yk_model_floats(m));
            for (int r = 0; r < ROWS; r++) sum += (double)loss[r];
            check("loss", x.name, sum, x.loss, fabs(x.loss));
            check_gradients(&x, m, k->name);
            yk_model_free(m);
        }
}

static const float *teacher(void *context, const yk_batch *b, int64_t first, int64_t rows)
{
    float *logits = context;
    (void)b;
    for (int64_t i = 0; i < rows * VOCAB; i++) logits[i] = (float)(6 * number(8, (uint32_t)(first * VOCAB + i)));
    return logits;
}

static void distillation_and_its_gradients_agree(void **state)
{
    (void)state;
    const yk_kernels *k;
    for (int t = 0; (k = yk_kernels_at(t, YK_FP32)); t++) {
        if (!yk_kernels_runs_here(k)) continue;
        reference x = {.name = "distillation", .shape = SHAPE(32, 1, 4, 1, 32, 64, true, true),
                       .loss = distillation_loss, .gradients = distillation_gradients};
        x.shape.score = true;
        yk_model *m = make(&x, k);
        float logits[ROWS * VOCAB], loss[ROWS];
        double sum = 0;
        const yk_batch b = {.rows = ROWS, .token = token, .position = position, .target = target, .weight = weight,
                            .segment = segments, .segments = 3};
        yk_model_distil(m, &b, &(yk_teaching){teacher, logits, 0.6f, 2}, loss);
        yk_model_finish_gradients(m, 0, yk_model_floats(m));
        for (int r = 0; r < ROWS; r++) sum += (double)loss[r];
        check("loss", x.name, sum, x.loss, fabs(x.loss));
        check_gradients(&x, m, k->name);
        yk_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_and_gradients_agree),
                                       cmocka_unit_test(distillation_and_its_gradients_agree)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
