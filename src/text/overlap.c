#include "text/overlap.h"

#include "base/hash.h"
#include "base/mem.h"
#include "text/hashes.h"
#include "text/stream.h"
#include "text/words.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_WHOLE = 3, LINE_LIMIT = 64 << 20 };

/* The seed of a gram's hash tells its length and whether it is a whole text. */
enum { WHOLE = 1 << 16 };

struct yk_overlap {
    size_t words;
    yk_hashes grams;
    bool *whole;      /* [words] of each length: an item of so many words was added */
    atomic_bool *met; /* [grams.slots] */
};

yk_status yk_overlap_new(yk_overlap **out, size_t words, yk_error *err)
{
    yk_status st = YK_OK;
    yk_overlap *o = NULL;
    YK_NEW(o, 1);
    YK_NEW(o->whole, words);
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
    free(o->whole);
    free(o->met);
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

/* --- items -------------------------------------------------------------------------------------- */

yk_status yk_overlap_add_item(yk_overlap *o, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    YK_TRY(yk_words_split(&w, text, n, err));
    for (size_t i = 0; i + o->words <= w.n; i++)
        YK_TRY(yk_hashes_add(&o->grams, hash_gram(w.word + i, o->words, false), NULL, err));
    if (w.n < LEAST_WHOLE || w.n >= o->words) goto done;
    o->whole[w.n] = true;
    YK_TRY(yk_hashes_add(&o->grams, hash_gram(w.word, w.n, true), NULL, err));
done:
    yk_words_free(&w);
    return st;
}

yk_status yk_overlap_seal(yk_overlap *o, yk_error *err)
{
    yk_status st = YK_OK;
    YK_NEW(o->met, o->grams.slots);
done:
    return st;
}

static void meet_grams(yk_overlap *o, const yk_words *w, size_t length, bool whole)
{
    for (size_t i = 0; i + length <= w->n; i++) {
        size_t slot = yk_hashes_slot(&o->grams, hash_gram(w->word + i, length, whole));
        if (slot != SIZE_MAX) atomic_store_explicit(&o->met[slot], true, memory_order_relaxed);
    }
}

yk_status yk_overlap_meet(yk_overlap *o, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    if (o->grams.n == 0) return YK_OK;
    YK_TRY(yk_words_split(&w, text, n, err));
    meet_grams(o, &w, o->words, false);
    for (size_t length = LEAST_WHOLE; length < o->words; length++)
        if (o->whole[length]) meet_grams(o, &w, length, true);
done:
    yk_words_free(&w);
    return st;
}

yk_status yk_overlap_met(const yk_overlap *o, const char *text, size_t n, yk_met *met, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    *met = (yk_met){0};
    YK_TRY(yk_words_split(&w, text, n, err));
    const bool whole = w.n < o->words;
    const size_t length = whole ? w.n : o->words;
    for (size_t i = 0; length >= (whole ? LEAST_WHOLE : 1) && i + length <= w.n && !met->hit; i++) {
        size_t slot = yk_hashes_slot(&o->grams, hash_gram(w.word + i, length, whole));
        if (slot != SIZE_MAX && o->met[slot]) *met = (yk_met){true, w.from[i], w.to[i + length - 1]};
    }
done:
    yk_words_free(&w);
    return st;
}

/* --- files --------------------------------------------------------------------------------------- */

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

/* Appends the texts of a value, a line each. */
static void gather(const json_t *x, yk_buf *out)
{
    static const char *const labels[] = {"kind", "verifier", "role", "source", "lang"};
    const char *name;
    json_t *member;
    if (json_is_string(x)) {
        yk_buf_add(out, json_string_value(x), json_string_length(x));
        yk_buf_puts(out, "\n");
    }
    for (size_t i = 0; i < json_array_size(x); i++) gather(json_array_get(x, i), out);
    json_object_foreach((json_t *)(uintptr_t)x, name, member) {
        bool label = false;
        for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) label = label || strcmp(name, labels[i]) == 0;
        if (!label) gather(member, out);
    }
}

enum { BATCH_LINES = 1024, BATCH_BYTES = 4 << 20, KEPT_BYTES = 64 << 10, DOCUMENT_LIMIT = 1 << 30 };

/* Lines at a time, met side by side. */
typedef struct meeting {
    yk_overlap *o;
    yk_comm *comm;
    yk_buf line[BATCH_LINES];
    size_t n;
    yk_status st[BATCH_LINES];
} meeting;

static void meet_lines(const void *args, int64_t begin, int64_t end, int thread)
{
    meeting *m = (meeting *)(uintptr_t)args;
    yk_buf text = {0};
    yk_error err;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        if (yk_comm_makes(m->comm, i)) {
            json_t *x = json_loadb(m->line[i].data, m->line[i].len, 0, NULL);
            yk_buf_clear(&text);
            gather(x, &text);
            m->st[i] = yk_overlap_meet(m->o, text.data ? text.data : "", text.len, &err);
            json_decref(x);
        }
        if (m->line[i].cap > KEPT_BYTES) yk_buf_free(&m->line[i]);
    }
    yk_buf_free(&text);
}

yk_status yk_overlap_meet_file(yk_overlap *o, const char *path, const yk_team *team, yk_comm *comm,
                               yk_error *err)
{
    yk_status st = YK_OK;
    yk_stream_in *s = NULL;
    meeting *m = NULL;
    YK_NEW(m, 1);
    m->o = o;
    m->comm = comm;
    YK_TRY(yk_stream_open(&s, path, err));
    for (bool end = false; !end;) {
        m->n = 0;
        for (size_t bytes = 0; m->n < BATCH_LINES && bytes < BATCH_BYTES; bytes += m->line[m->n++].len) {
            YK_TRY(yk_stream_line(s, &m->line[m->n], DOCUMENT_LIMIT, &end, err));
            if (end) break;
        }
        yk_team_rows(team, (int64_t)m->n, 1, meet_lines, m);
        for (size_t i = 0; i < m->n; i++)
            if (m->st[i] != YK_OK) YK_FAIL(m->st[i], "%s: out of memory", path);
    }
done:
    for (size_t i = 0; m && i < BATCH_LINES; i++) yk_buf_free(&m->line[i]);
    free(m);
    yk_stream_close(s);
    return st;
}

yk_status yk_overlap_share(yk_overlap *o, yk_comm *comm, yk_error *err)
{
    yk_status st = YK_OK;
    const int size = yk_comm_size(comm);
    const size_t slots = o->grams.slots;
    yk_buf *met = NULL;
    if (!comm) return YK_OK;
    YK_NEW(met, size);
    yk_buf_reserve(&met[yk_comm_rank(comm)], slots);
    for (size_t i = 0; i < slots; i++) yk_buf_add(&met[yk_comm_rank(comm)], &(char){o->met[i]}, 1);
done:
    st = yk_comm_agree(comm, st, err);
    if (st == YK_OK) yk_comm_gather_texts(comm, met, size);
    for (int r = 0; st == YK_OK && r < size; r++)
        for (size_t i = 0; i < slots; i++)
            if (met[r].data[i]) o->met[i] = true;
    for (int r = 0; met && r < size; r++) yk_buf_free(&met[r]);
    free(met);
    return st;
}
