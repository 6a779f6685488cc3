/* Token shards, and the order of training data. */
#include "base/file.h"
#include "data/sampler.h"
#include "data/shard.h"
#include "text/documents.h"
#include "token/tokenizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DOCUMENTS = 40, SEQ = 32, SAMPLES = 4000 };

typedef struct world {
    char dir[64];
    char *documents[2], *shard[2], *tokenizer;
    yk_tokenizer *t;
    yk_domain domain[2];
} world;

static void write_documents(const char *path, int domain)
{
    yk_error err;
    yk_docwriter *w = NULL;
    assert_int_equal(yk_docwriter_open(&w, path, &err), YK_OK);
    for (int i = 0; i < DOCUMENTS; i++) {
        yk_buf text = {0};
        for (int j = 0; j <= i * (1 + 3 * domain); j++) yk_buf_printf(&text, "%c%d ", domain ? 'b' : 'a', i);
        assert_int_equal(yk_docwriter_add(w, &(yk_document){text.data, text.len, "test", "en"}, &err), YK_OK);
        yk_buf_free(&text);
    }
    assert_int_equal(yk_docwriter_commit(w, &err), YK_OK);
}

static int make_world(void **state)
{
    yk_error err;
    world *w = calloc(1, sizeof *w);
    yk_bpe_trainer *b = NULL;
    const char *tmp = getenv("TMPDIR");
    snprintf(w->dir, sizeof w->dir, "%.40s/yoke-data-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(yk_bpe_trainer_new(&b, &(yk_team){.threads = 1}, &err), YK_OK);
    assert_int_equal(yk_bpe_trainer_add(b, "a1 b2", 5, &err), YK_OK);
    assert_int_equal(yk_bpe_trainer_learn(b, 256 + YK_SPECIAL_COUNT, &w->t, &err), YK_OK);
    yk_bpe_trainer_free(b);
    for (int d = 0; d < 2; d++) {
        w->documents[d] = yk_path("%s/%d.jsonl.zst", w->dir, d);
        w->shard[d] = yk_path("%s/%d.tok", w->dir, d);
        write_documents(w->documents[d], d);
        assert_int_equal(yk_shard_write(w->documents[d], w->shard[d], w->t, &(yk_team){.threads = 2}, NULL,
                                        &err), YK_OK);
        w->domain[d] = (yk_domain){.name = d ? "b" : "a", .weight = d ? 0.75 : 0.25};
        assert_int_equal(yk_shard_open(&w->domain[d].train, w->shard[d], &err), YK_OK);
    }
    *state = w;
    return 0;
}

static int remove_world(void **state)
{
    world *w = *state;
    for (int d = 0; d < 2; d++) {
        yk_shard_close(&w->domain[d].train);
        unlink(w->documents[d]);
        unlink(w->shard[d]);
        free(w->documents[d]);
        free(w->shard[d]);
    }
    rmdir(w->dir);
    yk_tokenizer_free(w->t);
    free(w);
    return 0;
}

static void shards_hold_the_documents(void **state)
{
    const world *w = *state;
    const yk_shard *s = &w->domain[0].train;
    assert_int_equal(s->documents, DOCUMENTS);
    uint64_t bytes = 0;
    for (uint64_t doc = 0; doc < s->documents; doc++) {
        yk_buf text = {0}, wanted = {0};
        for (uint64_t i = s->offset[doc]; i < s->offset[doc + 1]; i++) {
            int32_t id = yk_shard_id(s, i);
            yk_tokenizer_decode(w->t, &id, 1, &text);
        }
        for (uint64_t j = 0; j <= doc; j++) yk_buf_printf(&wanted, "a%d ", (int)doc);
        assert_string_equal(text.data, wanted.data);
        assert_int_equal(s->length[doc], wanted.len);
        bytes += wanted.len;
        yk_buf_free(&text);
        yk_buf_free(&wanted);
    }
    assert_int_equal(s->bytes, bytes);
}

static void refused(const char *path, const char *data, size_t n)
{
    yk_error err;
    yk_shard s = {0};
    assert_int_equal(yk_file_write(path, data, n, &err), YK_OK);
    assert_int_equal(yk_shard_open(&s, path, &err), YK_ERR_DAMAGED);
    assert_non_null(strstr(err.text, path));
}

static void damaged_shards_are_refused(void **state)
{
    const world *w = *state;
    yk_error err;
    yk_buf good = {0};
    char *path = yk_path("%s/damaged.tok", w->dir);
    assert_int_equal(yk_file_read(w->shard[0], &good, &err), YK_OK);
    for (size_t cut = 0; cut < good.len; cut += 1 + good.len / 50) refused(path, good.data, cut);
    for (size_t at = 0; at < good.len; at += 1 + good.len / 200) {
        good.data[at] ^= 0x40;
        refused(path, good.data, good.len);
        good.data[at] ^= 0x40;
    }
    memset(good.data + 16, 0xff, 16); /* more documents and tokens than any file can hold */
    refused(path, good.data, good.len);
    unlink(path);
    free(path);
    yk_buf_free(&good);
}

static yk_sampler *sampler_of(const world *w, double masked_share)
{
    yk_error err;
    yk_sampler *s = NULL;
    yk_sampler_options o = {.seed = 11, .seq = SEQ, .samples = SAMPLES, .begin = yk_tokenizer_begin(w->t),
                            .end = yk_tokenizer_end(w->t), .mask = yk_tokenizer_special(w->t, YK_TOKEN_MASK), .plain = 256,
                            .masked_share = masked_share, .mask_rate = 0.3, .mask_rate_end = 0.15, .mask_span = 3};
    assert_int_equal(yk_sampler_new(&s, w->domain, 2, &o, &err), YK_OK);
    return s;
}

typedef struct rows {
    int32_t token[SEQ], target[SEQ], position[SEQ];
    float weight[SEQ];
    yk_segment segment[SEQ];
    yk_sample x;
} rows;

static void fill(const yk_sampler *s, int64_t sample, rows *r)
{
    memset(r, 0, sizeof *r);
    r->x = (yk_sample){.token = r->token, .target = r->target, .position = r->position, .weight = r->weight,
                       .segment = r->segment};
    yk_sampler_fill(s, sample, &r->x);
}

static void causal_samples_are_packed_documents(void **state)
{
    const world *w = *state;
    yk_sampler *s = sampler_of(w, 0);
    int32_t end = yk_tokenizer_special(w->t, YK_TOKEN_END);
    rows r;
    for (int64_t g = 0; g < SAMPLES; g++) {
        fill(s, g, &r);
        int64_t row = 0;
        for (int64_t i = 0; i < r.x.segments; i++) { /* segments tile the sample, each looks at itself */
            const yk_segment *seg = &r.segment[i];
            assert_int_equal(seg->query, row);
            assert_int_equal(seg->key, row);
            assert_true(seg->causal);
            for (int64_t j = 0; j < seg->count; j++, row++) {
                assert_int_equal(r.position[row], j);
                if (j + 1 < seg->count) assert_int_equal(r.target[row], r.token[row + 1]);
                if (j > 0) assert_int_not_equal(r.token[row], end);
            }
            if (i > 0) assert_int_equal(r.token[seg->query], end);
        }
        assert_int_equal(row, SEQ);
        assert_true(r.x.targets == SEQ);
    }
    yk_sampler_free(s);
}

static void a_sample_is_a_function_of_its_index(void **state)
{
    const world *w = *state;
    yk_sampler *s = sampler_of(w, 0.5), *again = sampler_of(w, 0.5);
    rows a, b;
    for (int64_t g = SAMPLES - 1; g >= 0; g -= 7) {
        fill(s, SAMPLES - 1 - g, &b);
        fill(s, g, &a);
        fill(again, g, &b);
        assert_memory_equal(a.token, b.token, sizeof a.token);
        assert_memory_equal(a.weight, b.weight, sizeof a.weight);
    }
    yk_sampler_free(s);
    yk_sampler_free(again);
}

static void masks_and_mixture_have_their_rates(void **state)
{
    const world *w = *state;
    yk_sampler *s = sampler_of(w, 0.25), *plain = sampler_of(w, 0);
    int32_t mask = yk_tokenizer_special(w->t, YK_TOKEN_MASK);
    double masked = 0, early = 0, late = 0, early_rows = 0, late_rows = 0, hidden = 0, predicted = 0;
    rows r, whole;
    for (int64_t g = 0; g < SAMPLES; g++) {
        fill(s, g, &r);
        if (!r.x.masked) continue;
        fill(plain, g, &whole);
        masked++;
        *(g < SAMPLES / 4 ? &early : &late) += r.x.targets * (g < SAMPLES / 4 || g >= 3 * SAMPLES / 4);
        *(g < SAMPLES / 4 ? &early_rows : &late_rows) += SEQ * (g < SAMPLES / 4 || g >= 3 * SAMPLES / 4);
        for (int i = 0; i < SEQ; i++) {
            if (r.weight[i] == 0.0f) continue;
            assert_int_equal(r.target[i], whole.token[i + 1]); /* predicted one position to the left */
            predicted++;
            hidden += r.token[i + 1] == mask;
        }
        for (int64_t i = 0; i < r.x.segments; i++) assert_false(r.segment[i].causal);
    }
    assert_true(fabs(masked / SAMPLES - 0.25) < 0.02);
    assert_true(fabs(hidden / predicted - 0.8) < 0.02);
    assert_true(early / early_rows > 0.22 && late / late_rows < 0.20 && late / late_rows > 0.10);
    int64_t drawn[2];
    double epochs[2];
    yk_sampler_mixture(s, SAMPLES, drawn, epochs);
    assert_int_equal(drawn[0] + drawn[1], SAMPLES);
    assert_true(fabs((double)drawn[1] / SAMPLES - 0.75) < 0.02);
    yk_sampler_free(s);
    yk_sampler_free(plain);
}

/* An epoch visits every window once: over whole epochs each token comes as often as any other. */
static void an_epoch_visits_everything_once(void **state)
{
    const world *w = *state;
    yk_sampler *s = sampler_of(w, 0);
    uint64_t windows = (w->domain[0].train.tokens + DOCUMENTS) / SEQ, seen = 0, digits[10] = {0}, wanted[10] = {0};
    const yk_shard *shard = &w->domain[0].train;
    for (uint64_t i = 0; i < shard->tokens; i++) {
        yk_buf byte = {0};
        int32_t id = yk_shard_id(shard, i);
        yk_tokenizer_decode(w->t, &id, 1, &byte);
        if (byte.data[0] >= '0' && byte.data[0] <= '9') wanted[byte.data[0] - '0']++;
        yk_buf_free(&byte);
    }
    rows r;
    for (int64_t g = 0; g < SAMPLES && seen < windows; g++) {
        fill(s, g, &r);
        if (r.x.domain != 0) continue;
        seen++;
        for (int i = 0; i < SEQ; i++) {
            yk_buf byte = {0};
            yk_tokenizer_decode(w->t, &r.token[i], 1, &byte);
            if (byte.len == 1 && byte.data[0] >= '0' && byte.data[0] <= '9') digits[byte.data[0] - '0']++;
            yk_buf_free(&byte);
        }
    }
    uint64_t missing = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(digits[i] <= wanted[i]);
        missing += wanted[i] - digits[i];
    }
    assert_true(missing < SEQ); /* the odd tokens at the end of the epoch */
    yk_sampler_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_hold_the_documents),
        cmocka_unit_test(damaged_shards_are_refused),
        cmocka_unit_test(causal_samples_are_packed_documents),
        cmocka_unit_test(a_sample_is_a_function_of_its_index),
        cmocka_unit_test(masks_and_mixture_have_their_rates),
        cmocka_unit_test(an_epoch_visits_everything_once),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
