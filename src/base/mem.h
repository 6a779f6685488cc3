/* Memory: checked allocation, growable byte buffers. */
#ifndef YK_BASE_MEM_H
#define YK_BASE_MEM_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Zeroed array of n elements; NULL with a YK_ERR_MEMORY message on overflow or exhaustion.
 * n = 0 gives a valid pointer. Release with free(). */
void *yk_calloc(size_t n, size_t size, yk_error *err);

/* Grows an array to n elements, keeping what it holds; the old pointer stays valid on failure. */
void *yk_regrow(void *p, size_t n, size_t size, yk_error *err);

/* Typed forms for functions with `st`, `err` and `done:`. */
#define YK_NEW(ptr, n)                                                                             \
    do {                                                                                           \
        if (!((ptr) = yk_calloc((size_t)(n), sizeof *(ptr), err))) {                               \
            st = YK_ERR_MEMORY;                                                                    \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

/* Makes room for element `len` in an array of `cap` elements (doubling). */
#define YK_ROOM(ptr, len, cap)                                                                     \
    do {                                                                                           \
        if ((size_t)(len) >= (size_t)(cap)) {                                                      \
            size_t want_ = (cap) ? 2 * (size_t)(cap) : 16;                                         \
            void *grown_ = yk_regrow((ptr), want_, sizeof *(ptr), err);                            \
            if (!grown_) {                                                                         \
                st = YK_ERR_MEMORY;                                                                \
                goto done;                                                                         \
            }                                                                                      \
            (ptr) = grown_;                                                                        \
            (cap) = want_;                                                                         \
        }                                                                                          \
    } while (0)

/* A growable byte string. Zero-initialise; `data` is NUL-terminated whenever it is not NULL.
 * The append functions abort the program with a message only when memory is exhausted. */
typedef struct yk_buf {
    char *data;
    size_t len, cap;
} yk_buf;

void yk_buf_reserve(yk_buf *b, size_t extra);
void yk_buf_add(yk_buf *b, const void *bytes, size_t n);
void yk_buf_puts(yk_buf *b, const char *text);
void yk_buf_printf(yk_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void yk_buf_clear(yk_buf *b); /* keeps the memory */
void yk_buf_free(yk_buf *b);

#endif
