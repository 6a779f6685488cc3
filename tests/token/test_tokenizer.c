/* Byte-pair encoding: splitting, training, encoding, tokenizer.json. */
#include "base/file.h"
#include "base/rng.h"
#include "token/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char prose[] =
    "The farmer had 12 cows and 345 hens. The farmer's cows didn't like the hens; they'd rather have had 6789 sheep.\n"
    "\tif (count > 100) return count + offset;\n    for (int i = 0; i < n; i++) sum += x[i];\n"
    "Die Bäuerin hätte größere Kühe. 農夫は牛を飼っている。 Фермер держит коров. "
    "\xF0\x9F\x90\x84\xF0\x9F\x90\x84 fin\n\n\n";

static yk_tokenizer *trained(int threads, int32_t vocab, int copies)
{
    yk_error err;
    yk_bpe_trainer *b = NULL;
    yk_tokenizer *t = NULL;
    assert_int_equal(yk_bpe_trainer_new(&b, &(yk_team){.threads = threads}, &err), YK_OK);
    for (int i = 0; i < copies; i++) assert_int_equal(yk_bpe_trainer_add(b, prose, strlen(prose), &err), YK_OK);
    assert_int_equal(yk_bpe_trainer_learn(b, vocab, &t, &err), YK_OK);
    yk_bpe_trainer_free(b);
    return t;
}

static void encode(const yk_tokenizer *t, const char *text, size_t n, yk_ids *ids)
{
    yk_error err;
    yk_encoder *e = NULL;
    assert_int_equal(yk_encoder_new(&e, t, &err), YK_OK);
    ids->n = 0;
    assert_int_equal(yk_encode(e, text, n, ids, &err), YK_OK);
    yk_encoder_free(e);
}

static void round_trip(const yk_tokenizer *t, const char *text, size_t n)
{
    yk_ids ids = {0};
    yk_buf back = {0};
    encode(t, text, n, &ids);
    for (size_t i = 0; i < ids.n; i++) assert_in_range(ids.id[i], 0, yk_tokenizer_vocab(t) - 1);
    yk_tokenizer_decode(t, ids.id, ids.n, &back);
    assert_int_equal(back.len, n);
    if (n) assert_memory_equal(back.data, text, n);
    yk_ids_free(&ids);
    yk_buf_free(&back);
}

static void folder_path(char path[96], char dir[64])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, 64, "%.40s/yoke-token-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    snprintf(path, 96, "%s/tokenizer.json", dir);
}

/* The tokenizer, saved and loaded with one part of the file replaced. */
static yk_tokenizer *changed(const yk_tokenizer *t, const char *part, const char *by)
{
    yk_error err;
    char path[96], dir[64];
    yk_tokenizer *other = NULL;
    yk_buf file = {0}, text = {0};
    folder_path(path, dir);
    assert_int_equal(yk_tokenizer_save(t, path, &err), YK_OK);
    assert_int_equal(yk_file_read(path, &file, &err), YK_OK);
    char *at = strstr(file.data, part);
    assert_non_null(at);
    yk_buf_add(&text, file.data, (size_t)(at - file.data));
    yk_buf_printf(&text, "%s%s", by, at + strlen(part));
    assert_int_equal(yk_file_write(path, text.data, text.len, &err), YK_OK);
    assert_int_equal(yk_tokenizer_load(&other, path, &err), YK_OK);
    yk_buf_free(&file);
    yk_buf_free(&text);
    unlink(path);
    rmdir(dir);
    return other;
}

static const char normalizer[] = "\"normalizer\": {\n  \"type\": \"NFC\"\n }";

static void every_byte_string_comes_back(void **state)
{
    (void)state;
    yk_tokenizer *with_nfc = trained(1, 400, 3), *t = changed(with_nfc, normalizer, "\"normalizer\": null");
    yk_rng r = yk_rng_make(4, YK_STREAM_TEST, 0);
    char text[512];
    round_trip(t, prose, strlen(prose));
    round_trip(t, "", 0);
    round_trip(t, "<|endoftext|> is text here", 26);
    for (uint64_t i = 0; i < 2000; i++) {
        size_t n = yk_rng_below(&r, 1000 * i, sizeof text);
        for (size_t j = 0; j < n; j++) {
            uint64_t x = yk_rng_bits(&r, 1000 * i + 1 + j);
            text[j] = i % 2 ? (char)x : prose[x % (sizeof prose - 1)]; /* any byte, or pieces of characters */
        }
        round_trip(t, text, n);
    }
    yk_tokenizer_free(t);
    yk_tokenizer_free(with_nfc);
}

/* With a vocabulary of bytes alone, the pieces of the split show as nothing; with one merge they show where it
 * may not reach. */
static void merges_stay_inside_pieces(void **state)
{
    (void)state;
    yk_error err;
    static const struct {
        const char *text; /* trained on, so that its two-byte pair would be merged */
        const char *probe;
        size_t ids;
    } cases[] = {
        {"ababab ab ab", "ab", 1},
        {"11 11 11 11", "11", 2},   /* each digit is a piece */
        {"a\na\na\na\n", "a\n", 2}, /* a line end does not join a word */
        {" the the the", " the", 1}, /* a blank leads a word  */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_bpe_trainer *b = NULL;
        yk_tokenizer *t = NULL;
        yk_ids ids = {0};
        assert_int_equal(yk_bpe_trainer_new(&b, &(yk_team){.threads = 1}, &err), YK_OK);
        assert_int_equal(yk_bpe_trainer_add(b, cases[i].text, strlen(cases[i].text), &err), YK_OK);
        assert_int_equal(yk_bpe_trainer_learn(b, 256 + YK_SPECIAL_COUNT + 4, &t, &err), YK_OK);
        encode(t, cases[i].probe, strlen(cases[i].probe), &ids);
        assert_int_equal(ids.n, cases[i].ids);
        yk_ids_free(&ids);
        yk_tokenizer_free(t);
        yk_bpe_trainer_free(b);
    }
}

static void threads_do_not_change_it(void **state)
{
    (void)state;
    yk_error err;
    char path[96], dir[64];
    yk_buf first = {0}, now = {0};
    folder_path(path, dir);
    for (int threads = 1; threads <= 5; threads++) {
        yk_tokenizer *t = trained(threads, 380, 40);
        assert_int_equal(yk_tokenizer_save(t, path, &err), YK_OK);
        yk_buf_clear(&now);
        assert_int_equal(yk_file_read(path, threads == 1 ? &first : &now, &err), YK_OK);
        if (threads > 1) assert_string_equal(now.data, first.data);
        yk_tokenizer_free(t);
    }
    yk_buf_free(&first);
    yk_buf_free(&now);
    unlink(path);
    rmdir(dir);
}

static void files_are_read_back(void **state)
{
    (void)state;
    yk_error err;
    char path[96], dir[64];
    yk_tokenizer *t = trained(1, 350, 3), *again = NULL;
    yk_buf file = {0}, second = {0};
    yk_ids a = {0}, b = {0};
    folder_path(path, dir);
    assert_int_equal(yk_tokenizer_save(t, path, &err), YK_OK);
    assert_int_equal(yk_tokenizer_load(&again, path, &err), YK_OK);
    assert_int_equal(yk_tokenizer_vocab(again), 350);
    assert_int_equal(yk_tokenizer_special(again, YK_TOKEN_END), 350 - YK_SPECIAL_COUNT);
    assert_int_equal(yk_tokenizer_special(again, "<|nothing|>"), -1);
    encode(t, prose, strlen(prose), &a);
    encode(again, prose, strlen(prose), &b);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.id, b.id, a.n * sizeof *a.id);
    assert_int_equal(yk_file_read(path, &file, &err), YK_OK);
    assert_int_equal(yk_tokenizer_save(again, path, &err), YK_OK);
    assert_int_equal(yk_file_read(path, &second, &err), YK_OK);
    assert_string_equal(file.data, second.data);
    yk_tokenizer_free(again);
    for (size_t cut = 0; cut < file.len - 2; cut += 97) { /* truncated anywhere: refused, named */
        again = NULL;
        assert_int_equal(yk_file_write(path, file.data, cut, &err), YK_OK);
        assert_int_not_equal(yk_tokenizer_load(&again, path, &err), YK_OK);
        assert_non_null(strstr(err.text, path));
        assert_null(again);
    }
    yk_ids_free(&a);
    yk_ids_free(&b);
    yk_buf_free(&file);
    yk_buf_free(&second);
    yk_tokenizer_free(t);
    unlink(path);
    rmdir(dir);
}

/* With NFC a combining sequence has the ids of its composed form, and without it has not. */
static void normalisation_is_applied(void **state)
{
    (void)state;
    yk_tokenizer *nfc = trained(1, 300, 3), *plain = changed(nfc, normalizer, "\"normalizer\": null");
    yk_ids composed = {0}, combining = {0}, other = {0};
    encode(nfc, "caf\xC3\xA9", 5, &composed);
    encode(nfc, "cafe\xCC\x81", 6, &combining);
    encode(plain, "cafe\xCC\x81", 6, &other);
    assert_int_equal(composed.n, combining.n);
    assert_memory_equal(composed.id, combining.id, composed.n * sizeof(int32_t));
    assert_true(other.n > composed.n);
    yk_ids_free(&composed);
    yk_ids_free(&combining);
    yk_ids_free(&other);
    yk_tokenizer_free(plain);
    yk_tokenizer_free(nfc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_string_comes_back), cmocka_unit_test(merges_stay_inside_pieces),
        cmocka_unit_test(threads_do_not_change_it),     cmocka_unit_test(files_are_read_back),
        cmocka_unit_test(normalisation_is_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
