/* Which language a text is in: by script where that decides, else by n-gram statistics (libexttextcat: Cavnar and
 * Trenkle 1994). */
#ifndef YK_TEXT_LANGUAGE_H
#define YK_TEXT_LANGUAGE_H

#include "base/status.h"

#include <stddef.h>

typedef struct yk_language yk_language; /* one a thread */
yk_status yk_language_new(yk_language **l, yk_error *err);
void yk_language_free(yk_language *l);

/* The languages that fit a text about equally well, best first, by the codes of yk_language_of; n = 0 when nothing
 * fits. Short texts have several ("What is 3 + 4?" is as much Frisian as English). */
enum { YK_LANGUAGES = 8 };
typedef struct yk_languages {
    int n;
    char code[YK_LANGUAGES][16];
} yk_languages;
void yk_languages_of(yk_language *l, const char *text, size_t n, yk_languages *out);

/* The first of them: ISO 639-1 where there is one, else 639-3; "und" when nothing fits. Valid until the next call. */
const char *yk_language_of(yk_language *l, const char *text, size_t n);

#endif
