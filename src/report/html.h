/* Markup and numbers for the report. What is written is HTML that is well-formed XML as well, so
 * that both kinds of parsers can check it. */
#ifndef YK_REPORT_HTML_H
#define YK_REPORT_HTML_H

#include "base/mem.h"

#include <stddef.h>

/* Text as character data or attribute value: & < > " ' are escaped; bytes that are not UTF-8 and
 * characters that XML forbids become U+FFFD. At most `limit` bytes of the text are taken, cut at a
 * character, and an ellipsis marks the cut. */
void yk_html_text(yk_buf *out, const char *text, size_t limit);

/* Markup with %s for each text to be escaped; no other conversion but %%. A NULL text is empty. */
void yk_html_add(yk_buf *out, const char *markup, ...) __attribute__((format(printf, 2, 3)));

/* The stylesheet, for the inside of <style>. */
void yk_html_style(yk_buf *out);

/* Columns that a text takes on a terminal; invalid bytes count one each. */
int yk_text_columns(const char *text);

/* A number as text, by value: yk_fixed(x, 2).text lives to the end of the full expression.
 * Anything not finite is written as an en dash. */
typedef struct yk_num {
    char text[48];
} yk_num;

yk_num yk_fixed(double v, int digits);       /* 2.214                                  */
yk_num yk_percent(double share, int digits); /* 0.431 -> 43.1%                     */
yk_num yk_count(double v);                   /* 12 345 678, with narrow no-break spaces */
yk_num yk_short(double v);                   /* 12.3 M                                 */
yk_num yk_bytes(double v);                   /* 12.3 MB                                */
yk_num yk_seconds(double v);                 /* 3 min 20 s                             */
yk_num yk_plain(double v);                   /* four significant digits: 0.0003, 1.2e-07 */

#endif
