/* Many texts encoded over a team, a batch at a time. */
#ifndef YK_TOKEN_BATCH_H
#define YK_TOKEN_BATCH_H

#include "comm/comm.h"
#include "token/tokenizer.h"

typedef struct yk_batch {
    yk_buf text;
    size_t *begin, n, room; /* of the texts, n of them */
    yk_ids *ids;            /* [n] after yk_batch_encode */
    size_t ids_room;
    const yk_team *team;
    yk_comm *comm;        /* ranks that have the same texts and encode them by turns; NULL: this process alone */
    yk_encoder **encoder; /* [threads] */
    yk_status *st;
    yk_error *err;
} yk_batch;

/* Keeps pointers to team, ranks and tokenizer. `specials`: see yk_encoder_specials. Fills *b; free it whatever
 * happens. */
yk_status yk_batch_start(yk_batch *b, const yk_team *team, yk_comm *comm, const yk_tokenizer *t, bool specials,
                         yk_error *err);
void yk_batch_free(yk_batch *b);

yk_status yk_batch_add(yk_batch *b, const char *text, size_t n, yk_error *err);
size_t yk_batch_length(const yk_batch *b, size_t i); /* bytes of text i */
yk_status yk_batch_encode(yk_batch *b, yk_error *err);
void yk_batch_clear(yk_batch *b);

#endif
