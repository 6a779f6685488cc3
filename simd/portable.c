#include "simd/v16_portable.h"

#define NAME(x) yk_portable_##x
#define SET "portable"
#define GEMM_MR 4
#define GEMM_NV 1
#include "simd/table.inc"
