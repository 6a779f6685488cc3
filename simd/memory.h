/* Memory of the tables that run on the host. */
#ifndef YK_SIMD_MEMORY_H
#define YK_SIMD_MEMORY_H

#include "base/team.h"

#include <stdint.h>

void *yk_host_alloc(int64_t bytes);
void yk_host_free(void *p);
void yk_host_copy(void *to, const void *from, int64_t bytes);
void yk_host_forget(void *p, int64_t bytes);
void yk_host_zero(const yk_team *team, void *p, int64_t bytes);

#define YK_HOST_MEMORY                                                                             \
    .alloc = yk_host_alloc, .free = yk_host_free, .upload = yk_host_copy, .download = yk_host_copy, \
    .zero = yk_host_zero, .forget = yk_host_forget

#endif
