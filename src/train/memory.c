#include "train/memory.h"

#include "base/log.h"
#include "train/lanes.h"
#include "train/saving.h"
#include "train/session.h"
#include "train/train.h"

#include <stdio.h>
#include <string.h>

const char *const yk_recompute_policies[] = {"none", "attention", "block", "every-2", "every-4", NULL};

yk_setting yk_setting_of(const yk_recipe *r)
{
    return (yk_setting){r->recompute, yk_micro_batch(r), r->zero};
}

yk_ranks yk_ranks_of(const yk_comm *c)
{
    return (yk_ranks){yk_comm_size(c), yk_comm_node(c)};
}

/* Whether bytes might not be countable in 64 bits: weights and activations are at most some 16 times so many floats. */
static bool is_beyond_counting(const yk_recipe *r, int64_t micro)
{
    double width = (double)(r->model_width + r->model_ffn + r->model_heads * r->model_head_size +
                            (r->model_experts + r->model_shared_experts) * r->model_expert_ffn);
    double rows = (double)micro * (double)r->pretrain_seq;
    return (rows + width) * width * (double)(r->model_layers + 1) > 1e15;
}

/* Floats of the two largest of an embedding, the attention or feed-forward half of a layer, an output projection. */
static int64_t two_largest(const yk_model *m)
{
    int count;
    long long layer, key, last = -1;
    int64_t sum = 0, most[2] = {0, 0};
    const yk_param *p = yk_model_params(m, &count);
    for (int i = 0; i <= count; i++) {
        key = -2 - i; /* of a parameter outside of layers, and of the end */
        if (i < count && sscanf(p[i].name, "model.layers.%lld.", &layer) == 1)
            key = 2 * layer + (strstr(p[i].name, ".mlp.") || strstr(p[i].name, ".post_attention_"));
        if (key != last) {
            if (sum > most[0]) most[1] = most[0], most[0] = sum;
            else if (sum > most[1]) most[1] = sum;
            sum = 0;
        }
        last = key;
        if (i < count) sum += p[i].count;
    }
    return most[0] + most[1];
}

static yk_needs needs_of(const yk_model *m, const yk_recipe *r, const yk_setting *with, yk_ranks ranks)
{
    const int64_t size = (int64_t)sizeof(float), floats = yk_model_floats(m), gradients = yk_model_gradient_floats(m);
    const int64_t slice = yk_comm_owned_of(ranks.size, floats, floats);
    const int64_t slices = slice + yk_comm_owned_of(ranks.size, gradients - floats, floats);
    const int64_t turns = r->lanes / ranks.size;
    const bool local = r->pretrain_local_steps > 0;
    const bool always_local = local && r->pretrain_local_after == 0; /* the same weights for a lane alone */
    const bool packs = with->micro < r->pretrain_batch / (always_local ? r->lanes : ranks.size); /* several passes */
    const yk_memory all = yk_model_memory(m);
    yk_needs n = {.weights = all.weights, .gradients = all.gradients, .optimiser = 2 * floats * size,
                  .activations = all.activations, .checkpoint = yk_saving_bytes(floats, YK_STATE_PARTS * slice)};
    if (local) n.optimiser = (2 * floats + yk_local_floats_of(turns, floats)) * size;
    if (local) n.checkpoint = yk_saving_bytes(floats, 2 * slice + yk_local_owned_of(turns, floats));
    if (with->zero >= 1) n.optimiser = 2 * slice * size;
    if (with->zero >= 1 && ranks.size > 1) n.checkpoint += 2 * floats * size;
    const bool dealt = with->zero >= 3 && ranks.size > 1;
    if (dealt) n.weights = (slice + two_largest(m)) * size;
    n.gradients += yk_lanes_levels(turns) * (with->zero >= 2 ? slices : gradients) * size;
    if (packs && !dealt) n.packed = all.packed + all.packed_back;
    else if (r->pretrain_prompts.n > 0 && !dealt) n.packed = all.packed;
    n.scratch = all.scratch + with->micro * r->pretrain_seq * YK_SESSION_ROW_BYTES +
                yk_comm_bytes(ranks.size, ranks.node);
    n.total = n.weights + n.gradients + n.optimiser + n.activations + n.packed + n.scratch;
    return n;
}

yk_status yk_needs_of(yk_needs *n, const yk_recipe *r, int64_t vocab, const yk_setting *with, yk_ranks ranks,
                      const yk_kernels *k, const yk_team *team, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *m = NULL;
    yk_recipe other = *r;
    other.recompute = (char *)(uintptr_t)with->recompute;
    *n = (yk_needs){.total = INT64_MAX};
    if (is_beyond_counting(r, with->micro)) return YK_OK;
    yk_model_shape shape = yk_model_shape_of(&other, vocab);
    YK_TRY(yk_model_outline(&m, &shape, with->micro * r->pretrain_seq, true, k, team, err));
    *n = needs_of(m, r, with, ranks);
done:
    yk_model_free(m);
    return st;
}

/* The question whether a recipe fits, and what it takes to ask it again with other settings. */
typedef struct fitting {
    const yk_recipe *r;
    int64_t vocab;
    yk_ranks ranks;
    int64_t sharing; /* ranks that the room is for */
    const yk_room *room;
    const yk_kernels *k;
    const yk_team *team;
} fitting;

/* *bytes: of all that share the room. */
static yk_status try_setting(const fitting *f, const yk_setting *with, double *bytes, bool *fits, yk_error *err)
{
    yk_needs n;
    yk_status st = yk_needs_of(&n, f->r, f->vocab, with, f->ranks, f->k, f->team, err);
    *bytes = (double)n.total * (double)f->sharing;
    *fits = n.total <= f->room->bytes / f->sharing;
    return st;
}

/* The largest micro-batch below that of `with` that fits; 0: none. */
static yk_status largest_micro(const fitting *f, const yk_setting *with, int64_t *fits, yk_error *err)
{
    double bytes;
    bool so;
    *fits = 0;
    for (int64_t low = 1, high = with->micro - 1; low <= high;) {
        yk_setting middle = *with;
        middle.micro = low + (high - low) / 2;
        yk_status st = try_setting(f, &middle, &bytes, &so, err);
        if (st != YK_OK) return st;
        if (so) {
            *fits = middle.micro;
            low = middle.micro + 1;
        } else {
            high = middle.micro - 1;
        }
    }
    return YK_OK;
}

/* "`zero: 2` and `recompute: block`": what `with` has other than the recipe. */
static const char *changes(const fitting *f, const yk_setting *with, char out[128])
{
    char zero[32] = "", recompute[64] = "", micro[48] = "";
    const bool z = with->zero != f->r->zero, c = strcmp(with->recompute, f->r->recompute) != 0;
    if (z) snprintf(zero, sizeof zero, "`zero: %lld`", (long long)with->zero);
    if (c) snprintf(recompute, sizeof recompute, "%s`recompute: %s`", z ? " and " : "", with->recompute);
    if (with->micro != yk_micro_batch(f->r))
        snprintf(micro, sizeof micro, "%s`pretrain.micro_batch: %lld`", z || c ? " and " : "", (long long)with->micro);
    snprintf(out, 128, "%s%s%s", zero, recompute, micro);
    return out;
}

/* What fits, with as few changes as possible: with->micro is 0 when nothing does. *bytes: of that, or of the least. */
static yk_status find_fitting(const fitting *f, yk_setting *with, double *bytes, yk_error *err)
{
    yk_status st = YK_OK;
    bool fits = false;
    int64_t micro;
    while (f->ranks.size > 1 && f->r->pretrain_local_steps == 0 && with->zero < YK_MOST_ZERO) {
        with->zero++;
        YK_TRY(try_setting(f, with, bytes, &fits, err));
        if (fits) return YK_OK;
    }
    for (const char *const *p = yk_recompute_policies + 1; *p; p++) {
        with->recompute = *p;
        YK_TRY(try_setting(f, with, bytes, &fits, err));
        if (fits) return YK_OK;
    }
    with->recompute = "block";
    YK_TRY(largest_micro(f, with, &micro, err));
    with->micro = micro;
    yk_setting least = *with;
    if (micro == 0) least.micro = 1;
    YK_TRY(try_setting(f, &least, bytes, &fits, err));
done:
    return st;
}

yk_status yk_needs_fit(const yk_recipe *r, int64_t vocab, yk_ranks ranks, const yk_room *room, const yk_kernels *k,
                       const yk_team *team, yk_error *err)
{
    yk_status st = YK_OK;
    const fitting f = {r, vocab, ranks, room->own ? 1 : ranks.node, room, k, team};
    yk_setting with = yk_setting_of(r);
    double bytes;
    bool fits;
    char needed[32], there[32], then[32], what[128], who[48] = "pretraining needs";
    YK_TRY(try_setting(&f, &with, &bytes, &fits, err));
    if (fits) goto done;
    if (f.sharing > 1) snprintf(who, sizeof who, "the %lld ranks of this node need", (long long)f.sharing);
    yk_human_bytes(bytes, needed);
    yk_human_bytes((double)room->bytes, there);
    YK_TRY(find_fitting(&f, &with, &bytes, err));
    yk_human_bytes(bytes, then);
    if (with.micro > 0)
        YK_FAIL(YK_ERR_MEMORY, "%s %s of memory and there are %s (%s); with %s it would be %s, with the same result",
                who, needed, there, room->of, changes(&f, &with, what), then);
    with.micro = 1;
    YK_FAIL(YK_ERR_MEMORY, "%s %s of memory and there are %s (%s); even with %s it would be %s: the model is too large "
            "for this machine, lower `size` or model.*%s", who, needed, there, room->of, changes(&f, &with, what), then,
            f.r->pretrain_local_steps > 0 ? ", set pretrain.local_steps to 0, or share the lanes among more nodes"
            : f.sharing > 1               ? ", or give a node fewer ranks"
                                          : "");
done:
    return st;
}
