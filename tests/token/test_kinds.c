/* Tokenizers of other makers: the ids that PyPI's `tokenizers` gives (expected.json, written with the small tokenizers
 * beside it by tests/peers/tokenizers_compare.py), tiktoken's ranks, and files that are wrong or hostile. */
#include "base/file.h"
#include "token/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>

typedef struct scratch {
    char dir[64], path[96];
} scratch;

static int make_scratch(void **state)
{
    scratch *s = calloc(1, sizeof *s);
    const char *tmp = getenv("TMPDIR");
    snprintf(s->dir, sizeof s->dir, "%.40s/yoke-kinds-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    *state = s;
    if (!mkdtemp(s->dir)) return 1;
    snprintf(s->path, sizeof s->path, "%s/file", s->dir);
    return 0;
}

static int remove_scratch(void **state)
{
    scratch *s = *state;
    unlink(s->path);
    rmdir(s->dir);
    free(s);
    return 0;
}

static char *kept(const char *name)
{
    const char *source = getenv("top_srcdir");
    return yk_path("%s/tests/token/%s", source ? source : ".", name);
}

static yk_tokenizer *load_kind(const char *kind)
{
    yk_error err;
    yk_tokenizer *t = NULL;
    char name[32], *path;
    snprintf(name, sizeof name, "%s.json", kind);
    path = kept(name);
    if (yk_tokenizer_load(&t, path, &err) != YK_OK) fail_msg("%s", err.text);
    free(path);
    return t;
}

static void expect_ids(const yk_tokenizer *t, const char *text, size_t n, bool specials, const json_t *wanted)
{
    yk_error err;
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    assert_int_equal(yk_encoder_new(&e, t, &err), YK_OK);
    yk_encoder_specials(e, specials);
    assert_int_equal(yk_encode(e, text, n, &ids, &err), YK_OK);
    bool same = ids.n == json_array_size(wanted);
    for (size_t i = 0; same && i < ids.n; i++) same = ids.id[i] == json_integer_value(json_array_get(wanted, i));
    if (!same) fail_msg("`%s`: other ids than those of `tokenizers`", text);
    yk_ids_free(&ids);
    yk_encoder_free(e);
}

/* As loaded, and as saved and loaded again. */
static void ids_are_those_of_tokenizers(void **state)
{
    const scratch *s = *state;
    yk_error err;
    char *path = kept("expected.json");
    json_t *rows = json_load_file(path, JSON_ALLOW_NUL, NULL), *row;
    size_t i;
    assert_true(json_array_size(rows) > 40);
    json_array_foreach(rows, i, row) {
        const json_t *text = json_object_get(row, "text");
        yk_tokenizer *t = load_kind(json_string_value(json_object_get(row, "kind"))), *again = NULL;
        assert_int_equal(yk_tokenizer_save(t, s->path, &err), YK_OK);
        assert_int_equal(yk_tokenizer_load(&again, s->path, &err), YK_OK);
        for (int k = 0; k < 4; k++)
            expect_ids(k % 2 ? again : t, json_string_value(text), json_string_length(text), k >= 2,
                       json_object_get(row, k >= 2 ? "special" : "plain"));
        yk_tokenizer_free(t);
        yk_tokenizer_free(again);
    }
    json_decref(rows);
    free(path);
}

/* What is written back has every member that was read, and the same values. */
static void settings_are_kept(void **state)
{
    const scratch *s = *state;
    yk_error err;
    static const char *const kinds[] = {"gpt2", "llama3", "qwen2", "deepseek"};
    for (size_t i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.json", kinds[i]);
        char *path = kept(name);
        yk_tokenizer *t = load_kind(kinds[i]);
        assert_int_equal(yk_tokenizer_save(t, s->path, &err), YK_OK);
        json_t *before = json_load_file(path, 0, NULL), *after = json_load_file(s->path, 0, NULL);
        assert_non_null(before);
        assert_true(json_equal(before, after));
        json_decref(before);
        json_decref(after);
        yk_tokenizer_free(t);
        free(path);
    }
}

static void invalid_bytes_are_tokens_of_their_own(void **state)
{
    (void)state;
    yk_error err;
    yk_tokenizer *t = load_kind("qwen2");
    yk_encoder *e = NULL;
    yk_ids ids = {0}, whole = {0};
    yk_buf back = {0};
    static const char text[] = "cows \xFF" "cows\xED\xA0\x80 \xC3";
    assert_int_equal(yk_encoder_new(&e, t, &err), YK_OK);
    assert_int_equal(yk_encode(e, text, sizeof text - 1, &ids, &err), YK_OK);
    assert_int_equal(yk_encode(e, "cows ", 5, &whole, &err), YK_OK);
    assert_memory_equal(ids.id, whole.id, whole.n * sizeof *whole.id);
    yk_tokenizer_decode(t, ids.id, ids.n, &back);
    assert_int_equal(back.len, sizeof text - 1);
    assert_memory_equal(back.data, text, back.len);
    yk_buf_free(&back);
    yk_ids_free(&ids);
    yk_ids_free(&whole);
    yk_encoder_free(e);
    yk_tokenizer_free(t);
}

/* The file with one part of its text replaced.  */
static void change(const char *kind, const char *part, const char *by, const char *path)
{
    yk_error err;
    yk_buf file = {0}, changed = {0};
    char name[32];
    snprintf(name, sizeof name, "%s.json", kind);
    char *from = kept(name);
    assert_int_equal(yk_file_read(from, &file, &err), YK_OK);
    char *at = strstr(file.data, part);
    if (!at) fail_msg("%s has no %s", name, part);
    yk_buf_add(&changed, file.data, (size_t)(at - file.data));
    yk_buf_puts(&changed, by);
    yk_buf_puts(&changed, at + strlen(part));
    assert_int_equal(yk_file_write(path, changed.data, changed.len, &err), YK_OK);
    yk_buf_free(&file);
    yk_buf_free(&changed);
    free(from);
}

#define SPLIT "{\"type\":\"Split\",\"pattern\":{\"Regex\":"
#define LLAMA "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"

static void wrong_files_are_refused(void **state)
{
    const scratch *s = *state;
    static const struct {
        const char *kind, *part, *by;
        yk_status status;
        const char *says;
    } cases[] = {
        {"gpt2", "\"normalizer\":null", "\"normalizer\":{\"type\":\"Lowercase\"}", YK_ERR_INPUT,
         "normalizer `Lowercase` is not supported"},
        {"qwen2", "{\"type\":\"NFC\"}", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\"}]}",
         YK_ERR_INPUT, "`Replace`"},
        {"gpt2", "\"pre_tokenizer\":{\"type\":\"ByteLevel\"", "\"pre_tokenizer\":{\"type\":\"Metaspace\"", YK_ERR_INPUT,
         "`Metaspace`"},
        {"llama3", SPLIT, "{\"type\":\"Whitespace\",\"pattern\":{\"Regex\":", YK_ERR_INPUT, "`Whitespace`"},
        {"llama3", "\"Isolated\"", "\"Sideways\"", YK_ERR_INPUT, "behavior `Sideways`"},
        {"llama3", "\"Regex\":", "\"Rexeg\":", YK_ERR_INPUT, "neither Regex nor String"},
        {"llama3", LLAMA, "\"a(b|", YK_ERR_INPUT, "a group has no end"},
        {"llama3", LLAMA, "\"a)b|", YK_ERR_INPUT, "byte 1: `)` without `(`"},
        {"llama3", LLAMA, "\"*|", YK_ERR_INPUT, "byte 0: `*` has nothing to repeat"},
        {"llama3", LLAMA, "\"a**|", YK_ERR_INPUT, "byte 2: a quantifier after a quantifier"},
        {"llama3", LLAMA, "\"[ab|", YK_ERR_INPUT, "`[` within a class"},
        {"llama3", LLAMA, "\"(?<=a)b|", YK_ERR_INPUT, "groups of the kind (?<="},
        {"llama3", LLAMA, "\"\\\\p{Han}|", YK_ERR_INPUT, "\\p{Han} is not supported"},
        {"llama3", LLAMA, "\"\\\\w+|", YK_ERR_INPUT, "\\w is not supported"},
        {"llama3", LLAMA, "\"[a&&b]|", YK_ERR_INPUT, "&& within a class"},
        {"llama3", LLAMA, "\"[b-a]|", YK_ERR_INPUT, "a range without characters"},
        {"llama3", LLAMA, "\"(a)\\\\1|", YK_ERR_INPUT, "\\1 is not supported"},
        {"llama3", LLAMA, "\"x*|", YK_ERR_INPUT, "the pattern can match nothing"},
        {"llama3", LLAMA, "\"(?:a*)*b|", YK_ERR_INPUT, "what can match nothing is repeated"},
        {"llama3", LLAMA, "\"(?:(?:(?:a{99}){99}){99}){99}|", YK_ERR_INPUT, "larger than supported"},
        {"llama3", LLAMA, "\"a{1001}|", YK_ERR_INPUT, "not a supported {n,m}"},
        {"llama3", LLAMA, "\"\\\\x{110000}|", YK_ERR_INPUT, "no character has this number"},
        {"llama3", "\"dropout\":null", "\"dropout\":0.1", YK_ERR_INPUT, "dropout is not supported"},
        {"llama3", "\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\"", YK_ERR_INPUT,
         "end_of_word_suffix"},
        {"llama3", "\"type\":\"BPE\"", "\"type\":\"WordPiece\"", YK_ERR_INPUT, "model `WordPiece`"},
        {"llama3", "\"vocab\":", "\"cabov\":", YK_ERR_INPUT, "no BPE model with vocab and merges"},
        {"llama3", "\"!\":0,", "\"!\":-1,", YK_ERR_INPUT, "the token `!` has no id from 0"},
        {"llama3", "\"!\":0,", "\"!\":4194304,", YK_ERR_INPUT, "the token `!` has no id from 0"},
        {"llama3", "\"!\":0,", "\"!\":\"0\",", YK_ERR_INPUT, "the token `!` has no id from 0"},
        {"llama3", "\"!\":0,", "\"!\":1,", YK_ERR_INPUT, "id 1 is given to two tokens"},
        {"llama3", "\"!\":0,", "\"!\":0,\"!\":0,", YK_ERR_DAMAGED, "duplicate object key"},
        {"llama3", "\"!\":0,", "", YK_ERR_INPUT, "no token for byte 0x21"},
        {"llama3", "\"merges\":[", "\"merges\":[[\"!\",\"!!\"],", YK_ERR_INPUT, "merge 0 needs the token `!!`"},
        {"llama3", "\"merges\":[", "\"merges\":[[\"!\",\"\\\"\"],", YK_ERR_INPUT, "merge 0 needs the token `!\"`"},
        {"llama3", "\"merges\":[", "\"merges\":[[\"!\"],", YK_ERR_INPUT, "merge 0 is neither"},
        {"llama3", "\"merges\":[", "\"merges\":[\"a b c\",", YK_ERR_INPUT, "merge 0 is neither"},
        {"llama3", "\"content\":\"<mask>\"", "\"content\":\"\"", YK_ERR_INPUT, "has no content"},
        {"llama3", "\"content\":\"<mask>\"", "\"content\":\"<|end|>\"", YK_ERR_INPUT, "is listed twice"},
        {"llama3", "\"added_tokens\":[{\"id\":330", "\"added_tokens\":[{\"id\":0", YK_ERR_INPUT,
         "id 0 is given to two tokens"},
        {"llama3", "\"added_tokens\":[{\"id\":330", "\"added_tokens\":[{\"id\":9999999999", YK_ERR_INPUT,
         "has no id that may be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_error err = {""};
        yk_tokenizer *t = NULL;
        change(cases[i].kind, cases[i].part, cases[i].by, s->path);
        yk_status st = yk_tokenizer_load(&t, s->path, &err);
        if (st != cases[i].status || !strstr(err.text, cases[i].says) || !strstr(err.text, s->path) || t)
            fail_msg("case %zu: status %d, `%s`; wanted %d, `%s`", i, st, err.text, cases[i].status, cases[i].says);
    }
}

/* Nested a thousand deep: refused, whether groups, sequences or alternatives. */
static void depth_is_bounded(void **state)
{
    const scratch *s = *state;
    static const struct { const char *open, *middle, *close, *part; } cases[] = {
        {"(?:", "a", ")", LLAMA}, {"a|", "a", "", LLAMA}, {"(?!", "a", ")", LLAMA},
        {"{\"type\":\"Sequence\",\"normalizers\":[", "{\"type\":\"NFC\"}", "]}", "null,\"pre_tokenizer\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_error err = {""};
        yk_tokenizer *t = NULL;
        yk_buf by = {0};
        if (i < 3) yk_buf_puts(&by, "\"");
        for (int k = 0; k < 1000; k++) yk_buf_puts(&by, cases[i].open);
        yk_buf_puts(&by, cases[i].middle);
        for (int k = 0; k < 1000; k++) yk_buf_puts(&by, cases[i].close);
        yk_buf_puts(&by, i < 3 ? "b|" : ",\"pre_tokenizer\"");
        change("llama3", cases[i].part, by.data, s->path);
        assert_int_equal(yk_tokenizer_load(&t, s->path, &err), YK_ERR_INPUT);
        yk_buf_free(&by);
    }
}

/* Patterns with more ways than can be tried end in an error. */
static void catastrophes_end(void **state)
{
    const scratch *s = *state;
    static const char *const patterns[] = {"\"(?:a+)+b|", "\"(?:a|a)+b|", "\"(?=(?:a+)+b)a|", "\"(?:a?a)+?b|"};
    char text[4000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        yk_error err = {""};
        yk_tokenizer *t = NULL;
        yk_encoder *e = NULL;
        yk_ids ids = {0};
        change("llama3", LLAMA, patterns[i], s->path);
        assert_int_equal(yk_tokenizer_load(&t, s->path, &err), YK_OK);
        assert_int_equal(yk_encoder_new(&e, t, &err), YK_OK);
        assert_int_equal(yk_encode(e, text, sizeof text, &ids, &err), YK_ERR_INPUT);
        assert_non_null(strstr(err.text, "tries too many ways"));
        assert_int_equal(yk_encode(e, "b", 1, &ids, &err), YK_OK); /* and the encoder goes on */
        yk_ids_free(&ids);
        yk_encoder_free(e);
        yk_tokenizer_free(t);
    }
}

static void add_rank(yk_buf *file, const char *bytes, size_t n, int rank)
{
    unsigned char coded[64];
    EVP_EncodeBlock(coded, (const unsigned char *)bytes, (int)n);
    yk_buf_printf(file, "%s %d\n", (char *)coded, rank);
}

/* All bytes, then ab, bc, abc, and a line of the caller's. */
static void write_ranks(const char *path, const char *line, int bytes)
{
    yk_error err;
    yk_buf file = {0};
    for (int b = 0; b < bytes; b++) add_rank(&file, &(char){(char)b}, 1, b);
    add_rank(&file, "bc", 2, 256);
    add_rank(&file, "ab", 2, 257);
    add_rank(&file, "abc", 3, 259);
    yk_buf_puts(&file, line);
    assert_int_equal(yk_file_write(path, file.data, file.len, &err), YK_OK);
    yk_buf_free(&file);
}

static void ranks_are_imported(void **state)
{
    const scratch *s = *state;
    static const char *const special[] = {"<|a|>", "<|b|>=300", "<|c|>"};
    static const int32_t wanted[] = {'a', 259, 257, 'x', 32, 256, 'd', 260, 301};
    yk_error err;
    yk_tokenizer *t = NULL;
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    write_ranks(s->path, "", 256);
    if (yk_tokenizer_import(&t, s->path, "llama3", special, 3, &err) != YK_OK) fail_msg("%s", err.text);
    assert_int_equal(yk_tokenizer_vocab(t), 302);
    assert_int_equal(yk_tokenizer_special(t, "<|a|>"), 260);
    assert_int_equal(yk_tokenizer_special(t, "<|b|>"), 300);
    assert_int_equal(yk_tokenizer_special(t, "<|c|>"), 301);
    for (int again = 0; again < 2; again++) { /* as imported, and as saved and loaded */
        assert_int_equal(yk_encoder_new(&e, t, &err), YK_OK);
        yk_encoder_specials(e, true);
        ids.n = 0;
        assert_int_equal(yk_encode(e, "aabc", 4, &ids, &err), YK_OK);
        assert_int_equal(yk_encode(e, "abx bcd<|a|><|c|>", 17, &ids, &err), YK_OK);
        assert_int_equal(ids.n, sizeof wanted / sizeof *wanted);
        assert_memory_equal(ids.id, wanted, sizeof wanted);
        yk_encoder_free(e);
        assert_int_equal(yk_tokenizer_save(t, s->path, &err), YK_OK);
        yk_tokenizer_free(t);
        if (again == 0) assert_int_equal(yk_tokenizer_load(&t, s->path, &err), YK_OK);
    }
    yk_ids_free(&ids);
}

/* To another maker's tokenizer.json too. */
static void special_tokens_are_added(void **state)
{
    const scratch *s = *state;
    static const char *const special[] = {YK_TOKEN_END, YK_TOKEN_MASK};
    yk_error err;
    yk_tokenizer *t = NULL, *again = NULL;
    char *path = kept("deepseek.json");
    assert_int_equal(yk_tokenizer_import(&t, path, NULL, special, 2, &err), YK_OK);
    int32_t end = yk_tokenizer_special(t, YK_TOKEN_END);
    assert_int_equal(yk_tokenizer_special(t, YK_TOKEN_MASK), end + 1);
    assert_int_equal(yk_tokenizer_vocab(t), end + 2);
    assert_int_equal(yk_tokenizer_save(t, s->path, &err), YK_OK);
    assert_int_equal(yk_tokenizer_load(&again, s->path, &err), YK_OK);
    assert_int_equal(yk_tokenizer_special(again, YK_TOKEN_END), end);
    yk_tokenizer_free(t);
    yk_tokenizer_free(again);
    free(path);
}

static void wrong_ranks_are_refused(void **state)
{
    const scratch *s = *state;
    static const struct { const char *line, *special, *pattern, *says; } cases[] = {
        {"YWJj 9x\n", "<|a|>", "gpt2", "line 260: no rank from 0"},
        {"YWJjZA==\n", "<|a|>", "gpt2", "line 260: no rank from 0"},
        {"YWJjZA== 4194304\n", "<|a|>", "gpt2", "line 260: no rank from 0"},
        {"YWJjZA== 99999999999999999999\n", "<|a|>", "gpt2", "line 260: no rank from 0"},
        {"YWJ 300\n", "<|a|>", "gpt2", "line 260: no token of 1 to"},
        {" 300\n", "<|a|>", "gpt2", "line 260: no token of 1 to"},
        {"Y?Jj 300\n", "<|a|>", "gpt2", "line 260: not base64"},
        {"YWJj 300\n", "<|a|>", "gpt2", "the ranks 259 and 300 are of the same bytes"},
        {"YWJjZA== 259\n", "<|a|>", "gpt2", "the rank 259 is given twice"},
        {"", "<|a|>=259", "gpt2", "id 259 is given to two tokens"},
        {"", "<|a|>=9999999", "gpt2", "an id is from 0"},
        {"", "<|a|>", "(unclosed", "a group has no end"},
        {"", "<|a|>", "\xFF", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_error err = {""};
        yk_tokenizer *t = NULL;
        write_ranks(s->path, cases[i].line, 256);
        yk_status st = yk_tokenizer_import(&t, s->path, cases[i].pattern, &cases[i].special, 1, &err);
        if (st == YK_OK || t || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: `%s`, wanted `%s`", i, err.text, cases[i].says);
    }
    yk_error err;
    yk_tokenizer *t = NULL;
    write_ranks(s->path, "", 255);
    assert_int_equal(yk_tokenizer_import(&t, s->path, "qwen2", NULL, 0, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "no token for byte 0xff"));
    assert_int_equal(yk_file_write(s->path, "", 0, &err), YK_OK);
    assert_int_equal(yk_tokenizer_import(&t, s->path, "qwen2", NULL, 0, &err), YK_ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_tokenizers), cmocka_unit_test(settings_are_kept),
        cmocka_unit_test(invalid_bytes_are_tokens_of_their_own), cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(depth_is_bounded), cmocka_unit_test(catastrophes_end), cmocka_unit_test(ranks_are_imported),
        cmocka_unit_test(special_tokens_are_added),
        cmocka_unit_test(wrong_ranks_are_refused),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
