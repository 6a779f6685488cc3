#include "text/holdout.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct yk_held {
    double place;
    size_t length;
    char *text, *source, *lang; /* one allocation */
};

static char *put(char **at, const char *from, size_t n)
{
    char *to = *at;
    memcpy(to, from, n);
    to[n] = 0;
    *at += n + 1;
    return to;
}

yk_status yk_holdout_add(yk_holdout *h, double place, const yk_document *doc, yk_error *err)
{
    yk_status st = YK_OK;
    size_t source = strlen(doc->source), lang = strlen(doc->lang), at = h->n;
    YK_ROOM(h->held, h->n, h->room);
    char *room = malloc(doc->length + source + lang + 3);
    if (!room) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    while (at > 0 && h->held[at - 1].place > place) at--;
    memmove(h->held + at + 1, h->held + at, (h->n - at) * sizeof *h->held);
    h->held[at] = (yk_held){.place = place, .length = doc->length};
    h->held[at].text = put(&room, doc->text, doc->length);
    h->held[at].source = put(&room, doc->source, source);
    h->held[at].lang = put(&room, doc->lang, lang);
    h->n++;
    h->bytes += (int64_t)doc->length;
done:
    return st;
}

bool yk_holdout_next(yk_holdout *h, yk_document *doc)
{
    free(h->spilled);
    h->spilled = NULL;
    if (h->n == 0) return false;
    const yk_held *last = &h->held[--h->n];
    h->bytes -= (int64_t)last->length;
    h->spilled = last->text;
    *doc = (yk_document){last->text, last->length, last->source, last->lang};
    return true;
}

bool yk_holdout_spill(yk_holdout *h, yk_document *doc)
{
    bool over = h->n > 1 && (h->bytes > h->most_bytes || h->held[h->n - 1].place >= h->fraction);
    return over && yk_holdout_next(h, doc);
}

void yk_holdout_free(yk_holdout *h)
{
    while (h->n > 0) free(h->held[--h->n].text);
    free(h->spilled);
    free(h->held);
    *h = (yk_holdout){0};
}
