#include "align/passes.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct passes {
    yk_session *s;
    yk_comm *comm;
    const yk_sequence *first;
    size_t stride;
    int64_t n;
    yk_pass_kind kind;
    yk_buf *result; /* [room] of the sequences of a round: losses of their rows, then the likeliest ids */
    int64_t room;
    int64_t *rows;  /* [ranks] that a round has so far of each */
} passes;

static const yk_sequence *sequence_at(const passes *p, int64_t i)
{
    return (const yk_sequence *)(const void *)((const char *)p->first + (size_t)i * p->stride);
}

static bool add(yk_session *s, const yk_sequence *q)
{
    return yk_session_add(s, q->ids.id, q->weight, (int64_t)q->ids.n) >= 0;
}

static void forward(yk_session *s, yk_pass_kind kind)
{
    const yk_batch b = yk_session_batch(s);
    if (s->rows == 0) return;
    if (kind == YK_PASS_LOSS)
        yk_model_evaluate(s->model, &b, s->loss, s->best, NULL);
    else
        yk_model_score(s->model, &b, s->loss);
}

/* Where a round that begins at `done` ends: every rank's sequences fit into one pass. */
static yk_status end_of_round(const passes *p, int64_t done, int64_t *last, yk_error *err)
{
    const int size = yk_comm_size(p->comm);
    memset(p->rows, 0, (size_t)size * sizeof *p->rows);
    for (*last = done; *last < p->n && *last - done < p->room; ++*last) {
        const int64_t more = yk_sequence_rows(sequence_at(p, *last));
        if (p->rows[(*last - done) % size] + more > p->s->max_rows) break;
        p->rows[(*last - done) % size] += more;
    }
    if (*last > done) return YK_OK;
    return yk_fail(err, YK_ERR_INTERNAL, "a sequence of %zu tokens is longer than %lld rows",
                   sequence_at(p, done)->ids.n, (long long)p->s->max_rows);
}

/* This rank's pass of a round of n sequences. */
static void compute(const passes *p, int64_t done, int64_t n)
{
    yk_session *s = p->s;
    yk_session_clear(s);
    for (int64_t i = 0; i < n; i++)
        if (yk_comm_makes(p->comm, i)) add(s, sequence_at(p, done + i));
    forward(s, p->kind);
    for (int64_t i = 0, row = 0; i < n; i++) {
        yk_buf_clear(&p->result[i]);
        if (!yk_comm_makes(p->comm, i)) continue;
        const int64_t rows = yk_sequence_rows(sequence_at(p, done + i));
        yk_buf_add(&p->result[i], s->loss + row, (size_t)rows * sizeof *s->loss);
        yk_buf_add(&p->result[i], s->best + row, (size_t)rows * sizeof *s->best);
        row += rows;
    }
    yk_session_clear(s);
}

/* Each sequence of the round in its turn, as if it had been computed here. */
static void hand_out(const passes *p, int64_t done, int64_t n, yk_each_fn each, void *context)
{
    yk_session *s = p->s;
    for (int64_t i = 0; i < n; i++) {
        const yk_sequence *q = sequence_at(p, done + i);
        const size_t rows = (size_t)yk_sequence_rows(q);
        add(s, q);
        memcpy(s->loss, p->result[i].data, rows * sizeof *s->loss);
        memcpy(s->best, p->result[i].data + rows * sizeof *s->loss, rows * sizeof *s->best);
        each(context, done + i, s, 0);
        yk_session_clear(s);
    }
}

static yk_status make_room(passes *p, yk_error *err)
{
    yk_status st = YK_OK;
    p->room = yk_comm_size(p->comm) * p->s->max_rows / 2; /* a sequence has two rows at least */
    if (p->room > p->n) p->room = p->n;
    YK_NEW(p->rows, yk_comm_size(p->comm));
    YK_NEW(p->result, p->room);
done:
    return st;
}

yk_status yk_pass_each(yk_session *s, yk_comm *comm, const yk_sequence *first, size_t stride, int64_t n,
                       yk_pass_kind kind, yk_each_fn each, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    passes p = {.s = s, .comm = comm, .first = first, .stride = stride, .n = n, .kind = kind};
    int64_t last;
    YK_TRY(yk_comm_agree(comm, make_room(&p, err), err));
    for (int64_t done = 0; done < n; done = last) {
        YK_TRY(end_of_round(&p, done, &last, err));
        compute(&p, done, last - done);
        yk_comm_gather_texts(comm, p.result, last - done);
        hand_out(&p, done, last - done, each, context);
    }
done:
    for (int64_t i = 0; p.result && i < p.room; i++) yk_buf_free(&p.result[i]);
    free(p.result);
    free(p.rows);
    return st;
}
