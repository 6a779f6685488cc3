#include "report/html.h"

#include "base/log.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

static const char replacement[] = "\xEF\xBF\xBD";

/* Char of XML 1.0, less the C1 controls, which HTML parsers object to. */
static bool allowed(utf8proc_int32_t c)
{
    if (c == '\t' || c == '\n') return true;
    return (c >= 0x20 && c < 0x7F) || (c >= 0xA0 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD) ||
           (c >= 0x10000 && (c & 0xFFFF) < 0xFFFE);
}

static void add_character(yk_buf *out, utf8proc_int32_t c, const char *bytes, size_t n)
{
    switch (c) {
    case '&': yk_buf_puts(out, "&amp;"); break;
    case '<': yk_buf_puts(out, "&lt;"); break;
    case '>': yk_buf_puts(out, "&gt;"); break;
    case '"': yk_buf_puts(out, "&quot;"); break;
    case '\'': yk_buf_puts(out, "&#39;"); break;
    default:
        if (allowed(c))
            yk_buf_add(out, bytes, n);
        else
            yk_buf_puts(out, replacement);
    }
}

void yk_html_text(yk_buf *out, const char *text, size_t limit)
{
    size_t length = text ? strlen(text) : 0;
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                              (utf8proc_ssize_t)(length - i), &c);
        size_t step = n > 0 ? (size_t)n : 1;
        if (i + step > limit) {
            yk_buf_puts(out, "…");
            return;
        }
        add_character(out, n > 0 ? c : -1, text + i, step);
        i += step;
    }
}

void yk_html_add(yk_buf *out, const char *markup, ...)
{
    va_list ap;
    va_start(ap, markup);
    for (const char *at = markup; *at;) {
        size_t n = strcspn(at, "%");
        yk_buf_add(out, at, n);
        at += n;
        if (*at == 0) break;
        if (at[1] == 's')
            yk_html_text(out, va_arg(ap, const char *), SIZE_MAX);
        else
            yk_buf_puts(out, "%");
        at += at[1] ? 2 : 1;
    }
    va_end(ap);
}

int yk_text_columns(const char *text)
{
    int columns = 0;
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                              (utf8proc_ssize_t)(length - i), &c);
        columns += n > 0 ? utf8proc_charwidth(c) : 1;
        i += n > 0 ? (size_t)n : 1;
    }
    return columns;
}

static yk_num nothing(void)
{
    return (yk_num){"–"};
}

yk_num yk_fixed(double v, int digits)
{
    if (!isfinite(v)) return nothing();
    if (fabs(v) >= 1e15) return yk_plain(v);
    yk_num out;
    snprintf(out.text, sizeof out.text, "%.*f", digits, v);
    return out;
}

yk_num yk_percent(double share, int digits)
{
    if (!isfinite(share)) return nothing();
    yk_num out;
    snprintf(out.text, sizeof out.text, fabs(share) < 1e6 ? "%.*f%%" : "%.*e%%", digits,
             100 * share);
    return out;
}

yk_num yk_count(double v)
{
    if (!isfinite(v)) return nothing();
    if (fabs(v) >= 1e15) return yk_plain(v);
    char digits[32];
    yk_num out;
    snprintf(digits, sizeof digits, "%.0f", v);
    size_t n = strlen(digits), sign = digits[0] == '-', o = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > sign && (n - i) % 3 == 0 && n - sign > 4) {
            memcpy(out.text + o, "\u202F", 3);
            o += 3;
        }
        out.text[o++] = digits[i];
    }
    out.text[o] = 0;
    return out;
}

yk_num yk_short(double v)
{
    static const char *const unit[] = {"", "\u202Fk", "\u202FM", "\u202FG", "\u202FT"};
    if (!isfinite(v)) return nothing();
    if (fabs(v) >= 1e15) return yk_plain(v);
    int u = 0;
    while (fabs(v) >= 999.5 && u < 4) {
        v /= 1000;
        u++;
    }
    yk_num out;
    int digits = fabs(v) >= 99.95 || (u == 0 && v == floor(v)) ? 0 : fabs(v) >= 9.995 ? 1 : 2;
    snprintf(out.text, sizeof out.text, "%.*f%s", digits, v, unit[u]);
    return out;
}

yk_num yk_bytes(double v)
{
    if (!isfinite(v) || v < 0) return nothing();
    char text[32];
    yk_num out;
    snprintf(out.text, sizeof out.text, "%s", yk_human_bytes(v, text));
    return out;
}

yk_num yk_seconds(double v)
{
    if (!isfinite(v) || v < 0 || v > 1e11) return nothing();
    char text[32];
    yk_num out;
    snprintf(out.text, sizeof out.text, "%s", yk_human_seconds(v, text));
    return out;
}

yk_num yk_plain(double v)
{
    if (!isfinite(v)) return nothing();
    yk_num out;
    snprintf(out.text, sizeof out.text, "%.4g", v);
    return out;
}
