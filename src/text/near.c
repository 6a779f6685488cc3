#include "text/near.h"

#include "base/hash.h"
#include "base/mem.h"
#include "text/dedup.h"
#include "text/words.h"

#include <stdlib.h>
#include <string.h>

/* A pair of similarity 0.8 shares one of 20 bands of 5 hashes with probability 0.9996. */
enum { PAIR = 2, BANDS = 20, ROWS = 5 };

struct yk_near {
    yk_dedup *index;
    yk_words words;     /* of the text at hand */
    uint64_t hash;      /* of all of them */
    uint32_t *signature;
};

yk_status yk_near_new(yk_near **out, double similarity, yk_error *err)
{
    yk_status st = YK_OK;
    yk_near *n = NULL;
    const yk_dedup_options o = {PAIR, BANDS, ROWS, similarity};
    YK_NEW(n, 1);
    YK_TRY(yk_dedup_new(&n->index, &o, err));
    YK_NEW(n->signature, yk_dedup_size(n->index));
    *out = n;
    n = NULL;
done:
    yk_near_free(n);
    return st;
}

void yk_near_free(yk_near *n)
{
    if (!n) return;
    yk_dedup_free(n->index);
    yk_words_free(&n->words);
    free(n->signature);
    free(n);
}

/* Every word is marked by the group and by all the numbers, so that texts which differ in these share nothing. */
static yk_status sign(yk_near *n, const char *text, uint64_t group, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words *w = &n->words;
    YK_TRY(yk_words_split(w, text, strlen(text), err));
    const uint64_t mark = yk_hash64(&w->numbers, sizeof w->numbers, group);
    for (size_t i = 0; i < w->n; i++) w->word[i] ^= mark;
    n->hash = yk_hash64(w->word, w->n * sizeof *w->word, mark);
    yk_dedup_sign(n->index, w->word, w->n, n->signature);
done:
    return st;
}

yk_status yk_near_add(yk_near *n, const char *text, uint64_t group, yk_error *err)
{
    yk_status st = YK_OK;
    const char *reason;
    YK_TRY(sign(n, text, group, err));
    YK_TRY(yk_dedup_add(n->index, n->hash, n->signature, &reason, err));
done:
    return st;
}

yk_status yk_near_find(yk_near *n, const char *text, uint64_t group, bool *hit, yk_error *err)
{
    yk_status st = YK_OK;
    *hit = false;
    YK_TRY(sign(n, text, group, err));
    *hit = yk_dedup_find(n->index, n->hash, n->signature) != NULL;
done:
    return st;
}

static size_t pairs_of(const yk_words *w)
{
    return w->n > PAIR ? w->n - PAIR + 1 : w->n > 0;
}

/* Whether pair i of `a` is among the first `n` of `b`; a text of one word is a pair of its own. */
static bool among(const yk_words *a, size_t i, const yk_words *b, size_t n)
{
    const size_t length = a->n < PAIR ? a->n : PAIR;
    for (size_t j = 0; j < n; j++)
        if (b->n >= length && memcmp(a->word + i, b->word + j, length * sizeof *a->word) == 0) return true;
    return false;
}

yk_status yk_near_similarity(const char *a, const char *b, double *similarity, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words x = {0}, y = {0};
    size_t both = 0, either = 0;
    *similarity = 0;
    YK_TRY(yk_words_split(&x, a, strlen(a), err));
    YK_TRY(yk_words_split(&y, b, strlen(b), err));
    if (x.numbers != y.numbers || (x.n == 1) != (y.n == 1)) goto done;
    for (size_t i = 0; i < pairs_of(&x); i++) {
        if (among(&x, i, &x, i)) continue;
        either++;
        both += among(&x, i, &y, pairs_of(&y));
    }
    for (size_t j = 0; j < pairs_of(&y); j++) either += !among(&y, j, &y, j) && !among(&y, j, &x, pairs_of(&x));
    *similarity = either > 0 ? (double)both / (double)either : 0;
done:
    yk_words_free(&x);
    yk_words_free(&y);
    return st;
}
