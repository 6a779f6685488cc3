/* Web archives: WARC 1.0 and 1.1 (ISO 28500), and WET, whose records hold the text of pages. Plain, or packed as any
 * other file; gzip with a member a record is read as one. Private to src/text. */
#ifndef YK_TEXT_WARC_H
#define YK_TEXT_WARC_H

#include "text/read.h"

typedef struct yk_warc yk_warc;

yk_status yk_warc_open(yk_warc **w, const char *path, yk_error *err);
void yk_warc_close(yk_warc *w);

/* The next page: a `response` of HTTP status 200, a `resource` or a `conversion`, of HTML or plain text; all other
 * records are passed over. The source is <path>:<URI>. Chunks are joined, gzip and deflate unpacked; a page whose
 * encoding is another, or damaged, has a `reason`. YK_ERR_INPUT names the record that is cut or is none. */
yk_status yk_warc_next(yk_warc *w, yk_raw *raw, bool *end, yk_error *err);

#endif
