#include "simd/v16_avx512bf16.h"

#define NAME(x) yk_avx512bf16_##x
#define SET "avx512bf16"
#define GEMM_MR 12
#define GEMM_NV 2
#include "simd/table.inc"
