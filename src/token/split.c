#define PCRE2_CODE_UNIT_WIDTH 8
#include "token/split.h"

#include "base/mem.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

const char yk_pattern_qwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char yk_pattern_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct yk_splitter {
    pcre2_code *code;
    pcre2_match_data *match;
};

yk_status yk_splitter_new(yk_splitter **out, const char *pattern, yk_error *err)
{
    yk_status st = YK_OK;
    yk_splitter *s = NULL;
    int why;
    PCRE2_SIZE at;
    YK_NEW(s, 1);
    s->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &why, &at, NULL);
    if (!s->code) {
        PCRE2_UCHAR text[128] = "";
        pcre2_get_error_message(why, text, sizeof text);
        YK_FAIL(YK_ERR_INPUT, "split pattern, character %zu: %s", (size_t)at, (const char *)text);
    }
    pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE); /* without it the interpreter serves */
    s->match = pcre2_match_data_create(1, NULL);
    if (!s->match) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    *out = s;
    s = NULL;
done:
    yk_splitter_free(s);
    return st;
}

void yk_splitter_free(yk_splitter *s)
{
    if (!s) return;
    pcre2_match_data_free(s->match);
    pcre2_code_free(s->code);
    free(s);
}

/* Length of the well-formed UTF-8 character at p (Unicode 15, table 3-7), 0 when there is none. */
static size_t character(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80) return 1;
    size_t len = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
    if (!len || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
        (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return len;
}

size_t yk_splitter_next(yk_splitter *s, const char *text, size_t n, size_t *valid)
{
    if (*valid == 0) {
        size_t c;
        while (*valid < n && (c = character((const unsigned char *)text + *valid, n - *valid))) *valid += c;
        if (*valid == 0) return 1;
    }
    int rc = pcre2_match(s->code, (PCRE2_SPTR)text, *valid, 0, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, s->match, NULL);
    size_t end = rc >= 0 ? pcre2_get_ovector_pointer(s->match)[1] : 0;
    if (end == 0) end = character((const unsigned char *)text, *valid);
    *valid -= end;
    return end;
}
