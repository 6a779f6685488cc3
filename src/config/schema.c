/* The tables made from recipe.def, and everything that is done to one field by its row. */
#include "config/schema.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define LABEL_top ""
#define LABEL_clean "clean"
#define LABEL_tokenizer "tokenizer"
#define LABEL_questions "questions"
#define LABEL_model "model"
#define LABEL_pretrain "pretrain"
#define LABEL_propose "propose"
#define LABEL_sft "sft"
#define LABEL_distill "distill"
#define LABEL_reward "reward"
#define LABEL_ppo "ppo"
#define LABEL_verify "verify"
#define LABEL_grpo "grpo"
#define LABEL_refine "refine"
#define LABEL_dpo "dpo"
#define LABEL_evaluate "evaluate"
#define LABEL_tuning "tuning"

const yk_key yk_keys[] = {
#define ROW(g, n, kind, def, lo, hi, words, help) \
    {LABEL_##g, #n, YK_KEY_##kind, offsetof(yk_recipe, YK_FIELD_##g(n)), def, lo, hi, words, help},
#include "config/recipe_rows.h"
};
const size_t yk_key_count = sizeof yk_keys / sizeof *yk_keys;

const yk_group yk_groups[] = {
#define GROUP(g, help) {LABEL_##g, help},
#include "config/recipe_rows.h"
};
const size_t yk_group_count = sizeof yk_groups / sizeof *yk_groups;

static const yk_key corpus_keys[] = {
#define ROWS "config/corpus.def"
#define ROW(g, n, kind, def, lo, hi, words, help) \
    {#g, #n, YK_KEY_##kind, offsetof(yk_corpus, n), def, lo, hi, words, help},
#include "config/recipe_rows.h"
};

static const yk_key tune_keys[] = {
#define ROWS "config/tune.def"
#define ROW(g, n, kind, def, lo, hi, words, help) \
    {#g, #n, YK_KEY_##kind, offsetof(yk_tuned, n), def, lo, hi, words, help},
#include "config/recipe_rows.h"
};

static const yk_group list_groups[YK_LISTS] = {
#define ROWS "config/corpus.def"
#define GROUP(g, help) {#g, help},
#include "config/recipe_rows.h"
#define ROWS "config/tune.def"
#define GROUP(g, help) {#g, help},
#include "config/recipe_rows.h"
};

#define ENTRIES(i, keys, type, array, number)                                                       \
    {&list_groups[i], keys, sizeof keys / sizeof *keys, sizeof(type), offsetof(type, origin),       \
     offsetof(yk_recipe, array), offsetof(yk_recipe, number)}

const yk_entries yk_lists[YK_LISTS] = {
    [YK_CORPUS] = ENTRIES(YK_CORPUS, corpus_keys, yk_corpus, corpus, corpora),
    [YK_TUNE] = ENTRIES(YK_TUNE, tune_keys, yk_tuned, tune, tuned),
};

const yk_key *yk_key_find(const char *group, const char *name)
{
    const yk_entries *list = yk_entries_find(group);
    const yk_key *keys = list ? list->keys : yk_keys;
    size_t n = list ? list->key_count : yk_key_count;
    for (size_t i = 0; i < n; i++)
        if (strcmp(keys[i].group, group) == 0 && strcmp(keys[i].name, name) == 0) return &keys[i];
    return NULL;
}

const yk_entries *yk_entries_find(const char *name)
{
    for (size_t i = 0; i < YK_LISTS; i++)
        if (strcmp(yk_lists[i].group->name, name) == 0) return &yk_lists[i];
    return NULL;
}

void *yk_entry(const yk_entries *l, const yk_recipe *r, size_t i)
{
    return *(char *const *)((const char *)r + l->entries) + i * l->size;
}

yk_origin **yk_entry_origin(const yk_entries *l, void *entry)
{
    return (yk_origin **)((char *)entry + l->origin);
}

size_t yk_entry_count(const yk_entries *l, const yk_recipe *r)
{
    return *(const size_t *)((const char *)r + l->count);
}

bool yk_is_group(const char *name)
{
    for (size_t g = 1; g < yk_group_count; g++)
        if (strcmp(yk_groups[g].name, name) == 0) return true;
    return false;
}

void yk_key_path(const yk_key *k, char out[YK_PATH_ROOM])
{
    snprintf(out, YK_PATH_ROOM, "%s%s%s", k->group, k->group[0] ? "." : "", k->name);
}

void yk_print_words(const char *words, yk_buf *out)
{
    for (const char *w = words ? words : ""; *w; w++)
        yk_buf_add(out, *w == '|' ? ", " : w, *w == '|' ? 2 : 1);
}

yk_status yk_fail_type(const yk_key *k, const char *found, yk_error *err)
{
    static const char *const wants[] = {[YK_KEY_INT] = "an integer, such as 4k",
                                        [YK_KEY_REAL] = "a number, such as 0.1 or 3e-4",
                                        [YK_KEY_FLAG] = "true or false",
                                        [YK_KEY_TEXT] = "a text",
                                        [YK_KEY_PICK] = "one of ",
                                        [YK_KEY_LIST] = "a list of texts, such as [a, b]"};
    char path[YK_PATH_ROOM];
    yk_buf want = {0};
    yk_key_path(k, path);
    yk_buf_puts(&want, wants[k->type]);
    yk_print_words(k->words, &want);
    yk_status st = yk_fail(err, YK_ERR_CONFIG, "`%s`: expected %s, found %s", path, want.data,
                           found);
    yk_buf_free(&want);
    return st;
}

static yk_status list_add(yk_list *l, const char *text, yk_error *err)
{
    char **grown = yk_regrow(l->item, l->n + 1, sizeof *grown, err);
    if (!grown) return YK_ERR_MEMORY;
    l->item = grown;
    if (!(l->item[l->n] = strdup(text))) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    l->n++;
    return YK_OK;
}

static void list_clear(yk_list *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->item[i]);
    free(l->item);
    *l = (yk_list){0};
}

static yk_status text_set(char **field, const char *text, yk_error *err)
{
    char *copy = strdup(text);
    if (!copy) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    free(*field);
    *field = copy;
    return YK_OK;
}

static bool is_word(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (const char *w = words; w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL)
        if (strcspn(w, "|") == n && strncmp(w, text, n) == 0) return true;
    return false;
}

static yk_status wrong_type(const yk_key *k, const char *text, yk_error *err)
{
    char shown[YK_SHOWN_ROOM], quoted[YK_SHOWN_ROOM + 2];
    snprintf(quoted, sizeof quoted, "`%s`", yk_shown(text, shown));
    return yk_fail_type(k, text[0] ? quoted : "nothing", err);
}

static bool within(const yk_key *k, double x)
{
    double low = 0, high = 0;
    return yk_parse_real(k->low, &low) && yk_parse_real(k->high, &high) && x >= low && x <= high;
}

static yk_status out_of_range(const yk_key *k, const char *text, yk_error *err)
{
    char path[YK_PATH_ROOM], shown[YK_SHOWN_ROOM];
    yk_key_path(k, path);
    return yk_fail(err, YK_ERR_CONFIG, "`%s`: %s is out of range; it may be from %s to %s", path,
                   yk_shown(text, shown), k->low, k->high);
}

yk_status yk_key_set(const yk_key *k, void *base, const char *text, yk_error *err)
{
    void *field = (char *)base + k->offset;
    int64_t n;
    double x;
    switch (k->type) {
    case YK_KEY_INT:
        if (!yk_parse_int(text, &n)) return wrong_type(k, text, err);
        if (!within(k, (double)n)) return out_of_range(k, text, err);
        *(int64_t *)field = n;
        return YK_OK;
    case YK_KEY_REAL:
        if (!yk_parse_real(text, &x)) return wrong_type(k, text, err);
        if (!within(k, x)) return out_of_range(k, text, err);
        *(double *)field = x;
        return YK_OK;
    case YK_KEY_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return wrong_type(k, text, err);
        *(bool *)field = text[0] == 't';
        return YK_OK;
    case YK_KEY_LIST:
        return list_add(field, text, err);
    case YK_KEY_PICK:
        if (!is_word(k->words, text)) return wrong_type(k, text, err);
        return text_set(field, text, err);
    case YK_KEY_TEXT:
        return text_set(field, text, err);
    }
    return yk_fail(err, YK_ERR_INTERNAL, "`%s`: a key of no type", k->name);
}

void yk_key_clear(const yk_key *k, void *base)
{
    if (k->type == YK_KEY_LIST) list_clear((yk_list *)((char *)base + k->offset));
}

yk_status yk_key_check(const yk_key *k, const void *base, yk_error *err)
{
    const void *field = (const char *)base + k->offset;
    char number[YK_NUMBER_ROOM];
    if (k->type != YK_KEY_INT && k->type != YK_KEY_REAL) return YK_OK;
    double x = k->type == YK_KEY_INT ? (double)*(const int64_t *)field : *(const double *)field;
    if (within(k, x)) return YK_OK;
    yk_print_real(x, number);
    return out_of_range(k, number, err);
}

yk_status yk_keys_default(const yk_key *keys, size_t n, void *base, yk_error *err)
{
    yk_status st = YK_OK;
    char *words = NULL;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].type != YK_KEY_LIST) {
            YK_TRY(yk_key_set(&keys[i], base, keys[i].def, err));
            continue;
        }
        char *rest = NULL;
        free(words);
        if (!(words = strdup(keys[i].def))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        for (char *w = strtok_r(words, ",", &rest); w; w = strtok_r(NULL, ",", &rest))
            YK_TRY(yk_key_set(&keys[i], base, w + strspn(w, " "), err));
    }
done:
    free(words);
    return st;
}

void yk_keys_free(const yk_key *keys, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++) {
        void *field = (char *)base + keys[i].offset;
        yk_key_clear(&keys[i], base);
        if (keys[i].type == YK_KEY_TEXT || keys[i].type == YK_KEY_PICK) free(*(char **)field);
    }
}

yk_status yk_origin_set(yk_origin *o, yk_layer layer, const char *text, yk_error *err)
{
    o->layer = layer;
    return text_set(&o->text, text, err);
}

yk_origin *yk_origin_of(const yk_recipe *r, const void *field)
{
    for (size_t i = 0; i < yk_key_count; i++)
        if ((const char *)r + yk_keys[i].offset == (const char *)field) return &r->origin[i];
    return NULL;
}

yk_status yk_at_place(yk_error *err, yk_status st, const char *place)
{
    yk_error inner = *err;
    return st == YK_ERR_CONFIG ? yk_fail(err, st, "%s: %s", place, inner.text) : st;
}

yk_status yk_fail_key(const yk_recipe *r, const void *field, yk_error *err, const char *format, ...)
{
    char path[YK_PATH_ROOM] = "";
    yk_error inner;
    va_list ap;
    va_start(ap, format);
    vsnprintf(inner.text, sizeof inner.text, format, ap);
    va_end(ap);
    const yk_origin *o = yk_origin_of(r, field);
    if (o) yk_key_path(&yk_keys[o - r->origin], path);
    yk_status st = yk_fail(err, YK_ERR_CONFIG, "`%s` %s", path, inner.text);
    return o && o->layer >= YK_FROM_FILE ? yk_at_place(err, st, o->text) : st;
}

yk_status yk_fail_entry(const yk_recipe *r, int list, size_t i, const char *name, yk_error *err,
                        const char *format, ...)
{
    const yk_entries *l = &yk_lists[list];
    const yk_origin *o = *yk_entry_origin(l, yk_entry(l, r, i)), *place = NULL;
    yk_error inner;
    va_list ap;
    va_start(ap, format);
    vsnprintf(inner.text, sizeof inner.text, format, ap);
    va_end(ap);
    for (size_t k = 0; k < l->key_count; k++)
        if (o[k].layer >= YK_FROM_FILE && (!place || strcmp(l->keys[k].name, name) == 0)) place = &o[k];
    yk_status st = yk_fail(err, YK_ERR_CONFIG, "`%s.%zu.%s` %s", l->group->name, i, name, inner.text);
    return place ? yk_at_place(err, st, place->text) : st;
}

/* The length of the UTF-8 character at p, 0 when there is none; its code point in *c. */
static size_t character(const char *p, utf8proc_int32_t *c)
{
    size_t room = strnlen(p, 4);
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)room, c);
    return n > 0 ? (size_t)n : 0;
}

/* Controls, the line breaks of Unicode, and what a YAML stream may not hold as it is. */
static bool is_harmful(utf8proc_int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           c == 0xfffe || c == 0xffff;
}

void yk_print_harmless(const char *text, yk_buf *out)
{
    for (const char *p = text; *p;) {
        utf8proc_int32_t c;
        size_t n = character(p, &c);
        if (n && !is_harmful(c))
            yk_buf_add(out, p, n);
        else
            yk_buf_puts(out, "?");
        p += n ? n : 1;
    }
}

const char *yk_shown(const char *text, char out[YK_SHOWN_ROOM])
{
    size_t used = 0;
    for (const char *p = text; *p;) {
        utf8proc_int32_t c;
        size_t n = character(p, &c);
        if (used + 8 > YK_SHOWN_ROOM) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (n && !is_harmful(c)) {
            memcpy(out + used, p, n);
            used += n;
        } else
            out[used++] = '?';
        p += n ? n : 1;
    }
    out[used] = 0;
    return out;
}

/* A double-quoted scalar: every escape here is one of YAML's. Texts of a recipe are valid UTF-8,
 * because they came through libyaml. */
static void print_text(const char *text, yk_buf *out)
{
    yk_buf_puts(out, "\"");
    for (const char *p = text; *p;) {
        utf8proc_int32_t c;
        size_t n = character(p, &c);
        if (!n || is_harmful(c))
            yk_buf_printf(out, "\\u%04x", n ? (unsigned)c : 0xfffd);
        else {
            if (*p == '"' || *p == '\\') yk_buf_puts(out, "\\");
            yk_buf_add(out, p, n);
        }
        p += n ? n : 1;
    }
    yk_buf_puts(out, "\"");
}

void yk_key_print(const yk_key *k, const void *base, yk_buf *out)
{
    const void *field = (const char *)base + k->offset;
    const yk_list *l = field;
    char number[YK_NUMBER_ROOM];
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

/* Numbers as recipes write them. The C library's conversions follow the locale of the thread, so
 * they are used below a "C" locale only. */

static locale_t enter_c_locale(locale_t *before)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    *before = uselocale(c);
    return c;
}

static void leave_c_locale(locale_t c, locale_t before)
{
    uselocale(before);
    if (c) freelocale(c);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The factor of a suffix, 0 when it is none. */
static int64_t factor_of(const char *suffix)
{
    static const struct {
        const char *suffix;
        int64_t factor;
    } scale[] = {{"", 1},
                 {"k", 1000},
                 {"M", 1000000},
                 {"G", 1000000000},
                 {"T", 1000000000000},
                 {"Ki", INT64_C(1) << 10},
                 {"Mi", INT64_C(1) << 20},
                 {"Gi", INT64_C(1) << 30},
                 {"Ti", INT64_C(1) << 40}};
    for (size_t i = 0; i < sizeof scale / sizeof *scale; i++)
        if (strcmp(suffix, scale[i].suffix) == 0) return scale[i].factor;
    return 0;
}

bool yk_parse_int(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    const char *p = text + negative;
    int64_t n = 0, unit = 1; /* the number is n / unit so far */
    if (!is_digit(*p)) return false;
    for (; is_digit(*p); p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
            return false;
    if (*p == '.') {
        if (!is_digit(*++p)) return false;
        for (; is_digit(*p); p++) {
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n) ||
                __builtin_mul_overflow(unit, 10, &unit))
                return false;
        }
        if (!*p) return false;
    }
    int64_t factor = factor_of(p);
    if (!factor || __builtin_mul_overflow(n, factor, &n) || n % unit != 0) return false;
    *value = negative ? -(n / unit) : n / unit;
    return true;
}

static bool is_decimal(const char *p)
{
    p += *p == '-';
    if (!is_digit(*p)) return false;
    while (is_digit(*p)) p++;
    if (*p == '.' && !is_digit(*++p)) return false;
    while (is_digit(*p)) p++;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        if (!is_digit(*p)) return false;
        while (is_digit(*p)) p++;
    }
    return !*p;
}

bool yk_parse_real(const char *text, double *value)
{
    int64_t n;
    if (yk_parse_int(text, &n)) {
        *value = (double)n;
        return true;
    }
    if (!is_decimal(text)) return false;
    locale_t before, c = enter_c_locale(&before);
    errno = 0;
    double x = strtod(text, NULL);
    bool fits = errno == 0 && isfinite(x);
    leave_c_locale(c, before);
    if (fits) *value = x == 0 ? 0 : x;
    return fits;
}

/* From "-d.ddde-xx" to the shorter of positional and scientific notation. */
static void tidy(const char *scientific, char out[YK_NUMBER_ROOM])
{
    static const char zeros[] = "00000000000000000000";
    char digits[24], positional[64];
    int n = 0;
    const char *p = scientific, *sign = *p == '-' ? "-" : "";
    for (p += *p == '-'; *p != 'e'; p++)
        if (*p != '.') digits[n++] = *p;
    digits[n] = 0;
    int e = atoi(p + 1); /* the number is d.ddd x 10^e */
    int length = snprintf(out, YK_NUMBER_ROOM, "%s%c%s%se%d", sign, digits[0], n > 1 ? "." : "",
                          digits + 1, e);
    if (e < -8 || e > 20) return;
    if (e < 0)
        snprintf(positional, sizeof positional, "%s0.%.*s%s", sign, -e - 1, zeros, digits);
    else if (e >= n - 1)
        snprintf(positional, sizeof positional, "%s%s%.*s", sign, digits, e - (n - 1), zeros);
    else
        snprintf(positional, sizeof positional, "%s%.*s.%s", sign, e + 1, digits, digits + e + 1);
    size_t room = strlen(positional);
    if ((int)room <= length) memcpy(out, positional, room + 1);
}

void yk_print_real(double x, char out[YK_NUMBER_ROOM])
{
    char scientific[YK_NUMBER_ROOM];
    locale_t before, c = enter_c_locale(&before);
    for (int digits = 0; digits <= 16; digits++) {
        snprintf(scientific, sizeof scientific, "%.*e", digits, x);
        if (strtod(scientific, NULL) == x) break;
    }
    leave_c_locale(c, before);
    tidy(scientific, out);
}

double yk_to_digits(double x, int digits)
{
    char text[YK_NUMBER_ROOM];
    locale_t before, c = enter_c_locale(&before);
    snprintf(text, sizeof text, "%.*e", digits - 1, x);
    double rounded = strtod(text, NULL);
    leave_c_locale(c, before);
    return rounded;
}
