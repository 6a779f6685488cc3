/* Conversations as tokens: the chat template. */
#ifndef YK_ALIGN_CHAT_H
#define YK_ALIGN_CHAT_H

#include "align/examples.h"
#include "token/tokenizer.h"
#include "train/sampling.h"
#include "train/session.h"

/* Templates. Each conversation begins with the token with which documents do.
 *   chatml   <|im_start|>role \n content <|im_end|> \n
 *   plain    Role: content \n, and the token with which documents end after an assistant's turn
 * Marks are the tokenizer's special tokens; text is never read as such, but for <think>, </think>, <answer> and
 * </answer> of an assistant's content. */
typedef struct yk_chat yk_chat;

/* `template` is chatml or plain; `t` has tokens with which documents begin and end. YK_ERR_INPUT names the special
 * token that the tokenizer lacks. */
yk_status yk_chat_new(yk_chat **c, const char *template, const yk_tokenizer *t, yk_error *err);
void yk_chat_free(yk_chat *c);

/* A sequence to learn from. */
typedef struct yk_sequence {
    yk_ids ids;
    float *weight;  /* [ids.n] 1 of what an assistant says, with what ends it; 0 of all else */
    size_t weights; /* room of it */
    int64_t prompt; /* ids before the last assistant's answer */
} yk_sequence;
/* Rows that it takes in a pass (yk_session_add). */
static inline int64_t yk_sequence_rows(const yk_sequence *q)
{
    return yk_session_rows((int64_t)q->ids.n);
}
void yk_sequence_clear(yk_sequence *q);
void yk_sequence_free(yk_sequence *q);

/* Appends turns to an empty sequence. */
yk_status yk_chat_encode(yk_chat *c, const yk_turn *turn, size_t turns, yk_sequence *q, yk_error *err);

/* Then what an assistant's answer begins with: from here on the model generates. */
yk_status yk_chat_open(yk_chat *c, yk_sequence *q, yk_error *err);

/* Then an assistant's answer with its end. */
yk_status yk_chat_answer(yk_chat *c, const char *content, yk_sequence *q, yk_error *err);

/* Then an answer that the model generated, its last id the one that ended it or not. */
yk_status yk_chat_generated(yk_chat *c, const int32_t *id, size_t n, yk_sequence *q, yk_error *err);

/* Into an empty sequence, without a template: the token with which documents begin, the contents of turns, a line each,
 * and, unless `choice` is NULL, what continues them: `delimiter` (NULL: a blank where there are turns), then the choice.
 * Both are encoded together with the prompt and have weight 1; so has white space at the prompt's end, as
 * lm-evaluation-harness has it, because tokens begin with blanks. */
yk_status yk_chat_plain(yk_chat *c, const yk_turn *turn, size_t turns, const char *delimiter, const char *choice,
                        yk_sequence *q, yk_error *err);

/* Appends the template as Jinja, for the tokenizer_config.json of Hugging Face's tokenizers. There the marks are text
 * that their tokenizer turns into special tokens, wherever it stands; and a blank before content (template plain) goes
 * into the content's first token. */
yk_status yk_chat_jinja(const char *template, const yk_tokenizer *t, yk_buf *out, yk_error *err);

/* Sets the ids that end an answer. */
void yk_chat_ends(const yk_chat *c, yk_sampling *how);

#endif
