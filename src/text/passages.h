/* Passages of clean documents: pieces that can be asked about. */
#ifndef YK_TEXT_PASSAGES_H
#define YK_TEXT_PASSAGES_H

#include "config/recipe.h"
#include "text/documents.h"

/* Called for each passage, in document order, valid during the call only; a status other than YK_OK ends the search. */
typedef yk_status (*yk_passage_fn)(void *context, const char *text, size_t n, yk_error *err);

/* Cuts a document into passages of `least` to `most` bytes: whole paragraphs, as many as fit, or the whole sentences
 * that a longer paragraph begins with. What is shorter than `least`, or has no end of a sentence in `most` bytes, is
 * passed over. */
yk_status yk_passages_of(const yk_document *doc, size_t least, size_t most, yk_passage_fn fn, void *context,
                         yk_error *err);

/* The same of the sentences of a passage, in which white space is one blank each. A sentence ends with the paragraph,
 * or in a mark (. ! ?) before white space, quotes and brackets after it included; a full stop after a word of fewer
 * than four bytes is taken for an abbreviation's. */
yk_status yk_sentences_of(const char *passage, yk_passage_fn fn, void *context, yk_error *err);

typedef struct yk_passage {
    uint64_t rank; /* a hash of the text and the seed */
    char *text;
} yk_passage;

typedef struct yk_passages {
    yk_passage *item; /* [n] by rank */
    size_t n;
    uint64_t *word;   /* [words] of all passages, each as often as there are passages that hold it; ascending */
    size_t words, room;
} yk_passages;

/* Of all passages of the clean stage's training documents in propose.languages those of lowest rank: propose.passages
 * of them, propose.per_document of a document, none twice. So the choice is the same in any order of reading, and a
 * smaller one is part of a larger. YK_ERR_INPUT when a file of the clean stage is missing, or there is no passage. */
yk_status yk_passages_choose(yk_passages *p, const yk_recipe *r, const char *run_dir, yk_error *err);

/* Of the passages the share that holds a word of the text, for the word that fewest hold; 1 of a text without words. */
yk_status yk_passages_rarest(const yk_passages *p, const char *text, size_t n, double *share, yk_error *err);
void yk_passages_free(yk_passages *p);

#endif
