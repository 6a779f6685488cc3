#include "train/measure.h"

#include "base/log.h"
#include "train/random_batch.h"

#include <stdlib.h>

enum { REPEATS = 5, STREAM = 32 << 20 }; /* floats */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double yk_median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    return x[n / 2];
}

static void update_rows(const void *args, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    float *x = *(float *const *)args;
    for (int64_t i = 16 * begin; i < 16 * end; i++) x[i] *= 1.000001f;
}

double yk_measure_update(const yk_team *team, float *x, int64_t floats)
{
    double t[REPEATS];
    yk_team_rows(team, floats / 16, 0, update_rows, &x); /* the pages are there from now on */
    for (int i = 0; i < REPEATS; i++) {
        const double began = yk_now();
        yk_team_rows(team, floats / 16, 0, update_rows, &x);
        t[i] = yk_now() - began;
    }
    return 8 * (double)floats / yk_median(t, REPEATS);
}

yk_status yk_measure_memory(const yk_kernels *k, const yk_team *team, double *bytes_a_second, yk_error *err)
{
    float *x = k->alloc(STREAM * (int64_t)sizeof *x);
    if (!x) return yk_fail(err, YK_ERR_MEMORY, "128 MB are needed to measure memory");
    *bytes_a_second = yk_measure_update(team, x, STREAM);
    k->free(x);
    return YK_OK;
}

static double time_pass(yk_model *m, const yk_random_batch *x)
{
    const double began = yk_now();
    yk_model_train(m, &x->batch, 0.0f, x->loss, NULL);
    return yk_now() - began;
}

yk_status yk_measure_pass(const yk_recipe *r, int64_t vocab, int64_t micro, const yk_kernels *k, const yk_team *team,
                          double *seconds, yk_error *err)
{
    enum { ROUNDS = 5 };
    yk_status st = YK_OK;
    yk_random_batch x = {0};
    yk_model *m[2] = {NULL, NULL};
    double t[2][ROUNDS];
    const int64_t T = r->pretrain_seq;
    yk_model_shape shape = yk_model_shape_of(r, vocab);
    const double more = (double)shape.layers - 1;
    YK_TRY(yk_random_batch_new(&x, 1, vocab, micro, T, err));
    for (int i = 0; i < 2; i++) { /* of one block, of two */
        shape.layers = i + 1;
        YK_TRY(yk_model_new(&m[i], &shape, micro * T, true, k, team, err));
        yk_model_initialise(m[i], 1);
        YK_TRY(yk_model_pack(m[i], true, err));
        time_pass(m[i], &x);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 2; i++) t[i][round] = time_pass(m[i], &x);
    const double one = yk_median(t[0], ROUNDS), two = yk_median(t[1], ROUNDS);
    *seconds = one + (two > one ? (two - one) * more : 0);
done:
    for (int i = 0; i < 2; i++) yk_model_free(m[i]);
    yk_random_batch_free(&x);
    return st;
}
