/* Web archives: which records are pages, what of HTTP is undone, what damage is told. */
#include "base/file.h"
#include "text/read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

enum { MOST = 8 };

typedef struct archive {
    char dir[32], path[64];
    yk_buf bytes;
    yk_raw page[MOST]; /* that were read */
    size_t pages;
    yk_error err;
} archive;

static int open_archive(void **state)
{
    archive *a = calloc(1, sizeof *a);
    strcpy(a->dir, "/tmp/yoke-warc-XXXXXX");
    if (!mkdtemp(a->dir)) return -1;
    snprintf(a->path, sizeof a->path, "%s/pages.warc.gz", a->dir);
    *state = a;
    return 0;
}

static void forget(archive *a)
{
    for (size_t i = 0; i < a->pages; i++) yk_raw_free(&a->page[i]);
    a->pages = 0;
    yk_buf_free(&a->bytes);
}

static int close_archive(void **state)
{
    archive *a = *state;
    forget(a);
    unlink(a->path);
    rmdir(a->dir);
    free(a);
    return 0;
}

static void add_record(archive *a, const char *type, const char *content, const char *uri, const yk_buf *block)
{
    yk_buf_printf(&a->bytes, "WARC/1.0\r\nWARC-Type: %s\r\nWARC-Target-URI: %s\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n", type, uri, content, block->len);
    yk_buf_add(&a->bytes, block->data, block->len);
    yk_buf_puts(&a->bytes, "\r\n\r\n");
}

static void add_text(archive *a, const char *type, const char *content, const char *uri, const char *text)
{
    yk_buf block = {0};
    yk_buf_puts(&block, text);
    add_record(a, type, content, uri, &block);
    yk_buf_free(&block);
}

static void add_response(archive *a, const char *status, const char *headers, const void *body, size_t n)
{
    yk_buf block = {0};
    yk_buf_printf(&block, "HTTP/1.1 %s\r\n%s\r\n", status, headers);
    yk_buf_add(&block, body, n);
    add_record(a, "response", "application/http; msgtype=response", "https://farm.example/ox", &block);
    yk_buf_free(&block);
}

static yk_status read_file(archive *a)
{
    yk_reader *r = NULL;
    bool end = false;
    char *path = a->path;
    yk_corpus c = {.domain = (char[]){"web"}, .kind = (char[]){"auto"}, .paths = {&path, 1}};
    yk_status st = yk_reader_open(&r, &c, 1, &a->err);
    while (st == YK_OK && !end) {
        st = yk_reader_next(r, &a->page[a->pages], &end, &a->err);
        a->pages += st == YK_OK && !end;
        assert_true(a->pages < MOST);
    }
    yk_reader_close(r);
    return st;
}

static yk_status read_back(archive *a)
{
    assert_int_equal(yk_file_write(a->path, a->bytes.data, a->bytes.len, &a->err), YK_OK);
    return read_file(a);
}

static void is_page(const archive *a, size_t i, yk_raw_kind kind, const char *text, const char *uri)
{
    char source[128];
    snprintf(source, sizeof source, "%s:%s", a->path, uri);
    assert_true(i < a->pages);
    assert_null(a->page[i].reason);
    assert_int_equal(a->page[i].kind, kind);
    assert_string_equal(a->page[i].bytes.data, text);
    assert_string_equal(a->page[i].source, source);
}

static const char page[] = "<html><body><p>Two oxen pull.</p></body></html>";
static const char html[] = "Content-Type: text/html; charset=utf-8\r\n";

static void pages_are_found_among_other_records(void **state)
{
    archive *a = *state;
    add_text(a, "warcinfo", "application/warc-fields", "", "software: none\r\n");
    add_text(a, "request", "application/http; msgtype=request", "https://farm.example/ox", "GET /ox HTTP/1.1\r\n\r\n");
    add_response(a, "200 OK", html, page, strlen(page));
    add_response(a, "404 Not Found", html, page, strlen(page));
    add_response(a, "200 OK", "Content-Type: image/png\r\n", "\x89PNG", 4);
    add_text(a, "conversion", "text/plain", "<https://farm.example/yoke>", "A yoke joins two oxen.\n");
    add_text(a, "resource", "text/html", "file:ox.html", page);
    add_text(a, "metadata", "text/plain", "https://farm.example/ox", "no page");
    assert_int_equal(read_back(a), YK_OK);
    assert_int_equal(a->pages, 3);
    is_page(a, 0, YK_RAW_HTML, page, "https://farm.example/ox");
    is_page(a, 1, YK_RAW_PROSE, "A yoke joins two oxen.\n", "https://farm.example/yoke");
    is_page(a, 2, YK_RAW_HTML, page, "file:ox.html");
}

/* As crawlers write them: every record a member of gzip. */
static void members_of_gzip_are_one_archive(void **state)
{
    archive *a = *state;
    gzFile f;
    remove(a->path);
    for (int i = 0; i < 3; i++) {
        yk_buf_clear(&a->bytes);
        add_response(a, "200 OK", html, page, strlen(page));
        assert_non_null(f = gzopen(a->path, "ab"));
        assert_int_equal(gzwrite(f, a->bytes.data, (unsigned)a->bytes.len), a->bytes.len);
        assert_int_equal(gzclose(f), Z_OK);
    }
    assert_int_equal(read_file(a), YK_OK);
    assert_int_equal(a->pages, 3);
    for (size_t i = 0; i < 3; i++) is_page(a, i, YK_RAW_HTML, page, "https://farm.example/ox");
}

static void encodings_of_http_are_undone(void **state)
{
    archive *a = *state;
    yk_buf chunks = {0};
    uint8_t packed[256];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)page, .avail_in = sizeof page - 1, .next_out = packed,
                  .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    add_response(a, "200 OK", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", packed, z.total_out);
    yk_buf_printf(&chunks, "5;x=y\r\n%.5s\r\n%zx\r\n%s\r\n0\r\n\r\n", page, strlen(page) - 5, page + 5);
    add_response(a, "200 OK", "content-type: text/html\r\nTransfer-Encoding: chunked\r\n", chunks.data, chunks.len);
    add_response(a, "200 OK", "Content-Type: text/html\r\nContent-Encoding: br\r\n", "?", 1);
    add_response(a, "200 OK", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", packed, z.total_out - 9);
    add_response(a, "200 OK", "Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n", chunks.data, chunks.len - 9);
    assert_int_equal(read_back(a), YK_OK);
    assert_int_equal(a->pages, 5);
    is_page(a, 0, YK_RAW_HTML, page, "https://farm.example/ox");
    is_page(a, 1, YK_RAW_HTML, page, "https://farm.example/ox");
    assert_string_equal(a->page[2].reason, "encoding is not supported");
    assert_string_equal(a->page[3].reason, "malformed");
    assert_string_equal(a->page[4].reason, "malformed");
    yk_buf_free(&chunks);
}

static void damage_is_told(void **state)
{
    archive *a = *state;
    add_response(a, "200 OK", html, page, strlen(page));
    add_response(a, "200 OK", html, page, strlen(page));
    const size_t whole = a->bytes.len;
    for (size_t cut = whole / 2 + 1; cut < whole - 4; cut += 7) {
        assert_int_equal(yk_file_write(a->path, a->bytes.data, cut, &a->err), YK_OK);
        assert_int_equal(read_file(a), YK_ERR_INPUT);
        assert_non_null(strstr(a->err.text, "record 2"));
        assert_non_null(strstr(a->err.text, a->path));
        for (size_t i = 0; i < a->pages; i++) yk_raw_free(&a->page[i]);
        a->pages = 0;
    }
    forget(a);
    yk_buf_puts(&a->bytes, "<html>\n");
    assert_int_equal(read_back(a), YK_ERR_INPUT);
    assert_non_null(strstr(a->err.text, "record 1 does not begin with WARC/1.0"));
    forget(a);
    yk_buf_puts(&a->bytes, "WARC/1.0\r\nWARC-Type: response\r\n\r\n");
    assert_int_equal(read_back(a), YK_ERR_INPUT);
    assert_non_null(strstr(a->err.text, "has no Content-Length"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_are_found_among_other_records, open_archive, close_archive),
        cmocka_unit_test_setup_teardown(members_of_gzip_are_one_archive, open_archive, close_archive),
        cmocka_unit_test_setup_teardown(encodings_of_http_are_undone, open_archive, close_archive),
        cmocka_unit_test_setup_teardown(damage_is_told, open_archive, close_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
