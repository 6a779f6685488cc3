#include "train/sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct yk_choice choice;

static const yk_team alone = {.threads = 1};

static int by_logit(const void *x, const void *y)
{
    const choice *a = x, *b = y;
    return a->logit != b->logit ? (a->logit < b->logit) - (a->logit > b->logit) : (a->id > b->id) - (a->id < b->id);
}

static int32_t likeliest(const float *logit, int64_t vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++)
        if (logit[i] > logit[best]) best = i;
    return best;
}

/* The k-th largest of x[n], which is put into another order (Hoare's quickselect). */
static float kth_largest(float *x, int64_t n, int64_t k)
{
    for (int64_t low = 0, high = n - 1; low < high;) {
        float pivot = x[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot) i++;
            while (x[j] < pivot) j--;
            if (i > j) break;
            float t = x[i];
            x[i++] = x[j];
            x[j--] = t;
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            break;
    }
    return x[k - 1];
}

/* exp((logit - highest) / temperature) in place of the logits. */
static void to_odds(const yk_sampling *how, const yk_kernels *k, float *x, int64_t n, float highest)
{
    const float scale = (float)(1 / how->temperature);
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] - highest) * scale;
    k->map(&alone, &(yk_map){.function = YK_EXP, .y = x, .x = x, .n = n});
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

static int64_t pick(const float *odds, int64_t n, double want)
{
    double sum = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < n; i++) {
        if (odds[i] <= 0) continue;
        last = i;
        sum += (double)odds[i];
        if (sum > want) break;
    }
    return last;
}

/* Those that may be among the top_k and the top_p, likeliest first. An id of probability below (1 - p) / V is none of
 * the latter: all such together hold less than 1 - p. */
static int64_t sort_candidates(const yk_sampling *how, yk_choices *x, int64_t vocab, float least)
{
    int64_t n = 0;
    for (int32_t i = 0; i < vocab; i++)
        if (x->logit[i] >= least) x->order[n++] = (choice){x->logit[i], i};
    qsort(x->order, (size_t)n, sizeof *x->order, by_logit);
    return how->top_k > 0 && n > how->top_k ? how->top_k : n;
}

/* How many of the odds, in falling order, reach `want`. */
static int64_t nucleus(const float *odds, int64_t n, double want)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)odds[i];
        if (sum >= want) return i + 1;
    }
    return n;
}

int32_t yk_sampling_draw(const yk_sampling *how, const yk_kernels *k, yk_choices *x, int64_t vocab, const yk_rng *rng,
                         uint64_t index)
{
    if (how->banned >= 0) x->logit[how->banned] = -INFINITY;
    const int32_t best = likeliest(x->logit, vocab);
    if (how->temperature <= 0) return best;
    const float highest = x->logit[best];
    const double random = yk_rng_uniform(rng, index);
    const bool few = how->top_k > 0 && how->top_k < vocab, nuclear = how->top_p > 0 && how->top_p < 1;
    if (!few && !nuclear) {
        to_odds(how, k, x->logit, vocab, highest);
        return (int32_t)pick(x->logit, vocab, random * sum_of(x->logit, vocab));
    }
    float least = highest;
    double total = 0; /* of the odds that top_p is a share of */
    float *odds = x->odds;
    memcpy(odds, x->logit, (size_t)vocab * sizeof *odds);
    if (few) {
        least = kth_largest(odds, vocab, how->top_k);
    } else {
        to_odds(how, k, odds, vocab, highest);
        total = sum_of(odds, vocab);
        const double bound = (1 - how->top_p) / (double)vocab * total;
        for (int64_t i = 0; i < vocab; i++)
            if ((double)odds[i] >= bound && x->logit[i] < least) least = x->logit[i];
    }
    int64_t n = sort_candidates(how, x, vocab, least);
    for (int64_t i = 0; i < n; i++) odds[i] = x->order[i].logit;
    to_odds(how, k, odds, n, highest);
    if (few) total = sum_of(odds, n);
    if (nuclear) n = nucleus(odds, n, how->top_p * total);
    return x->order[pick(odds, n, random * sum_of(odds, n))].id;
}

static void penalise(float *logit, float penalty, const int32_t *id, int64_t n, uint8_t *seen)
{
    for (int64_t i = 0; i < n; i++) {
        if (seen[id[i]]) continue;
        seen[id[i]] = 1;
        logit[id[i]] = logit[id[i]] > 0 ? logit[id[i]] / penalty : logit[id[i]] * penalty;
    }
}

void yk_sampling_penalise(const yk_sampling *how, yk_choices *x, const int32_t *prompt, int64_t length,
                          const int32_t *answer, int64_t n, uint8_t *seen)
{
    const float penalty = (float)how->repetition_penalty;
    if (penalty <= 0 || penalty == 1) return;
    penalise(x->logit, penalty, prompt, length, seen);
    penalise(x->logit, penalty, answer, n, seen);
    for (int64_t i = 0; i < length; i++) seen[prompt[i]] = 0;
    for (int64_t i = 0; i < n; i++) seen[answer[i]] = 0;
}
