/* Characters of UTF-8 text and what Unicode 16.0 says of them. The tables are the program's own, so that a text has
 * the same tokens whatever version the system's libraries have. Private to src/token. */
#ifndef YK_TOKEN_UNICODE_H
#define YK_TOKEN_UNICODE_H

#include "base/mem.h"

#include <stdbool.h>

/* General categories; YK_BLANK_CONTROL are the controls that are white space (U+0009 to U+000D, U+0085). */
enum {
    YK_LU,
    YK_LL,
    YK_LT,
    YK_LM,
    YK_LO,
    YK_MN,
    YK_MC,
    YK_ME,
    YK_ND,
    YK_NL,
    YK_NO,
    YK_PC,
    YK_PD,
    YK_PS,
    YK_PE,
    YK_PI,
    YK_PF,
    YK_PO,
    YK_SM,
    YK_SC,
    YK_SK,
    YK_SO,
    YK_ZS,
    YK_ZL,
    YK_ZP,
    YK_CC,
    YK_CF,
    YK_CO,
    YK_CS,
    YK_CN,
    YK_BLANK_CONTROL,
    YK_CATEGORIES
};
enum {
    YK_CATEGORY = 31,  /* mask of the category in a kind */
    YK_UNSETTLED = 32, /* bringing text to NFC can change it or those before it */
    YK_INERT = 64      /* but is not to be applied to it: see unicode_table.h */
};

/* Kind of every code point: category | flags, [0x110000]; free() it. */
yk_status yk_unicode_kinds(uint8_t **kinds, yk_error *err);

/* Bytes from the start of the text that are valid UTF-8 (Unicode 16.0, table 3-7). */
size_t yk_utf8_valid(const char *text, size_t n);

/* The character at `p`, which is valid UTF-8, and its length in bytes. */
static inline uint32_t yk_utf8_at(const uint8_t *p, size_t *length)
{
    if (p[0] < 0x80) return *length = 1, p[0];
    if (p[0] < 0xE0) return *length = 2, (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    if (p[0] < 0xF0) return *length = 3, (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    return *length = 4, (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 |
                        (p[3] & 0x3F);
}

/* Appends the character. */
void yk_utf8_add(yk_buf *out, uint32_t c);

/* \s of the patterns: White_Space. */
bool yk_is_blank(const uint8_t *kinds, uint32_t c);

/* \w of regular expressions: Alphabetic, marks, decimal digits, connectors, joiners (UTS 18, annex C). */
bool yk_is_word(const uint8_t *kinds, uint32_t c);

/* Brings valid UTF-8 to normalisation form C; false when it is in that form already, and `out` is left empty. */
bool yk_nfc(const uint8_t *kinds, const char *text, size_t n, yk_buf *out);

#endif
