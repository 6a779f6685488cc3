/* Which language a text is in: by script where that decides, else by n-gram statistics (libexttextcat: Cavnar and
 * Trenkle 1994). Private to src/text. */
#ifndef YK_TEXT_LANGUAGE_H
#define YK_TEXT_LANGUAGE_H

#include "base/status.h"

#include <stddef.h>

typedef struct yk_language yk_language; /* one a thread */
yk_status yk_language_new(yk_language **l, yk_error *err);
void yk_language_free(yk_language *l);

/* ISO 639-1 where there is one, else 639-3; "und" when nothing fits. Valid until the next call. */
const char *yk_language_of(yk_language *l, const char *text, size_t n);

#endif
