#include "simd/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *yk_host_alloc(int64_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    size_t size = bytes > 0 ? (size_t)bytes : 64, align = size >= huge ? huge : 64;
    size = (size + align - 1) / align * align;
    void *p = aligned_alloc(align, size);
    if (!p) return NULL;
#ifdef MADV_HUGEPAGE
    if (align == huge) madvise(p, size, MADV_HUGEPAGE);
#endif
    memset(p, 0, size);
    return p;
}

void yk_host_free(void *p)
{
    free(p);
}

void yk_host_copy(void *to, const void *from, int64_t bytes)
{
    memcpy(to, from, (size_t)bytes);
}

void yk_host_forget(void *p, int64_t bytes)
{
#if defined MADV_DONTNEED && defined MADV_NOHUGEPAGE
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)p + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)p + (uintptr_t)bytes) / page * page;
    if (begin >= end) return;
    madvise((void *)begin, end - begin, MADV_NOHUGEPAGE);
    madvise((void *)begin, end - begin, MADV_DONTNEED);
#else
    (void)p, (void)bytes;
#endif
}

static void zero_pages(const void *args, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    memset((char *)*(void *const *)args + 64 * begin, 0, (size_t)(64 * (end - begin)));
}

void yk_host_zero(const yk_team *team, void *p, int64_t bytes)
{
    yk_team_rows(team, bytes / 64, 0, zero_pages, &p);
    memset((char *)p + bytes / 64 * 64, 0, (size_t)(bytes % 64));
}
