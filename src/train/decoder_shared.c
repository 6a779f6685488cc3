/* Answers by several ranks. */
#include "train/decoder.h"

#include <stdlib.h>
#include <string.h>

/* What ranks tell each other of an answer: this, then ids, log-probabilities and text. */
typedef struct head {
    uint64_t ids;
    int64_t finish;
} head;

static void pack(const yk_request *r, yk_buf *out)
{
    const head h = {r->answer.n, r->finish};
    yk_buf_add(out, &h, sizeof h);
    yk_buf_add(out, r->answer.id, r->answer.n * sizeof *r->answer.id);
    yk_buf_add(out, r->logp, r->answer.n * sizeof *r->logp);
    yk_buf_add(out, r->text.data, r->text.len);
}

static yk_status unpack(const yk_buf *in, yk_request *r, yk_error *err)
{
    yk_status st = YK_OK;
    head h;
    memcpy(&h, in->data, sizeof h);
    const size_t ids = h.ids * sizeof *r->answer.id, logp = h.ids * sizeof *r->logp, head_bytes = sizeof h;
    YK_NEW(r->answer.id, h.ids);
    r->answer.n = r->answer.cap = h.ids;
    YK_NEW(r->logp, h.ids);
    memcpy(r->answer.id, in->data + head_bytes, ids);
    memcpy(r->logp, in->data + head_bytes + ids, logp);
    yk_buf_add(&r->text, in->data + head_bytes + ids + logp, in->len - head_bytes - ids - logp);
    r->finish = (yk_finish)h.finish;
done:
    return st;
}

/* Answers this rank's requests; they move to `own` for that. */
static yk_status answer_own(yk_decoder *d, yk_comm *comm, yk_request *r, size_t n, yk_request *own,
                            const yk_sampling *how, yk_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (yk_comm_makes(comm, (int64_t)i)) own[count++] = r[i];
    const yk_status st = yk_decoder_run(d, own, count, how, NULL, NULL, err);
    count = 0;
    for (size_t i = 0; i < n; i++)
        if (yk_comm_makes(comm, (int64_t)i)) r[i] = own[count++];
    return st;
}

yk_status yk_decoder_run_shared(yk_decoder *d, yk_comm *comm, yk_request *r, size_t n, const yk_sampling *how,
                                yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf *packed = NULL;
    yk_request *own = NULL;
    if (!comm) return yk_decoder_run(d, r, n, how, NULL, NULL, err);
    YK_NEW(packed, n);
    YK_NEW(own, n);
    YK_TRY(answer_own(d, comm, r, n, own, how, err));
    for (size_t i = 0; i < n; i++)
        if (yk_comm_makes(comm, (int64_t)i)) pack(&r[i], &packed[i]);
done:
    st = yk_comm_agree(comm, st, err);
    if (st == YK_OK) yk_comm_gather_texts(comm, packed, (int64_t)n);
    for (size_t i = 0; st == YK_OK && i < n; i++)
        if (!yk_comm_makes(comm, (int64_t)i)) st = unpack(&packed[i], &r[i], err);
    for (size_t i = 0; packed && i < n; i++) yk_buf_free(&packed[i]);
    free(packed);
    free(own);
    return yk_comm_agree(comm, st, err);
}
