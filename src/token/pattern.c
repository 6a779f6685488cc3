/* From a regular expression to operations, by descent. A group is a range of operations whose jumps are relative, so
 * that quantifiers copy it; a single set with a quantifier is one operation. */
#include "token/pattern.h"

#include "token/unicode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERN = 1 << 16, MAX_OPS = 1 << 16, MAX_DEPTH = 250, MAX_REPEAT = 1000 };

typedef struct parser {
    yk_pattern *p;
    const uint8_t *kinds;
    const char *text, *at;
    int depth;
    bool any_case;
    yk_error *err;
} parser;

__attribute__((format(printf, 2, 3))) static yk_status refuse(parser *s, const char *why, ...)
{
    char text[256];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    size_t shown = strlen(s->text) < 200 ? strlen(s->text) : 200;
    while (((unsigned char)s->text[shown] & 0xC0) == 0x80) shown--;
    return yk_fail(s->err, YK_ERR_INPUT, "split pattern `%.*s`, byte %td: %s", (int)shown, s->text, s->at - s->text,
                   text);
}

static uint32_t all_categories(void)
{
    return (uint32_t)((UINT64_C(1) << YK_CATEGORIES) - 1);
}

static uint32_t category(const parser *s, uint32_t c)
{
    return UINT32_C(1) << (s->kinds[c] & YK_CATEGORY);
}

static yk_status add_op(parser *s, yk_op op)
{
    yk_status st = YK_OK;
    yk_error *err = s->err;
    if (s->p->ops >= MAX_OPS) return refuse(s, "larger than supported");
    YK_ROOM(s->p->op, s->p->ops, s->p->op_room);
    s->p->op[s->p->ops++] = op;
done:
    return st;
}

static yk_status insert_op(parser *s, size_t where, yk_op op)
{
    yk_status st = add_op(s, op);
    if (st != YK_OK) return st;
    memmove(s->p->op + where + 1, s->p->op + where, (s->p->ops - 1 - where) * sizeof op);
    s->p->op[where] = op;
    return YK_OK;
}

static yk_status add_range(parser *s, yk_set *set, uint32_t from, uint32_t to)
{
    yk_status st = YK_OK;
    yk_error *err = s->err;
    for (uint32_t c = from; c <= to && c < 128; c++) set->ascii[c / 64] |= UINT64_C(1) << c % 64;
    if (to < 128) return YK_OK;
    if (!set->ranges) set->first = (uint32_t)s->p->ranges;
    YK_ROOM(s->p->range, s->p->ranges, s->p->range_room);
    s->p->range[s->p->ranges][0] = from;
    s->p->range[s->p->ranges++][1] = to;
    set->ranges++;
done:
    return st;
}

/* Characters of the categories, or all others. */
static void add_categories(const parser *s, yk_set *set, uint32_t categories, bool inverted)
{
    if (inverted) categories = all_categories() & ~categories;
    for (uint32_t c = 0; c < 128; c++)
        if (category(s, c) & categories) set->ascii[c / 64] |= UINT64_C(1) << c % 64;
    set->categories |= categories;
}

static yk_status add_set(parser *s, const yk_set *set)
{
    yk_status st = YK_OK;
    yk_error *err = s->err;
    YK_ROOM(s->p->set, s->p->sets, s->p->set_room);
    s->p->set[s->p->sets++] = *set;
    st = add_op(s, (yk_op){.kind = YK_OP_SET, .set = (uint32_t)s->p->sets - 1});
done:
    return st;
}

static bool letter(uint32_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* Within (?i:...): the other case of an ASCII letter, and the two characters beyond that fold to one. */
static yk_status add_cases(parser *s, yk_set *set)
{
    yk_status st = YK_OK;
    if (set->ranges || set->categories) return refuse(s, "(?i:...) is supported for ASCII characters only");
    uint64_t upper = (set->ascii[1] >> 1 | set->ascii[1] >> 33) & 0x3FFFFFF;
    set->ascii[1] |= upper << 1 | upper << 33;
    if (upper >> ('k' - 'a') & 1) YK_TRY(add_range(s, set, 0x212A, 0x212A));
    if (upper >> ('s' - 'a') & 1) YK_TRY(add_range(s, set, 0x17F, 0x17F));
done:
    return st;
}

static const struct named {
    const char *name;
    uint32_t categories;
} names[] = {
    {"L", 0x1F},          {"LC", 7},
    {"M", 7 << YK_MN},    {"N", 7 << YK_ND},
    {"P", 0x7F << YK_PC}, {"S", 0xF << YK_SM},
    {"Z", 7 << YK_ZS},    {"C", 0x1F << YK_CC | UINT32_C(1) << YK_BLANK_CONTROL},
    {"Lu", 1 << YK_LU},   {"Ll", 1 << YK_LL},
    {"Lt", 1 << YK_LT},   {"Lm", 1 << YK_LM},
    {"Lo", 1 << YK_LO},   {"Mn", 1 << YK_MN},
    {"Mc", 1 << YK_MC},   {"Me", 1 << YK_ME},
    {"Nd", 1 << YK_ND},   {"Nl", 1 << YK_NL},
    {"No", 1 << YK_NO},   {"Pc", 1 << YK_PC},
    {"Pd", 1 << YK_PD},   {"Ps", 1 << YK_PS},
    {"Pe", 1 << YK_PE},   {"Pi", 1 << YK_PI},
    {"Pf", 1 << YK_PF},   {"Po", 1 << YK_PO},
    {"Sm", 1 << YK_SM},   {"Sc", 1 << YK_SC},
    {"Sk", 1 << YK_SK},   {"So", 1 << YK_SO},
    {"Zs", 1 << YK_ZS},   {"Zl", 1 << YK_ZL},
    {"Zp", 1 << YK_ZP},   {"Cc", 1 << YK_CC | UINT32_C(1) << YK_BLANK_CONTROL},
    {"Cf", 1 << YK_CF},   {"Co", 1 << YK_CO},
    {"Cs", 1 << YK_CS},   {"Cn", 1 << YK_CN},
};

/* {name} or {^name} after \p or \P. */
static yk_status parse_property(parser *s, bool inverted, yk_set *set)
{
    const char *close = *s->at == '{' ? strchr(s->at, '}') : NULL;
    if (!close) return refuse(s, "\\p needs {...}");
    const char *name = s->at + 1;
    if (*name == '^') name++, inverted = !inverted;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == (size_t)(close - name) &&
            strncmp(names[i].name, name, (size_t)(close - name)) == 0) {
            add_categories(s, set, names[i].categories, inverted);
            s->at = close + 1;
            return YK_OK;
        }
    return refuse(s, "\\p{%.*s} is not supported; general categories such as \\p{L} and \\p{Nd} are",
                  close - name < 40 ? (int)(close - name) : 40, name);
}

static yk_status parse_hex(parser *s, int least, int most, char end, uint32_t *c)
{
    char digits[9] = "", *stop;
    int n = 0;
    while (n < most && strchr("0123456789abcdefABCDEF", s->at[n]) && s->at[n]) digits[n] = s->at[n], n++;
    *c = (uint32_t)strtoul(digits, &stop, 16);
    if (n < least || (end && s->at[n] != end) || *c > 0x10FFFF || (*c >= 0xD800 && *c < 0xE000))
        return refuse(s, "no character has this number");
    s->at += n + (end != 0);
    return YK_OK;
}

/* After a backslash: one character into *c, or characters into the set (*c is then UINT32_MAX). */
static yk_status parse_escape(parser *s, yk_set *set, uint32_t *c)
{
    static const char simple[] = "nrtfvae", meaning[] = "\n\r\t\f\v\a\033";
    const uint32_t blank = UINT32_C(7) << YK_ZS | UINT32_C(1) << YK_BLANK_CONTROL;
    char e = *s->at++;
    *c = UINT32_MAX;
    const char *which = e ? strchr(simple, e) : NULL;
    if (which) return *c = (uint32_t)meaning[which - simple], YK_OK;
    if (e == 's' || e == 'S') return add_categories(s, set, blank, e == 'S'), YK_OK;
    if (e == 'd' || e == 'D') return add_categories(s, set, UINT32_C(1) << YK_ND, e == 'D'), YK_OK;
    if (e == 'p' || e == 'P') return parse_property(s, e == 'P', set);
    if (e == 'x' && *s->at == '{') return s->at++, parse_hex(s, 1, 8, '}', c);
    if (e == 'x') {
        yk_status st = parse_hex(s, 2, 2, 0, c);
        return st == YK_OK && *c > 127 ? refuse(s, "\\xHH beyond 7f is a byte, not a character; \\x{HH} is one") : st;
    }
    if (e == 'u') return parse_hex(s, 4, 4, 0, c);
    s->at--;
    if (e > 32 && e < 127 && !letter((uint32_t)e) && !(e >= '0' && e <= '9')) return *c = (uint32_t)*s->at++, YK_OK;
    if (e == ' ') return *c = (uint32_t)*s->at++, YK_OK;
    return refuse(s, "\\%c is not supported", e > 32 && e < 127 ? e : '?');
}

static yk_status parse_plain(parser *s, uint32_t *c)
{
    size_t length;
    *c = yk_utf8_at((const uint8_t *)s->at, &length);
    s->at += length;
    return YK_OK;
}

/* One item of a class: a character, a range, or an escape of many characters. */
static yk_status parse_item(parser *s, yk_set *set, bool first)
{
    yk_status st = YK_OK;
    uint32_t from, to;
    if (!*s->at) return refuse(s, "a class has no end");
    if (*s->at == '[') return refuse(s, "`[` within a class is not supported; \\[ is");
    if (strncmp(s->at, "&&", 2) == 0) return refuse(s, "&& within a class is not supported");
    if (*s->at == ']') return refuse(s, "an empty class");
    bool dash = *s->at == '-';
    YK_TRY(*s->at == '\\' ? (s->at++, parse_escape(s, set, &from)) : parse_plain(s, &from));
    bool range = *s->at == '-' && s->at[1] && s->at[1] != ']';
    if ((dash && !first && *s->at != ']') || (range && (from == UINT32_MAX || dash)))
        return refuse(s, "`-` stands for itself only at the end of a class or as \\-");
    if (from == UINT32_MAX) return YK_OK;
    if (!range) return add_range(s, set, from, from);
    s->at++;
    if (*s->at == '[') return refuse(s, "`[` within a class is not supported; \\[ is");
    YK_TRY(*s->at == '\\' ? (s->at++, parse_escape(s, set, &to)) : parse_plain(s, &to));
    if (to == UINT32_MAX || to < from) return refuse(s, "a range without characters");
    st = add_range(s, set, from, to);
done:
    return st;
}

static yk_status parse_class(parser *s)
{
    yk_status st = YK_OK;
    yk_set set = {0};
    bool negated = *s->at == '^';
    s->at += negated;
    YK_TRY(parse_item(s, &set, true));
    while (*s->at != ']') YK_TRY(parse_item(s, &set, false));
    s->at++;
    if (s->any_case) YK_TRY(add_cases(s, &set));
    if (negated) {
        set.ascii[0] = ~set.ascii[0];
        set.ascii[1] = ~set.ascii[1];
        set.negated = true;
    }
    st = add_set(s, &set);
done:
    return st;
}

/* Folding makes one character of these pairs of letters, which Oniguruma heeds within (?i:...). */
static bool folds_with(uint32_t c, char next)
{
    static const char pairs[][3] = {"ss", "ff", "fi", "fl", "st"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if ((c | 32) == (uint32_t)pairs[i][0] && (next | 32) == pairs[i][1]) return true;
    return false;
}

static yk_status add_character(parser *s, uint32_t c)
{
    yk_status st = YK_OK;
    yk_set set = {0};
    YK_TRY(add_range(s, &set, c, c));
    if (s->any_case && folds_with(c, *s->at)) return refuse(s, "this pair of letters in (?i:...) is not supported");
    if (s->any_case) YK_TRY(add_cases(s, &set));
    st = add_set(s, &set);
done:
    return st;
}

static yk_status parse_alternatives(parser *s);

/* After `(`. */
static yk_status parse_group(parser *s)
{
    yk_status st = YK_OK;
    static const struct { const char *mark; yk_op_kind kind; } kinds[] = {
        {"?:", YK_OP_MATCH}, {"?i:", YK_OP_MATCH}, {"?=", YK_OP_AHEAD}, {"?!", YK_OP_NOT_AHEAD}, {"?>", YK_OP_ATOMIC},
    };
    size_t from = s->p->ops, which = 0, count = sizeof kinds / sizeof *kinds;
    bool any_case = s->any_case;
    while (which < count && strncmp(s->at, kinds[which].mark, strlen(kinds[which].mark)) != 0) which++;
    if (which == count && *s->at == '?') return refuse(s, "groups of the kind (%.3s are not supported", s->at);
    if (which < count) s->at += strlen(kinds[which].mark);
    s->any_case |= which == 1;
    bool plain = which == count || kinds[which].kind == YK_OP_MATCH;
    if (!plain) YK_TRY(add_op(s, (yk_op){.kind = kinds[which].kind}));
    YK_TRY(parse_alternatives(s));
    if (*s->at != ')') return refuse(s, "a group has no end");
    s->at++;
    s->any_case = any_case;
    if (plain) return YK_OK;
    YK_TRY(add_op(s, (yk_op){.kind = YK_OP_MATCH}));
    s->p->op[from].to = (int32_t)(s->p->ops - from);
done:
    return st;
}

static yk_status parse_atom(parser *s)
{
    yk_status st = YK_OK;
    uint32_t c;
    yk_set set = {0};
    static const char asserts[] = "^$Az";
    static const yk_op_kind meaning[] = {YK_OP_LINE_START, YK_OP_LINE_END, YK_OP_TEXT_START, YK_OP_TEXT_END};
    bool escaped = *s->at == '\\';
    char e = s->at[escaped];
    const char *which = e ? strchr(asserts, e) : NULL;
    if (which && escaped == (which - asserts >= 2)) {
        s->at += 1 + escaped;
        return add_op(s, (yk_op){.kind = meaning[which - asserts]});
    }
    if (*s->at == '(') return s->at++, parse_group(s);
    if (*s->at == '[') return s->at++, parse_class(s);
    if (strchr("*+?{", *s->at))
        return refuse(s, "`%c` has nothing to repeat; as a character it is \\%c", *s->at, *s->at);
    if (*s->at == '.') {
        s->at++;
        add_categories(s, &set, 0, true);
        set.ascii[0] &= ~(UINT64_C(1) << '\n');
        return add_set(s, &set);
    }
    YK_TRY(escaped ? (s->at++, parse_escape(s, &set, &c)) : parse_plain(s, &c));
    if (c != UINT32_MAX) return add_character(s, c);
    if (s->any_case) YK_TRY(add_cases(s, &set));
    st = add_set(s, &set);
done:
    return st;
}

/* {n} {n,} {n,m} {,m}; false when it is none. */
static bool parse_interval(const char **at, uint32_t *least, uint32_t *most)
{
    char *stop;
    const char *p = *at + 1;
    bool from = *p >= '0' && *p <= '9';
    unsigned long a = from ? strtoul(p, &stop, 10) : 0, b = a;
    if (from) p = stop;
    if (*p == ',') {
        p++;
        bool to = *p >= '0' && *p <= '9';
        if (!to && !from) return false;
        b = to ? strtoul(p, &stop, 10) : UINT32_MAX;
        if (to) p = stop;
    } else if (!from) {
        return false;
    }
    if (*p != '}' || a > MAX_REPEAT || (b > MAX_REPEAT && b != UINT32_MAX) || a > b || b == 0) return false;
    *at = p + 1;
    *least = (uint32_t)a;
    *most = (uint32_t)b;
    return true;
}

/* Whether the operations from `from` on can come to their end without a character, and what they can begin with. Jumps
 * back belong to loops whose inside takes a character, so one pass from the end does. */
static yk_status look_over(parser *s, size_t from, bool *nothing, yk_set *start)
{
    yk_status st = YK_OK;
    yk_error *err = s->err;
    size_t n = s->p->ops - from;
    bool *ends = NULL;
    yk_set *begins = NULL;
    YK_NEW(ends, n + 1);
    YK_NEW(begins, n + 1);
    ends[n] = true;
    for (size_t i = n; i-- > 0;) {
        const yk_op *op = &s->p->op[from + i];
        const yk_set *set = op->kind <= YK_OP_LOOP ? &s->p->set[op->set] : NULL;
        size_t next =
            i + (op->kind == YK_OP_FORK || (op->kind >= YK_OP_JUMP && op->kind <= YK_OP_ATOMIC) ? (size_t)op->to : 1);
        size_t other = op->kind == YK_OP_FORK ? i + (size_t)op->other : op->kind == YK_OP_ATOMIC ? i + 1 : next;
        if (op->kind == YK_OP_MATCH) {
            ends[i] = true;
        } else if (set) {
            ends[i] = op->kind == YK_OP_LOOP && op->least == 0 && ends[i + 1];
            begins[i] = *set;
            if (set->ranges) begins[i].categories = all_categories();
            else if (set->negated) begins[i].categories = all_categories() & ~set->categories;
            other = next = op->kind == YK_OP_LOOP && op->least == 0 ? i + 1 : i;
        } else if (op->to >= 0) {
            ends[i] = op->kind == YK_OP_ATOMIC ? ends[next] && ends[other] : ends[next] || ends[other];
            if (op->kind == YK_OP_ATOMIC && !ends[other]) next = other;
        } else {
            continue;
        }
        for (int k = 0; k < 2; k++) begins[i].ascii[k] |= begins[next].ascii[k] | begins[other].ascii[k];
        begins[i].categories |= begins[next].categories | begins[other].categories;
    }
    *nothing = ends[0];
    *start = begins[0];
done:
    free(ends);
    free(begins);
    return st;
}

/* Repeats the operations from `from` on: `least` copies, then a loop or as many that may stay out. */
static yk_status repeat(parser *s, size_t from, uint32_t least, uint32_t most, yk_greed greed)
{
    yk_status st = YK_OK;
    yk_error *err = s->err;
    size_t n = s->p->ops - from;
    yk_op *body = NULL;
    yk_set start;
    bool nothing, lazy = greed == YK_LAZY;
    YK_NEW(body, n);
    memcpy(body, s->p->op + from, n * sizeof *body);
    YK_TRY(look_over(s, from, &nothing, &start));
    if (nothing && most > 1) YK_TRY(refuse(s, "what can match nothing is repeated"));
    uint32_t times = most == UINT32_MAX ? least + 1 : most;
    if (n * times > MAX_OPS) YK_TRY(refuse(s, "larger than supported"));
    s->p->ops = from;
    if (greed == YK_POSSESSIVE) YK_TRY(add_op(s, (yk_op){.kind = YK_OP_ATOMIC}));
    for (uint32_t i = 0; i < times; i++) {
        /* what may stay out ends where the last copy does */
        int32_t out = (int32_t)(most == UINT32_MAX ? n + 2 : (n + 1) * (times - i));
        yk_op fork = {.kind = YK_OP_FORK, .to = lazy ? out : 1, .other = lazy ? 1 : out};
        if (i >= least) YK_TRY(add_op(s, fork));
        for (size_t k = 0; k < n; k++) YK_TRY(add_op(s, body[k]));
    }
    if (most == UINT32_MAX) YK_TRY(add_op(s, (yk_op){.kind = YK_OP_JUMP, .to = -(int32_t)(n + 1)}));
    if (greed == YK_POSSESSIVE) {
        YK_TRY(add_op(s, (yk_op){.kind = YK_OP_MATCH}));
        s->p->op[from].to = (int32_t)(s->p->ops - from);
    }
done:
    free(body);
    return st;
}

static yk_status parse_quantifier(parser *s, size_t from)
{
    uint32_t least = *s->at == '+', most = *s->at == '?' ? 1 : UINT32_MAX;
    bool interval = *s->at == '{';
    if (!*s->at || !strchr("?*+{", *s->at)) return YK_OK;
    if (!interval) s->at++;
    else if (!parse_interval(&s->at, &least, &most))
        return refuse(s, "not a supported {n,m}; as a character it is \\{");
    yk_greed greed = *s->at == '?' ? YK_LAZY : *s->at == '+' && !interval ? YK_POSSESSIVE : YK_GREEDY;
    if (greed == YK_LAZY && interval && least == most) return refuse(s, "{n}? is not supported");
    s->at += greed != YK_GREEDY;
    if (*s->at && strchr("?*+{", *s->at))
        return refuse(s, "a quantifier after a quantifier is not supported; (?:...) parts them");
    if (s->p->ops == from + 1 && s->p->op[from].kind == YK_OP_SET) {
        s->p->op[from] = (yk_op){YK_OP_LOOP, greed, 0, 0, s->p->op[from].set, least, most};
        return YK_OK;
    }
    return repeat(s, from, least, most, greed);
}

static yk_status parse_alternatives(parser *s)
{
    yk_status st = YK_OK;
    size_t from = s->p->ops, jump = 0;
    if (++s->depth > MAX_DEPTH) return refuse(s, "more alternatives or groups than supported");
    while (*s->at && *s->at != '|' && *s->at != ')') {
        size_t atom = s->p->ops;
        YK_TRY(parse_atom(s));
        if (s->p->ops > atom) YK_TRY(parse_quantifier(s, atom));
    }
    if (*s->at == '|') {
        s->at++;
        YK_TRY(insert_op(s, from, (yk_op){.kind = YK_OP_FORK, .to = 1}));
        jump = s->p->ops;
        YK_TRY(add_op(s, (yk_op){.kind = YK_OP_JUMP}));
        s->p->op[from].other = (int32_t)(s->p->ops - from);
        YK_TRY(parse_alternatives(s));
        s->p->op[jump].to = (int32_t)(s->p->ops - jump);
    }
    s->depth--;
done:
    return st;
}

yk_status yk_pattern_new(yk_pattern **out, const char *text, bool literal, const uint8_t *kinds, yk_error *err)
{
    yk_status st = YK_OK;
    yk_pattern *p = NULL;
    bool nothing;
    YK_NEW(p, 1);
    parser s = {.p = p, .kinds = kinds, .text = text, .at = text, .err = err};
    size_t n = strlen(text);
    if (n > MAX_PATTERN) YK_FAIL(YK_ERR_INPUT, "a split pattern of %zu bytes is not supported", n);
    if (yk_utf8_valid(text, n) != n) YK_FAIL(YK_ERR_INPUT, "a split pattern is not UTF-8");
    while (literal && *s.at) {
        uint32_t c;
        YK_TRY(parse_plain(&s, &c));
        YK_TRY(add_character(&s, c));
    }
    if (!literal) YK_TRY(parse_alternatives(&s));
    if (*s.at) YK_TRY(refuse(&s, "`)` without `(`"));
    YK_TRY(add_op(&s, (yk_op){.kind = YK_OP_MATCH}));
    YK_TRY(look_over(&s, 0, &nothing, &p->start));
    if (nothing) YK_TRY(refuse(&s, "the pattern can match nothing"));
    *out = p;
    p = NULL;
done:
    yk_pattern_free(p);
    return st;
}

void yk_pattern_free(yk_pattern *p)
{
    if (!p) return;
    free(p->op);
    free(p->set);
    free(p->range);
    free(p);
}
