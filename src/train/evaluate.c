/* Held-out loss and masked accuracy. */
#include "train/session.h"

#include <stdlib.h>
#include <string.h>

static void forward(yk_session *s)
{
    yk_batch b = yk_session_batch(s);
    if (s->rows > 0) yk_model_evaluate(s->model, &b, s->loss, s->best, NULL);
}

/* Window [at, at + count) of the document's stream: the token with which it begins, then its ids. */
static void add_window(yk_session *s, const yk_shard *shard, uint64_t doc, int64_t at, int64_t count, int64_t unscored)
{
    uint64_t first = shard->offset[doc], n = shard->offset[doc + 1] - first;
    for (int64_t j = 0; j < count; j++) {
        uint64_t place = (uint64_t)(at + j);
        int64_t row = s->rows + j;
        s->token[row] = place ? yk_shard_id(shard, first + place - 1) : s->begin;
        s->target[row] = place < n ? yk_shard_id(shard, first + place) : s->end;
        s->position[row] = (int32_t)j;
        s->weight[row] = j < unscored ? 0.0f : 1.0f;
    }
    s->segment[s->segments++] = (yk_segment){.query = (int32_t)s->rows, .key = (int32_t)s->rows,
                                             .count = (int32_t)count, .keys = (int32_t)count, .causal = 1};
    s->rows += count;
}

enum {
    DOCUMENTS_AT_ONCE = 1024 /* are scored before the ranks exchange what they found */
};
enum { TARGETS, RIGHT, COMMON, COUNTS };

typedef struct scoring {
    yk_session *s;
    const yk_shard *shard;
    int64_t stride;
    int64_t *of;  /* [max_rows] the number in the round of the document that each segment is of */
    yk_buf *loss; /* [DOCUMENTS_AT_ONCE] of the tokens of a document, floats in order */
} scoring;

static void score_windows(scoring *x)
{
    yk_session *s = x->s;
    forward(s);
    for (int64_t g = 0; g < s->segments; g++)
        for (int64_t r = s->segment[g].query; r < s->segment[g].query + s->segment[g].count; r++)
            if (s->weight[r] != 0.0f) yk_buf_add(&x->loss[x->of[g]], &s->loss[r], sizeof *s->loss);
    yk_session_clear(s);
}

static int64_t rows_of(const yk_shard *shard, uint64_t doc)
{
    return (int64_t)(shard->offset[doc + 1] - shard->offset[doc]) + 1;
}

static void score_document(scoring *x, uint64_t doc, int64_t number)
{
    yk_session *s = x->s;
    const int64_t T = s->recipe->pretrain_seq, rows = rows_of(x->shard, doc);
    yk_buf_clear(&x->loss[number]);
    for (int64_t at = 0, scored = 0; scored < rows; at += x->stride) {
        int64_t count = rows - at < T ? rows - at : T;
        if (s->rows + count > s->max_rows) score_windows(x);
        x->of[s->segments] = number;
        add_window(s, x->shard, doc, at, count, scored - at);
        scored = at + count;
    }
}

/* Losses are added in the order of documents and tokens, whoever found them. */
static void add_losses(const yk_buf *loss, yk_heldout *sum)
{
    const size_t n = loss->len / sizeof(float);
    for (size_t i = 0; i < n; i++) {
        float one;
        memcpy(&one, loss->data + i * sizeof one, sizeof one);
        sum->nats += (double)one;
    }
    sum->tokens += (double)n;
}

/* The documents from *doc on, as many as there are places for, while less than max_tokens (0: no limit) are seen. */
static void score_round(scoring *x, yk_comm *comm, uint64_t *doc, int64_t max_tokens, int64_t *seen, yk_heldout *sum)
{
    int64_t n = 0;
    for (; n < DOCUMENTS_AT_ONCE && *doc < x->shard->documents && (max_tokens == 0 || *seen < max_tokens); n++) {
        if (yk_comm_makes(comm, n)) score_document(x, *doc, n);
        sum->bytes += (double)x->shard->length[*doc];
        *seen += rows_of(x->shard, (*doc)++);
    }
    score_windows(x);
    yk_comm_gather_texts(comm, x->loss, n);
    for (int64_t i = 0; i < n; i++) add_losses(&x->loss[i], sum);
}

static yk_status make_room(scoring *x, yk_error *err)
{
    yk_status st = YK_OK;
    YK_NEW(x->of, x->s->max_rows);
    YK_NEW(x->loss, DOCUMENTS_AT_ONCE);
done:
    return st;
}

yk_status yk_evaluate_shard(yk_session *s, yk_comm *comm, const yk_shard *shard, int64_t stride, int64_t max_tokens,
                            yk_heldout *sum, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t T = s->recipe->pretrain_seq;
    scoring x = {.s = s, .shard = shard, .stride = stride < T ? stride : T};
    int64_t seen = 0;
    yk_session_clear(s);
    YK_TRY(yk_comm_agree(comm, make_room(&x, err), err));
    for (uint64_t doc = 0; doc < shard->documents && (max_tokens == 0 || seen < max_tokens);)
        score_round(&x, comm, &doc, max_tokens, &seen, sum);
done:
    for (int64_t i = 0; x.loss && i < DOCUMENTS_AT_ONCE; i++) yk_buf_free(&x.loss[i]);
    free(x.loss);
    free(x.of);
    return st;
}

/* The windows at hand, with some tokens masked: as a batch, so that ranks take whole ones by turns. */
static void add_guesses(yk_session *s, yk_comm *comm, int64_t batch, int32_t common, int64_t *count)
{
    yk_sample x = {.token = s->token, .target = s->target, .position = s->position, .weight = s->weight,
                   .segment = s->segment, .segments = s->segments};
    if (yk_comm_makes(comm, batch)) {
        yk_mask_sample(&x, s->rows, 0.15, s->recipe->pretrain_mask_span, s->mask, s->plain, (uint64_t)s->recipe->seed,
                       (uint64_t)1 << 62);
        forward(s);
        for (int64_t r = 0; r < s->rows; r++) {
            if (s->weight[r] == 0.0f) continue;
            count[TARGETS]++;
            count[RIGHT] += s->best[r] == s->target[r];
            count[COMMON] += s->target[r] == common;
        }
    }
    yk_session_clear(s);
}

void yk_evaluate_masked(yk_session *s, yk_comm *comm, const yk_shard *shard, int32_t common, int64_t max_tokens,
                        yk_masked *sum)
{
    int64_t T = s->recipe->pretrain_seq, seen = 0, batch = 0, count[COUNTS] = {0};
    yk_session_clear(s);
    for (uint64_t doc = 0; doc < shard->documents && (max_tokens == 0 || seen < max_tokens); doc++) {
        const int64_t rows = rows_of(shard, doc);
        for (int64_t at = 0; at < rows; at += T) {
            int64_t n = rows - at < T ? rows - at : T;
            if (s->rows + n > s->max_rows) add_guesses(s, comm, batch++, common, count);
            add_window(s, shard, doc, at, n, 0);
        }
        seen += rows;
    }
    if (s->rows) add_guesses(s, comm, batch, common, count);
    yk_comm_add_counts(comm, count, COUNTS);
    sum->targets += (double)count[TARGETS];
    sum->right += (double)count[RIGHT];
    sum->unigram_right += (double)count[COMMON];
}
