#include "base/math64.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double LN2_HIGH = 0x1.62e42fefa38p-1, LN2_LOW = 0x1.ef35793c7673p-45;

double yk_exp64(double x)
{
    if (x > 709.0) return HUGE_VAL;
    if (x < -708.0) return 0.0;
    double n = floor(x * 1.4426950408889634074 + 0.5);
    double r = (x - n * LN2_HIGH) - n * LN2_LOW;
    double term = 1.0, sum = 0.0, terms[16];
    for (int i = 1; i < 16; i++) {
        term = term * r / i;
        terms[i] = term;
    }
    for (int i = 15; i >= 1; i--) sum += terms[i];
    return ldexp(1.0 + sum, (int)n);
}

double yk_log64(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752440) {
        m *= 2.0;
        e--;
    }
    double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
    for (int i = 23; i >= 3; i -= 2) sum = sum * s2 + 1.0 / i;
    double tail = 2.0 * s * s2 * sum;
    return e * LN2_HIGH + (2.0 * s + (tail + e * LN2_LOW));
}

double yk_pow64(double x, double y)
{
    return yk_exp64(y * yk_log64(x));
}

/* Taylor series on [-pi/4, pi/4]. */
static double sine_core(double r)
{
    double r2 = r * r, sum = 0.0;
    for (int i = 17; i >= 3; i -= 2) sum = (1.0 + sum) * (-r2 / (i * (i - 1.0)));
    return r + r * sum;
}

static double cosine_core(double r)
{
    double r2 = r * r, sum = 0.0;
    for (int i = 18; i >= 4; i -= 2) sum = (1.0 + sum) * (-r2 / (i * (i - 1.0)));
    return 1.0 - (0.5 * r2) * (1.0 + sum);
}

void yk_sincos64(double x, double *sine, double *cosine)
{
    static const double PIO2_1 = 0x1.921fb544p0, PIO2_2 = 0x1.0b4611a6p-34, PIO2_3 = 0x1.3198a2e037073p-69;
    double n = floor(x * 0.63661977236758134308 + 0.5);
    double r = ((x - n * PIO2_1) - n * PIO2_2) - n * PIO2_3;
    double s = sine_core(r), c = cosine_core(r);
    switch ((int64_t)n & 3) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s; break;
    }
}
