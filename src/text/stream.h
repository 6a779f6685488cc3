/* Bytes of a plain, gzip or zstd file (by what it begins with), one after another. */
#ifndef YK_TEXT_STREAM_H
#define YK_TEXT_STREAM_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_stream_in yk_stream_in;

/* YK_ERR_INPUT when it cannot be opened; truncated or corrupt data is YK_ERR_INPUT at the read that meets it. */
yk_status yk_stream_open(yk_stream_in **s, const char *path, yk_error *err);
yk_status yk_stream_read(yk_stream_in *s, char *out, size_t room, size_t *got, yk_error *err); /* got 0: end */
void yk_stream_close(yk_stream_in *s);

/* Replaces *line with the next line, newline removed; *end is set when there is none. A line longer than
 * `limit` is YK_ERR_INPUT. */
yk_status yk_stream_line(yk_stream_in *s, yk_buf *line, size_t limit, bool *end, yk_error *err);

/* Appends the n bytes after those that lines have taken, or (out NULL) passes over them. YK_ERR_INPUT when there are
 * fewer. */
yk_status yk_stream_bytes(yk_stream_in *s, yk_buf *out, uint64_t n, yk_error *err);

/* Appends the whole of it, at most `limit` bytes. */
yk_status yk_stream_all(const char *path, yk_buf *out, size_t limit, yk_error *err);

#endif
