/* The profile `fast`: whatever multiplies matrices fastest here; the same bits only from run to run.
 *
 * In fp32 that may be OpenBLAS; with operands of 16 bits it is our own kernels, as in the profile `exact`. */
#ifndef YK_SIMD_FAST_H
#define YK_SIMD_FAST_H

#include "simd/kernels.h"

/* *fast becomes `exact` with OpenBLAS's sgemm as `gemm`, and OpenBLAS's number of threads, which is the process's, the
 * team's. Both strides of an operand may be 1 only where one of its dimensions is 1. */
void yk_kernels_openblas(yk_kernels *fast, const yk_kernels *exact, const yk_team *team);

/* Whether OpenBLAS is clearly (by a twentieth) quicker than `exact` in the three products of training (forward,
 * gradient of the input, gradient of the weight) for a weight [out,in] and so many rows. Measured for a fifth of a
 * second, or three rounds; false when there is no memory to measure in, or when `exact` is not fp32. */
bool yk_openblas_is_quicker(const yk_kernels *exact, const yk_team *team, int64_t rows, int64_t out, int64_t in);

#endif
