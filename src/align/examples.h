/* What is learnt from after pretraining: JSON lines of conversations, preferences and problems.
 *
 * One object a line, in one of the forms
 *   {"messages": [{"role": "system|user|assistant", "content": text}, ...]}
 *   {"prompt": P, "completion": text}
 *   {"prompt": P, "chosen": text, "rejected": text, "margin": number}
 *   {"prompt": P, "answer": text, "verifier": text}
 *   {"prompt" (or "question"): P, "choices": [text, ...], "label": index of the right one, "target_delimiter": text}
 *   {"prompt": P, "target": text, "target_delimiter": text}, one choice alone (LAMBADA, Paperno et al. 2016)
 *   {"good": text, "bad": text}, a minimal pair (BLiMP, Warstadt et al. 2020; also "sentence_good", "sentence_bad")
 * where P is a text (one user's turn) or a list of messages; any may have "kind", a text by which it is counted. Files
 * may be compressed (.gz, .zst). */
#ifndef YK_ALIGN_EXAMPLES_H
#define YK_ALIGN_EXAMPLES_H

#include "base/status.h"
#include "config/recipe.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum yk_role { YK_SYSTEM, YK_USER, YK_ASSISTANT, YK_ROLES } yk_role;
extern const char *const yk_role_name[YK_ROLES];

typedef struct yk_turn {
    yk_role role;
    const char *content;
} yk_turn;

typedef enum yk_form {
    YK_CONVERSATION,
    YK_PREFERENCE,
    YK_PROBLEM,
    YK_CHOICE,
    YK_PROMPT /* what is asked: `prompt`, or a conversation's turns before its last answer */
} yk_form;

/* Texts live as long as the yk_examples that it is of. */
typedef struct yk_example {
    const yk_turn *turn; /* of a conversation all, the last an assistant's; else those of the prompt */
    size_t turns;
    const char *chosen, *rejected; /* of a preference */
    double margin;
    const char *answer, *verifier; /* of a problem; verifier NULL: not said */
    const char *const *choice; /* of a question with choices, a minimal pair (which has no turns) and a preference */
    size_t choices, label;     /* label: the right one */
    const char *delimiter;     /* between prompt and choice where they are plain text; NULL: not said */
    const char *kind;          /* "" when not said */
    size_t file, line;             /* where it stands: of the paths, from 0; of the file, from 1 */
} yk_example;

typedef struct yk_examples {
    yk_example *item;
    size_t n, cap;
    size_t bad;    /* lines that were left out */
    char hash[33]; /* over what was read */
    struct yk_examples_text *text; /* private */
} yk_examples;

/* Reads all files of `paths`. A line that is not one of the form's (no JSON, members missing or of another type, an
 * empty answer, equal sides, a conversation without an assistant's turn at its end) is left out, counted and warned
 * about with file and line; more than `most_bad` such lines, no file, or no example at all are YK_ERR_INPUT. */
yk_status yk_examples_read(yk_examples *e, const yk_list *paths, yk_form form, size_t most_bad, yk_error *err);
void yk_examples_free(yk_examples *e);

/* The same of lines that are not in such a form: `rewrite` makes an object of the form from each (a new reference), or
 * gives NULL and says why not. With it a prompt of choices may be empty. */
typedef json_t *(*yk_rewrite_fn)(void *context, const json_t *line, yk_error *why);
yk_status yk_examples_rewrite(yk_examples *e, const yk_list *paths, yk_form form, size_t most_bad,
                              yk_rewrite_fn rewrite, void *context, yk_error *err);

/* The form of a file's first example. YK_ERR_INPUT when it is none. */
yk_status yk_examples_form(const char *path, yk_form *form, yk_error *err);

#endif
