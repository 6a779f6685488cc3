/* Forward passes over many sequences, as many at once as fit. */
#ifndef YK_ALIGN_PASSES_H
#define YK_ALIGN_PASSES_H

#include "align/chat.h"
#include "train/session.h"

typedef enum yk_pass_kind { YK_PASS_LOSS, YK_PASS_SCORE } yk_pass_kind;

/* Called for sequence i in order, while rows row, row + 1, ... of the session are those of its ids: s->loss holds the
 * weighted cross-entropy of predicting the next id and s->best the likeliest, or s->loss the scores. */
typedef void (*yk_each_fn)(void *context, int64_t i, const yk_session *s, int64_t row);

/* n sequences that lie `stride` bytes apart from `first` on, by the weights in use. The bits of a sequence's rows do
 * not depend on the others. The ranks of `comm` compute sequences by turns, and `each` is called for all of them on
 * every rank. YK_ERR_INTERNAL when one is longer than a pass. */
yk_status yk_pass_each(yk_session *s, yk_comm *comm, const yk_sequence *first, size_t stride, int64_t n,
                       yk_pass_kind kind, yk_each_fn each, void *context, yk_error *err);

#endif
