/* The order of training data: a pure function of (seed, global sample index).
 *
 * A sample is one packed sequence of T tokens. Which domain sample g comes from is drawn with the mixture's
 * weights; it is then the next window of that domain's epoch: the documents in an order shuffled anew each
 * epoch, each preceded by the token with which documents begin, laid end to end and cut every T tokens, the windows
 * visited in a shuffled order too (a long document would otherwise fill many steps in a row). Documents inside a sample
 * are segments: attention stays inside, positions start at 0. A share of samples is trained with the masked objective:
 * spans are masked in the input and predicted one position to the left (the output that a causal model uses for that
 * token), with attention in both directions, so that one set of weights serves both (GPT-BERT, Charpentier and Samuel,
 * BabyLM 2024; 80/10/10 as in BERT, Devlin et al. 2019). */
#ifndef YK_DATA_SAMPLER_H
#define YK_DATA_SAMPLER_H

#include "base/status.h"
#include "config/recipe.h"
#include "data/shard.h"
#include "simd/kernels.h"

typedef struct yk_domain {
    const char *name;
    yk_shard train, heldout;
    double weight; /* share of the mixture, summing to 1 */
} yk_domain;

/* Opens the shards of every corpus entry and turns weights and temperature into shares. */
yk_status yk_domains_open(yk_domain **domains, const yk_recipe *r, const char *run_dir, yk_error *err);
void yk_domains_close(yk_domain *domains, size_t n);

typedef struct yk_sampler yk_sampler;

/* begin, end, mask: ids of the special tokens; ids below `plain` may replace a masked token at random. */
typedef struct yk_sampler_options {
    uint64_t seed;
    int64_t seq, samples; /* samples: how many the whole run draws */
    int64_t spare;        /* and how many more there are for when some are passed over */
    int32_t begin, end, mask, plain;
    double masked_share, mask_rate, mask_rate_end;
    int64_t mask_span;
} yk_sampler_options;

yk_status yk_sampler_new(yk_sampler **s, const yk_domain *domains, size_t n, const yk_sampler_options *o,
                         yk_error *err);
void yk_sampler_free(yk_sampler *s);

/* One sample's rows. Arrays hold T entries, `segment` at least T; rows of segments count from 0. */
typedef struct yk_sample {
    int32_t *token, *target, *position;
    float *weight;
    yk_segment *segment;
    int64_t segments;
    bool masked;
    size_t domain;
    double targets; /* sum of weights */
} yk_sample;

void yk_sampler_fill(const yk_sampler *s, int64_t sample, yk_sample *out);

/* How many of the first `samples` came from each domain, and how many epochs of it they make. */
void yk_sampler_mixture(const yk_sampler *s, int64_t samples, int64_t *drawn, double *epochs);

/* Masks spans of `rate` of the rows of one causal sample in place (not the first row of a segment): inputs are
 * replaced 80/10/10, weights become 1 at the row before a masked one and 0 elsewhere, segments look both ways. */
void yk_mask_sample(yk_sample *x, int64_t rows, double rate, int64_t span, int32_t mask, int32_t plain,
                    uint64_t seed, uint64_t sample);

#endif
