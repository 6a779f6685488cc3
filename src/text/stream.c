#include "text/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { BLOCK = 1 << 17, LINE_BLOCK = 1 << 16 };

struct yk_stream_in {
    char *path;
    FILE *f;       /* plain and zstd */
    gzFile gz;
    ZSTD_DCtx *zstd;
    char *in;
    ZSTD_inBuffer input;
    size_t frame_left; /* zstd: not 0 inside a frame */
    char *line;        /* read ahead of yk_stream_line */
    size_t line_at, line_n;
};

static yk_status open_zstd(yk_stream_in *s, yk_error *err)
{
    yk_status st = YK_OK;
    s->zstd = ZSTD_createDCtx();
    YK_NEW(s->in, BLOCK);
    if (!s->zstd) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, 31);
    s->input.src = s->in;
done:
    return st;
}

yk_status yk_stream_open(yk_stream_in **out, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    unsigned char head[4] = {0};
    yk_stream_in *s = NULL;
    YK_NEW(s, 1);
    YK_NEW(s->path, strlen(path) + 1);
    strcpy(s->path, path);
    s->f = fopen(path, "rb");
    if (!s->f) YK_FAIL(YK_ERR_INPUT, "%s: cannot open: %s", path, strerror(errno));
    size_t n = fread(head, 1, 4, s->f);
    if (ferror(s->f)) YK_FAIL(YK_ERR_INPUT, "%s: cannot read: %s", path, strerror(errno));
    rewind(s->f);
    if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b) {
        s->gz = gzopen(path, "rb");
        if (!s->gz) YK_FAIL(YK_ERR_INPUT, "%s: cannot open: %s", path, strerror(errno));
        gzbuffer(s->gz, BLOCK);
    } else if (n == 4 && memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0) {
        YK_TRY(open_zstd(s, err));
    }
    *out = s;
    s = NULL;
done:
    yk_stream_close(s);
    return st;
}

void yk_stream_close(yk_stream_in *s)
{
    if (!s) return;
    if (s->f) fclose(s->f);
    if (s->gz) gzclose(s->gz);
    ZSTD_freeDCtx(s->zstd);
    free(s->in);
    free(s->line);
    free(s->path);
    free(s);
}

static yk_status read_zstd(yk_stream_in *s, char *out, size_t room, size_t *got, yk_error *err)
{
    ZSTD_outBuffer output = {out, room, 0};
    while (output.pos == 0) {
        if (s->input.pos == s->input.size) {
            s->input.size = fread(s->in, 1, BLOCK, s->f);
            s->input.pos = 0;
            if (ferror(s->f)) return yk_fail(err, YK_ERR_INPUT, "%s: cannot read: %s", s->path, strerror(errno));
            if (s->input.size == 0) {
                if (s->frame_left)
                    return yk_fail(err, YK_ERR_INPUT, "%s: truncated: the zstd data ends inside a frame, at byte %ld; "
                                   "fetch the file again", s->path, ftell(s->f));
                break;
            }
        }
        size_t rc = ZSTD_decompressStream(s->zstd, &output, &s->input);
        if (ZSTD_isError(rc))
            return yk_fail(err, YK_ERR_INPUT, "%s: corrupt zstd data before byte %ld: %s", s->path, ftell(s->f),
                           ZSTD_getErrorName(rc));
        s->frame_left = rc;
    }
    *got = output.pos;
    return YK_OK;
}

yk_status yk_stream_read(yk_stream_in *s, char *out, size_t room, size_t *got, yk_error *err)
{
    if (s->zstd) return read_zstd(s, out, room, got, err);
    if (!s->gz) {
        *got = fread(out, 1, room, s->f);
        return ferror(s->f) ? yk_fail(err, YK_ERR_INPUT, "%s: cannot read: %s", s->path, strerror(errno)) : YK_OK;
    }
    int why, n = gzread(s->gz, out, (unsigned)room);
    const char *text = gzerror(s->gz, &why);
    if (n < 0 || why == Z_BUF_ERROR)
        return yk_fail(err, YK_ERR_INPUT, "%s: %s gzip data before byte %ld: %s; fetch the file again", s->path,
                       why == Z_BUF_ERROR ? "truncated" : "corrupt", (long)gzoffset(s->gz), text);
    *got = (size_t)n;
    return YK_OK;
}

/* Reads ahead when all that was is taken; *end when there is nothing more. */
static yk_status read_ahead(yk_stream_in *s, bool *end, yk_error *err)
{
    yk_status st = YK_OK;
    if (!s->line) YK_NEW(s->line, LINE_BLOCK);
    if (s->line_at == s->line_n) {
        s->line_at = 0;
        YK_TRY(yk_stream_read(s, s->line, LINE_BLOCK, &s->line_n, err));
    }
    *end = s->line_n == 0;
done:
    return st;
}

yk_status yk_stream_bytes(yk_stream_in *s, yk_buf *out, uint64_t n, yk_error *err)
{
    yk_status st = YK_OK;
    if (out) yk_buf_reserve(out, 1);
    while (n > 0) {
        bool end;
        YK_TRY(read_ahead(s, &end, err));
        if (end) YK_FAIL(YK_ERR_INPUT, "%s: truncated: %llu bytes are missing; fetch the file again", s->path,
                         (unsigned long long)n);
        const uint64_t there = s->line_n - s->line_at, part = n < there ? n : there;
        if (out) yk_buf_add(out, s->line + s->line_at, part);
        s->line_at += part;
        n -= part;
    }
done:
    return st;
}

yk_status yk_stream_line(yk_stream_in *s, yk_buf *line, size_t limit, bool *end, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf_clear(line);
    yk_buf_reserve(line, 1);
    *end = false;
    for (bool any = false;; any = true) {
        bool over;
        YK_TRY(read_ahead(s, &over, err));
        if (over) {
            *end = !any;
            return YK_OK;
        }
        char *from = s->line + s->line_at, *stop = memchr(from, '\n', s->line_n - s->line_at);
        size_t n = stop ? (size_t)(stop - from) : s->line_n - s->line_at;
        if (line->len + n > limit) YK_FAIL(YK_ERR_INPUT, "%s: a line of more than %zu bytes", s->path, limit);
        yk_buf_add(line, from, n);
        s->line_at += n + (stop != NULL);
        if (stop) return YK_OK;
    }
done:
    return st;
}

yk_status yk_stream_all(const char *path, yk_buf *out, size_t limit, yk_error *err)
{
    yk_status st = YK_OK;
    yk_stream_in *s = NULL;
    YK_TRY(yk_stream_open(&s, path, err));
    for (size_t got = 1; got;) {
        yk_buf_reserve(out, BLOCK);
        YK_TRY(yk_stream_read(s, out->data + out->len, BLOCK, &got, err));
        out->len += got;
        out->data[out->len] = 0;
        if (out->len > limit) YK_FAIL(YK_ERR_INPUT, "%s: larger than %zu bytes", path, limit);
    }
done:
    yk_stream_close(s);
    return st;
}
