/* Questions made from a document by rules: its own words answer them. Private to src/text. */
#ifndef YK_TEXT_EXTRACT_H
#define YK_TEXT_EXTRACT_H

#include "text/documents.h"

/* Kinds: what a rule looks for. */
typedef enum yk_question_kind {
    YK_ASK_SECTION,    /* a heading and the paragraph below it: "What does the section "X" say?"        */
    YK_ASK_DEFINITION, /* a paragraph that begins "X is a ...": "What is X?"                            */
    YK_ASK_CODE,       /* a Python docstring, a comment above a C prototype: what does the function do? */
    YK_ASK_SIGNATURE,  /* the reverse: the signature of the function that does so                       */
    YK_ASK_CLOZE,      /* a sentence with a word left out                                               */
    YK_ASK_KINDS
} yk_question_kind;

const char *yk_question_kind_name(yk_question_kind kind);

/* Called for each question, in document order; texts are valid during the call only. A status other than YK_OK ends
 * the search and is returned. */
typedef yk_status (*yk_question_fn)(void *context, yk_question_kind kind, const char *prompt, const char *answer,
                                    yk_error *err);

/* Prose rules look at English documents, code rules at those whose language is "code". Prompt and answer are UTF-8
 * without control characters but newline and tab, of 2 to 400 bytes; but for cloze the prompt does not hold the answer.
 */
yk_status yk_extract(const yk_document *doc, yk_question_fn fn, void *context, yk_error *err);

#endif
