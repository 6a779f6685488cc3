#define PCRE2_CODE_UNIT_WIDTH 8
#include "align/checkers.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static size_t character_at(yk_span s, size_t at, utf8proc_int32_t *c)
{
    utf8proc_ssize_t used =
        utf8proc_iterate((const utf8proc_uint8_t *)s.text + at, (utf8proc_ssize_t)(s.length - at), c);
    if (used > 0) return (size_t)used;
    *c = 0xFFFD;
    return 1;
}

void yk_valid_utf8(yk_span s, yk_buf *out)
{
    utf8proc_int32_t c;
    yk_buf_reserve(out, s.length);
    for (size_t i = 0; i < s.length;) {
        size_t used = character_at(s, i, &c);
        if (c == 0xFFFD) yk_buf_puts(out, "\xEF\xBF\xBD");
        else yk_buf_add(out, s.text + i, used);
        i += used;
    }
}

static bool is_blank(utf8proc_int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return (c >= '\t' && c <= '\r') || c == 0x85 ||
           (k >= UTF8PROC_CATEGORY_ZS && k <= UTF8PROC_CATEGORY_ZP); /* separators: blank, line, paragraph */
}

/* Runs of white space as one blank; none at the ends. */
static void collapse(yk_span s, yk_buf *out)
{
    bool gap = false;
    utf8proc_int32_t c;
    for (size_t i = 0; i < s.length;) {
        size_t used = character_at(s, i, &c);
        bool blank = is_blank(c);
        if (!blank && gap && out->len) yk_buf_puts(out, " ");
        if (!blank) yk_buf_add(out, s.text + i, used);
        gap = blank;
        i += used;
    }
}

static yk_status fold(yk_span s, yk_buf *out, yk_error *err)
{
    yk_buf valid = {0};
    utf8proc_uint8_t *folded = NULL;
    yk_valid_utf8(s, &valid);
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)valid.data, (utf8proc_ssize_t)valid.len, &folded,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
    yk_buf_free(&valid);
    if (n < 0) return yk_fail(err, YK_ERR_MEMORY, "out of memory while an answer was folded");
    collapse((yk_span){(const char *)folded, (size_t)n}, out);
    free(folded);
    static const char *const stops[] = {".", "\xE3\x80\x82"};
    for (int i = 0; i < 2; i++) {
        size_t k = strlen(stops[i]);
        if (out->len < k || memcmp(out->data + out->len - k, stops[i], k) != 0) continue;
        out->len -= k;
        break;
    }
    while (out->len && out->data[out->len - 1] == ' ') out->len--;
    return YK_OK;
}

typedef bool compare_fn(yk_span answer, yk_span expected);

static yk_status compare_folded(yk_span answer, yk_span expected, compare_fn *compare, bool *passed, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf a = {0}, e = {0};
    YK_TRY(fold(expected, &e, err));
    if (!e.len) YK_FAIL(YK_ERR_INPUT, "the expected answer is empty");
    YK_TRY(fold(answer, &a, err));
    *passed = a.len && compare((yk_span){a.data, a.len}, (yk_span){e.data, e.len});
done:
    yk_buf_free(&a);
    yk_buf_free(&e);
    return st;
}

static bool equal(yk_span answer, yk_span expected)
{
    return answer.length == expected.length && memcmp(answer.text, expected.text, answer.length) == 0;
}

/* What is left to compare for yk_check_exact. */
static void lessen(const yk_check *c, yk_span s, yk_buf *out)
{
    utf8proc_int32_t point;
    yk_buf_puts(out, "");
    for (size_t i = 0, used; i < s.length; i += used) {
        utf8proc_uint8_t small[4];
        used = character_at(s, i, &point);
        if (c->ignore_punctuation && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", s.text[i]) && s.text[i]) continue;
        if (c->ignore_case && point != 0xFFFD)
            yk_buf_add(out, small, (size_t)utf8proc_encode_char(utf8proc_tolower(point), small));
        else
            yk_buf_add(out, s.text + i, used);
    }
}

yk_status yk_check_exact(yk_check *c, yk_span answer, yk_span expected, bool *passed, yk_error *err)
{
    yk_buf a = {0}, e = {0};
    (void)err;
    lessen(c, c->strip ? yk_span_trim(answer) : answer, &a);
    lessen(c, expected, &e);
    *passed = equal((yk_span){a.data, a.len}, (yk_span){e.data, e.len});
    yk_buf_free(&a);
    yk_buf_free(&e);
    return YK_OK;
}

/* Letters, marks and digits of scripts with blanks between words: those before Thai. */
static bool in_word(utf8proc_int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return c < 0x0E00 && k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO;
}

/* Does no word run across place `at`? */
static bool is_boundary(yk_span s, size_t at)
{
    if (at == 0 || at == s.length) return true;
    size_t before = at - 1;
    while (before > 0 && ((unsigned char)s.text[before] & 0xC0) == 0x80) before--;
    utf8proc_int32_t left, right;
    character_at(s, before, &left);
    character_at(s, at, &right);
    return !in_word(left) || !in_word(right);
}

static bool contains(yk_span answer, yk_span expected)
{
    const char *at = answer.text, *end = answer.text + answer.length;
    for (; (at = memmem(at, (size_t)(end - at), expected.text, expected.length)); at++) {
        size_t from = (size_t)(at - answer.text);
        if (is_boundary(answer, from) && is_boundary(answer, from + expected.length)) return true;
    }
    return false;
}

yk_status yk_check_text(yk_check *c, yk_span answer, yk_span expected, bool *passed, yk_error *err)
{
    (void)c;
    return compare_folded(answer, expected, equal, passed, err);
}

yk_status yk_check_contains(yk_check *c, yk_span answer, yk_span expected, bool *passed, yk_error *err)
{
    (void)c;
    return compare_folded(answer, expected, contains, passed, err);
}

yk_status yk_check_number(yk_check *c, yk_span answer, yk_span expected, bool *passed, yk_error *err)
{
    return yk_number_equal(answer, expected, c->tolerance, passed, err);
}

static yk_status compile(yk_span pattern, pcre2_code **code, yk_error *err)
{
    enum { LONGEST_PATTERN = 65536 };
    int why;
    PCRE2_SIZE at;
    if (pattern.length > LONGEST_PATTERN)
        return yk_fail(err, YK_ERR_INPUT, "expected pattern: longer than %d bytes", LONGEST_PATTERN);
    *code = pcre2_compile((PCRE2_SPTR)pattern.text, pattern.length,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED |
                              PCRE2_ENDANCHORED,
                          &why, &at, NULL);
    if (*code) return YK_OK;
    PCRE2_UCHAR text[128] = "";
    pcre2_get_error_message(why, text, sizeof text);
    return yk_fail(err, YK_ERR_INPUT, "expected pattern \"%.*s\", byte %zu: %s",
                   (int)(pattern.length < 80 ? pattern.length : 80), pattern.text, (size_t)at, (const char *)text);
}

/* Steps a match may take, nested groups in KiB: a fraction of a second at most. */
enum { MATCH_STEPS = 1000000, MATCH_KIB = 65536, LONGEST_SUBJECT = 65536 };

yk_status yk_check_regex(yk_check *c, yk_span answer, yk_span expected, bool *passed, yk_error *err)
{
    yk_status st = YK_OK;
    pcre2_code *code = NULL;
    pcre2_match_data *data = NULL;
    pcre2_match_context *limits = NULL;
    *passed = false;
    YK_TRY(compile(expected, &code, err));
    if (answer.length > LONGEST_SUBJECT) goto done;
    data = pcre2_match_data_create(1, NULL);
    limits = pcre2_match_context_create(NULL);
    if (!data || !limits) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    pcre2_set_match_limit(limits, MATCH_STEPS);
    pcre2_set_depth_limit(limits, MATCH_STEPS);
    pcre2_set_heap_limit(limits, MATCH_KIB);
    int rc = pcre2_match(code, (PCRE2_SPTR)answer.text, answer.length, 0, 0, data, limits);
    if (rc == PCRE2_ERROR_NOMEMORY) YK_FAIL(YK_ERR_MEMORY, "out of memory while a pattern was matched");
    *passed = rc >= 0;
    c->regex_limits += rc < 0 && rc != PCRE2_ERROR_NOMATCH;
done:
    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return st;
}
