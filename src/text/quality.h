/* The quality rules: measures of a document, and bounds on them. Private to src/text. */
#ifndef YK_TEXT_QUALITY_H
#define YK_TEXT_QUALITY_H

#include "base/status.h"
#include "config/recipe.h"

#include <stdbool.h>

/* Working memory of one thread. */
typedef struct yk_quality yk_quality;
yk_status yk_quality_new(yk_quality **q, yk_error *err);
void yk_quality_free(yk_quality *q);

/* The name of the first rule that the text breaks, or NULL. `lang` decides on rules for one language. Rules:
 * Gopher (Rae et al. 2021, arXiv 2112.11446, table A1) and FineWeb (Penedo et al. 2024, arXiv 2406.17557) for prose;
 * for code, length of lines, letters and digits, as in The Stack (Kocetkov et al. 2022, arXiv 2211.15533). */
yk_status yk_quality_check(yk_quality *q, const yk_recipe *r, const char *text, size_t n, bool code, const char *lang,
                           const char **reason, yk_error *err);

/* Hashes of the document's words in order (lower case; in scripts without spaces each character is a word), as
 * measured by the last check; for near-duplicates. */
const uint64_t *yk_quality_words(const yk_quality *q, size_t *n);

#endif
