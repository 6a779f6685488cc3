/* The contract's elementary functions, each held against correctly rounded values and, bit for bit, against the
 * portable table: what tests/simd/exhaustive.c does for all inputs and tests/simd/test_elementary.c for some.
 *
 * The reference is the C library's function in double precision, rounded to fp32. Where it lies within NEAR_TIE of
 * a rounding boundary, the function of 113 bits decides (long double where the library has none such, whose 64 bits
 * leave the ties of sigmoid near 0 to chance). Errors are in units of the spacing of fp32 at the exact value. */
#ifndef YK_TESTS_SIMD_ELEMENTARY_H
#define YK_TESTS_SIMD_ELEMENTARY_H

#include "base/math64.h"
#include "simd/kernels.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined __HAVE_FLOAT128 && __HAVE_FLOAT128
typedef _Float128 wide;
#define WIDE(name) name##f128
#else
typedef long double wide;
#define WIDE(name) name##l
#endif

#define NEAR_TIE 0x1p-49 /* relative; the double functions err by less than 2^-51 */
enum { MOST_TABLES = 8, CHUNK = 4096 };

/* Inputs in [low, high] have at most `bound` ulp of error; below and above them the result is `below` and `above`.
 * A NaN gives a NaN. */
typedef struct elementary {
    const char *name;
    int function; /* yk_function of the tables, or -1 */
    double (*own)(double); /* of math64, judged after rounding to fp32, and within its range alone; or NULL */
    double (*exact)(double);
    wide (*decide)(wide);
    double bound;
    float low, high, below, above;
} elementary;

typedef struct verdict {
    int64_t inputs, correct;             /* in the range; correctly rounded of those */
    int64_t special;                     /* wrong values outside the range */
    int64_t differ[MOST_TABLES];         /* from portable */
    double worst;                        /* ulp */
    float at;
} verdict;

static double sigmoid_exact(double x) { return 1 / (1 + exp(-x)); }
static wide sigmoid_decide(wide x) { return 1 / (1 + WIDE(exp)(-x)); }
static double sin_own(double x)
{
    double s, c;
    yk_sincos64(x, &s, &c);
    return s;
}
static double cos_own(double x)
{
    double s, c;
    yk_sincos64(x, &s, &c);
    return c;
}

static const elementary elementaries[] = {
    {"exp", YK_EXP, NULL, exp, WIDE(exp), 1, -87, 88, 0, 0x1.f1056ep+126f},
    {"log", YK_LOG, NULL, log, WIDE(log), 1, 0x1p-149f, INFINITY, NAN, 0},
    {"sigmoid", YK_SIGMOID, NULL, sigmoid_exact, sigmoid_decide, 1, -88, INFINITY, 0x1.07b71p-127f, 0},
    {"tanh", YK_TANH, NULL, tanh, WIDE(tanh), 1, -INFINITY, INFINITY, 0, 0},
    {"exp64", -1, yk_exp64, exp, WIDE(exp), 0.501, -INFINITY, INFINITY, 0, 0},
    {"log64", -1, yk_log64, log, WIDE(log), 0.501, 0x1p-149f, 0x1.fffffep127f, 0, 0},
    {"sin64", -1, sin_own, sin, WIDE(sin), 0.501, -0x1p20f, 0x1p20f, 0, 0},
    {"cos64", -1, cos_own, cos, WIDE(cos), 0.501, -0x1p20f, 0x1p20f, 0, 0},
};
enum { ELEMENTARIES = sizeof elementaries / sizeof *elementaries };

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The distance of neighbouring fp32 numbers at |y|. */
static inline double spacing(double y)
{
    int e;
    frexp(y, &e);
    return ldexp(1, e - 24 < -149 ? -149 : e - 24);
}

static inline void judge_one(const elementary *f, float x, float y, verdict *v)
{
    if (isnan(x) || x < f->low || x > f->high) {
        float wanted = isnan(x) ? NAN : x > f->high ? f->above : f->function == YK_LOG && x == 0 ? -INFINITY : f->below;
        v->special += !f->own && (isnan(wanted) ? !isnan(y) : memcmp(&y, &wanted, sizeof y) != 0);
        return;
    }
    double exact = f->exact((double)x);
    float nearest = (float)exact;
    if ((float)(exact * (1 - NEAR_TIE)) != (float)(exact * (1 + NEAR_TIE))) nearest = (float)f->decide((wide)x);
    v->inputs++;
    if (memcmp(&y, &nearest, sizeof y) == 0) {
        v->correct++;
        if (!isfinite(exact) || isinf(y)) return;
    }
    double error = isfinite(y) ? fabs((double)y - exact) / spacing(exact) : INFINITY;
    if (error > v->worst) v->worst = error, v->at = x;
}

/* Adds to v what is found for n <= CHUNK inputs. */
static inline void judge(const elementary *f, const float *x, int64_t n, verdict *v)
{
    float y[CHUNK], other[CHUNK];
    const yk_team alone = {.threads = 1};
    const yk_kernels *table;
    if (f->own)
        for (int64_t i = 0; i < n; i++) y[i] = x[i] >= f->low && x[i] <= f->high ? (float)f->own((double)x[i]) : NAN;
    for (int t = 0; !f->own && (table = yk_kernels_at(t, YK_FP32)); t++) {
        float *out = t == 0 ? y : other;
        if (!yk_kernels_runs_here(table)) continue;
        table->map(&alone, &(yk_map){(yk_function)f->function, out, x, n});
        if (t == 0 || memcmp(out, y, (size_t)n * sizeof *y) == 0) continue;
        for (int64_t i = 0; i < n; i++)
            v->differ[t] += memcmp(&out[i], &y[i], sizeof *y) != 0 && !(isnan(out[i]) && isnan(y[i]));
    }
    for (int64_t i = 0; i < n; i++) judge_one(f, x[i], y[i], v);
}

static inline int64_t differences(const verdict *v)
{
    int64_t sum = 0;
    for (int t = 0; t < MOST_TABLES; t++) sum += v->differ[t];
    return sum;
}

/* Whether what was found keeps the contract. */
static inline bool kept(const elementary *f, const verdict *v)
{
    return v->worst <= f->bound && v->special == 0 && differences(v) == 0;
}

#endif
