/* The words of a text as hashes: what texts are compared by.
 *
 * A word is a run between white space in ASCII lower case, without the punctuation around it (signs such as + stay);
 * a Chinese or Japanese character is a word. */
#ifndef YK_TEXT_WORDS_H
#define YK_TEXT_WORDS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* White space of ASCII. */
static inline bool yk_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Zero-initialise. */
typedef struct yk_words {
    uint64_t *word;    /* [n] in order of the text */
    size_t *from, *to; /* [n] where each begins and ends in it */
    size_t n, room;
    uint64_t numbers; /* hash over those that hold a digit, in order; 0 when there are none */
} yk_words;

/* Replaces what *w holds by the words of a text. */
yk_status yk_words_split(yk_words *w, const char *text, size_t n, yk_error *err);
void yk_words_free(yk_words *w);

#endif
