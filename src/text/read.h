/* Raw documents from what a recipe names: files, folders, globs, or the built-in grammar. Private to src/text. */
#ifndef YK_TEXT_READ_H
#define YK_TEXT_READ_H

#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "config/recipe.h"

#include <stdbool.h>

typedef enum yk_raw_kind { YK_RAW_PROSE, YK_RAW_CODE, YK_RAW_HTML } yk_raw_kind;

typedef struct yk_raw {
    yk_buf bytes;
    char *source;
    yk_raw_kind kind;
    const char *reason; /* not NULL: dropped before cleaning */
} yk_raw;
void yk_raw_free(yk_raw *r);

/* Walks one corpus entry in a fixed order (paths as given, folders bytewise). */
typedef struct yk_reader yk_reader;
yk_status yk_reader_open(yk_reader **r, const yk_corpus *c, uint64_t seed, yk_error *err);
void yk_reader_stamp(const yk_reader *r, yk_digest *d); /* adds names, sizes and times of the files */
yk_status yk_reader_next(yk_reader *r, yk_raw *raw, bool *end, yk_error *err);
void yk_reader_close(yk_reader *r);

/* Document `index` of the grammar of `domain`: small sentences with structure worth learning, some arithmetic. */
void yk_generate_document(const char *domain, uint64_t seed, uint64_t index, yk_buf *out);

/* HTML to text: blocks become lines, script, style and navigation go, <pre> stays as it is. */
yk_status yk_html_to_text(const yk_buf *html, yk_buf *text, yk_error *err);

/* Valid UTF-8 in NFC without control characters, line ends \n, no trailing blanks, at most one empty line in a
 * row. False when more than one byte in a thousand is not UTF-8 (fewer become U+FFFD). */
bool yk_normalise(const char *in, size_t n, yk_buf *out);

#endif
