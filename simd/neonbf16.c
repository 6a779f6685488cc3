#include "simd/v16_neonbf16.h"

#define NAME(x) yk_neonbf16_##x
#define SET "neonbf16"
#define GEMM_MR 6
#define GEMM_NV 1
#include "simd/table.inc"
