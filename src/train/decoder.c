#include "train/decoder.h"

#include <stdlib.h>
#include <string.h>

enum { NOBODY = -1 };

/* A sequence in the making: its keys and values lie in `positions` rows of the cache from slot x positions on. */
typedef struct place {
    int64_t request; /* or NOBODY */
    int64_t fed;     /* ids that the cache holds */
    int64_t row;     /* of its last id in the pass, or -1 when its logits are not wanted yet */
    size_t emitted;  /* bytes of its text */
} place;

struct yk_decoder {
    yk_session *s;
    int64_t slots, positions, vocab;
    yk_cache cache;
    place *place;                         /* [slots] */
    int32_t *cache_row;                   /* [max_rows] */
    float *logits;                        /* [slots, V] */
    int32_t *wanted, *chosen;             /* [slots] rows of the pass; ids */
    float *one, *loss;                    /* [slots] */
    yk_choices *choices;                  /* [threads] */
    uint8_t *seen;                        /* [threads, V] */
    /* of the run */
    yk_request *request;
    const yk_sampling *how;
    int64_t *of_wanted;                   /* [slots] which slot a wanted row is of */
};

void yk_request_free(yk_request *r)
{
    yk_ids_free(&r->answer);
    free(r->logp);
    yk_buf_free(&r->text);
    r->logp = NULL;
}

yk_status yk_decoder_new(yk_decoder **out, yk_session *s, int64_t slots, int64_t positions, yk_error *err)
{
    yk_status st = YK_OK;
    yk_decoder *d = NULL;
    int64_t threads = s->team.threads;
    YK_NEW(d, 1);
    if (slots > s->max_rows) slots = s->max_rows;
    *d = (yk_decoder){.s = s, .slots = slots, .positions = positions, .vocab = yk_model_get_shape(s->model)->vocab};
    if (positions > yk_model_get_shape(s->model)->positions)
        YK_FAIL(YK_ERR_INTERNAL, "a sequence of %lld tokens is asked for; the model has %lld positions",
                (long long)positions, (long long)yk_model_get_shape(s->model)->positions);
    YK_TRY(yk_cache_new(&d->cache, s->model, slots * positions, err));
    YK_NEW(d->place, slots);
    YK_NEW(d->cache_row, s->max_rows);
    YK_NEW(d->logits, slots * d->vocab);
    YK_NEW(d->wanted, slots);
    YK_NEW(d->of_wanted, slots);
    YK_NEW(d->chosen, slots);
    YK_NEW(d->one, slots);
    YK_NEW(d->loss, slots);
    YK_NEW(d->choices, threads);
    YK_NEW(d->seen, threads * d->vocab);
    for (int64_t i = 0; i < threads; i++) {
        YK_NEW(d->choices[i].logit, d->vocab);
        YK_NEW(d->choices[i].odds, d->vocab);
        YK_NEW(d->choices[i].order, d->vocab);
    }
    for (int64_t i = 0; i < slots; i++) d->one[i] = 1.0f;
    *out = d;
    d = NULL;
done:
    yk_decoder_free(d);
    return st;
}

void yk_decoder_free(yk_decoder *d)
{
    if (!d) return;
    yk_cache_free(&d->cache, d->s->model);
    for (int i = 0; d->choices && i < d->s->team.threads; i++) {
        free(d->choices[i].logit);
        free(d->choices[i].odds);
        free(d->choices[i].order);
    }
    free(d->place);
    free(d->cache_row);
    free(d->logits);
    free(d->wanted);
    free(d->of_wanted);
    free(d->chosen);
    free(d->one);
    free(d->loss);
    free(d->choices);
    free(d->seen);
    free(d);
}

static int64_t length_of(const yk_request *r)
{
    return r->length + (int64_t)r->answer.n;
}

static int32_t id_at(const yk_request *r, int64_t i)
{
    return i < r->length ? r->prompt[i] : r->answer.id[i - r->length];
}

/* The next `count` ids of a slot become rows of the pass. */
static void add_rows(yk_decoder *d, int64_t slot, int64_t count)
{
    yk_session *s = d->s;
    place *p = &d->place[slot];
    const yk_request *r = &d->request[p->request];
    const int32_t first = (int32_t)s->rows, fed = (int32_t)p->fed;
    for (int64_t i = 0; i < count; i++, s->rows++) {
        s->token[s->rows] = id_at(r, p->fed + i);
        s->position[s->rows] = (int32_t)(p->fed + i);
        d->cache_row[s->rows] = (int32_t)(slot * d->positions + p->fed + i);
    }
    s->segment[s->segments++] = (yk_segment){.query = first, .key = (int32_t)(slot * d->positions), .first = fed,
                                             .count = (int32_t)count, .keys = fed + (int32_t)count, .causal = 1};
    p->fed += count;
    p->row = p->fed == length_of(r) ? s->rows - 1 : -1;
}

/* Slots that make a token come first, then as much of the new prompts as there is room for. */
static void gather(yk_decoder *d)
{
    yk_session *s = d->s;
    yk_session_clear(s);
    for (int prompts = 0; prompts < 2; prompts++)
        for (int64_t i = 0; i < d->slots; i++) {
            if (d->place[i].request == NOBODY) continue;
            int64_t left = length_of(&d->request[d->place[i].request]) - d->place[i].fed;
            if ((left > 1) != prompts) continue;
            int64_t room = s->max_rows - s->rows;
            if (left > 0 && room > 0) add_rows(d, i, left < room ? left : room);
        }
}

/* Logits of the slots whose last id is in the pass; how many. */
static int64_t forward(yk_decoder *d)
{
    yk_session *s = d->s;
    int64_t n = 0;
    for (int64_t i = 0; i < d->slots; i++) {
        if (d->place[i].request == NOBODY || d->place[i].row < 0) continue;
        d->wanted[n] = (int32_t)d->place[i].row;
        d->of_wanted[n++] = i;
    }
    yk_batch b = yk_session_batch(s);
    yk_model_decode(s->model, &d->cache, &b, d->cache_row, d->wanted, n, d->logits);
    return n;
}

static void choose(const void *args, int64_t begin, int64_t end, int thread)
{
    const yk_decoder *d = args;
    yk_choices *x = &d->choices[thread];
    for (int64_t i = begin; i < end; i++) {
        const yk_request *r = &d->request[d->place[d->of_wanted[i]].request];
        yk_rng rng = yk_rng_make(d->how->seed, YK_STREAM_SAMPLE, r->number);
        memcpy(x->logit, d->logits + i * d->vocab, (size_t)d->vocab * sizeof *x->logit);
        uint8_t *seen = d->seen + thread * d->vocab;
        yk_sampling_penalise(d->how, x, r->prompt, r->length, r->answer.id, (int64_t)r->answer.n, seen);
        d->chosen[i] = yk_sampling_draw(d->how, d->s->k, x, d->vocab, &rng, r->drawn + r->answer.n);
    }
}

static size_t longest_stop(const yk_sampling *how)
{
    size_t most = 0;
    for (size_t i = 0; i < how->stops; i++)
        if (strlen(how->stop[i]) > most) most = strlen(how->stop[i]);
    return most;
}

/* Cuts the text at the first stop text that reaches beyond byte `from`. */
static bool cut_at_stop(const yk_sampling *how, yk_buf *text, size_t from)
{
    size_t most = longest_stop(how), at = text->len;
    size_t begin = from + 1 > most ? from + 1 - most : 0;
    for (size_t i = 0; i < how->stops; i++) {
        const char *found = memmem(text->data + begin, text->len - begin, how->stop[i], strlen(how->stop[i]));
        if (found && (size_t)(found - text->data) < at) at = (size_t)(found - text->data);
    }
    if (at == text->len) return false;
    text->len = at;
    text->data[at] = 0;
    return true;
}

static bool is_end(const yk_sampling *how, int32_t id)
{
    for (int i = 0; i < how->ends; i++)
        if (how->end[i] == id) return true;
    return false;
}

/* Appends a token; true when it was the last. */
static yk_status append(yk_decoder *d, yk_request *r, int32_t id, float logp, bool *last, yk_error *err)
{
    yk_status st = YK_OK;
    size_t room = r->answer.cap, before = r->text.len;
    *last = true;
    YK_ROOM(r->logp, r->answer.n, room);
    YK_ROOM(r->answer.id, r->answer.n, r->answer.cap);
    r->logp[r->answer.n] = logp;
    r->answer.id[r->answer.n++] = id;
    if (is_end(d->how, id)) {
        r->finish = YK_FINISH_END;
        goto done;
    }
    yk_tokenizer_decode(d->s->tokenizer, &id, 1, &r->text);
    if (d->how->stops > 0 && r->text.len > before && cut_at_stop(d->how, &r->text, before))
        r->finish = YK_FINISH_STOP;
    else if ((int64_t)r->answer.n >= d->how->tokens)
        r->finish = YK_FINISH_LENGTH;
    else if (length_of(r) >= d->positions)
        r->finish = YK_FINISH_CONTEXT;
    else
        *last = false;
done:
    return st;
}

/* What is certain not to be the beginning of a stop text. */
static void emit_text(yk_decoder *d, place *p, yk_request *r, bool *last, yk_emit_fn emit, void *context)
{
    size_t most = longest_stop(d->how), held = *last || most < 1 ? 0 : most - 1;
    size_t certain = r->text.len > held ? r->text.len - held : 0;
    if (!emit || certain <= p->emitted) return;
    bool more = emit(context, r->text.data + p->emitted, certain - p->emitted);
    p->emitted = certain;
    if (more || *last) return;
    *last = true;
    r->finish = YK_FINISH_EMIT;
}

static yk_status take_tokens(yk_decoder *d, int64_t n, yk_emit_fn emit, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    yk_team_rows(&d->s->team, n, 1, choose, d);
    d->s->k->cross_entropy(&d->s->team, &(yk_cross_entropy){.logits = d->logits, .target = d->chosen, .weight = d->one,
                                                            .loss = d->loss, .rows = n, .vocab = d->vocab});
    for (int64_t i = 0; i < n; i++) {
        place *p = &d->place[d->of_wanted[i]];
        yk_request *r = &d->request[p->request];
        bool last;
        YK_TRY(append(d, r, d->chosen[i], -d->loss[i], &last, err));
        emit_text(d, p, r, &last, emit, context);
        if (last) p->request = NOBODY;
    }
done:
    return st;
}

/* Free slots take the next requests; those that cannot have one token end here. */
static size_t fill_slots(yk_decoder *d, size_t next, size_t n)
{
    for (int64_t i = 0; i < d->slots; i++) {
        while (d->place[i].request == NOBODY && next < n) {
            yk_request *r = &d->request[next];
            yk_buf_reserve(&r->text, 1);
            r->text.data[0] = 0;
            r->finish = d->how->tokens < 1 ? YK_FINISH_LENGTH : YK_FINISH_CONTEXT;
            if (d->how->tokens >= 1 && r->length >= 1 && r->length < d->positions)
                d->place[i] = (place){.request = (int64_t)next, .row = -1};
            next++;
        }
    }
    return next;
}

yk_status yk_decoder_run(yk_decoder *d, yk_request *r, size_t n, const yk_sampling *how, yk_emit_fn emit, void *context,
                         yk_error *err)
{
    yk_status st = YK_OK;
    d->request = r;
    d->how = how;
    for (int64_t i = 0; i < d->slots; i++) d->place[i].request = NOBODY;
    YK_TRY(yk_model_pack(d->s->model, false, err));
    for (size_t next = fill_slots(d, 0, n);; next = fill_slots(d, next, n)) {
        gather(d);
        if (d->s->rows == 0) break;
        int64_t wanted = forward(d);
        if (wanted > 0) YK_TRY(take_tokens(d, wanted, emit, context, err));
    }
done:
    return st;
}

yk_sampling yk_sampling_of(const yk_session *s)
{
    return (yk_sampling){.banned = s->mask, .end = {s->end}, .ends = 1, .tokens = INT64_MAX};
}

yk_status yk_generate(yk_session *s, const char *prompt, const yk_sampling *how, yk_emit_fn emit, void *context,
                      yk_error *err)
{
    yk_status st = YK_OK;
    yk_encoder *e = NULL;
    yk_decoder *d = NULL;
    yk_ids ids = {0};
    yk_request r = {0};
    yk_sampling left = *how;
    const int64_t room = s->recipe->pretrain_seq;
    YK_TRY(yk_decoder_new(&d, s, 1, room, err));
    YK_TRY(yk_encoder_new(&e, s->tokenizer, err));
    YK_ROOM(ids.id, ids.n, ids.cap);
    ids.id[ids.n++] = s->begin;
    YK_TRY(yk_encode(e, prompt, strlen(prompt), &ids, err));
    for (bool full = true; full && left.tokens > 0;) {
        int64_t n = (int64_t)ids.n, from = n < room ? 0 : n - room / 2;
        yk_request next = {.prompt = ids.id + from, .length = n - from, .drawn = (uint64_t)(how->tokens - left.tokens)};
        yk_request_free(&r);
        r = next;
        YK_TRY(yk_decoder_run(d, &r, 1, &left, emit, context, err));
        left.tokens -= (int64_t)r.answer.n;
        full = r.finish == YK_FINISH_CONTEXT;
        for (size_t i = 0; i < r.answer.n; i++) {
            YK_ROOM(ids.id, ids.n, ids.cap);
            ids.id[ids.n++] = r.answer.id[i];
        }
    }
done:
    yk_request_free(&r);
    yk_ids_free(&ids);
    yk_encoder_free(e);
    yk_decoder_free(d);
    return st;
}
