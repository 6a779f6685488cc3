#include "text/words.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static bool is_around(char c)
{
    return strchr(".,;:!?\"'`()[]{}", c) != NULL;
}

/* Bytes of the character at `c` when it is a word by itself (U+3000 to U+9FFF), else 0. */
static size_t ideograph(const char *c, const char *end)
{
    unsigned char lead = (unsigned char)*c;
    return lead >= 0xE3 && lead <= 0xE9 && end - c >= 3 ? 3 : 0;
}

static yk_status make_room(yk_words *w, yk_error *err)
{
    yk_status st = YK_OK;
    size_t rooms[2] = {w->room, w->room};
    YK_ROOM(w->from, w->n, rooms[0]);
    YK_ROOM(w->to, w->n, rooms[1]);
    YK_ROOM(w->word, w->n, w->room);
done:
    return st;
}

static yk_status add_word(yk_words *w, const char *text, const char *from, const char *to, yk_error *err)
{
    yk_status st = YK_OK;
    char small[64];
    uint64_t hash = 0;
    bool digit = false;
    while (from < to && is_around(*from)) from++;
    while (from < to && is_around(to[-1])) to--;
    if (from == to) return YK_OK;
    YK_TRY(make_room(w, err));
    w->from[w->n] = (size_t)(from - text);
    w->to[w->n] = (size_t)(to - text);
    while (from < to) { /* in pieces, each hashed with what came before */
        size_t n = 0;
        for (; from < to && n < sizeof small; from++, n++) {
            small[n] = *from >= 'A' && *from <= 'Z' ? (char)(*from - 'A' + 'a') : *from;
            digit = digit || (*from >= '0' && *from <= '9');
        }
        hash = yk_hash64(small, n, hash);
    }
    if (digit) w->numbers = yk_hash64(&hash, sizeof hash, w->numbers);
    w->word[w->n++] = hash;
done:
    return st;
}

yk_status yk_words_split(yk_words *w, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    const char *end = text + n, *from = text;
    w->n = 0;
    w->numbers = 0;
    while (from < end) {
        size_t own = ideograph(from, end);
        const char *to = from + own;
        while (!own && to < end && !yk_is_space(*to) && !ideograph(to, end)) to++;
        YK_TRY(add_word(w, text, from, to, err));
        for (from = to; from < end && yk_is_space(*from);) from++;
    }
done:
    return st;
}

void yk_words_free(yk_words *w)
{
    free(w->word);
    free(w->from);
    free(w->to);
    *w = (yk_words){0};
}
