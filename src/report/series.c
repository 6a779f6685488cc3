/* Curves made small enough to draw. */
#include "report/svg.h"

#include <math.h>

size_t yk_thin(double *x, double *y, size_t n, size_t limit)
{
    if (n <= limit || limit < 3) return n;
    double last_x = x[n - 1], last_y = y[n - 1];
    size_t inner = limit - 2;
    for (size_t k = 0; k < inner; k++) {
        size_t from = 1 + k * (n - 2) / inner, to = 1 + (k + 1) * (n - 2) / inner;
        double sum_x = 0, sum_y = 0;
        size_t finite = 0;
        for (size_t i = from; i < to; i++) {
            sum_x += x[i];
            if (!isfinite(y[i])) continue;
            sum_y += y[i];
            finite++;
        }
        x[k + 1] = sum_x / (double)(to - from);
        y[k + 1] = finite ? sum_y / (double)finite : NAN;
    }
    x[limit - 1] = last_x;
    y[limit - 1] = last_y;
    return limit;
}

void yk_smooth(const double *y, double *out, size_t n, size_t reach)
{
    double sum = 0;
    size_t finite = 0, begin = 0, end = 0;
    for (size_t i = 0; i < n; i++) {
        size_t want_end = i + reach + 1 < n ? i + reach + 1 : n,
               want_begin = i > reach ? i - reach : 0;
        for (; end < want_end; end++) {
            if (!isfinite(y[end])) continue;
            sum += y[end];
            finite++;
        }
        for (; begin < want_begin; begin++) {
            if (!isfinite(y[begin])) continue;
            sum -= y[begin];
            finite--;
        }
        out[i] = finite ? sum / (double)finite : NAN;
    }
}
