#include "token/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "token/unicode_table.h"

enum { CODE_POINTS = 0x110000, RUNS = sizeof runs / sizeof *runs };

yk_status yk_unicode_kinds(uint8_t **kinds, yk_error *err)
{
    yk_status st = YK_OK;
    YK_NEW(*kinds, CODE_POINTS);
    for (size_t i = 0; i < RUNS; i++) {
        uint32_t from = runs[i] >> 8, to = i + 1 < RUNS ? runs[i + 1] >> 8 : CODE_POINTS;
        memset(*kinds + from, (int)(runs[i] & 0xFF), to - from);
    }
done:
    return st;
}

/* Length of the well-formed character at p, 0 when there is none. */
static size_t character(const uint8_t *p, size_t n)
{
    size_t len = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
    if (!len || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
        (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return len;
}

static size_t ascii_run(const char *text, size_t n)
{
    size_t i = 0;
    for (uint64_t eight; i + 8 <= n; i += 8) {
        memcpy(&eight, text + i, 8);
        if (eight & 0x8080808080808080u) break;
    }
    while (i < n && (unsigned char)text[i] < 0x80) i++;
    return i;
}

size_t yk_utf8_valid(const char *text, size_t n)
{
    size_t at = 0, c;
    for (;;) {
        at += ascii_run(text + at, n - at);
        if (at == n || !(c = character((const uint8_t *)text + at, n - at))) return at;
        at += c;
    }
}

void yk_utf8_add(yk_buf *out, uint32_t c)
{
    utf8proc_uint8_t bytes[4];
    yk_buf_add(out, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)c, bytes));
}

bool yk_is_blank(const uint8_t *kinds, uint32_t c)
{
    int category = kinds[c] & YK_CATEGORY;
    return category == YK_BLANK_CONTROL || (category >= YK_ZS && category <= YK_ZP);
}

bool yk_is_word(const uint8_t *kinds, uint32_t c)
{
    int category = kinds[c] & YK_CATEGORY;
    return category <= YK_NL || category == YK_PC || c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
           (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/* A character that changes nothing before it begins a window, and all that are unsettled after it belong to it. */
static size_t window(const uint8_t *kinds, const uint8_t *p, size_t n, bool *changes)
{
    size_t length, at = 0;
    uint8_t kind = kinds[yk_utf8_at(p, &length)];
    *changes = false;
    if (kind & YK_INERT) return length;
    for (*changes = kind & YK_UNSETTLED, at = length; at < n; at += length) {
        kind = kinds[yk_utf8_at(p + at, &length)];
        if (!(kind & YK_UNSETTLED) || kind & YK_INERT) break;
        *changes = true;
    }
    return at;
}

bool yk_nfc(const uint8_t *kinds, const char *text, size_t n, yk_buf *out)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t done = 0;
    yk_buf_clear(out);
    for (size_t at = 0, length; at < n; at += length) {
        bool changes;
        size_t plain = ascii_run(text + at, n - at);
        at += plain - (plain > 0); /* the last may be changed by what follows */
        length = window(kinds, p + at, n - at, &changes);
        if (!changes) continue;
        utf8proc_uint8_t *form = NULL;
        utf8proc_ssize_t size =
            utf8proc_map(p + at, (utf8proc_ssize_t)length, &form, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (size >= 0 && ((size_t)size != length || memcmp(form, p + at, length) != 0)) {
            yk_buf_add(out, text + done, at - done);
            yk_buf_add(out, form, (size_t)size);
            done = at + length;
        }
        free(form);
    }
    if (done) yk_buf_add(out, text + done, n - done);
    return done > 0;
}
