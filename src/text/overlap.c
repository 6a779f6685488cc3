#include "text/overlap.h"

#include "base/hash.h"
#include "base/mem.h"
#include "text/hashes.h"
#include "text/stream.h"
#include "text/words.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_WHOLE = 3, LINE_LIMIT = 64 << 20 };

/* The seed of a gram's hash tells its length and whether it is a whole text. */
enum { WHOLE = 1 << 16 };

struct yk_overlap {
    size_t words;
    yk_hashes grams;
};

yk_status yk_overlap_new(yk_overlap **out, size_t words, yk_error *err)
{
    yk_status st = YK_OK;
    yk_overlap *o = NULL;
    YK_NEW(o, 1);
    o->words = words;
    *out = o;
    o = NULL;
done:
    yk_overlap_free(o);
    return st;
}

void yk_overlap_free(yk_overlap *o)
{
    if (!o) return;
    yk_hashes_free(&o->grams);
    free(o);
}

static uint64_t hash_gram(const uint64_t *word, size_t n, bool whole)
{
    return yk_hash64(word, n * sizeof *word, n | (whole ? WHOLE : 0));
}

yk_status yk_overlap_add(yk_overlap *o, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    YK_TRY(yk_words_split(&w, text, n, err));
    for (size_t length = o->words < LEAST_WHOLE ? o->words : LEAST_WHOLE; length <= o->words; length++)
        for (size_t i = 0; i + length <= w.n; i++)
            YK_TRY(yk_hashes_add(&o->grams, hash_gram(w.word + i, length, false), NULL, err));
    if (w.n >= LEAST_WHOLE && w.n < o->words)
        YK_TRY(yk_hashes_add(&o->grams, hash_gram(w.word, w.n, true), NULL, err));
done:
    yk_words_free(&w);
    return st;
}

static bool has(const yk_overlap *o, const uint64_t *word, size_t n, bool whole)
{
    return yk_hashes_has(&o->grams, hash_gram(word, n, whole));
}

yk_status yk_overlap_find(const yk_overlap *o, const char *text, size_t n, bool *hit, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    bool found = false;
    *hit = false;
    if (o->grams.n == 0) return YK_OK;
    YK_TRY(yk_words_split(&w, text, n, err));
    for (size_t i = 0; i + o->words <= w.n && !found; i++) found = has(o, w.word + i, o->words, false);
    if (w.n >= LEAST_WHOLE && w.n < o->words) found = found || has(o, w.word, w.n, false);
    for (size_t length = LEAST_WHOLE; length < o->words && !found; length++)
        for (size_t i = 0; i + length <= w.n && !found; i++) found = has(o, w.word + i, length, true);
    *hit = found;
done:
    yk_words_free(&w);
    return st;
}

/* jansson bounds the depth of what it parses. */
static yk_status add_value(yk_overlap *o, const json_t *x, yk_error *err)
{
    yk_status st = YK_OK;
    const char *name;
    json_t *member;
    if (json_is_string(x)) return yk_overlap_add(o, json_string_value(x), json_string_length(x), err);
    for (size_t i = 0; i < json_array_size(x); i++) YK_TRY(add_value(o, json_array_get(x, i), err));
    json_object_foreach((json_t *)(uintptr_t)x, name, member) YK_TRY(add_value(o, member, err));
done:
    return st;
}

yk_status yk_overlap_add_file(yk_overlap *o, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_stream_in *s = NULL;
    yk_buf line = {0};
    json_t *x = NULL;
    bool end = false;
    YK_TRY(yk_stream_open(&s, path, err));
    for (size_t number = 1;; number++) {
        json_error_t why;
        YK_TRY(yk_stream_line(s, &line, LINE_LIMIT, &end, err));
        if (end) break;
        if (strspn(line.data, " \t\r") == line.len) continue;
        json_decref(x);
        x = json_loadb(line.data, line.len, 0, &why);
        if (!x) YK_FAIL(YK_ERR_INPUT, "%s:%zu: not JSON (%s); one object a line is expected", path, number, why.text);
        YK_TRY(add_value(o, x, err));
    }
done:
    json_decref(x);
    yk_buf_free(&line);
    yk_stream_close(s);
    return st;
}
