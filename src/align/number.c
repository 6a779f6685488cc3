#include "align/number.h"

#include <openssl/bn.h>
#include <stdio.h>
#include <string.h>

enum { MOST_DIGITS = 1000 };

/* A decimal number as it stands: digits with separators of groups and a point; its power of ten apart. */
typedef struct decimal {
    yk_span digits;
    int exponent;
} decimal;

typedef struct literal {
    bool negative, percent;
    decimal whole, top, bottom; /* whole + top / bottom; length 0: not there */
} literal;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_digit(c) || (unsigned)((c | 32) - 'a') < 26 || c == '_';
}

static size_t digits_at(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && is_digit(p[n])) n++;
    return n;
}

/* The length of `word` if it stands at p, else 0. */
static size_t stands(const char *p, const char *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? n : 0;
}

static size_t any_of(const char *p, const char *end, const char *const *words)
{
    size_t n = 0;
    for (; *words && !n; words++) n = stands(p, end, *words);
    return n;
}

/* Digits, in groups of three where all of them are. */
static size_t whole_part(const char *p, const char *end)
{
    static const char *const separators[] = {",", "\xC2\xA0", "\xE2\x80\x89", "\xE2\x80\xAF", NULL};
    enum { LONGEST = 200 }; /* bounds what is read again where the groups turn out to be none */
    size_t n = digits_at(p, end), gap = any_of(p + n, end, separators), grouped = n;
    if (!gap || n == 0 || n > 3 || *p == '0') return n;
    char separator[4] = {0};
    memcpy(separator, p + n, gap);
    while (grouped < LONGEST && stands(p + grouped, end, separator)) {
        size_t group = digits_at(p + grouped + gap, end);
        if (group != 3) return group ? n : grouped;
        grouped += gap + group;
    }
    return grouped;
}

/* Bytes that the decimal at p takes, 0 for none. */
static size_t decimal_at(const char *p, const char *end, decimal *d)
{
    size_t n = whole_part(p, end), fraction = p + n < end && p[n] == '.' ? digits_at(p + n + 1, end) : 0;
    if (fraction) n += 1 + fraction;
    *d = (decimal){{p, n}, 0};
    if (n == 0 || p + n == end || (p[n] | 32) != 'e') return n;
    size_t sign = p + n + 1 < end && (p[n + 1] == '-' || p[n + 1] == '+'), from = n + 1 + sign;
    size_t power = digits_at(p + from, end);
    if (power == 0) return n;
    for (size_t i = 0; i < power && d->exponent <= MOST_DIGITS; i++) d->exponent = 10 * d->exponent + p[from + i] - '0';
    if (sign && p[n + 1] == '-') d->exponent = -d->exponent;
    return from + power;
}

static size_t blank_at(const char *p, const char *end)
{
    return p < end && *p == ' ';
}

/* The slash and what is below it, at p, with a blank before and after the slash or not; 0 for none. */
static size_t below_at(const char *p, const char *end, decimal *d)
{
    size_t n = blank_at(p, end);
    if (p + n == end || p[n] != '/') return 0;
    n += 1 + blank_at(p + n + 1, end);
    size_t used = decimal_at(p + n, end, d);
    if (!used) d->digits.length = 0;
    return used ? n + used : 0;
}

/* The second half of a mixed number, " 1/2"; 0 for none. */
static size_t mixed_at(const char *p, const char *end, literal *l)
{
    size_t n = blank_at(p, end), digits = n ? digits_at(p + n, end) : 0;
    if (!digits || p + n + digits == end || p[n + digits] != '/') return 0;
    decimal top, bottom;
    decimal_at(p + n, end, &top);
    size_t used = below_at(p + n + digits, end, &bottom);
    if (!used || top.digits.length != digits) return 0;
    l->whole = l->top;
    l->top = top;
    l->bottom = bottom;
    return n + digits + used;
}

/* The whole number at p, sign to percent; returns the bytes it takes, 0 for none. `before`: the byte before it. */
static size_t literal_at(const char *p, const char *end, char before, literal *l)
{
    static const char *const minus[] = {"-", "\xE2\x88\x92", NULL}, *const plus[] = {"+", NULL},
                      *const percents[] = {"%", "\\%", " %", " \\%", NULL};
    *l = (literal){0};
    size_t sign = any_of(p, end, minus);
    l->negative = sign != 0;
    if (!sign) sign = any_of(p, end, plus);
    if (is_name(before) || (sign && (before == ')' || before == ']')) || (*p == '.' && before == '.')) return 0;
    size_t n = sign + stands(p + sign, end, "$"), used = decimal_at(p + n, end, &l->top);
    if (!used) return 0;
    n += used;
    bool integer = digits_at(l->top.digits.text, p + n) == used;
    size_t more = below_at(p + n, end, &l->bottom);
    n += more ? more : integer ? mixed_at(p + n, end, l) : 0;
    size_t percent = any_of(p + n, end, percents);
    l->percent = percent != 0;
    return n + percent;
}

static bool last_literal(yk_span s, literal *last)
{
    bool any = false;
    const char *end = s.text + s.length, *p = s.text;
    while (p < end) {
        literal l;
        size_t used = literal_at(p, end, p > s.text ? p[-1] : ' ', &l);
        if (used) *last = l, any = true;
        p += used ? used : is_digit(*p) ? digits_at(p, end) : 1;
    }
    return any;
}

/* n / d with d > 0. */
typedef struct rational {
    BIGNUM *n, *d;
} rational;

static void rational_free(rational *r)
{
    BN_free(r->n);
    BN_free(r->d);
}

typedef enum outcome { FINE, NO_NUMBER, NO_MEMORY } outcome;

/* d as n / 10^k or n 10^k / 1. */
static outcome rational_of(const decimal *d, rational *r)
{
    char top[2 * MOST_DIGITS + 1], bottom[2 * MOST_DIGITS + 2] = "1";
    int n = 0, places = 0;
    bool point = false;
    for (size_t i = 0; i < d->digits.length; i++) {
        char c = d->digits.text[i];
        if (is_digit(c) && n == MOST_DIGITS) return NO_NUMBER;
        if (is_digit(c)) top[n++] = c, places += point;
        point = point || c == '.';
    }
    int shift = d->exponent - places;
    if (shift > MOST_DIGITS || -shift > MOST_DIGITS) return NO_NUMBER;
    for (; shift > 0; shift--) top[n++] = '0';
    top[n] = 0;
    for (n = 1; shift < 0; shift++) bottom[n++] = '0';
    bottom[n] = 0;
    return BN_dec2bn(&r->n, top) && BN_dec2bn(&r->d, bottom) ? FINE : NO_MEMORY;
}

/* a <- a / b. */
static outcome divide(rational *a, const rational *b, BN_CTX *ctx)
{
    if (BN_is_zero(b->n)) return NO_NUMBER;
    return BN_mul(a->n, a->n, b->d, ctx) && BN_mul(a->d, a->d, b->n, ctx) ? FINE : NO_MEMORY;
}

/* a <- a + b for b of either sign. */
static outcome add(rational *a, const rational *b, BN_CTX *ctx)
{
    BIGNUM *other = BN_new();
    bool fine = other && BN_mul(other, b->n, a->d, ctx) && BN_mul(a->n, a->n, b->d, ctx) && BN_add(a->n, a->n, other) &&
                BN_mul(a->d, a->d, b->d, ctx);
    BN_free(other);
    return fine ? FINE : NO_MEMORY;
}

static outcome value_of(const literal *l, rational *r, BN_CTX *ctx)
{
    rational part = {0};
    outcome o = rational_of(&l->top, r);
    if (o == FINE && l->bottom.digits.length) {
        o = rational_of(&l->bottom, &part);
        if (o == FINE) o = divide(r, &part, ctx);
    }
    if (o == FINE && l->whole.digits.length) {
        o = rational_of(&l->whole, &part);
        if (o == FINE) o = add(r, &part, ctx);
    }
    if (o == FINE && l->percent && !BN_mul_word(r->d, 100)) o = NO_MEMORY;
    if (o == FINE) BN_set_negative(r->n, l->negative);
    rational_free(&part);
    return o;
}

static outcome last_number(yk_span s, rational *r, BN_CTX *ctx)
{
    literal l;
    return last_literal(s, &l) ? value_of(&l, r, ctx) : NO_NUMBER;
}

static outcome is_integer(const rational *r, bool *yes, BN_CTX *ctx)
{
    BIGNUM *rest = BN_new();
    bool fine = rest && BN_mod(rest, r->n, r->d, ctx);
    *yes = fine && BN_is_zero(rest);
    BN_free(rest);
    return fine ? FINE : NO_MEMORY;
}

/* |difference| <= tolerance |scale|, all denominators positive. */
static outcome within(const rational *difference, double tolerance, const rational *scale, bool *yes, BN_CTX *ctx)
{
    char text[40];
    int n = snprintf(text, sizeof text, "%.17g", tolerance);
    rational bound = {0};
    outcome o = last_number((yk_span){text, (size_t)n}, &bound, ctx);
    BIGNUM *left = BN_new(), *right = BN_new();
    bool fine = o == FINE && left && right && BN_mul(left, difference->n, bound.d, ctx) &&
                BN_mul(left, left, scale->d, ctx) && BN_mul(right, bound.n, scale->n, ctx) &&
                BN_mul(right, right, difference->d, ctx);
    *yes = fine && BN_ucmp(left, right) <= 0;
    BN_free(left);
    BN_free(right);
    rational_free(&bound);
    return fine ? FINE : o == FINE ? NO_MEMORY : o;
}

/* a becomes a - e. */
static outcome near(rational *a, rational *e, yk_tolerance t, bool *yes, BN_CTX *ctx)
{
    bool integer;
    outcome o = is_integer(e, &integer, ctx);
    if (o != FINE) return o;
    if (t.absolute == 0 && t.relative == 0 && !integer) t.relative = 1e-6;
    BN_set_negative(e->n, !BN_is_negative(e->n));
    o = add(a, e, ctx);
    if (o == FINE) o = within(a, t.relative, e, yes, ctx);
    if (o != FINE || *yes) return o;
    rational one = {BN_new(), BN_new()};
    o = one.n && one.d && BN_one(one.n) && BN_one(one.d) ? within(a, t.absolute, &one, yes, ctx) : NO_MEMORY;
    rational_free(&one);
    return o;
}

yk_status yk_number_equal(yk_span answer, yk_span expected, yk_tolerance tolerance, bool *equal, yk_error *err)
{
    yk_status st = YK_OK;
    rational a = {0}, e = {0};
    BN_CTX *ctx = BN_CTX_new();
    *equal = false;
    outcome o = ctx ? last_number(expected, &e, ctx) : NO_MEMORY;
    if (o == NO_NUMBER)
        YK_FAIL(YK_ERR_INPUT, "expected answer \"%.*s\": there is no number in it",
                (int)(expected.length < 80 ? expected.length : 80), expected.text);
    if (o == FINE) o = last_number(answer, &a, ctx);
    if (o == FINE) o = near(&a, &e, tolerance, equal, ctx);
    if (o == NO_MEMORY) YK_FAIL(YK_ERR_MEMORY, "out of memory while numbers were compared");
done:
    rational_free(&a);
    rational_free(&e);
    BN_CTX_free(ctx);
    return st;
}
