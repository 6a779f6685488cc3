/* Byte-pair training (Sennrich, Haddow, Birch 2016): the most frequent adjacent pair becomes a token, again and
 * again, with pair counts kept up to date piece by piece. */
#include "base/hash.h"
#include "base/log.h"
#include "token/unicode.h"
#include "token/vocabulary.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 8 << 20, MAX_THREADS = 1024 };

/* Distinct pieces and how often each occurs: an open-addressing set over one pool of bytes. */
typedef struct piece {
    uint64_t hash, count;
    size_t at;
    uint32_t length;
} piece;

typedef struct piece_set {
    piece *list;
    size_t n, cap;
    uint32_t *slot; /* index + 1, 0 empty */
    size_t slots;
    yk_buf pool;
} piece_set;

struct yk_bpe_trainer {
    yk_team team;
    yk_buf batch;
    size_t *begin; /* documents of the batch */
    size_t docs, docs_room;
    piece_set *set; /* [threads]; [0] holds all after flushing */
    yk_stages stages;
    yk_splitter *split; /* [threads] */
};

static yk_status rehash(piece_set *s, yk_error *err)
{
    yk_status st = YK_OK;
    size_t slots = s->slots ? 2 * s->slots : 4096;
    uint32_t *fresh = NULL;
    YK_NEW(fresh, slots);
    for (size_t i = 0; i < s->n; i++) {
        size_t at = s->list[i].hash & (slots - 1);
        while (fresh[at]) at = (at + 1) & (slots - 1);
        fresh[at] = (uint32_t)i + 1;
    }
    free(s->slot);
    s->slot = fresh;
    s->slots = slots;
done:
    return st;
}

static yk_status count_piece(piece_set *s, const char *bytes, size_t n, uint64_t count, yk_error *err)
{
    yk_status st = YK_OK;
    if (2 * (s->n + 1) > s->slots) YK_TRY(rehash(s, err));
    uint64_t hash = yk_hash64(bytes, n, 1);
    size_t at = hash & (s->slots - 1);
    for (; s->slot[at]; at = (at + 1) & (s->slots - 1)) {
        piece *p = &s->list[s->slot[at] - 1];
        if (p->hash == hash && p->length == n && memcmp(s->pool.data + p->at, bytes, n) == 0) {
            p->count += count;
            return YK_OK;
        }
    }
    YK_ROOM(s->list, s->n, s->cap);
    s->list[s->n++] = (piece){hash, count, s->pool.len, (uint32_t)n};
    s->slot[at] = (uint32_t)s->n;
    yk_buf_add(&s->pool, bytes, n);
done:
    return st;
}

static void set_free(piece_set *s)
{
    free(s->list);
    free(s->slot);
    yk_buf_free(&s->pool);
    *s = (piece_set){0};
}

yk_status yk_bpe_trainer_new(yk_bpe_trainer **out, const yk_team *team, yk_error *err)
{
    yk_status st = YK_OK;
    yk_bpe_trainer *b = NULL;
    YK_NEW(b, 1);
    b->team = *team;
    YK_NEW(b->set, team->threads);
    YK_NEW(b->split, team->threads);
    YK_TRY(yk_stages_add(&b->stages, yk_pattern_qwen2, false, YK_ISOLATED, false, err));
    for (int i = 0; i < team->threads; i++) b->split[i].stages = &b->stages;
    *out = b;
    b = NULL;
done:
    yk_bpe_trainer_free(b);
    return st;
}

void yk_bpe_trainer_free(yk_bpe_trainer *b)
{
    if (!b) return;
    for (int i = 0; b->set && i < b->team.threads; i++) set_free(&b->set[i]);
    for (int i = 0; b->split && i < b->team.threads; i++) yk_splitter_free(&b->split[i]);
    yk_stages_free(&b->stages);
    free(b->set);
    free(b->split);
    free(b->begin);
    yk_buf_free(&b->batch);
    free(b);
}

typedef struct count_args {
    yk_bpe_trainer *b;
    yk_status *st; /* [threads] */
    yk_error *err; /* [threads] */
} count_args;

static yk_status count_one(void *context, const char *bytes, size_t n, yk_error *err)
{
    return count_piece(context, bytes, n, 1, err);
}

/* The pieces that an encoder would take from the text. */
static yk_status count_text(yk_splitter *split, piece_set *set, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t at = 0, valid; at < n; at += valid) {
        valid = yk_utf8_valid(text + at, n - at);
        bool composed = yk_nfc(split->stages->kinds, text + at, valid, &split->composed);
        YK_TRY(yk_split(split, composed ? split->composed.data : text + at, composed ? split->composed.len : valid,
                        count_one, set, err));
        if (valid > 0) continue;
        YK_TRY(count_piece(set, text + at, 1, 1, err));
        valid = 1;
    }
done:
    return st;
}

static void count_documents(const void *args, int64_t begin, int64_t end, int thread)
{
    const count_args *a = args;
    yk_bpe_trainer *b = a->b;
    for (int64_t d = begin; d < end && a->st[thread] == YK_OK; d++) {
        size_t n = ((size_t)d + 1 < b->docs ? b->begin[d + 1] : b->batch.len) - b->begin[d];
        a->st[thread] = count_text(&b->split[thread], &b->set[thread], b->batch.data + b->begin[d], n, &a->err[thread]);
    }
}

/* Counts the batch over the team, then moves every thread's counts into set 0: sums do not depend on who
 * counted, and the order of the list is of no consequence to the merges. */
static yk_status flush(yk_bpe_trainer *b, yk_error *err)
{
    yk_status st = YK_OK;
    count_args a = {.b = b};
    YK_NEW(a.st, b->team.threads);
    YK_NEW(a.err, b->team.threads);
    yk_team_rows(&b->team, (int64_t)b->docs, 1, count_documents, &a);
    for (int i = 0; i < b->team.threads; i++)
        if (a.st[i] != YK_OK) {
            *err = a.err[i];
            st = a.st[i];
            goto done;
        }
    b->docs = 0;
    yk_buf_clear(&b->batch);
    for (int i = 1; i < b->team.threads; i++) {
        for (size_t p = 0; p < b->set[i].n; p++) {
            const piece *x = &b->set[i].list[p];
            YK_TRY(count_piece(&b->set[0], b->set[i].pool.data + x->at, x->length, x->count, err));
        }
        set_free(&b->set[i]);
    }
done:
    free(a.st);
    free(a.err);
    return st;
}

yk_status yk_bpe_trainer_add(yk_bpe_trainer *b, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(b->begin, b->docs, b->docs_room);
    b->begin[b->docs++] = b->batch.len;
    yk_buf_add(&b->batch, text, n);
    if (b->batch.len >= BATCH_BYTES) YK_TRY(flush(b, err));
done:
    return st;
}

static void pack_pieces(const piece_set *s, yk_buf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        yk_buf_add(out, &s->list[i].count, sizeof s->list[i].count);
        yk_buf_add(out, &s->list[i].length, sizeof s->list[i].length);
        yk_buf_add(out, s->pool.data + s->list[i].at, s->list[i].length);
    }
}

static yk_status add_pieces(piece_set *s, const yk_buf *in, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t at = 0; at < in->len;) {
        piece p;
        memcpy(&p.count, in->data + at, sizeof p.count);
        memcpy(&p.length, in->data + at + sizeof p.count, sizeof p.length);
        at += sizeof p.count + sizeof p.length;
        YK_TRY(count_piece(s, in->data + at, p.length, p.count, err));
        at += p.length;
    }
done:
    return st;
}

yk_status yk_bpe_trainer_share(yk_bpe_trainer *b, yk_comm *comm, yk_error *err)
{
    yk_status st = YK_OK;
    const int size = yk_comm_size(comm), rank = yk_comm_rank(comm);
    yk_buf *packed = NULL;
    if (!comm) return YK_OK;
    st = flush(b, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    YK_NEW(packed, size);
    pack_pieces(&b->set[0], &packed[rank]);
    yk_comm_gather_texts(comm, packed, size);
    for (int r = 0; r < size; r++)
        if (r != rank) YK_TRY(add_pieces(&b->set[0], &packed[r], err));
done:
    for (int r = 0; packed && r < size; r++) yk_buf_free(&packed[r]);
    free(packed);
    return yk_comm_agree(comm, st, err);
}

/* What one learning works on: pieces as symbols, pairs with counts and the pieces they occur in. */
typedef struct word {
    size_t at;
    uint32_t n;
    uint64_t count;
} word;

typedef struct pair {
    int32_t a, b;
    int64_t count;
    uint32_t *words;
    size_t n, cap;
} pair;

typedef struct entry {
    int64_t count;
    int32_t a, b;
    uint32_t pair;
} entry;

typedef struct learner {
    int32_t *symbol; /* pool */
    word *words;
    size_t word_count;
    pair *pairs;
    size_t pair_count, pair_room;
    yk_table index; /* pair -> position in pairs */
    entry *heap;
    size_t heap_n, heap_room;
    uint32_t *touched; /* pairs whose counts grew in this merge */
    size_t touched_n, touched_room;
} learner;

static bool higher(const entry *x, const entry *y)
{
    if (x->count != y->count) return x->count > y->count;
    return x->a != y->a ? x->a < y->a : x->b < y->b;
}

static yk_status heap_push(learner *l, uint32_t p, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(l->heap, l->heap_n, l->heap_room);
    entry e = {l->pairs[p].count, l->pairs[p].a, l->pairs[p].b, p};
    size_t i = l->heap_n++;
    for (; i && higher(&e, &l->heap[(i - 1) / 2]); i = (i - 1) / 2) l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = e;
done:
    return st;
}

static entry heap_pop(learner *l)
{
    entry top = l->heap[0], last = l->heap[--l->heap_n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < l->heap_n; i = child) {
        if (child + 1 < l->heap_n && higher(&l->heap[child + 1], &l->heap[child])) child++;
        if (!higher(&l->heap[child], &last)) break;
        l->heap[i] = l->heap[child];
    }
    l->heap[i] = last;
    return top;
}

static yk_status change_pair(learner *l, int32_t a, int32_t b, int64_t by, uint32_t in, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t at;
    if (!yk_table_get(&l->index, yk_pair(a, b), &at)) {
        YK_ROOM(l->pairs, l->pair_count, l->pair_room);
        at = l->pair_count++;
        l->pairs[at] = (pair){.a = a, .b = b};
        YK_TRY(yk_table_put(&l->index, yk_pair(a, b), at, err));
    }
    pair *p = &l->pairs[at];
    p->count += by;
    if (by < 0) return YK_OK;
    if (p->n == 0 || p->words[p->n - 1] != in) {
        YK_ROOM(p->words, p->n, p->cap);
        p->words[p->n++] = in;
    }
    YK_ROOM(l->touched, l->touched_n, l->touched_room);
    l->touched[l->touched_n++] = (uint32_t)at;
done:
    return st;
}

static yk_status merge_in_word(learner *l, uint32_t index, int32_t a, int32_t b, int32_t made, yk_error *err)
{
    yk_status st = YK_OK;
    word *w = &l->words[index];
    int32_t *s = l->symbol + w->at;
    int64_t count = (int64_t)w->count;
    uint32_t to = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        if (i + 1 == w->n || s[i] != a || s[i + 1] != b) {
            s[to++] = s[i];
            continue;
        }
        if (to > 0) {
            YK_TRY(change_pair(l, s[to - 1], a, -count, index, err));
            YK_TRY(change_pair(l, s[to - 1], made, count, index, err));
        }
        if (i + 2 < w->n) {
            YK_TRY(change_pair(l, b, s[i + 2], -count, index, err));
            YK_TRY(change_pair(l, made, s[i + 2], count, index, err));
        }
        s[to++] = made;
        i++;
    }
    w->n = to;
done:
    return st;
}

static yk_status learner_start(learner *l, const piece_set *set, yk_error *err)
{
    yk_status st = YK_OK;
    uint8_t byte_of_id[256];
    int32_t id_of_byte[256];
    yk_byte_alphabet(byte_of_id, id_of_byte);
    YK_NEW(l->symbol, set->pool.len);
    YK_NEW(l->words, set->n);
    for (size_t i = 0; i < set->n; i++) {
        const piece *p = &set->list[i];
        l->words[i] = (word){p->at, p->length, p->count};
        for (size_t j = 0; j < p->length; j++)
            l->symbol[p->at + j] = id_of_byte[(uint8_t)set->pool.data[p->at + j]];
        for (size_t j = 0; j + 1 < p->length; j++)
            YK_TRY(change_pair(l, l->symbol[p->at + j], l->symbol[p->at + j + 1], (int64_t)p->count, (uint32_t)i, err));
    }
    l->word_count = set->n;
    for (size_t p = 0; p < l->pair_count; p++) YK_TRY(heap_push(l, (uint32_t)p, err));
done:
    return st;
}

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

/* The best pair with at least two occurrences, or false. Entries whose count changed go back. */
static yk_status best_pair(learner *l, uint32_t *best, bool *found, yk_error *err)
{
    yk_status st = YK_OK;
    *found = false;
    while (l->heap_n && !*found) {
        entry e = heap_pop(l);
        if (l->pairs[e.pair].count == e.count && e.count >= 2) {
            *best = e.pair;
            *found = true;
        } else if (l->pairs[e.pair].count < e.count && l->pairs[e.pair].count >= 2) {
            YK_TRY(heap_push(l, e.pair, err));
        }
    }
done:
    return st;
}

static yk_status merge_pair(learner *l, uint32_t best, int32_t made, yk_error *err)
{
    yk_status st = YK_OK;
    int32_t a = l->pairs[best].a, b = l->pairs[best].b;
    uint32_t *words = l->pairs[best].words;
    size_t n = l->pairs[best].n;
    l->pairs[best].words = NULL;
    l->pairs[best].n = l->pairs[best].cap = 0;
    l->touched_n = 0;
    qsort(words, n, sizeof *words, by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || words[i] != words[i - 1]) YK_TRY(merge_in_word(l, words[i], a, b, made, err));
    l->pairs[best].count = 0;
    qsort(l->touched, l->touched_n, sizeof *l->touched, by_number);
    for (size_t i = 0; i < l->touched_n; i++)
        if (i == 0 || l->touched[i] != l->touched[i - 1]) YK_TRY(heap_push(l, l->touched[i], err));
done:
    free(words);
    return st;
}

static void learner_free(learner *l)
{
    for (size_t i = 0; i < l->pair_count; i++) free(l->pairs[i].words);
    free(l->symbol);
    free(l->words);
    free(l->pairs);
    free(l->heap);
    free(l->touched);
    yk_table_free(&l->index);
}

/* What has been learnt: tokens by id, and merges by rank with what they make. */
typedef struct learnt {
    yk_token *token;
    int32_t n;
    size_t room;
    int32_t (*merge)[2], *made;
    size_t merges, merge_room, made_room;
    yk_table known; /* hash of bytes -> id */
} learnt;

static void learnt_free(learnt *x)
{
    for (int32_t i = 0; x->token && i < x->n; i++) free(x->token[i].bytes);
    free(x->token);
    free(x->merge);
    free(x->made);
    yk_table_free(&x->known);
}

/* The id of the token with these bytes, a new one when there is none. */
static yk_status token_of(learnt *x, const char *bytes, size_t n, int32_t *id, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t key = yk_hash64(bytes, n, 3) >> 1, there;
    for (; yk_table_get(&x->known, key, &there); key++)
        if (x->token[there].length == n && memcmp(x->token[there].bytes, bytes, n) == 0) {
            *id = (int32_t)there;
            return YK_OK;
        }
    YK_ROOM(x->token, x->n, x->room);
    x->token[x->n] = (yk_token){0};
    YK_TRY(yk_token_set(&x->token[x->n], bytes, n, err));
    YK_TRY(yk_table_put(&x->known, key, (uint64_t)x->n, err));
    *id = x->n++;
done:
    return st;
}

/* Other merges may have made the same bytes: then the pair becomes that token. */
static yk_status add_merge(learnt *x, int32_t a, int32_t b, int32_t *id, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf bytes = {0};
    yk_buf_add(&bytes, x->token[a].bytes, x->token[a].length);
    yk_buf_add(&bytes, x->token[b].bytes, x->token[b].length);
    YK_TRY(token_of(x, bytes.data, bytes.len, id, err));
    YK_ROOM(x->merge, x->merges, x->merge_room);
    YK_ROOM(x->made, x->merges, x->made_room);
    x->merge[x->merges][0] = a;
    x->merge[x->merges][1] = b;
    x->made[x->merges++] = *id;
done:
    yk_buf_free(&bytes);
    return st;
}

/* Bytes, merges, specials, in this order of ids. */
static yk_status assemble(yk_tokenizer **out, learnt *x, yk_error *err)
{
    static const char *const special[] = YK_SPECIAL_TOKENS;
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    json_t *settings = yk_settings_new(yk_pattern_qwen2, true, false);
    int32_t vocab = x->n;
    YK_TRY(yk_settings_specials(settings, special, YK_SPECIAL_COUNT, &vocab, err));
    st = yk_tokenizer_new(&t, vocab, x->merges, settings, err);
    settings = NULL;
    if (st != YK_OK) goto done;
    memcpy(t->token, x->token, (size_t)x->n * sizeof *x->token);
    if (x->merges) memcpy(t->merge, x->merge, x->merges * sizeof *x->merge);
    x->n = 0; /* their bytes belong to the tokenizer now */
    YK_TRY(yk_tokenizer_ready(t, x->made, err));
    *out = t;
    t = NULL;
done:
    json_decref(settings);
    yk_tokenizer_free(t);
    return st;
}

yk_status yk_bpe_trainer_learn(yk_bpe_trainer *b, int32_t vocab, yk_tokenizer **t, yk_error *err)
{
    yk_status st = YK_OK;
    learner l = {0};
    learnt x = {0};
    uint8_t byte_of_id[256];
    int32_t id, id_of_byte[256], wanted = vocab - YK_SPECIAL_COUNT;
    bool found = true;
    if (wanted < 256)
        YK_FAIL(YK_ERR_CONFIG, "a vocabulary of %d is too small; %d is the least", vocab, 256 + YK_SPECIAL_COUNT);
    YK_TRY(flush(b, err));
    yk_byte_alphabet(byte_of_id, id_of_byte);
    for (int i = 0; i < 256; i++) YK_TRY(token_of(&x, (char *)&byte_of_id[i], 1, &id, err));
    YK_TRY(learner_start(&l, &b->set[0], err));
    while (x.n < wanted) {
        uint32_t best;
        YK_TRY(best_pair(&l, &best, &found, err));
        if (!found) break;
        YK_TRY(add_merge(&x, l.pairs[best].a, l.pairs[best].b, &id, err));
        YK_TRY(merge_pair(&l, best, id, err));
        yk_progress("tokenizer  token %d of %d", x.n - 256, wanted - 256);
    }
    if (!found)
        yk_warn("the text has only %zu pairs that occur twice: the vocabulary is %d, not %d", x.merges,
                x.n + YK_SPECIAL_COUNT, vocab);
    YK_TRY(assemble(t, &x, err));
done:
    learnt_free(&x);
    learner_free(&l);
    return st;
}
