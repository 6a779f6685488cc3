#include "simd/v16_neon.h"

#define NAME(x) yk_neon_##x
#define SET "neon"
#define GEMM_MR 6
#define GEMM_NV 1
#include "simd/table.inc"
