/* Double-precision functions with one fixed sequence of + - x / sqrt, so that schedules, rotary
 * tables and random normals have the same bits whatever C library is installed. Largest error
 * below 4 units in the last place over the ranges used (tests/base/test_math64.c). */
#ifndef YK_BASE_MATH64_H
#define YK_BASE_MATH64_H

double yk_exp64(double x);
double yk_log64(double x);            /* x > 0, normal */
double yk_pow64(double x, double y);  /* x > 0         */
void yk_sincos64(double x, double *sine, double *cosine); /* |x| < 1e6 */

#endif
