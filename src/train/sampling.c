#include "train/sampling.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

typedef struct yk_choice choice;

static const yk_team alone = {.threads = 1};

enum { PARTS = 64, LANES = 16 };

static bool comes_before(choice a, choice b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/* The lowest id of the highest logit; of numbers that are none, 0. */
static int32_t likeliest(const float *logit, int64_t vocab)
{
    float most[LANES];
    int32_t id = 0;
    int64_t i = 0;
    for (int j = 0; j < LANES; j++) most[j] = -INFINITY;
    for (; i + LANES <= vocab; i += LANES)
        for (int j = 0; j < LANES; j++) most[j] = logit[i + j] > most[j] ? logit[i + j] : most[j];
    for (; i < vocab; i++) most[0] = logit[i] > most[0] ? logit[i] : most[0];
    for (int j = 1; j < LANES; j++) most[0] = most[j] > most[0] ? most[j] : most[0];
    while (id < vocab && logit[id] != most[0]) id++;
    return id < vocab ? id : 0;
}

/* Puts v in place `at` of a heap of n numbers, the least at its root, or further from the root. */
static void replace_least(float *heap, int64_t n, int64_t at, float v)
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] < heap[child]) child++;
        if (!(heap[child] < v)) break;
        heap[at] = heap[child];
    }
    heap[at] = v;
}

/* The k-th largest of x[n]; heap[k] is working memory. */
static float kth_largest(const float *x, float *heap, int64_t n, int64_t k)
{
    memcpy(heap, x, (size_t)k * sizeof *heap);
    for (int64_t i = k / 2 - 1; i >= 0; i--) replace_least(heap, k, i, heap[i]);
    for (int64_t i = k; i < n; i++)
        if (x[i] > heap[0]) replace_least(heap, k, 0, x[i]);
    return heap[0];
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

/* The first of n odds up to which they sum to more than `random` of their sum; the sums up to where each part begins
 * are kept, so that only one part is added up again. */
static int64_t pick(const float *odds, int64_t n, double random)
{
    double before[PARTS], sum = 0;
    const int64_t size = (n + PARTS - 1) / PARTS;
    int part = 0;
    for (int64_t i = 0; i < n; part++) {
        before[part] = sum;
        for (int64_t end = i + size < n ? i + size : n; i < end; i++) sum += (double)odds[i];
    }
    const double want = random * sum;
    if (!(sum > want)) {
        while (n > 1 && odds[n - 1] <= 0) n--;
        return n > 0 ? n - 1 : 0;
    }
    do part--;
    while (before[part] > want);
    sum = before[part];
    for (int64_t i = part * size;; i++)
        if ((sum += (double)odds[i]) > want) return i;
}

static void sink(choice *heap, int64_t n, int64_t at)
{
    const choice v = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_before(heap[child + 1], heap[child])) child++;
        if (!comes_before(heap[child], v)) break;
        heap[at] = heap[child];
    }
    heap[at] = v;
}

/* The ids of at least that logit as a heap, the likeliest at its root; how many. */
static int64_t make_heap(yk_choices *x, int64_t vocab, float least)
{
    int64_t n = 0;
    for (int32_t i = 0; i < vocab; i++)
        if (x->logit[i] >= least) x->order[n++] = (choice){x->logit[i], i};
    for (int64_t i = n / 2 - 1; i >= 0; i--) sink(x->order, n, i);
    return n;
}

/* Takes the root out of a heap of *n and puts it behind the others. */
static choice take_root(choice *heap, int64_t *n)
{
    const choice root = heap[0];
    heap[0] = heap[--*n];
    sink(heap, *n, 0);
    return heap[*n] = root;
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

static bool is_nuclear(const yk_sampling *how)
{
    return how->top_p > 0 && how->top_p < 1;
}

static int32_t draw_of_few(const yk_sampling *how, const yk_kernels *k, yk_choices *x, int64_t vocab, int32_t best,
                           double random)
{
    const float highest = x->logit[best], least = kth_largest(x->logit, x->odds, vocab, how->top_k);
    const int64_t all = make_heap(x, vocab, least);
    int64_t n = all < how->top_k ? all : how->top_k;
    if (n == 0) return best; /* no number is one */
    for (int64_t i = 0, left = all; i < n; i++) x->odds[i] = take_root(x->order, &left).logit;
    to_odds(how, k, x->odds, n, highest);
    if (is_nuclear(how)) n = nucleus(x->odds, n, how->top_p * sum_of(x->odds, n));
    return x->order[all - 1 - pick(x->odds, n, random)].id;
}

/* An id of probability below (1 - p) / V is not in the nucleus: all such together hold less than 1 - p. */
static int32_t draw_of_nucleus(const yk_sampling *how, const yk_kernels *k, yk_choices *x, int64_t vocab, int32_t best,
                               double random)
{
    float least = x->logit[best], *odds = x->odds, *taken = x->logit;
    memcpy(odds, x->logit, (size_t)vocab * sizeof *odds);
    to_odds(how, k, odds, vocab, least);
    const double total = sum_of(odds, vocab), bound = (1 - how->top_p) / (double)vocab * total;
    for (int64_t i = 0; i < vocab; i++)
        if ((double)odds[i] >= bound && x->logit[i] < least) least = x->logit[i];
    const int64_t all = make_heap(x, vocab, least);
    if (all == 0) return best;
    double sum = 0;
    int64_t n = 0, left = all;
    do {
        taken[n] = odds[take_root(x->order, &left).id];
        sum += (double)taken[n++];
    } while (left > 0 && !(sum >= how->top_p * total));
    return x->order[all - 1 - pick(taken, n, random)].id;
}

int32_t yk_sampling_draw(const yk_sampling *how, const yk_kernels *k, yk_choices *x, int64_t vocab, const yk_rng *rng,
                         uint64_t index)
{
    if (how->banned >= 0) x->logit[how->banned] = -INFINITY;
    const int32_t best = likeliest(x->logit, vocab);
    if (how->temperature <= 0) return best;
    const double random = yk_rng_uniform(rng, index);
    if (how->top_k > 0 && how->top_k < vocab) return draw_of_few(how, k, x, vocab, best, random);
    if (is_nuclear(how)) return draw_of_nucleus(how, k, x, vocab, best, random);
    to_odds(how, k, x->logit, vocab, x->logit[best]);
    return (int32_t)pick(x->logit, vocab, random);
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
