/* What the built-in verifiers do with an answer and the expected one. Private to src/align. */
#ifndef YK_ALIGN_CHECKERS_H
#define YK_ALIGN_CHECKERS_H

#include "align/number.h"
#include "align/reasoning.h"
#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Appends the text with every byte that is not UTF-8 as U+FFFD. */
void yk_valid_utf8(yk_span s, yk_buf *out);

typedef struct yk_check {
    yk_tolerance tolerance;
    bool ignore_case, ignore_punctuation; /* exact: letters as small ones, without the punctuation of ASCII */
    bool strip;                           /* exact: an answer without white space at its ends */
    int64_t regex_limits; /* counts matches that were given up at a limit of PCRE2 */
} yk_check;

/* *passed: does the answer pass? YK_ERR_INPUT where `expected` is at fault, whatever the answer. */
typedef yk_status yk_check_fn(yk_check *c, yk_span answer, yk_span expected, bool *passed, yk_error *err);

/* Equal when folded: NFC, case folded, runs of white space (Unicode) as one blank, trimmed, and without one full stop
 * at the end. An expected text of which nothing is left is at fault. */
yk_check_fn yk_check_text;
/* The folded expected text is in the folded answer, as whole words where the script parts words by blanks. */
yk_check_fn yk_check_contains;
/* Equal byte for byte, but for what the check ignores: exact_match of lm-evaluation-harness. */
yk_check_fn yk_check_exact;
/* yk_number_equal. */
yk_check_fn yk_check_number;
/* The trimmed answer as a whole matches the pattern (PCRE2, UTF and Unicode properties). Answers above 64 KiB do not
 * match. Limits of PCRE2 on steps and memory end patterns that run away; they count as no match. */
yk_check_fn yk_check_regex;

#endif
