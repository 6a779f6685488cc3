#include "text/warc.h"

#include "base/file.h"
#include "text/stream.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { LINE_LIMIT = 1 << 16, HEADER_LINES = 1000, PAGE_LIMIT = 1 << 28, PART = 1 << 16 };

struct yk_warc {
    yk_stream_in *in;
    char *path;
    size_t record; /* from 1 */
    yk_buf line, block;
};

/* What a record's header says. */
typedef struct header {
    char type[16], content[64];
    uint64_t length;
    bool has_length;
    yk_buf uri;
} header;

/* A text in memory that is read line by line. */
typedef struct cursor {
    const char *at, *end;
} cursor;

yk_status yk_warc_open(yk_warc **out, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_warc *w = NULL;
    YK_NEW(w, 1);
    if (!(w->path = strdup(path))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_stream_open(&w->in, path, err));
    *out = w;
    w = NULL;
done:
    yk_warc_close(w);
    return st;
}

void yk_warc_close(yk_warc *w)
{
    if (!w) return;
    yk_stream_close(w->in);
    yk_buf_free(&w->line);
    yk_buf_free(&w->block);
    free(w->path);
    free(w);
}

/* --- header lines ---------------------------------------------------------------------------- */

/* The value of `name: value`, without blanks around it; NULL when the line has another name. */
static const char *value_of(const char *line, size_t n, const char *name, size_t *length)
{
    const size_t k = strlen(name);
    if (n <= k || line[k] != ':' || strncasecmp(line, name, k) != 0) return NULL;
    const char *at = line + k + 1, *end = line + n;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
    *length = (size_t)(end - at);
    return at;
}

/* The same into `out`, cut to its size. */
static void take_value(const char *line, size_t n, const char *name, char *out, size_t size)
{
    size_t length;
    const char *value = value_of(line, n, name, &length);
    if (!value) return;
    if (length >= size) length = size - 1;
    memcpy(out, value, length);
    out[length] = 0;
}

static void take_length(header *h, const char *line, size_t n)
{
    size_t length;
    const char *value = value_of(line, n, "Content-Length", &length);
    if (!value) return;
    h->has_length = length > 0 && length <= 18 && strspn(value, "0123456789") >= length;
    h->length = h->has_length ? strtoull(value, NULL, 10) : 0;
}

static void take_line(header *h, const char *line, size_t n)
{
    size_t length;
    const char *uri = value_of(line, n, "WARC-Target-URI", &length);
    take_value(line, n, "WARC-Type", h->type, sizeof h->type);
    take_value(line, n, "Content-Type", h->content, sizeof h->content);
    take_length(h, line, n);
    if (!uri) return;
    if (length > 1 && *uri == '<' && uri[length - 1] == '>') uri++, length -= 2; /* as some 1.0 writers have it */
    yk_buf_clear(&h->uri);
    yk_buf_add(&h->uri, uri, length);
}

static bool is_empty(const yk_buf *line)
{
    return line->len == 0 || (line->len == 1 && line->data[0] == '\r');
}

static yk_status read_header(yk_warc *w, header *h, bool *end, yk_error *err)
{
    yk_status st = YK_OK;
    do YK_TRY(yk_stream_line(w->in, &w->line, LINE_LIMIT, end, err));
    while (!*end && is_empty(&w->line));
    if (*end) goto done;
    w->record++;
    if (w->line.len < 6 || memcmp(w->line.data, "WARC/1", 6) != 0)
        YK_FAIL(YK_ERR_INPUT, "%s: record %zu does not begin with WARC/1.0 or WARC/1.1; the file is damaged or of "
                "another kind", w->path, w->record);
    for (int lines = 0;; lines++) {
        YK_TRY(yk_stream_line(w->in, &w->line, LINE_LIMIT, end, err));
        if (*end || lines == HEADER_LINES)
            YK_FAIL(YK_ERR_INPUT, "%s: record %zu has a header without an end; fetch the file again", w->path,
                    w->record);
        if (is_empty(&w->line)) break;
        take_line(h, w->line.data, w->line.len);
    }
    if (!h->has_length)
        YK_FAIL(YK_ERR_INPUT, "%s: record %zu has no Content-Length", w->path, w->record);
done:
    return st;
}

/* --- pages ----------------------------------------------------------------------------------- */

static bool next_line(cursor *c, const char **line, size_t *n)
{
    const char *stop = memchr(c->at, '\n', (size_t)(c->end - c->at));
    if (!stop) return false;
    *line = c->at;
    *n = (size_t)(stop - c->at);
    if (*n && stop[-1] == '\r') --*n;
    c->at = stop + 1;
    return true;
}

/* True when pages of the content type are documents. */
static bool kind_of(const char *content, yk_raw_kind *kind)
{
    const size_t n = strcspn(content, "; \t");
    const bool html = (n == 9 && strncasecmp(content, "text/html", n) == 0) ||
                      (n == 21 && strncasecmp(content, "application/xhtml+xml", n) == 0);
    *kind = html ? YK_RAW_HTML : YK_RAW_PROSE;
    return html || (n == 10 && strncasecmp(content, "text/plain", n) == 0);
}

/* Chunks of HTTP/1.1 (RFC 9112, section 7.1). False when they are damaged. */
static bool join_chunks(cursor c, yk_buf *out)
{
    const char *line;
    size_t n;
    while (next_line(&c, &line, &n)) {
        const size_t digits = strspn(line, "0123456789abcdefABCDEF");
        if (digits == 0 || digits > 8 || digits > n) return false;
        const uint64_t length = strtoull(line, NULL, 16);
        if (length == 0) return true;
        if (length > (uint64_t)(c.end - c.at)) return false;
        yk_buf_add(out, c.at, length);
        c.at += length;
        if (!next_line(&c, &line, &n) || n) return false;
    }
    return false;
}

/* gzip, or deflate with zlib's header. False when damaged, or larger than PAGE_LIMIT. */
static bool unpack(cursor c, yk_buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)c.at, .avail_in = (uInt)(c.end - c.at)};
    int rc = inflateInit2(&z, 15 + 32);
    while (rc == Z_OK && out->len < PAGE_LIMIT) {
        yk_buf_reserve(out, PART);
        z.next_out = (Bytef *)out->data + out->len;
        z.avail_out = PART;
        rc = inflate(&z, Z_NO_FLUSH);
        out->len += PART - z.avail_out;
    }
    inflateEnd(&z);
    return rc == Z_STREAM_END;
}

/* The body of an HTTP response into raw->bytes; false when it is no page. */
static bool read_response(cursor c, yk_raw *raw)
{
    char content[64] = "", transfer[32] = "", encoding[32] = "";
    const char *line;
    size_t n;
    yk_buf joined = {0};
    if (!next_line(&c, &line, &n) || n < 12 || memcmp(line, "HTTP/", 5) != 0) return false;
    const char *status = memchr(line, ' ', n);
    if (!status || status + 4 > line + n || strncmp(status, " 200", 4) != 0) return false;
    while (next_line(&c, &line, &n) && n) {
        take_value(line, n, "Content-Type", content, sizeof content);
        take_value(line, n, "Transfer-Encoding", transfer, sizeof transfer);
        take_value(line, n, "Content-Encoding", encoding, sizeof encoding);
    }
    if (!kind_of(content, &raw->kind)) return false;
    if (strcasecmp(transfer, "chunked") == 0) {
        if (!join_chunks(c, &joined)) raw->reason = "malformed";
        c = (cursor){joined.data ? joined.data : "", (joined.data ? joined.data : "") + joined.len};
    }
    const bool plain = !*encoding || strcasecmp(encoding, "identity") == 0;
    const bool packed = strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "x-gzip") == 0 ||
                        strcasecmp(encoding, "deflate") == 0;
    if (!packed && !plain) raw->reason = "encoding is not supported";
    if (packed && !raw->reason && !unpack(c, &raw->bytes)) raw->reason = "malformed";
    if (!packed) yk_buf_add(&raw->bytes, c.at, (size_t)(c.end - c.at));
    yk_buf_free(&joined);
    return true;
}

/* What the record holds, if it is a page. */
static bool read_page(const yk_warc *w, const header *h, yk_raw *raw)
{
    const cursor c = {w->block.data, w->block.data + w->block.len};
    if (strcmp(h->type, "response") == 0) return read_response(c, raw);
    if (!kind_of(h->content, &raw->kind)) return false;
    yk_buf_add(&raw->bytes, c.at, w->block.len);
    return true;
}

static bool may_be_page(const header *h)
{
    return h->length <= PAGE_LIMIT && (strcmp(h->type, "response") == 0 || strcmp(h->type, "resource") == 0 ||
                                       strcmp(h->type, "conversion") == 0);
}

yk_status yk_warc_next(yk_warc *w, yk_raw *raw, bool *end, yk_error *err)
{
    yk_status st = YK_OK;
    header h = {0};
    for (bool found = false; !found; yk_buf_free(&h.uri)) {
        h = (header){0};
        YK_TRY(read_header(w, &h, end, err));
        if (*end) break;
        const bool wanted = may_be_page(&h);
        yk_buf_clear(&w->block);
        st = yk_stream_bytes(w->in, wanted ? &w->block : NULL, h.length, err);
        YK_TRY(yk_context(err, st, "record %zu", w->record));
        found = wanted && read_page(w, &h, raw);
        if (!found) {
            yk_raw_free(raw);
        } else if (!(raw->source = yk_path("%s:%s", w->path, h.uri.len ? h.uri.data : "?"))) {
            YK_FAIL(YK_ERR_MEMORY, "out of memory");
        } else if (!raw->reason && raw->bytes.len && memchr(raw->bytes.data, 0, raw->bytes.len)) {
            raw->reason = "binary";
        }
    }
done:
    yk_buf_free(&h.uri);
    return st;
}
