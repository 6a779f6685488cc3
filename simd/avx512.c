#include "simd/v16_avx512.h"

#define NAME(x) yk_avx512_##x
#define SET "avx512"
#define GEMM_MR 12
#define GEMM_NV 2
#include "simd/table.inc"
