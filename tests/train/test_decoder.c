/* Generating: the bits of the training forward, whatever the batch; how tokens are chosen. */
#include "small.h"
#include "base/hash.h"
#include "base/math64.h"
#include "train/decoder.h"

#include <math.h>

enum { PROMPTS = 23, LONGEST = 40 };

/* Prompts of different lengths from the ordinary ids. */
static int32_t ids[PROMPTS][LONGEST];

static void fill_requests(const yk_session *s, yk_request *r, int n, uint64_t first)
{
    const yk_rng rng = yk_rng_make(9, YK_STREAM_TEST, 1);
    for (int i = 0; i < n; i++) {
        int p = (int)((first + (uint64_t)i) % PROMPTS);
        int64_t length = 1 + p * 7 % LONGEST;
        for (int j = 0; j < length; j++)
            ids[p][j] = j ? (int32_t)yk_rng_below(&rng, (uint64_t)(p * LONGEST + j), (uint64_t)s->plain) : s->end;
        r[i] = (yk_request){.prompt = ids[p], .length = length, .number = first + (uint64_t)i};
    }
}

static void free_requests(yk_request *r, int n)
{
    for (int i = 0; i < n; i++) yk_request_free(&r[i]);
}

static void run(yk_session *s, yk_request *r, int n, int64_t slots, const yk_sampling *how)
{
    yk_error err;
    yk_decoder *d;
    must(yk_decoder_new(&d, s, slots, s->recipe->pretrain_seq, &err), &err);
    must(yk_decoder_run(d, r, (size_t)n, how, NULL, NULL, &err), &err);
    yk_decoder_free(d);
}

/* How many log-probabilities differ from those of the forward pass over the whole sequence. */
static int64_t differences(yk_session *s, const yk_request *r, int64_t *tokens)
{
    int64_t count = 0, n = r->length + (int64_t)r->answer.n;
    int32_t all[128];
    assert_true(n <= 128);
    for (int64_t i = 0; i < n; i++) all[i] = i < r->length ? r->prompt[i] : r->answer.id[i - r->length];
    yk_session_clear(s);
    assert_int_equal(yk_session_add(s, all, NULL, n), 0);
    yk_batch b = yk_session_batch(s);
    yk_model_evaluate(s->model, &b, s->loss, NULL, NULL);
    for (size_t i = 0; i < r->answer.n; i++) {
        float trained = -s->loss[r->length - 1 + (int64_t)i];
        count += memcmp(&trained, &r->logp[i], sizeof trained) != 0;
    }
    *tokens += (int64_t)r->answer.n;
    yk_session_clear(s);
    return count;
}

static void log_probabilities_are_those_of_training(void **state)
{
    (void)state;
    enum { REQUESTS = 92 };
    static const char *const kinds[][5] = {
        {"precision=fp32", NULL}, {"precision=bf16", NULL}, {"precision=fp16", NULL},
        {"model.qk_norm=false", "model.position=learned", NULL},
        {"model.attention=global", "model.window=9", "model.global_tokens=2", "model.full_every=2", NULL}};
    static const int64_t slots[] = {1, 7, 64};
    int64_t tokens[3] = {0};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        small x;
        small_open(&x, &(yk_session_options){.rows = 200}, 2, kinds[k]);
        yk_sampling how = yk_sampling_of(&x.s);
        how.temperature = 1, how.tokens = 60, how.seed = 4;
        how.ends = 0; /* long answers */
        for (int i = 0; i < 3; i++) {
            yk_request r[REQUESTS];
            fill_requests(&x.s, r, REQUESTS, 0);
            run(&x.s, r, REQUESTS, slots[i], &how);
            for (int j = 0; j < REQUESTS; j++) assert_int_equal(differences(&x.s, &r[j], &tokens[i]), 0);
            free_requests(r, REQUESTS);
        }
        small_close(&x);
    }
    for (int i = 0; i < 3; i++) {
        print_message("%lld log-probabilities of tokens sampled %lld at once: 0 differ from the training forward\n",
                      (long long)tokens[i], (long long)slots[i]);
        assert_true(tokens[i] >= 10000);
    }
}

/* Every set that this machine runs, every precision, two shapes: the training forward's bits, and those of the set that
 * all machines have. */
static void every_set_has_the_same_bits(void **state)
{
    (void)state;
    enum { REQUESTS = 9 };
    static const char *const precisions[] = {"precision=fp32", "precision=bf16", "precision=fp16"};
    static const char *const shapes[][5] = {
        {NULL},
        {"model.norm=layernorm", "model.mlp=gelu", "model.position=learned", "model.qk_norm=false", "model.bias=true"}};
    int64_t tokens = 0;
    int sets = 0;
    const yk_kernels *k;
    for (int kind = 0; kind < 2 * YK_PRECISIONS; kind++) {
        yk_sampling how = {.temperature = 1, .banned = -1, .tokens = 40, .seed = 6};
        const char *set[7] = {precisions[kind % YK_PRECISIONS]};
        memcpy(set + 1, shapes[kind / YK_PRECISIONS], sizeof shapes[0]);
        uint64_t first = 0;
        for (int i = 0; (k = yk_kernels_at(i, (yk_precision)(kind % YK_PRECISIONS))); i++) {
            if (!yk_kernels_runs_here(k)) continue;
            small x;
            yk_request r[REQUESTS];
            yk_buf all = {0};
            setenv("YOKE_ISA", k->name, 1);
            small_open(&x, &(yk_session_options){.rows = 70}, 2, set);
            unsetenv("YOKE_ISA");
            assert_string_equal(x.s.k->name, k->name);
            fill_requests(&x.s, r, REQUESTS, 0);
            run(&x.s, r, REQUESTS, 4, &how);
            for (int j = 0; j < REQUESTS; j++) {
                assert_int_equal(differences(&x.s, &r[j], &tokens), 0);
                yk_buf_add(&all, r[j].answer.id, r[j].answer.n * sizeof *r[j].answer.id);
                yk_buf_add(&all, r[j].logp, r[j].answer.n * sizeof *r[j].logp);
            }
            const uint64_t bits = yk_hash64(all.data, all.len, 0);
            if (!first) first = bits;
            assert_true(bits == first);
            yk_buf_free(&all);
            free_requests(r, REQUESTS);
            small_close(&x);
            sets++;
        }
    }
    print_message("%d sets, precisions and shapes: %lld log-probabilities, 0 differ\n", sets, (long long)tokens);
}

static void assert_same_answers(const yk_request *a, const yk_request *b)
{
    assert_int_equal(a->answer.n, b->answer.n);
    assert_memory_equal(a->answer.id, b->answer.id, a->answer.n * sizeof *a->answer.id);
    assert_memory_equal(a->logp, b->logp, a->answer.n * sizeof *a->logp);
    assert_string_equal(a->text.data, b->text.data);
    assert_int_equal(a->finish, b->finish);
}

/* Alone or among others, in any order, with few or many slots, rows and threads, on every set. */
static void tokens_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    yk_request first[PROMPTS];
    for (int kind = 0; kind < 6; kind++) {
        static const int64_t slots[] = {64, 1, 3, 64, 5, 23}, rows[] = {200, 66, 66, 70, 400, 80};
        small x;
        setenv("YOKE_ISA", kind == 5 ? "portable" : "", 1);
        small_open(&x, &(yk_session_options){.rows = rows[kind]}, kind % 3 + 1, NULL);
        unsetenv("YOKE_ISA");
        yk_sampling how = yk_sampling_of(&x.s);
        how.temperature = 0.9, how.top_k = 40, how.top_p = 0.95, how.repetition_penalty = 1.2;
        how.tokens = 50, how.seed = 5;
        yk_request r[PROMPTS], turned[PROMPTS];
        fill_requests(&x.s, r, PROMPTS, 0);
        for (int i = 0; i < PROMPTS; i++) turned[i] = r[kind == 4 ? PROMPTS - 1 - i : i];
        run(&x.s, turned, PROMPTS, slots[kind], &how);
        for (int i = 0; i < PROMPTS; i++) {
            if (kind == 0)
                first[i] = turned[i];
            else
                assert_same_answers(&first[i], &turned[kind == 4 ? PROMPTS - 1 - i : i]);
        }
        if (kind > 0) free_requests(turned, PROMPTS);
        small_close(&x);
    }
    free_requests(first, PROMPTS);
}

static int32_t draw(const yk_sampling *how, const float *logit, int64_t n, uint64_t index)
{
    float copy[64], odds[64];
    struct yk_choice order[64];
    yk_choices x = {copy, odds, order};
    yk_error err;
    const yk_kernels *k;
    const yk_rng rng = yk_rng_make(7, YK_STREAM_SAMPLE, 3);
    must(yk_kernels_pick(&k, NULL, YK_FP32, &err), &err);
    memcpy(copy, logit, (size_t)n * sizeof *copy);
    return yk_sampling_draw(how, k, &x, n, &rng, index);
}

/* How often each id comes, against its probability among those that top_k and top_p leave. */
static void draws_have_their_probabilities(void **state)
{
    (void)state;
    enum { V = 50, DRAWS = 20000 };
    static const yk_sampling hows[] = {
        {.temperature = 1, .banned = -1}, {.temperature = 0.5, .banned = 3},
        {.temperature = 1, .top_k = 5, .banned = -1},
        {.temperature = 1.5, .top_p = 0.7, .banned = -1}, {.temperature = 1, .top_k = 8, .top_p = 0.6, .banned = -1},
        {.temperature = 1, .top_k = 1, .banned = -1}, {.temperature = 1, .top_p = 1e-6, .banned = -1}};
    const yk_rng rng = yk_rng_make(3, YK_STREAM_TEST, 2);
    float logit[V];
    for (int i = 0; i < V; i++) logit[i] = (float)(2 * yk_rng_normal(&rng, (uint64_t)i));
    logit[11] = logit[10]; /* a tie */
    for (size_t h = 0; h < sizeof hows / sizeof *hows; h++) {
        const yk_sampling *how = &hows[h];
        int order[V], count[V] = {0};
        double p[V], total = 0, held = 0;
        for (int i = 0; i < V; i++) order[i] = i;
        for (int i = 1; i < V; i++) /* likeliest first, lower ids first */
            for (int j = i; j > 0 && logit[order[j]] > logit[order[j - 1]]; j--) {
                int t = order[j];
                order[j] = order[j - 1];
                order[j - 1] = t;
            }
        for (int i = 0; i < V; i++) {
            const bool out = how->banned == order[i] || (how->top_k && i >= how->top_k);
            p[i] = out ? 0 : exp((double)logit[order[i]] / how->temperature);
            total += p[i];
        }
        for (int i = 0; i < V && how->top_p > 0; i++) {
            if (held >= how->top_p * total) p[i] = 0;
            held += p[i];
        }
        total = 0;
        for (int i = 0; i < V; i++) total += p[i];
        for (int i = 0; i < DRAWS; i++) count[draw(how, logit, V, (uint64_t)i)]++;
        for (int i = 0; i < V; i++) {
            double want = p[i] / total, sigma = sqrt(want * (1 - want) / DRAWS);
            if (fabs(count[order[i]] / (double)DRAWS - want) > 5 * sigma + 1e-12)
                fail_msg("sampling %zu: id %d came %d times of %d, its probability is %g", h, order[i], count[order[i]],
                         DRAWS, want);
        }
    }
}

/* Each draw is the id that a sum in the order of the definition finds: sorted where top_k or top_p ask for it. */
static void draws_are_those_of_the_definition(void **state)
{
    (void)state;
    enum { MOST = 64, DRAWS = 200 };
    static const yk_sampling hows[] = {
        {.temperature = 1, .banned = -1}, {.temperature = 0.7, .top_k = 20, .banned = 5},
        {.temperature = 1, .top_p = 0.95, .banned = -1},
        {.temperature = 2, .top_k = 63, .top_p = 0.99, .banned = 0},
        {.temperature = 1, .top_p = 0.999999, .banned = -1}};
    static const int sizes[] = {1, 2, 17, 63, 64};
    const yk_rng rng = yk_rng_make(8, YK_STREAM_TEST, 2), drawn = yk_rng_make(7, YK_STREAM_SAMPLE, 3);
    yk_error err;
    const yk_kernels *k;
    must(yk_kernels_pick(&k, NULL, YK_FP32, &err), &err);
    for (int64_t i = 0; i < DRAWS * (int64_t)(sizeof hows / sizeof *hows); i++) {
        const yk_sampling *how = &hows[i / DRAWS];
        const int n = sizes[i % 5];
        float logit[MOST], odds[MOST];
        int order[MOST];
        if (how->banned >= n) continue;
        for (int j = 0; j < n; j++) { /* halves, so that many are equal */
            logit[j] = (float)floor(4 * yk_rng_normal(&rng, (uint64_t)(i * MOST + j))) / 2;
            if (j == how->banned && n > 1) logit[j] = -INFINITY;
            order[j] = j;
        }
        bool few = how->top_k > 0 && how->top_k < n, nuclear = how->top_p > 0;
        for (int a = 1; a < n && (few || nuclear); a++)
            for (int j = a; j > 0 && logit[order[j]] > logit[order[j - 1]]; j--) {
                int t = order[j];
                order[j] = order[j - 1];
                order[j - 1] = t;
            }
        float most = -INFINITY;
        for (int j = 0; j < n; j++) most = logit[j] > most ? logit[j] : most;
        for (int j = 0; j < n; j++) odds[j] = (logit[order[j]] - most) * (float)(1 / how->temperature);
        k->map(&(yk_team){.threads = 1}, &(yk_map){.function = YK_EXP, .y = odds, .x = odds, .n = n});
        int kept = few ? (int)how->top_k : n;
        double total = 0, held = 0, sum = 0;
        for (int j = 0; j < kept; j++) total += (double)odds[j];
        for (int j = 0; nuclear && j < kept; j++)
            if ((held += (double)odds[j]) >= how->top_p * total) kept = j + 1;
        total = 0;
        for (int j = 0; j < kept; j++) total += (double)odds[j];
        int want = 0;
        while (want < kept - 1 && (sum += (double)odds[want]) <= yk_rng_uniform(&drawn, (uint64_t)i) * total) want++;
        while (want > 0 && odds[want] <= 0) want--;
        if (n > 1) assert_int_equal(draw(how, logit, n, (uint64_t)i), order[want]);
    }
}

/* A model that has diverged gives ids of its vocabulary, the same each time. */
static void logits_that_are_no_numbers_do_no_harm(void **state)
{
    (void)state;
    static const yk_sampling hows[] = {{.banned = -1}, {.temperature = 1, .banned = -1},
                                       {.temperature = 1, .top_k = 2, .banned = -1},
                                       {.temperature = 1, .top_p = 0.5, .banned = 1},
                                       {.temperature = 1, .top_k = 3, .top_p = 0.5, .banned = -1}};
    const float bad[][5] = {{NAN, NAN, NAN, NAN, NAN}, {NAN, 1, 2, 3, 4}, {1, NAN, INFINITY, 2, NAN},
                            {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY}, {INFINITY, INFINITY, 0, 0, 0}};
    for (size_t h = 0; h < sizeof hows / sizeof *hows; h++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            int32_t id = draw(&hows[h], bad[i], 5, i);
            assert_in_range(id, 0, 4);
            assert_int_equal(draw(&hows[h], bad[i], 5, i), id);
        }
}

static void greedy_takes_the_lowest_of_equals(void **state)
{
    (void)state;
    const float logit[] = {1, 5, 2, 5, 5};
    assert_int_equal(draw(&(yk_sampling){.banned = -1}, logit, 5, 0), 1);
    assert_int_equal(draw(&(yk_sampling){.banned = 1}, logit, 5, 0), 3);
}

static void the_penalty_counts_an_id_once(void **state)
{
    (void)state;
    float logit[] = {2, -2, 3, 1};
    uint8_t seen[4] = {0};
    const int32_t prompt[] = {0, 1, 0}, answer[] = {1, 2};
    yk_choices x = {.logit = logit};
    yk_sampling_penalise(&(yk_sampling){.repetition_penalty = 2}, &x, prompt, 3, answer, 2, seen);
    const float want[] = {1, -4, 1.5f, 1};
    assert_memory_equal(logit, want, sizeof want);
    for (int i = 0; i < 4; i++) assert_int_equal(seen[i], 0);
}

typedef struct heard {
    yk_buf text;
    int pieces, most;
} heard;

static bool hear(void *context, const char *bytes, size_t n)
{
    heard *h = context;
    yk_buf_add(&h->text, bytes, n);
    return ++h->pieces < h->most;
}

/* A text of the middle of what is generated without it, which crosses tokens, ends the answer before it. */
static void stop_texts_and_limits_end_answers(void **state)
{
    (void)state;
    yk_error err;
    small x;
    yk_decoder *d;
    small_open(&x, &(yk_session_options){.rows = 100}, 2, NULL);
    yk_sampling how = yk_sampling_of(&x.s);
    how.temperature = 1, how.tokens = 30, how.ends = 0;
    yk_request whole, cut, few;
    fill_requests(&x.s, &whole, 1, 3);
    cut = few = whole;
    run(&x.s, &whole, 1, 1, &how);
    assert_int_equal(whole.finish, YK_FINISH_LENGTH);
    assert_true(whole.text.len > 24);
    char stop[10] = {0};
    memcpy(stop, whole.text.data + 12, 9);
    size_t at = (size_t)((char *)memmem(whole.text.data, whole.text.len, stop, strlen(stop)) - whole.text.data);
    const char *const stops[] = {"never in here", stop};
    how.stop = stops, how.stops = 2;
    heard h = {.most = 1000};
    must(yk_decoder_new(&d, &x.s, 1, 64, &err), &err);
    must(yk_decoder_run(d, &cut, 1, &how, hear, &h, &err), &err);
    if (strlen(stop) > 0) {
        assert_int_equal(cut.finish, YK_FINISH_STOP);
        assert_int_equal(cut.text.len, at);
        assert_memory_equal(cut.text.data, whole.text.data, at);
        assert_int_equal(h.text.len, at);
        assert_memory_equal(h.text.data, cut.text.data, at);
    }
    how.stops = 0;
    h = (heard){.text = h.text, .most = 3};
    must(yk_decoder_run(d, &few, 1, &how, hear, &h, &err), &err);
    assert_int_equal(few.finish, YK_FINISH_EMIT);
    assert_int_equal(h.pieces, 3);
    yk_request none = {.prompt = whole.prompt, .length = whole.length}, full = none;
    how.tokens = 0;
    must(yk_decoder_run(d, &none, 1, &how, NULL, NULL, &err), &err);
    assert_int_equal(none.finish, YK_FINISH_LENGTH);
    assert_int_equal(none.answer.n, 0);
    assert_string_equal(none.text.data, "");
    how.tokens = 100;
    must(yk_decoder_run(d, &full, 1, &how, NULL, NULL, &err), &err);
    assert_int_equal(full.finish, YK_FINISH_CONTEXT);
    assert_int_equal(full.length + (int64_t)full.answer.n, 64);
    yk_decoder *too_long;
    assert_int_equal(yk_decoder_new(&too_long, &x.s, 1, 65, &err), YK_ERR_INTERNAL);
    int32_t long_prompt[64] = {0};
    yk_request no_room = {.prompt = long_prompt, .length = 64};
    must(yk_decoder_run(d, &no_room, 1, &how, NULL, NULL, &err), &err);
    assert_int_equal(no_room.finish, YK_FINISH_CONTEXT);
    assert_int_equal(no_room.answer.n, 0);
    yk_request *const all[] = {&whole, &cut, &few, &none, &full, &no_room};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) yk_request_free(all[i]);
    yk_buf_free(&h.text);
    yk_decoder_free(d);
    small_close(&x);
}

/* Where the context is full generating goes on; the pieces together are the tokens asked for. */
static void texts_go_on_beyond_the_context(void **state)
{
    (void)state;
    yk_error err;
    small x;
    small_open(&x, &(yk_session_options){.rows = 64}, 2, NULL);
    yk_sampling how = yk_sampling_of(&x.s);
    how.temperature = 1, how.tokens = 200, how.ends = 0;
    heard h = {.most = 100000};
    must(yk_generate(&x.s, "The farmer", &how, hear, &h, &err), &err);
    assert_true(h.pieces >= 150); /* special tokens in a piece of their own, too */
    yk_buf_free(&h.text);
    small_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_probabilities_are_those_of_training),
        cmocka_unit_test(every_set_has_the_same_bits),
        cmocka_unit_test(tokens_do_not_depend_on_the_batch),
        cmocka_unit_test(draws_have_their_probabilities),
        cmocka_unit_test(draws_are_those_of_the_definition),
        cmocka_unit_test(logits_that_are_no_numbers_do_no_harm),
        cmocka_unit_test(greedy_takes_the_lowest_of_equals),
        cmocka_unit_test(the_penalty_counts_an_id_once),
        cmocka_unit_test(stop_texts_and_limits_end_answers),
        cmocka_unit_test(texts_go_on_beyond_the_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
