#include "text/passages.h"

#include "base/file.h"
#include "base/hash.h"
#include "text/pool.h"
#include "text/words.h"

#include <stdlib.h>
#include <string.h>

/* Whether a sentence that began at or before `from` ends before the white space at `at`. */
static bool ends_sentence(const char *from, const char *at)
{
    while (at > from && strchr("\"')]", at[-1])) at--;
    if (at == from || !strchr(".?!", at[-1])) return false;
    const char *word = --at;
    while (word > from && !yk_is_space(word[-1])) word--;
    return *at != '.' || at - word > 3;
}

/* The last place in [from, to) where a paragraph ends or, where none does, a sentence; NULL: nowhere. */
static const char *last_end(const char *from, const char *to)
{
    for (const char *c = to; c > from; c--)
        if (c[0] == '\n' && c[1] == '\n') return c;
    for (const char *c = to; c > from; c--)
        if (yk_is_space(c[0]) && ends_sentence(from, c)) return c;
    return NULL;
}

static const char *next_paragraph(const char *c, const char *end)
{
    while (c < end && !(c[0] == '\n' && c[1] == '\n')) c++;
    return c;
}

yk_status yk_passages_of(const yk_document *doc, size_t least, size_t most, yk_passage_fn fn, void *context,
                         yk_error *err)
{
    yk_status st = YK_OK;
    const char *at = doc->text, *end = doc->text + doc->length;
    while (end > at && strchr(" \n", end[-1])) end--;
    for (;;) {
        while (at < end && strchr(" \n", *at)) at++;
        if ((size_t)(end - at) < least) break;
        const bool rest = (size_t)(end - at) <= most;
        const char *to = rest ? end : last_end(at + least - 1, at + most);
        if (to) YK_TRY(fn(context, at, (size_t)(to - at), err));
        at = to ? to : next_paragraph(at, end);
    }
done:
    return st;
}

yk_status yk_sentences_of(const char *passage, yk_passage_fn fn, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf sentence = {0};
    for (const char *c = passage; *c || sentence.len > 0; c += *c != 0) {
        const bool ends = sentence.len > 0 && ends_sentence(sentence.data, sentence.data + sentence.len);
        if (*c && !yk_is_space(*c)) {
            yk_buf_add(&sentence, c, 1);
            continue;
        }
        if (sentence.len > 0 && (!*c || ends || (c[0] == '\n' && c[1] == '\n'))) {
            YK_TRY(fn(context, sentence.data, sentence.len, err));
            yk_buf_clear(&sentence);
        } else if (sentence.len > 0 && !yk_is_space(c[1]) && c[1]) {
            yk_buf_puts(&sentence, " ");
        }
    }
done:
    yk_buf_free(&sentence);
    return st;
}

typedef struct chooser {
    const yk_recipe *r;
    yk_pool all, document;
} chooser;

static yk_status take_passage(void *context, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    chooser *c = context;
    bool repeated;
    char *copy = strndup(text, n);
    if (!copy) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    const yk_asked p = {yk_hash64(text, n, (uint64_t)c->r->seed), 0, copy, (char *)(uintptr_t)""};
    YK_TRY(yk_pool_offer(&c->document, &p, &repeated, err));
done:
    free(copy);
    return st;
}

static bool is_wanted(const yk_list *languages, const char *language)
{
    for (size_t i = 0; i < languages->n; i++)
        if (strcmp(languages->item[i], language) == 0) return true;
    return languages->n == 0;
}

static yk_status take_document(void *context, const yk_document *doc, yk_error *err)
{
    yk_status st = YK_OK;
    chooser *c = context;
    const size_t most = (size_t)c->r->propose_passage_bytes;
    bool repeated;
    if (!is_wanted(&c->r->propose_languages, doc->lang)) return YK_OK;
    yk_pool_clear(&c->document);
    YK_TRY(yk_passages_of(doc, most / 3, most, take_passage, c, err));
    for (size_t i = 0; i < c->document.n; i++) YK_TRY(yk_pool_offer(&c->all, &c->document.asked[i], &repeated, err));
done:
    return st;
}

static yk_status read_all(chooser *c, const char *run_dir, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    for (size_t i = 0; i < c->r->corpora; i++) {
        free(path);
        path = yk_documents_path(run_dir, c->r->corpus[i].domain, false);
        if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        if (!yk_exists(path))
            YK_FAIL(YK_ERR_INPUT, "%s is missing: passages are taken from clean documents; put `clean` before "
                    "`propose` in `stages`", path);
        YK_TRY(yk_documents_read(path, take_document, c, err));
    }
    if (c->all.n == 0)
        YK_FAIL(YK_ERR_INPUT, "no document of the clean stage has a passage of %lld to %lld bytes in a language of "
                "`propose.languages`; name other languages (none: all), or change propose.passage_bytes",
                (long long)(c->r->propose_passage_bytes / 3), (long long)c->r->propose_passage_bytes);
done:
    free(path);
    return st;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static yk_status count_words(yk_passages *p, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    for (size_t i = 0; i < p->n; i++) {
        YK_TRY(yk_words_split(&w, p->item[i].text, strlen(p->item[i].text), err));
        if (w.n) qsort(w.word, w.n, sizeof *w.word, ascending);
        for (size_t k = 0; k < w.n; k++) {
            if (k > 0 && w.word[k] == w.word[k - 1]) continue;
            YK_ROOM(p->word, p->words, p->room);
            p->word[p->words++] = w.word[k];
        }
    }
    if (p->words) qsort(p->word, p->words, sizeof *p->word, ascending);
done:
    yk_words_free(&w);
    return st;
}

/* How many words are below `word`. */
static size_t place_of(const yk_passages *p, uint64_t word)
{
    size_t low = 0, high = p->words;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->word[middle] < word) low = middle + 1;
        else high = middle;
    }
    return low;
}

yk_status yk_passages_rarest(const yk_passages *p, const char *text, size_t n, double *share, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    size_t fewest = p->n;
    YK_TRY(yk_words_split(&w, text, n, err));
    for (size_t i = 0; i < w.n; i++) {
        size_t from = place_of(p, w.word[i]), to = from;
        while (to < p->words && p->word[to] == w.word[i] && to - from < fewest) to++;
        fewest = to - from;
    }
    *share = w.n && p->n ? (double)fewest / (double)p->n : 1;
done:
    yk_words_free(&w);
    return st;
}

yk_status yk_passages_choose(yk_passages *p, const yk_recipe *r, const char *run_dir, yk_error *err)
{
    yk_status st = YK_OK;
    chooser c = {.r = r, .all = {.most = (size_t)r->propose_passages},
                 .document = {.most = (size_t)r->propose_per_document}};
    *p = (yk_passages){0};
    YK_TRY(read_all(&c, run_dir, err));
    YK_NEW(p->item, c.all.n);
    for (; p->n < c.all.n; p->n++) {
        char *copy = strdup(c.all.asked[p->n].prompt);
        if (!copy) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        p->item[p->n] = (yk_passage){c.all.asked[p->n].rank, copy};
    }
    YK_TRY(count_words(p, err));
done:
    yk_pool_free(&c.all);
    yk_pool_free(&c.document);
    if (st != YK_OK) yk_passages_free(p);
    return st;
}

void yk_passages_free(yk_passages *p)
{
    for (size_t i = 0; i < p->n; i++) free(p->item[i].text);
    free(p->item);
    free(p->word);
    *p = (yk_passages){0};
}
