#include "token/batch.h"

#include <stdlib.h>
#include <string.h>

yk_status yk_batch_start(yk_batch *b, const yk_team *team, yk_comm *comm, const yk_tokenizer *t, bool specials,
                         yk_error *err)
{
    yk_status st = YK_OK;
    *b = (yk_batch){.team = team, .comm = comm};
    YK_NEW(b->encoder, team->threads);
    YK_NEW(b->st, team->threads);
    YK_NEW(b->err, team->threads);
    for (int i = 0; i < team->threads; i++) {
        YK_TRY(yk_encoder_new(&b->encoder[i], t, err));
        yk_encoder_specials(b->encoder[i], specials);
    }
done:
    return st;
}

void yk_batch_free(yk_batch *b)
{
    for (int i = 0; b->encoder && i < b->team->threads; i++) yk_encoder_free(b->encoder[i]);
    for (size_t i = 0; i < b->ids_room; i++) yk_ids_free(&b->ids[i]);
    free(b->encoder);
    free(b->st);
    free(b->err);
    free(b->begin);
    free(b->ids);
    yk_buf_free(&b->text);
    *b = (yk_batch){0};
}

yk_status yk_batch_add(yk_batch *b, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(b->begin, b->n, b->room);
    b->begin[b->n++] = b->text.len;
    yk_buf_add(&b->text, text, n);
done:
    return st;
}

size_t yk_batch_length(const yk_batch *b, size_t i)
{
    return (i + 1 < b->n ? b->begin[i + 1] : b->text.len) - b->begin[i];
}

static void encode_rows(const void *args, int64_t begin, int64_t end, int thread)
{
    const yk_batch *b = args;
    for (size_t i = (size_t)begin; i < (size_t)end && b->st[thread] == YK_OK; i++) {
        b->ids[i].n = 0;
        if (!yk_comm_makes(b->comm, (int64_t)i)) continue;
        b->st[thread] = yk_encode(b->encoder[thread], b->text.data + b->begin[i], yk_batch_length(b, i), &b->ids[i],
                                  &b->err[thread]);
    }
}

static yk_status encode_own(yk_batch *b, yk_error *err)
{
    while (b->ids_room < b->n) {
        size_t room = b->ids_room ? 2 * b->ids_room : 256;
        yk_ids *grown = yk_regrow(b->ids, room, sizeof *grown, err);
        if (!grown) return YK_ERR_MEMORY;
        memset(grown + b->ids_room, 0, (room - b->ids_room) * sizeof *grown);
        b->ids = grown;
        b->ids_room = room;
    }
    yk_team_rows(b->team, (int64_t)b->n, 1, encode_rows, b);
    for (int t = 0; t < b->team->threads; t++)
        if (b->st[t] != YK_OK) {
            *err = b->err[t];
            return b->st[t];
        }
    return YK_OK;
}

static yk_status take_ids(const yk_buf *in, yk_ids *ids, yk_error *err)
{
    yk_status st = YK_OK;
    ids->n = in->len / sizeof *ids->id;
    while (ids->cap < ids->n) YK_ROOM(ids->id, ids->n - 1, ids->cap);
    if (in->len) memcpy(ids->id, in->data, in->len);
done:
    return st;
}

/* All ranks get the ids of all texts. */
static yk_status share_ids(yk_batch *b, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf *packed = NULL;
    YK_NEW(packed, b->n);
    for (size_t i = 0; i < b->n; i++)
        if (yk_comm_makes(b->comm, (int64_t)i))
            yk_buf_add(&packed[i], b->ids[i].id, b->ids[i].n * sizeof *b->ids[i].id);
done:
    st = yk_comm_agree(b->comm, st, err);
    if (st == YK_OK) yk_comm_gather_texts(b->comm, packed, (int64_t)b->n);
    for (size_t i = 0; st == YK_OK && i < b->n; i++)
        if (!yk_comm_makes(b->comm, (int64_t)i)) st = take_ids(&packed[i], &b->ids[i], err);
    for (size_t i = 0; packed && i < b->n; i++) yk_buf_free(&packed[i]);
    free(packed);
    return st;
}

yk_status yk_batch_encode(yk_batch *b, yk_error *err)
{
    yk_status st = yk_comm_agree(b->comm, encode_own(b, err), err);
    return st == YK_OK && b->comm ? share_ids(b, err) : st;
}

void yk_batch_clear(yk_batch *b)
{
    b->n = 0;
    yk_buf_clear(&b->text);
}
