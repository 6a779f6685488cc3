#include "train/memory.h"

#include "base/log.h"
#include "train/train.h"

#include <string.h>

enum { BATCH_BYTES = 6 * 4 + sizeof(yk_segment) }; /* a row of yk_session's batch */

const char *const yk_recompute_policies[] = {"none", "attention", "block", "every-2", "every-4", NULL};

/* Whether bytes might not be countable in 64 bits: weights and activations are at most some 16 times so many floats. */
static bool is_beyond_counting(const yk_recipe *r, int64_t micro)
{
    double width = (double)(r->model_width + r->model_ffn + r->model_heads * r->model_head_size);
    double rows = (double)micro * (double)r->pretrain_seq;
    return (rows + width) * width * (double)(r->model_layers + 1) > 1e15;
}

yk_status yk_needs_of(yk_needs *n, const yk_recipe *r, int64_t vocab, const char *recompute, int64_t micro,
                      const yk_kernels *k, const yk_team *team, yk_error *err)
{
    yk_memory m;
    int64_t floats, levels = 0;
    yk_recipe with = *r;
    with.recompute = (char *)(uintptr_t)recompute;
    *n = (yk_needs){.total = INT64_MAX};
    if (is_beyond_counting(r, micro)) return YK_OK;
    yk_model_shape shape = yk_model_shape_of(&with, vocab);
    yk_status st = yk_model_plan(&shape, micro * r->pretrain_seq, true, k, team, &m, &floats, err);
    if (st != YK_OK) return st;
    const bool local = r->pretrain_local_steps > 0;
    const int64_t share = r->pretrain_batch / (local ? r->lanes : 1);
    const bool packs = micro < share || (!local && r->lanes > 1); /* several passes with the same weights */
    if (!packs) m.packed_back = 0;
    if (!packs && r->pretrain_prompts.n == 0) m.packed = 0;
    m.scratch += micro * r->pretrain_seq * BATCH_BYTES;
    while ((int64_t)1 << levels < r->lanes) levels++;
    *n = (yk_needs){.weights = m.weights, .gradients = (1 + levels) * m.gradients,
                    .optimiser = (local ? 16 : 8) * floats, .activations = m.activations,
                    .packed = m.packed + m.packed_back, .scratch = m.scratch};
    n->total = yk_memory_sum(m) + levels * m.gradients + n->optimiser;
    return YK_OK;
}

/* The largest micro-batch below `micro` that fits with `recompute: block`; 0: none. */
static yk_status largest_micro(const yk_recipe *r, int64_t vocab, int64_t micro, int64_t bytes, const yk_kernels *k,
                               const yk_team *team, int64_t *fits, yk_error *err)
{
    yk_needs n;
    *fits = 0;
    for (int64_t low = 1, high = micro - 1; low <= high;) {
        int64_t middle = low + (high - low) / 2;
        yk_status st = yk_needs_of(&n, r, vocab, "block", middle, k, team, err);
        if (st != YK_OK) return st;
        if (n.total <= bytes) {
            *fits = middle;
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return YK_OK;
}

yk_status yk_needs_fit(const yk_recipe *r, int64_t vocab, const yk_room *room, const yk_kernels *k, const yk_team *team,
                       yk_error *err)
{
    yk_status st = YK_OK;
    yk_needs n;
    int64_t micro = yk_micro_batch(r), smaller;
    char needed[32], there[32], then[32];
    YK_TRY(yk_needs_of(&n, r, vocab, r->recompute, micro, k, team, err));
    if (n.total <= room->bytes) goto done;
    yk_human_bytes((double)n.total, needed);
    yk_human_bytes((double)room->bytes, there);
    for (const char *const *p = yk_recompute_policies + 1; *p; p++) {
        YK_TRY(yk_needs_of(&n, r, vocab, *p, micro, k, team, err));
        if (n.total <= room->bytes)
            YK_FAIL(YK_ERR_MEMORY, "pretraining needs %s of memory and there are %s (%s); with `recompute: %s` it "
                    "would need %s, with the same result", needed, there, room->of, *p,
                    yk_human_bytes((double)n.total, then));
    }
    YK_TRY(largest_micro(r, vocab, micro, room->bytes, k, team, &smaller, err));
    YK_TRY(yk_needs_of(&n, r, vocab, "block", smaller ? smaller : 1, k, team, err));
    yk_human_bytes((double)n.total, then);
    if (smaller)
        YK_FAIL(YK_ERR_MEMORY, "pretraining needs %s of memory and there are %s (%s); with `recompute: block` and "
                "`pretrain.micro_batch: %lld` it would need %s, with the same result", needed, there, room->of,
                (long long)smaller, then);
    YK_FAIL(YK_ERR_MEMORY, "pretraining needs %s of memory and there are %s (%s); even with `recompute: block` and "
            "`pretrain.micro_batch: 1` it would need %s: the model is too large for this machine, lower `size` or "
            "model.*", needed, there, room->of, then);
done:
    return st;
}
