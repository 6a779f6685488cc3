#include "data/sampler.h"

#include "base/math64.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

/* One epoch of a domain: the shuffled documents laid end to end, and the order in which its windows are visited. */
typedef struct epoch {
    uint64_t *order, *begin; /* [documents], [documents + 1] */
    uint64_t *window;        /* [windows]                    */
} epoch;

typedef struct stream {
    const yk_shard *shard;
    uint64_t length;  /* tokens an epoch: ids and one that begins a document */
    uint64_t windows; /* of T tokens an epoch; the odd tokens at the end wait for another epoch's order */
    epoch *epochs;
    uint64_t count;
} stream;

struct yk_sampler {
    yk_sampler_options o;
    stream *streams;
    size_t domains;
    uint16_t *domain;  /* [samples + spare] */
    uint32_t *window;  /* [samples + spare] of domain */
};

static double share_of(const yk_corpus *c, const yk_shard *s)
{
    return c->weight > 0 ? c->weight : (double)s->bytes;
}

yk_status yk_domains_open(yk_domain **out, const yk_recipe *r, const char *run_dir, yk_error *err)
{
    yk_status st = YK_OK;
    yk_domain *d = NULL;
    char *path = NULL;
    double total = 0;
    YK_NEW(d, r->corpora);
    for (size_t i = 0; i < r->corpora; i++) {
        d[i].name = r->corpus[i].domain;
        for (int heldout = 0; heldout < 2; heldout++) {
            free(path);
            path = yk_shard_path(run_dir, d[i].name, heldout);
            if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
            YK_TRY(yk_shard_open(heldout ? &d[i].heldout : &d[i].train, path, err));
        }
        if (d[i].train.tokens == 0)
            YK_FAIL(YK_ERR_INPUT, "domain `%s` has no training tokens; give it more text", d[i].name);
    }
    bool given = false;
    for (size_t i = 0; i < r->corpora; i++) given = given || r->corpus[i].weight > 0;
    for (size_t i = 0; i < r->corpora; i++) {
        if (given && r->corpus[i].weight <= 0)
            YK_FAIL(YK_ERR_CONFIG, "corpus: domain `%s` has no weight although others have; give all or none",
                    d[i].name);
        d[i].weight = yk_pow64(share_of(&r->corpus[i], &d[i].train), 1 / r->pretrain_temperature);
        total += d[i].weight;
    }
    for (size_t i = 0; i < r->corpora; i++) d[i].weight /= total;
    *out = d;
    d = NULL;
done:
    free(path);
    yk_domains_close(d, r->corpora);
    return st;
}

void yk_domains_close(yk_domain *d, size_t n)
{
    if (!d) return;
    for (size_t i = 0; i < n; i++) {
        yk_shard_close(&d[i].train);
        yk_shard_close(&d[i].heldout);
    }
    free(d);
}

static yk_status shuffle_epoch(epoch *e, const stream *s, uint64_t seed, size_t domain, uint64_t number,
                               yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t n = s->shard->documents;
    YK_NEW(e->order, n);
    YK_NEW(e->begin, n + 1);
    YK_NEW(e->window, s->windows);
    yk_rng documents = yk_rng_make(seed, YK_STREAM_SHUFFLE, (uint64_t)domain << 32 | number);
    yk_rng_permutation(&documents, e->order, n);
    yk_rng windows = yk_rng_make(seed, YK_STREAM_WINDOW, (uint64_t)domain << 32 | number);
    yk_rng_permutation(&windows, e->window, s->windows);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t doc = e->order[i];
        e->begin[i + 1] = e->begin[i] + 1 + s->shard->offset[doc + 1] - s->shard->offset[doc];
    }
done:
    return st;
}

/* Draws every sample's domain, counting windows as it goes. */
static void deal(yk_sampler *s, const yk_domain *domains, uint32_t *windows)
{
    yk_rng rng = yk_rng_make(s->o.seed, YK_STREAM_DOMAIN, 0);
    for (int64_t g = 0; g < s->o.samples + s->o.spare; g++) {
        double u = yk_rng_uniform(&rng, (uint64_t)g);
        size_t d = 0;
        for (; d + 1 < s->domains && u >= domains[d].weight; d++) u -= domains[d].weight;
        s->domain[g] = (uint16_t)d;
        s->window[g] = windows[d]++;
    }
}

yk_status yk_sampler_new(yk_sampler **out, const yk_domain *domains, size_t n, const yk_sampler_options *o,
                         yk_error *err)
{
    yk_status st = YK_OK;
    yk_sampler *s = NULL;
    uint32_t *windows = NULL;
    YK_NEW(s, 1);
    s->o = *o;
    s->domains = n;
    YK_NEW(s->streams, n);
    YK_NEW(s->domain, o->samples + o->spare);
    YK_NEW(s->window, o->samples + o->spare);
    YK_NEW(windows, n);
    deal(s, domains, windows);
    for (size_t d = 0; d < n; d++) {
        stream *t = &s->streams[d];
        t->shard = &domains[d].train;
        t->length = t->shard->tokens + t->shard->documents;
        t->windows = t->length > (uint64_t)o->seq ? t->length / (uint64_t)o->seq : 1;
        t->count = (windows[d] + t->windows - 1) / t->windows;
        YK_NEW(t->epochs, t->count);
        for (uint64_t e = 0; e < t->count; e++) YK_TRY(shuffle_epoch(&t->epochs[e], t, o->seed, d, e, err));
    }
    *out = s;
    s = NULL;
done:
    free(windows);
    yk_sampler_free(s);
    return st;
}

void yk_sampler_free(yk_sampler *s)
{
    if (!s) return;
    for (size_t d = 0; s->streams && d < s->domains; d++) {
        for (uint64_t e = 0; s->streams[d].epochs && e < s->streams[d].count; e++) {
            free(s->streams[d].epochs[e].order);
            free(s->streams[d].epochs[e].begin);
            free(s->streams[d].epochs[e].window);
        }
        free(s->streams[d].epochs);
    }
    free(s->streams);
    free(s->domain);
    free(s->window);
    free(s);
}

/* The document of the epoch that holds stream place `at`. */
static uint64_t document_at(const epoch *e, uint64_t documents, uint64_t at)
{
    uint64_t low = 0, high = documents;
    while (high - low > 1) {
        uint64_t middle = (low + high) / 2;
        if (e->begin[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Fills the tokens of the stream's n-th window and marks where documents begin. */
static void read_window(const yk_sampler *s, const stream *t, uint64_t n, yk_sample *x)
{
    const int64_t T = s->o.seq;
    const epoch *e = &t->epochs[n / t->windows];
    const uint64_t from = e->window[n % t->windows] * (uint64_t)T;
    int64_t filled = 0;
    x->segments = 0;
    while (filled < T) {
        uint64_t within = (from + (uint64_t)filled) % t->length; /* a domain below T tokens is repeated */
        uint64_t i = document_at(e, t->shard->documents, within), doc = e->order[i];
        int64_t first = (int64_t)(within - e->begin[i]), left = (int64_t)(e->begin[i + 1] - within);
        int64_t count = left < T - filled ? left : T - filled;
        const uint64_t ids = t->shard->offset[doc];
        for (int64_t j = 0; j < count; j++) {
            int64_t at = first + j; /* 0 is the token with which the document begins */
            x->token[filled + j] = at ? yk_shard_id(t->shard, ids + (uint64_t)at - 1) : s->o.begin;
            x->target[filled + j] = j + 1 < left ? yk_shard_id(t->shard, ids + (uint64_t)at) : s->o.end;
            x->weight[filled + j] = 1.0f;
            x->position[filled + j] = (int32_t)j;
        }
        x->segment[x->segments++] = (yk_segment){.query = (int32_t)filled, .key = (int32_t)filled,
                                                 .count = (int32_t)count, .keys = (int32_t)count, .causal = 1};
        filled += count;
    }
}

void yk_mask_sample(yk_sample *x, int64_t rows, double rate, int64_t span, int32_t mask, int32_t plain,
                    uint64_t seed, uint64_t sample)
{
    yk_rng rng = yk_rng_make(seed, YK_STREAM_MASK, sample);
    double start = rate / (0.5 * (double)(span + 1)); /* spans of 1..span cover `rate` of the rows */
    memset(x->weight, 0, (size_t)rows * sizeof *x->weight);
    for (int64_t s = 0; s < x->segments; s++) {
        yk_segment *g = &x->segment[s];
        g->causal = 0;
        int64_t left = 0;
        for (int64_t r = g->query + 1; r < g->query + g->count; r++) {
            if (left == 0 && yk_rng_uniform(&rng, 3 * (uint64_t)r) < start)
                left = 1 + (int64_t)yk_rng_below(&rng, 3 * (uint64_t)r + 1, (uint64_t)span);
            if (left == 0) continue;
            left--;
            x->weight[r - 1] = 1.0f;
            double u = yk_rng_uniform(&rng, 3 * (uint64_t)r + 2);
            if (u < 0.8)
                x->token[r] = mask;
            else if (u < 0.9)
                x->token[r] = (int32_t)((u - 0.8) * 10.0 * plain);
        }
    }
}

void yk_sampler_fill(const yk_sampler *s, int64_t sample, yk_sample *x)
{
    x->domain = s->domain[sample];
    read_window(s, &s->streams[x->domain], s->window[sample], x);
    yk_rng rng = yk_rng_make(s->o.seed, YK_STREAM_MASK, UINT64_MAX);
    x->masked = yk_rng_uniform(&rng, (uint64_t)sample) < s->o.masked_share;
    if (x->masked) {
        double done = (double)(sample < s->o.samples ? sample : s->o.samples) / (double)s->o.samples;
        double rate = s->o.mask_rate + (s->o.mask_rate_end - s->o.mask_rate) * done;
        yk_mask_sample(x, s->o.seq, rate, s->o.mask_span, s->o.mask, s->o.plain, s->o.seed, (uint64_t)sample);
    }
    x->targets = 0;
    for (int64_t r = 0; r < s->o.seq; r++) x->targets += (double)x->weight[r];
}

void yk_sampler_mixture(const yk_sampler *s, int64_t samples, int64_t *drawn, double *epochs)
{
    memset(drawn, 0, s->domains * sizeof *drawn);
    for (int64_t g = 0; g < samples; g++) drawn[s->domain[g]]++;
    for (size_t d = 0; d < s->domains; d++)
        epochs[d] = (double)drawn[d] * (double)s->o.seq / (double)s->streams[d].length;
}
