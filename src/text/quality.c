#include "text/quality.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

/* What is measured. Shares are of words, lines or characters as the name says. */
typedef struct measures {
    double words, word_length, symbols, lettered_words, stop_words;
    double bullet_lines, ellipsis_lines, ended_lines, short_lines;
    double duplicate_lines, duplicate_line_bytes;
    double top2, top3, top4, dup5, dup6, dup7, dup8, dup9, dup10;
    double line_length, longest_line, alphanumerics, digits;
} measures;

enum { PROSE = 1, CODE = 2, ENGLISH = 4, SPACED = 8 };

typedef struct rule {
    const char *reason;
    size_t measure;
    double low, high;
    int applies;
} rule;

#define OF(field) offsetof(measures, field)
/* FineWeb wants 0.12 of lines to end in punctuation; lists of options and headings in manuals keep many good
 * technical pages below it, so 0.05 is asked here. */
static const rule rules[] = {
    {"word length", OF(word_length), 3, 10, PROSE | SPACED},
    {"symbols", OF(symbols), 0, 0.1, PROSE},
    {"words without letters", OF(lettered_words), 0.8, 1, PROSE | SPACED},
    {"no stop words", OF(stop_words), 2, 1e18, PROSE | ENGLISH},
    {"bullet lines", OF(bullet_lines), 0, 0.9, PROSE},
    {"ellipsis lines", OF(ellipsis_lines), 0, 0.3, PROSE},
    {"line punctuation", OF(ended_lines), 0.05, 1, PROSE},
    {"short lines", OF(short_lines), 0, 0.67, PROSE | SPACED},
    {"duplicate lines", OF(duplicate_lines), 0, 0.3, PROSE},
    {"duplicate line text", OF(duplicate_line_bytes), 0, 0.2, PROSE},
    {"frequent 2-gram", OF(top2), 0, 0.20, PROSE},
    {"frequent 3-gram", OF(top3), 0, 0.18, PROSE},
    {"frequent 4-gram", OF(top4), 0, 0.16, PROSE},
    {"repeated 5-grams", OF(dup5), 0, 0.15, PROSE},
    {"repeated 6-grams", OF(dup6), 0, 0.14, PROSE},
    {"repeated 7-grams", OF(dup7), 0, 0.13, PROSE},
    {"repeated 8-grams", OF(dup8), 0, 0.12, PROSE},
    {"repeated 9-grams", OF(dup9), 0, 0.11, PROSE},
    {"repeated 10-grams", OF(dup10), 0, 0.10, PROSE},
    {"code: long lines", OF(line_length), 0, 100, CODE},
    {"code: longest line", OF(longest_line), 0, 1000, CODE},
    {"code: few letters", OF(alphanumerics), 0.25, 1, CODE},
    {"code: data", OF(digits), 0, 0.4, CODE},
};

typedef struct gram {
    uint64_t hash;
    uint32_t count;
} gram;

struct yk_quality {
    uint64_t *word;      /* hashes */
    uint32_t *length;    /* bytes of each word */
    size_t n, room;
    gram *table;
    size_t slots, table_room; /* in use for this text, allocated */
    double spaced;       /* share of words from scripts with spaces */
};

yk_status yk_quality_new(yk_quality **q, yk_error *err)
{
    *q = yk_calloc(1, sizeof **q, err);
    return *q ? YK_OK : YK_ERR_MEMORY;
}

void yk_quality_free(yk_quality *q)
{
    if (!q) return;
    free(q->word);
    free(q->length);
    free(q->table);
    free(q);
}

const uint64_t *yk_quality_words(const yk_quality *q, size_t *n)
{
    *n = q->n;
    return q->word;
}

static yk_status add_word(yk_quality *q, const char *bytes, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    if (q->n == q->room) {
        size_t room = q->room ? 2 * q->room : 4096;
        uint64_t *word = yk_regrow(q->word, room, sizeof *word, err);
        if (word) q->word = word;
        uint32_t *length = word ? yk_regrow(q->length, room, sizeof *length, err) : NULL;
        if (!length) return YK_ERR_MEMORY;
        q->length = length;
        q->room = room;
    }
    char lower[64];
    for (size_t i = 0; i < n && i < sizeof lower; i++)
        lower[i] = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] + 32) : bytes[i];
    q->word[q->n] = yk_hash64(n <= sizeof lower ? lower : bytes, n, 0);
    q->length[q->n++] = (uint32_t)n;
    return st;
}

/* Scripts written without spaces: Thai, Lao, Khmer, Myanmar, kana, Han. */
static bool unspaced(utf8proc_int32_t c)
{
    return (c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) || (c >= 0x1780 && c <= 0x17FF) ||
           (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

static bool is_stop_word(const char *w, size_t n)
{
    static const char *const stop[] = {"the", "be", "to", "of", "and", "that", "have", "with", "is", "in", "a"};
    for (size_t i = 0; i < sizeof stop / sizeof *stop; i++)
        if (strlen(stop[i]) == n && strncasecmp(stop[i], w, n) == 0) return true;
    return false;
}

static bool is_letter(utf8proc_int32_t c)
{
    if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_MC;
}

/* One blank-separated token: one word, or one word a character of an unspaced script. */
static yk_status measure_token(yk_quality *q, measures *m, const char *w, size_t n, double *alone, yk_error *err)
{
    yk_status st = YK_OK;
    bool lettered = false, any_unspaced = false;
    size_t characters = 0;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)w + i, (utf8proc_ssize_t)(n - i), &c);
        if (used <= 0) break;
        lettered = lettered || is_letter(c);
        if (unspaced(c)) {
            any_unspaced = true;
            ++*alone;
            YK_TRY(add_word(q, w + i, (size_t)used, err));
        }
        characters++;
        i += (size_t)used;
    }
    if (any_unspaced) return YK_OK;
    YK_TRY(add_word(q, w, n, err));
    m->words++;
    m->word_length += (double)characters;
    m->lettered_words += lettered;
    m->stop_words += is_stop_word(w, n);
    m->symbols += w[0] == '#' || strcmp(w, "...") == 0;
done:
    return st;
}

static yk_status measure_words(yk_quality *q, measures *m, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    double alone = 0;
    q->n = 0;
    for (size_t i = 0; i < n;) {
        size_t from = i;
        while (i < n && !strchr(" \t\n", text[i])) i++;
        if (i > from) YK_TRY(measure_token(q, m, text + from, i - from, &alone, err));
        while (i < n && strchr(" \t\n", text[i])) i++;
    }
    double spaced = m->words > 0 ? m->words : 1;
    m->word_length /= spaced;
    m->lettered_words /= spaced;
    m->symbols /= m->words + alone > 0 ? m->words + alone : 1;
    q->spaced = m->words + alone > 0 ? m->words / (m->words + alone) : 1;
    m->words += alone / 2; /* two characters to a word, roughly */
done:
    return st;
}

static yk_status clear_table(yk_quality *q, size_t entries, yk_error *err)
{
    yk_status st = YK_OK;
    size_t slots = 64;
    while (slots < 2 * entries) slots *= 2;
    if (slots > q->table_room) {
        free(q->table);
        q->table = NULL;
        q->table_room = 0;
        YK_NEW(q->table, slots);
        q->table_room = slots;
    } else {
        memset(q->table, 0, slots * sizeof *q->table);
    }
    q->slots = slots;
done:
    return st;
}

static gram *find_gram(yk_quality *q, uint64_t hash)
{
    size_t i = hash & (q->slots - 1);
    while (q->table[i].count && q->table[i].hash != hash) i = (i + 1) & (q->slots - 1);
    q->table[i].hash = hash;
    return &q->table[i];
}

static bool ends_sentence(const char *line, size_t n)
{
    static const char *const ends[] = {".", "!", "?", ":", ";", ",", "\"", "'", ")", "\xE3\x80\x82", "\xEF\xBC\x9A",
                                       "\xEF\xBC\x81", "\xEF\xBC\x9F", "\xE2\x80\x9D", "\xD8\x9F", "\xE0\xA5\xA4"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t e = strlen(ends[i]);
        if (n >= e && memcmp(line + n - e, ends[i], e) == 0) return true;
    }
    return false;
}

static void measure_line(yk_quality *q, measures *m, const char *line, size_t n)
{
    size_t blank = 0;
    while (blank < n && (line[blank] == ' ' || line[blank] == '\t')) blank++;
    bool bullet = n - blank >= 2 && strchr("-*+", line[blank]) && line[blank + 1] == ' ';
    m->bullet_lines += bullet || (n - blank >= 3 && memcmp(line + blank, "\xE2\x80\xA2", 3) == 0);
    m->ellipsis_lines += (n >= 3 && memcmp(line + n - 3, "...", 3) == 0) ||
                         (n >= 3 && memcmp(line + n - 3, "\xE2\x80\xA6", 3) == 0);
    m->ended_lines += ends_sentence(line, n);
    m->short_lines += n < 30;
    if (n > m->longest_line) m->longest_line = (double)n;
    if (find_gram(q, yk_hash64(line, n, 2))->count++) {
        m->duplicate_lines++;
        m->duplicate_line_bytes += (double)n;
    }
}

static yk_status measure_lines(yk_quality *q, measures *m, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    double lines = 0;
    size_t total = 0;
    for (size_t i = 0; i < n; i++) total += text[i] == '\n';
    YK_TRY(clear_table(q, total + 1, err));
    for (size_t i = 0; i < n;) {
        const char *stop = memchr(text + i, '\n', n - i);
        size_t end = stop ? (size_t)(stop - text) : n;
        if (end > i) {
            measure_line(q, m, text + i, end - i);
            m->line_length += (double)(end - i);
            lines++;
        }
        i = end + 1;
    }
    if (lines < 1) lines = 1;
    m->duplicate_line_bytes /= m->line_length > 0 ? m->line_length : 1;
    m->bullet_lines /= lines, m->ellipsis_lines /= lines, m->ended_lines /= lines, m->short_lines /= lines;
    m->duplicate_lines /= lines, m->line_length /= lines;
done:
    return st;
}

static void measure_characters(measures *m, const char *text, size_t n)
{
    size_t alphanumeric = 0, digits = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool digit = c >= '0' && c <= '9';
        digits += digit;
        alphanumeric += digit || (unsigned)((c | 32) - 'a') < 26 || c >= 0x80;
    }
    m->alphanumerics = n ? (double)alphanumeric / (double)n : 0;
    m->digits = n ? (double)digits / (double)n : 0;
}

static uint64_t gram_hash(const uint64_t *w, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) h = (h ^ w[i]) * 0x9E3779B97F4A7C15u + (h >> 31);
    return h;
}

/* n <= 4: bytes of the most frequent n-gram over all bytes; else bytes inside n-grams seen before. */
static yk_status measure_grams(yk_quality *q, size_t n, double *share, yk_error *err)
{
    yk_status st = YK_OK;
    double bytes = 0, found = 0;
    size_t covered = 0;
    *share = 0;
    if (q->n < n) return YK_OK;
    YK_TRY(clear_table(q, q->n, err));
    for (size_t i = 0; i < q->n; i++) bytes += q->length[i];
    for (size_t i = 0; i + n <= q->n; i++) {
        gram *g = find_gram(q, gram_hash(q->word + i, n));
        g->count++;
        if (g->count == 1) continue;
        double size = 0;
        for (size_t j = n <= 4 || covered < i ? i : covered; j < i + n; j++) size += q->length[j];
        if (n > 4) {
            found += size;
            covered = i + n;
        } else if (g->count >= 3 && size * g->count > found) {
            found = size * g->count;
        }
    }
    *share = found / bytes;
done:
    return st;
}

yk_status yk_quality_check(yk_quality *q, const yk_recipe *r, const char *text, size_t n, bool code, const char *lang,
                           const char **reason, yk_error *err)
{
    yk_status st = YK_OK;
    measures m = {0};
    *reason = NULL;
    YK_TRY(measure_words(q, &m, text, n, err));
    if (!r->clean_quality) return YK_OK;
    if (!code && m.words < (double)r->clean_min_words) *reason = "too few words";
    if (!code && m.words > (double)r->clean_max_words) *reason = "too many words";
    if (*reason) return YK_OK;
    YK_TRY(measure_lines(q, &m, text, n, err));
    measure_characters(&m, text, n);
    double *const gram_share[] = {&m.top2, &m.top3, &m.top4, &m.dup5, &m.dup6, &m.dup7, &m.dup8, &m.dup9, &m.dup10};
    for (size_t g = 0; !code && g < 9; g++) YK_TRY(measure_grams(q, g + 2, gram_share[g], err));
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const rule *u = &rules[i];
        double x = *(const double *)((const char *)&m + u->measure);
        if (!(u->applies & (code ? CODE : PROSE))) continue;
        if ((u->applies & ENGLISH) && strcmp(lang, "en") != 0) continue;
        if ((u->applies & SPACED) && q->spaced < 0.5) continue;
        if (x < u->low || x > u->high) {
            *reason = u->reason;
            break;
        }
    }
done:
    return st;
}
