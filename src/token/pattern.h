/* Regular expressions of pre-tokenisers, as Oniguruma (which `tokenizers` uses) reads and matches them, over Unicode
 * 16.0: leftmost, of alternatives the first. Supported are characters, escapes \r \n \t \f \v \a \e \xHH \x{H} \uHHHH,
 * `.`, \s \S \d \D, \p{category}, classes [...] of these, groups (?:...) (...) (?>...), ASCII letters without regard to
 * case (?i:...), look-ahead (?=...) (?!...), \A \z ^ $, and quantifiers ? * + {n,m} with lazy ? and possessive +. The
 * rest (\w, \b, \p{script}, nested classes, look-behind, back-references, ...) is refused by name. Not PCRE2, because
 * there classes follow the version of the library, and \s, $ and {n,m}+ mean other things. Private to src/token. */
#ifndef YK_TOKEN_PATTERN_H
#define YK_TOKEN_PATTERN_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of characters: bits of ASCII; beyond, categories and ranges, all inverted when `negated`. */
typedef struct yk_set {
    uint64_t ascii[2];
    uint32_t categories;
    bool negated;
    uint32_t ranges, first; /* first of them in the pattern's list */
} yk_set;

typedef enum yk_op_kind {
    YK_OP_SET,  /* one character of a set */
    YK_OP_LOOP, /* least to most of them */
    YK_OP_FORK, /* go on at + to; should that fail, at + other */
    YK_OP_JUMP,
    YK_OP_AHEAD,     /* what follows matches the operations from here, up to MATCH; go on at + to */
    YK_OP_NOT_AHEAD, /* does not */
    YK_OP_ATOMIC,    /* takes what they match first, and does not come back */
    YK_OP_TEXT_START, YK_OP_LINE_START, YK_OP_LINE_END, YK_OP_TEXT_END,
    YK_OP_MATCH
} yk_op_kind;

typedef enum yk_greed { YK_GREEDY, YK_LAZY, YK_POSSESSIVE } yk_greed;

typedef struct yk_op {
    yk_op_kind kind;
    yk_greed greed;
    int32_t to, other; /* relative */
    uint32_t set, least, most; /* most: UINT32_MAX, no limit */
} yk_op;

typedef struct yk_pattern {
    yk_op *op;
    yk_set *set;
    uint32_t (*range)[2];
    size_t ops, sets, ranges, op_room, set_room, range_room;
    yk_set start; /* a match begins with one of these (or others) */
} yk_pattern;

/* Compiles. `literal`: the text is to be found as it stands. YK_ERR_INPUT names the pattern, the place and the reason;
 * a pattern that can match nothing is refused too. `kinds`: of unicode.h. */
yk_status yk_pattern_new(yk_pattern **p, const char *text, bool literal, const uint8_t *kinds, yk_error *err);
void yk_pattern_free(yk_pattern *p);

/* One thread's working memory for matching. Zero-initialise. */
typedef struct yk_frame {
    size_t at, least;
    uint32_t op;
} yk_frame;
typedef struct yk_matcher {
    yk_frame *frame;
    size_t frames, room;
    uint64_t steps, limit; /* characters looked at and ways tried; set by the caller */
} yk_matcher;

/* The first match in text[at..n), which is valid UTF-8: from *begin to *end; *begin == n when there is none. It reads
 * text before `at` for ^ alone. YK_ERR_INPUT when m->limit is passed. */
yk_status yk_pattern_find(const yk_pattern *p, const uint8_t *kinds, yk_matcher *m, const char *text, size_t at,
                          size_t n, size_t *begin, size_t *end, yk_error *err);

#endif
