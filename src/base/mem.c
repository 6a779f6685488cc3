#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *yk_calloc(size_t n, size_t size, yk_error *err)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) yk_fail(err, YK_ERR_MEMORY, "out of memory: %zu x %zu bytes could not be had", n, size);
    return p;
}

void *yk_regrow(void *p, size_t n, size_t size, yk_error *err)
{
    size_t bytes;
    void *grown = __builtin_mul_overflow(n, size, &bytes) ? NULL : realloc(p, bytes ? bytes : 1);
    if (!grown) yk_fail(err, YK_ERR_MEMORY, "out of memory: %zu x %zu bytes could not be had", n, size);
    return grown;
}

void yk_buf_reserve(yk_buf *b, size_t extra)
{
    size_t need = b->len + extra + 1;
    if (need <= b->cap) return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need) cap *= 2;
    char *grown = realloc(b->data, cap);
    if (!grown) {
        fprintf(stderr, "yoke: out of memory: %zu bytes could not be had\n", cap);
        abort();
    }
    b->data = grown;
    b->data[b->len] = 0;
    b->cap = cap;
}

void yk_buf_add(yk_buf *b, const void *bytes, size_t n)
{
    yk_buf_reserve(b, n);
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
}

void yk_buf_puts(yk_buf *b, const char *text)
{
    yk_buf_add(b, text, strlen(text));
}

void yk_buf_printf(yk_buf *b, const char *format, ...)
{
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n > 0) {
        yk_buf_reserve(b, (size_t)n);
        vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void yk_buf_clear(yk_buf *b)
{
    b->len = 0;
    if (b->data) b->data[0] = 0;
}

void yk_buf_free(yk_buf *b)
{
    free(b->data);
    *b = (yk_buf){0};
}
