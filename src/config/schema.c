#include "config/schema.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFSET(group, name) offsetof(yk_recipe, YK_FIELD_##group(name))
#define LABEL_top ""
#define LABEL_clean "clean"
#define LABEL_tokenizer "tokenizer"
#define LABEL_model "model"
#define LABEL_pretrain "pretrain"
#define LABEL_evaluate "evaluate"

const yk_key yk_keys[] = {
#define INT(g, n, def, lo, hi, help) {LABEL_##g, #n, YK_KEY_INT, OFFSET(g, n), def, lo, hi, NULL, help},
#define REAL(g, n, def, lo, hi, help) {LABEL_##g, #n, YK_KEY_REAL, OFFSET(g, n), def, lo, hi, NULL, help},
#define FLAG(g, n, def, help) {LABEL_##g, #n, YK_KEY_FLAG, OFFSET(g, n), #def, NULL, NULL, NULL, help},
#define TEXT(g, n, def, help) {LABEL_##g, #n, YK_KEY_TEXT, OFFSET(g, n), def, NULL, NULL, NULL, help},
#define PICK(g, n, def, words, help) {LABEL_##g, #n, YK_KEY_PICK, OFFSET(g, n), def, NULL, NULL, words, help},
#define LIST(g, n, def, help) {LABEL_##g, #n, YK_KEY_LIST, OFFSET(g, n), def, NULL, NULL, NULL, help},
#include "config/recipe_rows.h"
};
const size_t yk_key_count = sizeof yk_keys / sizeof *yk_keys;

#define ENTRY(n) offsetof(yk_corpus, n)
const yk_key yk_corpus_keys[] = {
#define CORPUS_TEXT(n, def, help) {"corpus", #n, YK_KEY_TEXT, ENTRY(n), def, NULL, NULL, NULL, help},
#define CORPUS_LIST(n, def, help) {"corpus", #n, YK_KEY_LIST, ENTRY(n), def, NULL, NULL, NULL, help},
#define CORPUS_REAL(n, def, lo, hi, help) {"corpus", #n, YK_KEY_REAL, ENTRY(n), def, lo, hi, NULL, help},
#define CORPUS_INT(n, def, lo, hi, help) {"corpus", #n, YK_KEY_INT, ENTRY(n), def, lo, hi, NULL, help},
#define CORPUS_PICK(n, def, words, help) {"corpus", #n, YK_KEY_PICK, ENTRY(n), def, NULL, NULL, words, help},
#include "config/recipe_rows.h"
};
const size_t yk_corpus_key_count = sizeof yk_corpus_keys / sizeof *yk_corpus_keys;

const yk_group yk_groups[] = {
#define GROUP(g, help) {LABEL_##g, help},
#include "config/recipe_rows.h"
};
const size_t yk_group_count = sizeof yk_groups / sizeof *yk_groups;

bool yk_parse_int(const char *text, int64_t *value)
{
    static const struct {
        const char *suffix;
        int64_t factor;
    } scale[] = {{"", 1}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}, {"T", 1000000000000},
                 {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}};
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || errno || strchr(" \t\n+", text[0])) return false;
    for (size_t i = 0; i < sizeof scale / sizeof *scale; i++)
        if (strcmp(end, scale[i].suffix) == 0) return !__builtin_mul_overflow(n, scale[i].factor, value);
    return false;
}

bool yk_parse_real(const char *text, double *value)
{
    int64_t n;
    if (yk_parse_int(text, &n)) {
        *value = (double)n;
        return true;
    }
    char *end;
    if (!text[0] || strspn(text, "0123456789.eE+-") != strlen(text)) return false;
    *value = strtod(text, &end);
    return !*end && isfinite(*value);
}

void yk_print_real(double x, char out[32])
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (strtod(out, NULL) == x) return;
    }
}

void yk_list_clear(yk_list *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->item[i]);
    free(l->item);
    *l = (yk_list){0};
}

yk_status yk_list_add(yk_list *l, const char *text, yk_error *err)
{
    char **grown = yk_regrow(l->item, l->n + 1, sizeof *grown, err), *copy = strdup(text);
    if (grown) l->item = grown;
    if (!grown || !copy) {
        free(copy);
        return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    }
    l->item[l->n++] = copy;
    return YK_OK;
}

static bool is_word(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (const char *w = words; n && (w = strstr(w, text)); w++)
        if ((w == words || w[-1] == '|') && (w[n] == '|' || !w[n])) return true;
    return false;
}

static yk_status set_number(const yk_key *k, void *field, const char *text, const char *where, yk_error *err)
{
    double low, high, x = 0;
    int64_t n = 0;
    bool whole = k->type == YK_KEY_INT;
    if (whole ? !yk_parse_int(text, &n) : !yk_parse_real(text, &x))
        return yk_fail(err, YK_ERR_CONFIG, "%s: `%s` expects %s, found `%s`", where, k->name,
                       whole ? "an integer, such as 4096, 4k or 4Ki" : "a number, such as 0.1 or 3e-4", text);
    if (whole) x = (double)n;
    yk_parse_real(k->low, &low);
    yk_parse_real(k->high, &high);
    if (x < low || x > high)
        return yk_fail(err, YK_ERR_CONFIG, "%s: `%s` is %s, outside %s to %s", where, k->name, text, k->low, k->high);
    if (whole)
        *(int64_t *)field = n;
    else
        *(double *)field = x;
    return YK_OK;
}

yk_status yk_key_set(const yk_key *k, void *base, const char *text, const char *where, yk_error *err)
{
    void *field = (char *)base + k->offset;
    char *copy;
    switch (k->type) {
    case YK_KEY_INT:
    case YK_KEY_REAL:
        return set_number(k, field, text, where, err);
    case YK_KEY_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return yk_fail(err, YK_ERR_CONFIG, "%s: `%s` expects true or false, found `%s`", where, k->name, text);
        *(bool *)field = text[0] == 't';
        return YK_OK;
    case YK_KEY_LIST:
        return yk_list_add(field, text, err);
    case YK_KEY_PICK:
        if (!is_word(k->words, text))
            return yk_fail(err, YK_ERR_CONFIG, "%s: `%s` is one of %s, found `%s`", where, k->name, k->words, text);
        break;
    case YK_KEY_TEXT:
        break;
    }
    if (!(copy = strdup(text))) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    free(*(char **)field);
    *(char **)field = copy;
    return YK_OK;
}

void yk_key_path(const yk_key *k, char out[96])
{
    snprintf(out, 96, "%s%s%s", k->group, k->group[0] ? "." : "", k->name);
}

/* Double quotes with JSON escapes are a subset of YAML. */
static void print_text(const char *text, yk_buf *out)
{
    yk_buf_puts(out, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            yk_buf_printf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            yk_buf_printf(out, "\\x%02x", *p);
        else
            yk_buf_add(out, p, 1);
    }
    yk_buf_puts(out, "\"");
}

void yk_key_print(const yk_key *k, const void *base, yk_buf *out)
{
    const void *field = (const char *)base + k->offset;
    const yk_list *l = field;
    char number[32];
    switch (k->type) {
    case YK_KEY_INT:
        yk_buf_printf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case YK_KEY_REAL:
        yk_print_real(*(const double *)field, number);
        yk_buf_puts(out, number);
        break;
    case YK_KEY_FLAG:
        yk_buf_puts(out, *(const bool *)field ? "true" : "false");
        break;
    case YK_KEY_PICK:
        yk_buf_puts(out, *(char *const *)field);
        break;
    case YK_KEY_TEXT:
        print_text(*(char *const *)field, out);
        break;
    case YK_KEY_LIST:
        yk_buf_puts(out, "[");
        for (size_t i = 0; i < l->n; i++) {
            if (i) yk_buf_puts(out, ", ");
            print_text(l->item[i], out);
        }
        yk_buf_puts(out, "]");
        break;
    }
}
