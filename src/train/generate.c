/* Sampling token by token with a key-value cache. */
#include "base/math64.h"
#include "base/rng.h"
#include "train/session.h"

#include <stdlib.h>
#include <string.h>

typedef struct choice {
    float logit;
    int32_t id;
} choice;

static int by_logit(const void *x, const void *y)
{
    const choice *a = x, *b = y;
    return a->logit != b->logit ? (a->logit < b->logit) - (a->logit > b->logit) : (a->id > b->id) - (a->id < b->id);
}

/* One id from the logits: the top_k most likely, of these the fewest that hold top_p of the probability. */
static int32_t draw(const float *logits, int64_t vocab, int32_t banned, const yk_sampling *how, int64_t index,
                    choice *order)
{
    for (int32_t i = 0; i < vocab; i++) order[i] = (choice){i == banned ? -1e30f : logits[i], i};
    qsort(order, (size_t)vocab, sizeof *order, by_logit);
    if (how->temperature <= 0) return order[0].id;
    int64_t n = how->top_k > 0 && how->top_k < vocab ? how->top_k : vocab;
    double total = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        total += yk_exp64(((double)order[i].logit - (double)order[0].logit) / how->temperature);
    yk_rng rng = yk_rng_make(how->seed, YK_STREAM_SAMPLE, how->number);
    double want = yk_rng_uniform(&rng, (uint64_t)index) * (how->top_p < 1 ? how->top_p : 1) * total;
    for (int64_t i = 0; i < n; i++) {
        sum += yk_exp64(((double)order[i].logit - (double)order[0].logit) / how->temperature);
        if (sum > want) return order[i].id;
    }
    return order[n - 1].id;
}

/* Runs ids [from, from + n) of the sequence through the model; logits of the last. */
static void feed(yk_session *s, yk_cache *cache, const int32_t *id, int64_t from, int64_t n, int32_t *row, float *logits)
{
    for (int64_t done = 0; done < n;) {
        int64_t count = n - done < s->max_rows ? n - done : s->max_rows, first = from + done;
        for (int64_t i = 0; i < count; i++) {
            s->token[i] = id[first + i];
            s->position[i] = row[i] = (int32_t)(first + i);
        }
        yk_segment g = {.first = (int32_t)first, .count = (int32_t)count, .keys = (int32_t)(first + count), .causal = 1};
        yk_batch b = {.rows = count, .token = s->token, .position = s->position, .segment = &g, .segments = 1};
        int32_t last = (int32_t)count - 1;
        yk_model_decode(s->model, cache, &b, row, &last, 1, logits);
        done += count;
    }
}

yk_status yk_generate(yk_session *s, const char *prompt, const yk_sampling *how, yk_emit_fn emit, void *context,
                      yk_error *err)
{
    yk_status st = YK_OK;
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    yk_cache cache = {0};
    yk_buf bytes = {0};
    float *logits = NULL;
    choice *order = NULL;
    int32_t *row = NULL;
    int64_t room = s->recipe->pretrain_seq, vocab = yk_tokenizer_vocab(s->tokenizer), length, fed = 0;
    YK_NEW(logits, vocab);
    YK_NEW(order, vocab);
    YK_NEW(row, s->max_rows);
    YK_TRY(yk_cache_new(&cache, s->model, room, err));
    YK_TRY(yk_encoder_new(&e, s->tokenizer, err));
    YK_ROOM(ids.id, ids.n, ids.cap);
    ids.id[ids.n++] = s->end;
    YK_TRY(yk_encode(e, prompt, strlen(prompt), &ids, err));
    for (int64_t i = 0; i < how->tokens; i++) {
        length = (int64_t)ids.n;
        if (length >= room) { /* the context is full: go on with its second half */
            memmove(ids.id, ids.id + length - room / 2, (size_t)(room / 2) * sizeof *ids.id);
            ids.n = (size_t)(room / 2);
            length = room / 2;
            fed = 0;
        }
        feed(s, &cache, ids.id, fed, length - fed, row, logits);
        fed = length;
        int32_t next = draw(logits, vocab, s->mask, how, i, order);
        if (next == s->end) break;
        YK_ROOM(ids.id, ids.n, ids.cap);
        ids.id[ids.n++] = next;
        yk_buf_clear(&bytes);
        yk_tokenizer_decode(s->tokenizer, &next, 1, &bytes);
        if (!emit(context, bytes.data, bytes.len)) break;
    }
done:
    yk_cache_free(&cache, s->model);
    yk_encoder_free(e);
    yk_ids_free(&ids);
    yk_buf_free(&bytes);
    free(logits);
    free(order);
    free(row);
    return st;
}
