#include "align/template.h"

#include "align/reasoning.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 16, MOST_DIGITS = 9 };

/* An expression being read, and evaluated on the way unless there is no object. */
typedef struct reader {
    const char *at, *whole; /* whole: the text from {{ on, for messages */
    const json_t *object;   /* NULL: syntax alone */
    int depth;
} reader;

static const char supported[] = "supported are {{name}}, {{name.member}}, {{name[0]}}, {{names[label]}}, {{[a, b]}}, "
                                ".strip(), .lstrip(), .rstrip() and names.index(name)";

static int shown_length(const reader *x)
{
    const char *end = strstr(x->whole, "}}");
    size_t n = end ? (size_t)(end + 2 - x->whole) : strlen(x->whole);
    return n < 80 ? (int)n : 80;
}

static yk_status refuse(const reader *x, yk_error *err)
{
    const char *end = strstr(x->at, "}}");
    size_t n = end ? (size_t)(end - x->at) : strlen(x->at);
    return yk_fail(err, YK_ERR_CONFIG, "`%.*s` in `%.*s` is not supported; %s", n && n < 40 ? (int)n : n ? 40 : 2,
                   n ? x->at : "}}", shown_length(x), x->whole, supported);
}

static void skip_blanks(reader *x)
{
    x->at += strspn(x->at, " \t\r\n");
}

static bool take(reader *x, char c)
{
    skip_blanks(x);
    if (*x->at != c) return false;
    x->at++;
    return true;
}

static size_t name_length(const char *at)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return *at >= '0' && *at <= '9' ? 0 : strspn(at, letters);
}

static const char *kind_of(const json_t *x)
{
    static const char *const kinds[] = {[JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list", [JSON_STRING] = "a text",
                                        [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
                                        [JSON_FALSE] = "false", [JSON_NULL] = "null"};
    return kinds[json_typeof(x)];
}

/* Puts `next` (taken) in the place of *value. */
static void replace(json_t **value, json_t *next)
{
    json_decref(*value);
    *value = next;
}

static yk_status member(const reader *x, json_t **value, const char *name, size_t n, yk_error *err)
{
    char key[256] = "";
    if (!x->object) return YK_OK;
    if (n < sizeof key) memcpy(key, name, n);
    json_t *found = n < sizeof key ? json_object_get(*value, key) : NULL;
    if (!found)
        return yk_fail(err, YK_ERR_INPUT, "`%.*s` of `%.*s` is missing", n < 60 ? (int)n : 60, name, shown_length(x),
                       x->whole);
    replace(value, json_incref(found));
    return YK_OK;
}

static yk_status expression(reader *x, json_t **value, yk_error *err);

static yk_status subscript(reader *x, json_t **value, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *index = NULL;
    YK_TRY(expression(x, &index, err));
    if (!take(x, ']')) YK_TRY(refuse(x, err));
    if (!x->object) goto done;
    if (json_is_string(index)) {
        YK_TRY(member(x, value, json_string_value(index), json_string_length(index), err));
        goto done;
    }
    json_int_t i = json_integer_value(index), n = (json_int_t)json_array_size(*value);
    if (!json_is_integer(index) || !json_is_array(*value))
        YK_FAIL(YK_ERR_INPUT, "`%.*s`: %s cannot be looked up in %s", shown_length(x), x->whole, kind_of(index),
                kind_of(*value));
    if (i < 0) i += n;
    if (i < 0 || i >= n)
        YK_FAIL(YK_ERR_INPUT, "`%.*s`: there is no entry %lld in a list of %lld", shown_length(x), x->whole,
                (long long)json_integer_value(index), (long long)n);
    replace(value, json_incref(json_array_get(*value, (size_t)i)));
done:
    json_decref(index);
    return st;
}

static yk_status index_of(reader *x, json_t **value, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *sought = NULL;
    size_t i = 0, n = json_array_size(*value);
    YK_TRY(expression(x, &sought, err));
    if (!x->object) goto done;
    if (!json_is_array(*value))
        YK_FAIL(YK_ERR_INPUT, "`%.*s`: %s has no index()", shown_length(x), x->whole, kind_of(*value));
    while (i < n && !json_equal(json_array_get(*value, i), sought)) i++;
    if (i == n)
        YK_FAIL(YK_ERR_INPUT, "`%.*s`: \"%.60s\" is not in the list", shown_length(x), x->whole,
                json_is_string(sought) ? json_string_value(sought) : kind_of(sought));
    replace(value, json_integer((json_int_t)i));
done:
    json_decref(sought);
    return st;
}

static yk_status strip(const reader *x, json_t **value, bool left, bool right, yk_error *err)
{
    if (!x->object) return YK_OK;
    if (!json_is_string(*value))
        return yk_fail(err, YK_ERR_INPUT, "`%.*s`: %s is no text", shown_length(x), x->whole, kind_of(*value));
    const char *text = json_string_value(*value);
    const size_t n = json_string_length(*value);
    const yk_span both = yk_span_trim((yk_span){text, n});
    const size_t from = left ? (size_t)(both.text - text) : 0;
    const size_t to = right ? (size_t)(both.text - text) + both.length : n;
    json_t *part = json_stringn(text + from, to > from ? to - from : 0);
    replace(value, part);
    return part ? YK_OK : yk_fail(err, YK_ERR_MEMORY, "out of memory");
}

/* What follows a name: members, entries and calls. */
static yk_status postfix(reader *x, json_t **value, yk_error *err)
{
    yk_status st = YK_OK;
    for (;;) {
        const char *before;
        if (take(x, '[')) {
            YK_TRY(subscript(x, value, err));
            continue;
        }
        before = x->at;
        if (!take(x, '.')) return YK_OK;
        const char *name = x->at;
        const size_t n = name_length(name);
        x->at += n;
        if (*x->at != '(') {
            if (n == 0) x->at = before;
            YK_TRY(n ? member(x, value, name, n, err) : refuse(x, err));
            continue;
        }
        x->at++;
        if (n == 5 && memcmp(name, "index", 5) == 0) {
            YK_TRY(index_of(x, value, err));
        } else {
            const bool left = n == 6 && memcmp(name, "lstrip", 6) == 0;
            const bool right = n == 6 && memcmp(name, "rstrip", 6) == 0;
            const bool both = n == 5 && memcmp(name, "strip", 5) == 0;
            if (!left && !right && !both) x->at = before;
            YK_TRY(left || right || both ? strip(x, value, left || both, right || both, err) : refuse(x, err));
        }
        if (!take(x, ')')) YK_TRY(refuse(x, err));
    }
done:
    return st;
}

static yk_status list(reader *x, json_t **value, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *entry = NULL;
    *value = json_array();
    for (bool more = !take(x, ']'); more;) {
        YK_TRY(expression(x, &entry, err));
        if (x->object) json_array_append(*value, entry);
        json_decref(entry);
        entry = NULL;
        more = take(x, ',');
        if (!more && !take(x, ']')) YK_TRY(refuse(x, err));
    }
done:
    json_decref(entry);
    return st;
}

static yk_status quoted(reader *x, json_t **value, yk_error *err)
{
    const char *from = x->at + 1, *to = strchr(from, *x->at);
    if (!to || memchr(from, '\\', (size_t)(to - from))) return refuse(x, err);
    *value = json_stringn(from, (size_t)(to - from));
    x->at = to + 1;
    return *value ? YK_OK : yk_fail(err, YK_ERR_MEMORY, "out of memory");
}

static yk_status number(reader *x, json_t **value, yk_error *err)
{
    size_t n = strspn(x->at, "0123456789");
    if (n > MOST_DIGITS || x->at[n] == '.') return refuse(x, err);
    *value = json_integer(strtol(x->at, NULL, 10));
    x->at += n;
    return YK_OK;
}

static bool is_word(const char *name, size_t n)
{
    static const char *const words[] = {"not", "if", "else", "true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == n && memcmp(words[i], name, n) == 0) return true;
    return false;
}

static yk_status expression(reader *x, json_t **value, yk_error *err)
{
    yk_status st = YK_OK;
    *value = NULL;
    if (++x->depth > DEEPEST) return refuse(x, err);
    skip_blanks(x);
    const size_t n = name_length(x->at);
    if (take(x, '[')) {
        YK_TRY(list(x, value, err));
    } else if (*x->at == '"' || *x->at == '\'') {
        YK_TRY(quoted(x, value, err));
    } else if (*x->at >= '0' && *x->at <= '9') {
        YK_TRY(number(x, value, err));
    } else if (n && !is_word(x->at, n)) {
        const char *name = x->at;
        x->at += n;
        *value = json_incref((json_t *)(uintptr_t)x->object);
        YK_TRY(member(x, value, name, n, err));
    } else {
        YK_TRY(refuse(x, err));
    }
    YK_TRY(postfix(x, value, err));
    x->depth--;
done:
    if (st != YK_OK) replace(value, NULL);
    return st;
}

/* {{ expression }} at *text, which moves behind it. */
static yk_status braces(const char **text, const json_t *object, json_t **value, yk_error *err)
{
    yk_status st = YK_OK;
    reader x = {.at = *text + 2, .whole = *text, .object = object};
    YK_TRY(expression(&x, value, err));
    skip_blanks(&x);
    if (strncmp(x.at, "}}", 2) != 0) YK_TRY(refuse(&x, err));
    *text = x.at + 2;
done:
    if (st != YK_OK) {
        json_decref(*value);
        *value = NULL;
    }
    return st;
}

static yk_status print(const json_t *value, const char *from, size_t n, yk_buf *out, yk_error *err)
{
    switch (json_typeof(value)) {
    case JSON_STRING: yk_buf_add(out, json_string_value(value), json_string_length(value)); return YK_OK;
    case JSON_INTEGER: yk_buf_printf(out, "%lld", (long long)json_integer_value(value)); return YK_OK;
    case JSON_TRUE: yk_buf_puts(out, "True"); return YK_OK;
    case JSON_FALSE: yk_buf_puts(out, "False"); return YK_OK;
    default:
        return yk_fail(err, YK_ERR_INPUT, "`%.*s` is %s, which is no text", n < 80 ? (int)n : 80, from, kind_of(value));
    }
}

/* The next "{{", "{%" or "{#", else the end. */
static const char *next_mark(const char *text)
{
    while ((text = strchr(text, '{')) && !strchr("{%#", text[1])) text++;
    return text && text[1] ? text : NULL;
}

/* Walks the text; its printed form goes to `out`, unless there is no object. */
static yk_status walk(const char *text, const json_t *object, yk_buf *out, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *value = NULL;
    for (const char *mark; *text;) {
        mark = next_mark(text);
        yk_buf_add(out, text, mark ? (size_t)(mark - text) : strlen(text));
        if (!mark) break;
        text = mark;
        if (mark[1] != '{')
            YK_FAIL(YK_ERR_CONFIG, "Jinja %s `%.40s` are not supported; %s",
                    mark[1] == '%' ? "statements such as" : "comments such as",
                    mark, supported);
        YK_TRY(braces(&text, object, &value, err));
        if (object) YK_TRY(print(value, mark, (size_t)(text - mark), out, err));
        json_decref(value);
        value = NULL;
    }
done:
    json_decref(value);
    return st;
}

yk_status yk_template_check(const char *text, yk_error *err)
{
    yk_buf out = {0};
    yk_status st = walk(text, NULL, &out, err);
    yk_buf_free(&out);
    return st;
}

yk_status yk_template_value(const char *text, const json_t *object, json_t **value, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf out = {0};
    const char *end = text;
    *value = NULL;
    if (strncmp(text, "{{", 2) == 0) {
        YK_TRY(braces(&end, object, value, err));
        if (!*end) goto done;
        replace(value, NULL);
    }
    YK_TRY(walk(text, object, &out, err));
    *value = json_stringn(out.data ? out.data : "", out.len);
    if (!*value) YK_FAIL(YK_ERR_MEMORY, "out of memory");
done:
    yk_buf_free(&out);
    return st;
}

bool yk_template_is_plain(const char *text)
{
    return !next_mark(text);
}
