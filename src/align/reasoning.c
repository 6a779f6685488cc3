#include "align/reasoning.h"

#include "text/words.h"

#include <string.h>

typedef struct places {
    size_t count;
    const char *first, *last; /* where the tag begins; NULL: nowhere */
    size_t length;            /* of the tag */
} places;

static places places_of(yk_span s, const char *tag)
{
    places found = {.length = strlen(tag)};
    const char *at = s.text, *end = s.text + s.length;
    while ((at = memmem(at, (size_t)(end - at), tag, found.length))) {
        if (!found.count++) found.first = at;
        found.last = at;
        at += found.length;
    }
    return found;
}

yk_span yk_span_trim(yk_span s)
{
    while (s.length && yk_is_space(s.text[s.length - 1])) s.length--;
    while (s.length && yk_is_space(*s.text)) s.text++, s.length--;
    return s;
}

yk_span yk_span_last_line(yk_span s)
{
    s = yk_span_trim(s);
    const char *stop = s.length ? memrchr(s.text, '\n', s.length) : NULL;
    return stop ? yk_span_trim((yk_span){stop + 1, s.length - (size_t)(stop + 1 - s.text)}) : s;
}

static yk_span between(const char *from, const char *to)
{
    return yk_span_trim((yk_span){from, (size_t)(to - from)});
}

static yk_span last_answer(yk_span s, const places *open, const places *close)
{
    if (!close->count) return (yk_span){s.text, 0};
    places before = places_of((yk_span){s.text, (size_t)(close->last - s.text)}, "<answer>");
    if (!before.count) return (yk_span){s.text, 0};
    const char *from = before.last + open->length;
    return between(from, memmem(from, (size_t)(close->last - from) + close->length, "</answer>", close->length));
}

yk_reasoning yk_reasoning_of(const char *text, size_t n)
{
    yk_span s = {text, n};
    places think = places_of(s, "<think>"), thought = places_of(s, "</think>");
    places answer = places_of(s, "<answer>"), answered = places_of(s, "</answer>");
    yk_reasoning r = {.thought = {text, 0}};
    if (think.count == 1 && thought.count == 1 && answer.count == 1 && answered.count == 1 &&
        think.first < thought.first && thought.first < answer.first && answer.first < answered.first) {
        r.thought = between(think.first + think.length, thought.first);
        r.answer = between(answer.first + answer.length, answered.first);
        r.well_formed = r.thought.length && r.answer.length && !between(text, think.first).length &&
                        !between(thought.first + thought.length, answer.first).length &&
                        !between(answered.first + answered.length, text + n).length;
    }
    if (r.well_formed) return r;
    return (yk_reasoning){.thought = {text, 0}, .answer = last_answer(s, &answer, &answered)};
}
