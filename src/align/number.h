/* Numbers as people write them, compared as exact fractions. */
#ifndef YK_ALIGN_NUMBER_H
#define YK_ALIGN_NUMBER_H

#include "align/reasoning.h"
#include "base/status.h"

/* An answer a is accepted for the expected e when |a - e| <= max(absolute, relative |e|). Where both are 0, integers
 * must be equal, and for other e relative is 1e-6. */
typedef struct yk_tolerance {
    double absolute, relative;
} yk_tolerance;

/* Is the last number in `answer` the expected one (the last in `expected`)? Read are 12, -3, 3.50, .5, 1e-3, 1,234,567
 * (groups of three by comma, no-break, thin or narrow blank), 3/4, 1 1/2, $5, 50% (= 1/2), the minus sign of Unicode.
 * Digits after a letter (x2) are a name; a number of more than 1000 digits is none. The sums are exact (libcrypto's
 * big integers). *equal = false where there is no number; YK_ERR_INPUT where `expected` has none. */
yk_status yk_number_equal(yk_span answer, yk_span expected, yk_tolerance tolerance, bool *equal, yk_error *err);

#endif
