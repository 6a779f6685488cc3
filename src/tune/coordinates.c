#include "tune/coordinates.h"

#include "base/math64.h"
#include "base/mem.h"
#include "train/learner.h"
#include "train/random_batch.h"

#include <math.h>
#include <stdlib.h>

const char *const yk_coordinate_names[YK_COORDINATES] = {"embedding", "attention", "mlp", "logits"};

typedef struct check {
    const yk_recipe *r;
    const yk_kernels *k;
    const yk_team *team;
    yk_model *model;
    yk_optimiser optimiser;
    int64_t rows, vocab;
    yk_random_batch tokens;
    float *vector[YK_COORDINATES], *before[YK_COORDINATES]; /* [rows, C], of the logits [rows, V] */
} check;

static int64_t width_of(const check *x, int i)
{
    return i == YK_COORDINATES - 1 ? x->vocab : x->r->model_width;
}

static yk_status make(check *x, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_adamw_options adamw = yk_adamw_of(x->r);
    yk_model_shape shape = yk_model_shape_of(x->r, x->r->tokenizer_vocab);
    YK_TRY(yk_kernels_pick(&x->k, NULL, yk_precision_of(x->r), err));
    shape.recompute_attention = false, shape.recompute_blocks = 0; /* the vectors are read after the pass */
    x->rows = x->r->pretrain_seq, x->vocab = shape.vocab;
    YK_TRY(yk_model_new(&x->model, &shape, x->rows, true, x->k, x->team, err));
    yk_model_initialise(x->model, (uint64_t)x->r->seed);
    YK_TRY(yk_optimiser_new(&x->optimiser, x->model, x->k, &adamw, NULL, err));
    YK_TRY(yk_random_batch_new(&x->tokens, (uint64_t)x->r->seed, x->vocab, 1, x->rows, err));
    for (int i = 0; i < YK_COORDINATES; i++) {
        YK_NEW(x->vector[i], x->rows * width_of(x, i));
        YK_NEW(x->before[i], x->rows * width_of(x, i));
    }
done:
    return st;
}

static void drop(check *x)
{
    if (x->k) yk_optimiser_free(&x->optimiser, x->k);
    yk_model_free(x->model);
    yk_random_batch_free(&x->tokens);
    for (int i = 0; i < YK_COORDINATES; i++) {
        free(x->vector[i]);
        free(x->before[i]);
    }
}

static void read_vectors(check *x, float **to)
{
    const int64_t L = x->r->model_layers, node[YK_COORDINATES - 1] = {0, 2 * L - 1, 2 * L};
    yk_model_forward(x->model, &x->tokens.batch);
    for (int i = 0; i < YK_COORDINATES - 1; i++) yk_model_output(x->model, (int)node[i], x->rows, to[i]);
    for (int64_t t = 0; t < x->rows; t += YK_LOGIT_ROWS)
        yk_model_logits(x->model, &x->tokens.batch, t, x->rows - t < YK_LOGIT_ROWS ? x->rows - t : YK_LOGIT_ROWS,
                        to[YK_COORDINATES - 1] + t * x->vocab);
}

static double distance(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / (double)n);
}

yk_status yk_coordinates_of(const yk_recipe *r, int64_t steps, const yk_team *team, double moved[YK_COORDINATES],
                            yk_error *err)
{
    yk_status st = YK_OK;
    check x = {.r = r, .team = team};
    double norm;
    YK_TRY(make(&x, err));
    read_vectors(&x, x.before);
    for (int64_t step = 1; step <= steps; step++) {
        yk_model_train(x.model, &x.tokens.batch, 0, x.tokens.loss, NULL);
        yk_model_finish_gradients(x.model, 0, yk_model_floats(x.model));
        if (!yk_optimiser_step(&x.optimiser, x.k, team, 1 / (double)x.rows, r->pretrain_lr, step, &norm))
            YK_FAIL(YK_ERR_NUMERIC, "the gradient of step %lld at width %lld is not finite; lower pretrain.lr",
                    (long long)step, (long long)r->model_width);
    }
    read_vectors(&x, x.vector);
    for (int i = 0; i < YK_COORDINATES; i++) moved[i] = distance(x.vector[i], x.before[i], x.rows * width_of(&x, i));
done:
    drop(&x);
    return st;
}

double yk_exponent(const double *x, const double *y, int64_t n)
{
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        mean_x += yk_log64(x[i]) / (double)n;
        mean_y += yk_log64(y[i]) / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        xx += (yk_log64(x[i]) - mean_x) * (yk_log64(x[i]) - mean_x);
        xy += (yk_log64(x[i]) - mean_x) * (yk_log64(y[i]) - mean_y);
    }
    return xy / xx;
}
