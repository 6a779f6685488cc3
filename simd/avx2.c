#include "simd/v16_avx2.h"

#define NAME(x) yk_avx2_##x
#define SET "avx2"
#define GEMM_MR 6
#define GEMM_NV 1
#include "simd/table.inc"
