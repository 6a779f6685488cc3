/* Double-precision functions with one fixed sequence of + - x / sqrt, so that schedules, rotary
 * tables and random normals have the same bits whatever C library is installed. Largest error
 * below 4 units in the last place over the ranges used (tests/base/test_base.c). Of fp32 arguments the
 * results, rounded to fp32, err by less than 0.501 ulp: all of them measured by tests/simd/exhaustive.c. */
#ifndef YK_BASE_MATH64_H
#define YK_BASE_MATH64_H

double yk_exp64(double x);            /* not NaN; 0 below -708, infinity above 709 */
double yk_log64(double x);            /* x > 0, normal, finite */
double yk_pow64(double x, double y);  /* x > 0         */
void yk_sincos64(double x, double *sine, double *cosine); /* |x| <= 2^20 */

#endif
