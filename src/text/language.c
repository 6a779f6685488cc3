#include "config.h"

#include "text/language.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <textcat.h>
#include <utf8proc.h>

enum { SAMPLE = 4096 };

struct yk_language {
    void *textcat;
    char code[16];
};

yk_status yk_language_new(yk_language **out, yk_error *err)
{
    yk_status st = YK_OK;
    yk_language *l = NULL;
    YK_NEW(l, 1);
    l->textcat = special_textcat_Init(YOKE_TEXTCAT_DIR "/fpdb.conf", YOKE_TEXTCAT_DIR "/");
    if (!l->textcat)
        YK_FAIL(YK_ERR_IO, YOKE_TEXTCAT_DIR
                "/fpdb.conf: cannot read the language fingerprints; install libexttextcat-data");
    *out = l;
    l = NULL;
done:
    yk_language_free(l);
    return st;
}

void yk_language_free(yk_language *l)
{
    if (!l) return;
    if (l->textcat) textcat_Done(l->textcat);
    free(l);
}

/* The language that a script alone decides, from counts of its characters. */
static const char *by_script(const char *text, size_t n)
{
    static const struct {
        utf8proc_int32_t low, high;
        const char *lang;
    } script[] = {{0x3040, 0x30FF, "ja"}, {0xAC00, 0xD7AF, "ko"}, {0x0E00, 0x0E7F, "th"}, {0x0370, 0x03FF, "el"},
                  {0x0590, 0x05FF, "he"}, {0x10A0, 0x10FF, "ka"}, {0x0530, 0x058F, "hy"}, {0x4E00, 0x9FFF, "zh"}};
    enum { SCRIPTS = sizeof script / sizeof *script };
    size_t count[SCRIPTS] = {0}, letters = 0;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &c);
        if (used <= 0) break;
        letters += c >= 0x80 || (unsigned)((c | 32) - 'a') < 26;
        for (int s = 0; c >= 0x80 && s < SCRIPTS; s++) count[s] += c >= script[s].low && c <= script[s].high;
        i += (size_t)used;
    }
    for (int s = 0; s < SCRIPTS; s++)
        if (count[s] * (s == 0 ? 8 : 3) > letters) return script[s].lang; /* kana mixes with Han */
    return NULL;
}

/* The candidates of textcat: "[en--utf8][sco--utf8]", or SHORT, or UNKNOWN. It reads on after n bytes to the end of
 * a character or word, hence the copy. n <= SAMPLE. */
static void by_grams(yk_language *l, const char *text, size_t n, yk_languages *out)
{
    char ended[SAMPLE + 8] = {0};
    memcpy(ended, text, n);
    const char *found = textcat_Classify(l->textcat, ended, n);
    while (found && *found == '[' && out->n < YK_LANGUAGES) {
        size_t len = strcspn(found + 1, "-]");
        if (len >= 2 && len < sizeof out->code[0])
            snprintf(out->code[out->n++], sizeof out->code[0], "%.*s", (int)len, found + 1);
        found = strchr(found, ']');
        if (found) found++;
    }
}

void yk_languages_of(yk_language *l, const char *text, size_t n, yk_languages *out)
{
    size_t from = n > 2 * SAMPLE ? n / 4 : 0, used = n - from < SAMPLE ? n - from : SAMPLE;
    while (from < n && ((unsigned char)text[from] & 0xC0) == 0x80) from++;
    if (from + used > n) used = n - from;
    while (used && from + used < n && ((unsigned char)text[from + used] & 0xC0) == 0x80) used--;
    *out = (yk_languages){0};
    const char *script = by_script(text + from, used);
    if (script) snprintf(out->code[out->n++], sizeof out->code[0], "%s", script);
    else by_grams(l, text + from, used, out);
}

const char *yk_language_of(yk_language *l, const char *text, size_t n)
{
    yk_languages all;
    yk_languages_of(l, text, n, &all);
    return strcpy(l->code, all.n ? all.code[0] : "und");
}
