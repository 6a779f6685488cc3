/* Held-out loss and masked accuracy. */
#include "train/session.h"

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

static void add_losses(yk_session *s, yk_heldout *sum)
{
    forward(s);
    for (int64_t r = 0; r < s->rows; r++) {
        sum->nats += (double)s->loss[r];
        sum->tokens += (double)s->weight[r];
    }
    yk_session_clear(s);
}

void yk_evaluate_shard(yk_session *s, const yk_shard *shard, int64_t stride, int64_t max_tokens, yk_heldout *sum)
{
    int64_t T = s->recipe->pretrain_seq, seen = 0;
    yk_session_clear(s);
    if (stride > T) stride = T;
    for (uint64_t doc = 0; doc < shard->documents && (max_tokens == 0 || seen < max_tokens); doc++) {
        int64_t rows = (int64_t)(shard->offset[doc + 1] - shard->offset[doc]) + 1;
        for (int64_t at = 0, scored = 0; scored < rows; at += stride) {
            int64_t count = rows - at < T ? rows - at : T;
            if (s->rows + count > s->max_rows) add_losses(s, sum);
            add_window(s, shard, doc, at, count, scored - at);
            scored = at + count;
        }
        sum->bytes += (double)shard->length[doc];
        seen += rows;
    }
    add_losses(s, sum);
}

static void add_guesses(yk_session *s, int32_t common, yk_masked *sum)
{
    yk_sample x = {.token = s->token, .target = s->target, .position = s->position, .weight = s->weight,
                   .segment = s->segment, .segments = s->segments};
    yk_mask_sample(&x, s->rows, 0.15, s->recipe->pretrain_mask_span, s->mask, s->plain, (uint64_t)s->recipe->seed,
                   (uint64_t)1 << 62);
    forward(s);
    for (int64_t r = 0; r < s->rows; r++) {
        if (s->weight[r] == 0.0f) continue;
        sum->targets++;
        sum->right += s->best[r] == s->target[r];
        sum->unigram_right += s->target[r] == common;
    }
    yk_session_clear(s);
}

void yk_evaluate_masked(yk_session *s, const yk_shard *shard, int32_t common, int64_t max_tokens, yk_masked *sum)
{
    int64_t T = s->recipe->pretrain_seq, seen = 0;
    yk_session_clear(s);
    for (uint64_t doc = 0; doc < shard->documents && (max_tokens == 0 || seen < max_tokens); doc++) {
        int64_t rows = (int64_t)(shard->offset[doc + 1] - shard->offset[doc]) + 1;
        for (int64_t at = 0; at < rows; at += T) {
            int64_t count = rows - at < T ? rows - at : T;
            if (s->rows + count > s->max_rows) add_guesses(s, common, sum);
            add_window(s, shard, doc, at, count, 0);
        }
        seen += rows;
    }
    if (s->rows) add_guesses(s, common, sum);
}
