/* GGUF: what is written is read again, Q8_0 against its definition, and what hostile files get. */
#include "world.h"

#include "base/half.h"
#include "base/rng.h"
#include "store/gguf.h"

#include <math.h>

static const uint8_t *take_text(const uint8_t *at, const char *wanted)
{
    yk_gguf_value v = yk_gguf_take(YK_GGUF_STRING, &at);
    assert_int_equal(v.count, strlen(wanted));
    assert_memory_equal(v.data, wanted, v.count);
    return at;
}

static void write_small(const char *path, const float *x)
{
    yk_error err = {""};
    yk_gguf_writer w;
    assert_int_equal(yk_gguf_create(&w, path, &err), YK_OK);
    yk_gguf_put_string(&w, "general.name", "gr\xc3\xbc\xc3\x9f");
    yk_gguf_put_u32(&w, "a.u32", 4000000000u);
    yk_gguf_put_float(&w, "a.f32", 1e-5f);
    yk_gguf_put_bool(&w, "a.bool", true);
    yk_gguf_put_array(&w, "a.texts", YK_GGUF_STRING, 2);
    yk_gguf_add_string(&w, "one", 3);
    yk_gguf_add_string(&w, "", 0);
    yk_gguf_put_array(&w, "a.numbers", YK_GGUF_I32, 2);
    yk_gguf_add_i32(&w, -7);
    yk_gguf_add_i32(&w, 8);
    yk_gguf_declare(&w, "vector", 1, (int64_t[]){5}, YK_GGUF_F32, &err);
    yk_gguf_declare(&w, "half", 2, (int64_t[]){3, 7}, YK_GGUF_F16, &err);
    yk_gguf_declare(&w, "brain", 2, (int64_t[]){2, 9}, YK_GGUF_BF16, &err);
    yk_gguf_declare(&w, "blocks", 3, (int64_t[]){2, 3, 64}, YK_GGUF_Q8_0, &err);
    for (int i = 0; i < 5; i++) assert_int_equal(yk_gguf_write(&w, x + i, 1, &err), YK_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(yk_gguf_write(&w, x + 7 * i, 7, &err), YK_OK);
    assert_int_equal(yk_gguf_write(&w, x, 18, &err), YK_OK);
    assert_int_equal(yk_gguf_write(&w, x, 384, &err), YK_OK);
    yk_status st = yk_gguf_commit(&w, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
}

static void check_tensor(const yk_gguf *g, const char *name, const char *type, uint64_t bytes)
{
    const yk_gguf_tensor *t = yk_gguf_find_tensor(g, name);
    assert_non_null(t);
    assert_string_equal(t->layout->name, type);
    assert_int_equal(t->bytes, bytes);
    assert_int_equal((uintptr_t)t->data % YK_GGUF_ALIGNMENT, 0);
}

static void what_is_written_is_read(void **state)
{
    world *w = *state;
    yk_error err = {""};
    yk_gguf g;
    float x[384], one;
    uint16_t half;
    for (int i = 0; i < 384; i++) x[i] = (float)(i - 100) / 64;
    write_small(w->path, x);
    assert_part_is_gone(w);
    assert_true(yk_gguf_is(w->path));
    yk_status st = yk_gguf_open(&g, w->path, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
    assert_int_equal(g.keys, 6);
    assert_int_equal(g.tensors, 4);
    assert_memory_equal(yk_gguf_find(&g, "general.name")->data, "gr\xc3\xbc\xc3\x9f", 6);
    uint32_t number;
    memcpy(&number, yk_gguf_find(&g, "a.u32")->data, 4);
    assert_int_equal(number, 4000000000u);
    memcpy(&one, yk_gguf_find(&g, "a.f32")->data, 4);
    assert_true(one == 1e-5f);
    const yk_gguf_value *texts = yk_gguf_find(&g, "a.texts");
    assert_int_equal(texts->kind, YK_GGUF_ARRAY);
    assert_int_equal(texts->element, YK_GGUF_STRING);
    assert_int_equal(texts->count, 2);
    take_text(take_text(texts->data, "one"), "");
    assert_null(yk_gguf_find(&g, "b"));
    check_tensor(&g, "vector", "F32", 20);
    check_tensor(&g, "half", "F16", 42);
    check_tensor(&g, "brain", "BF16", 36);
    check_tensor(&g, "blocks", "Q8_0", 12 * 34);
    const yk_gguf_tensor *t = yk_gguf_find_tensor(&g, "half");
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->shape[0], 3);
    assert_int_equal(t->shape[1], 7);
    memcpy(&half, t->data + 2 * 20, 2);
    assert_int_equal(half, yk_to_fp16(x[20]));
    assert_memory_equal(yk_gguf_find_tensor(&g, "vector")->data, x, 20);
    yk_gguf_close(&g);
}

/* From docs/gguf.md's field by field, not from the writer. */
static void layout_is_the_specification(void **state)
{
    world *w = *state;
    yk_error err;
    yk_gguf_writer g;
    static const char wanted[] = "GGUF\3\0\0\0" "\1\0\0\0\0\0\0\0" "\1\0\0\0\0\0\0\0"
                                 "\1\0\0\0\0\0\0\0" "k" "\4\0\0\0" "\7\0\0\0"
                                 "\1\0\0\0\0\0\0\0" "t" "\2\0\0\0" "\2\0\0\0\0\0\0\0" "\1\0\0\0\0\0\0\0"
                                 "\0\0\0\0" "\0\0\0\0\0\0\0\0"
                                 "\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" /* to byte 96 */
                                 "\0\0\x80\x3f" "\0\0\0\x40" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_int_equal(yk_gguf_create(&g, w->path, &err), YK_OK);
    yk_gguf_put_u32(&g, "k", 7);
    yk_gguf_declare(&g, "t", 2, (int64_t[]){1, 2}, YK_GGUF_F32, &err);
    assert_int_equal(yk_gguf_write(&g, (float[]){1, 2}, 2, &err), YK_OK);
    assert_int_equal(yk_gguf_commit(&g, &err), YK_OK);
    yk_buf b = slurp(w->path);
    assert_int_equal(b.len, sizeof wanted);
    assert_memory_equal(b.data, wanted, sizeof wanted);
    yk_buf_free(&b);
}

/* ggml's quantize_row_q8_0_ref, written down again in its own words: d = max / 127, q = round(x / d). */
static void q8_0_is_its_definition(void **state)
{
    world *w = *state;
    enum { BLOCKS = 500 };
    yk_error err = {""};
    yk_gguf_writer out;
    yk_gguf g;
    float *x = calloc(BLOCKS * 32, sizeof *x);
    const yk_rng rng = yk_rng_make(1, YK_STREAM_INIT, 0);
    for (int i = 0; i < BLOCKS * 32; i++) x[i] = (float)(yk_rng_normal(&rng, (uint64_t)i) * pow(2, i / 32 % 60 - 40));
    for (int i = 0; i < 32; i++) x[i] = 0, x[32 + i] = 1e-42f, x[64 + i] = (float)(i - 16) * 127 / 16;
    assert_int_equal(yk_gguf_create(&out, w->path, &err), YK_OK);
    yk_gguf_declare(&out, "t", 2, (int64_t[]){BLOCKS, 32}, YK_GGUF_Q8_0, &err);
    assert_int_equal(yk_gguf_write(&out, x, BLOCKS * 32, &err), YK_OK);
    assert_int_equal(yk_gguf_commit(&out, &err), YK_OK);
    assert_int_equal(yk_gguf_open(&g, w->path, &err), YK_OK);
    for (int b = 0; b < BLOCKS; b++) {
        const uint8_t *block = g.tensor[0].data + b * 34;
        const int8_t *q = (const int8_t *)block + 2;
        uint16_t scale;
        float most = 0;
        memcpy(&scale, block, 2);
        for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[b * 32 + i]));
        const float d = most / 127.0f, id = d > 0 ? 1.0f / d : 0;
        assert_int_equal(scale, yk_to_fp16(d));
        for (int i = 0; i < 32; i++) {
            assert_int_equal(q[i], b == 1 ? 0 : (int)roundf(x[b * 32 + i] * id));
            const double error = fabs((double)yk_from_fp16(scale) * q[i] - (double)x[b * 32 + i]);
            assert_true(error <= 0.5 * (double)d + (double)most * 0x1p-10 + 0x1p-18);
        }
    }
    yk_gguf_close(&g);
    free(x);
}

static void numbers_that_do_not_fit(void **state)
{
    world *w = *state;
    static const struct {
        yk_gguf_type type;
        float x;
        const char *message;
    } cases[] = {{YK_GGUF_F32, NAN, "not finite"},        {YK_GGUF_Q8_0, INFINITY, "not finite"},
                 {YK_GGUF_F16, 65520, "too large for F16"}, {YK_GGUF_F16, 65519, NULL},
                 {YK_GGUF_BF16, 3.4e38f, "too large for BF16"}, {YK_GGUF_Q8_0, 8400000, "too large for Q8_0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_error err = {""};
        yk_gguf_writer g;
        float x[32] = {cases[i].x};
        assert_int_equal(yk_gguf_create(&g, w->path, &err), YK_OK);
        yk_gguf_declare(&g, "t", 1, (int64_t[]){32}, cases[i].type, &err);
        assert_int_equal(yk_gguf_write(&g, x, 32, &err), cases[i].message ? YK_ERR_NUMERIC : YK_OK);
        if (cases[i].message) assert_non_null(strstr(err.text, cases[i].message));
        yk_gguf_abandon(&g);
        assert_part_is_gone(w);
        assert_false(yk_exists(w->path));
    }
}

/* Little-endian numbers whose lowest byte is given. */
#define U32(low) low "\0\0\0"
#define U64(low) low "\0\0\0\0\0\0\0"
#define TEXT(length, bytes) U64(length) bytes
#define HEAD(tensors, keys) "GGUF" U32("\3") U64(tensors) U64(keys)
#define KEY(kind, value) TEXT("\1", "k") U32(kind) value
#define TENSOR(name, columns, type, offset) TEXT("\1", name) U32("\1") U64(columns) U32(type) U64(offset)
#define FULL "\xff\xff\xff\xff\xff\xff\xff\x7f"
#define ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define FILE(bytes) bytes, sizeof(bytes) - 1

static const struct hostile {
    const char *bytes;
    size_t n;
    const char *message;
} hostile[] = {
    {FILE("GG"), "its head: the file ends here"},
    {FILE("GGML" U32("\3") U64("\0") U64("\0")), "does not begin with GGUF"},
    {FILE("GGUF" U32("\2") U64("\0") U64("\0")), "is GGUF of version 2"},
    {FILE("GGUF\0\0\0\3" U64("\0") U64("\0")), "of the other byte order"},
    {FILE("GGUF" U32("\3") U64("\0") "\0\0"), "its head: the file ends here"},
    {FILE("GGUF" U32("\3") FULL U64("\0")), "says that it has 0 keys and 9223372036854775807 tensors"},
    {FILE("GGUF" U32("\3") U64("\0") FULL), "says that it has 9223372036854775807 keys"},
    {FILE("GGUF" U32("\3") U64("\0") "\xff\xff\xff\xff\xff\xff\xff\xff"),
     "keys and 0 tensors, for which it is too short"},
    {FILE(HEAD("\0", "\1") FULL "aaaaaa"), "key 1 of 1: its name is empty or too long"},
    {FILE(HEAD("\0", "\1") TEXT("\0", "") ZEROS), "key 1 of 1: its name is empty or too long"},
    {FILE(HEAD("\0", "\1") TEXT("\x40", "aaaaaaa")), "key 1 of 1: the file ends here"},
    {FILE(HEAD("\0", "\1") TEXT("\2", "a\x1b") U32("\4") U32("\1")), "key 1 of 1: its name is not printable ASCII"},
    {FILE(HEAD("\0", "\1") TEXT("\2", "a\0") U32("\4") U32("\1")), "key 1 of 1: its name is not printable ASCII"},
    {FILE(HEAD("\0", "\1") KEY("\15", U64("\0"))), "key `k`: there is no type of value 13"},
    {FILE(HEAD("\0", "\1") KEY("\12", "\0\0\0")), "key `k`: the file ends here"},
    {FILE(HEAD("\0", "\1") KEY("\7", "\2")), "key `k`: its truth value is neither 0 nor 1"},
    {FILE(HEAD("\0", "\1") KEY("\10", U64("\2") "a")), "key `k`: its text is longer than the file"},
    {FILE(HEAD("\0", "\1") KEY("\10", FULL "a")), "key `k`: its text is longer than the file"},
    {FILE(HEAD("\0", "\1") KEY("\11", U32("\15") U64("\1"))), "key `k`: there is no type of value 13"},
    {FILE(HEAD("\0", "\1") KEY("\11", U32("\4") FULL)), "key `k`: its array is longer than the file"},
    {FILE(HEAD("\0", "\1") KEY("\11", U32("\4") U64("\2") U32("\1"))), "key `k`: its array is longer than the file"},
    {FILE(HEAD("\0", "\1") KEY("\11", U32("\10") U64("\2") TEXT("\1", "a") TEXT("\7", ""))),
     "key `k`: its text is longer"},
    {FILE(HEAD("\0", "\1") KEY("\11", U32("\7") U64("\2") "\1\3")), "key `k`: its truth value is neither"},
#define IN U32("\11") U64("\1")
    {FILE(HEAD("\0", "\1") KEY("\11", IN IN IN IN IN IN IN IN U32("\4") U64("\0"))),
     "key `k`: arrays are nested too deeply"},
    {FILE(HEAD("\0", "\1") KEY("\11", IN IN IN IN IN IN IN U32("\4") U64("\0"))), NULL},
    {FILE(HEAD("\0", "\2") KEY("\4", U32("\1")) KEY("\0", "\1")), "key `k` is there twice"},
    {FILE(HEAD("\0", "\1") TEXT("\21", "general.alignment") U32("\4") U32("\0")), "key `general.alignment`: is no u32"},
    {FILE(HEAD("\0", "\1") TEXT("\21", "general.alignment") U32("\4") U32("\60")),
     "key `general.alignment`: is no u32"},
    {FILE(HEAD("\0", "\1") TEXT("\21", "general.alignment") U32("\5") U32("\40")),
     "key `general.alignment`: is no u32"},
    {FILE(HEAD("\0", "\1") TEXT("\21", "general.alignment") U32("\4") U32("\100")), NULL},
    {FILE(HEAD("\1", "\0") TEXT("\100", "") ZEROS ZEROS), "tensor 1 of 1: its name is empty or too long"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "\n") ZEROS), "tensor 1 of 1: its name is not printable ASCII"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "t") U32("\0") ZEROS), "tensor `t`: it has no or more than 4 dimensions"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "t") U32("\5") ZEROS ZEROS), "tensor `t`: it has no or more than 4 dimensions"},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\0", "\0", "\0")), "tensor `t`: its shape is impossible"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "t") U32("\2") U64("\1") "\xff\xff\xff\xff\xff\xff\xff\xff" ZEROS),
     "its shape is impossible"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "t") U32("\2") FULL U64("\2") ZEROS), "tensor `t`: its shape is impossible"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "t") U32("\1") FULL U32("\0") U64("\0")), "tensor `t`: its shape is impossible"},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\1", "\4", "\0")), "tensor `t`: there is no type of tensor 4"},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\41", "\10", "\0")), "tensor `t`: its rows are not whole blocks"},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\1", "\0", "\4")), "tensor `t`: its place is not aligned"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "t") U32("\1") U64("\1") U32("\0") "\0\0\0"),
     "says that it has 0 keys and 1 tensors"},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\1", "\0", "\0")), "tensor `t`: lies beyond the end"},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\2", "\0", "\0") "\0\0\0\0\0\0\0" "\0\0\0\0"),
     "tensor `t`: lies beyond the end"},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\2", "\0", "\0") "\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"), NULL},
    {FILE(HEAD("\1", "\0") TENSOR("t", "\1", "\0", "\40") "\0\0\0\0\0\0\0" ZEROS), "tensor `t`: lies beyond the end"},
    {FILE(HEAD("\1", "\0") TEXT("\1", "t") U32("\1") U64("\1") U32("\0") "\0\xff\xff\xff\xff\xff\xff\xff" ZEROS ZEROS),
     "tensor `t`: lies beyond the end"},
    {FILE(HEAD("\2", "\0") TENSOR("t", "\1", "\0", "\0") TENSOR("t", "\1", "\0", "\40") ZEROS ZEROS ZEROS),
     "tensor `t` is there twice"},
    {FILE(HEAD("\2", "\0") TENSOR("t", "\11", "\0", "\0") TENSOR("u", "\1", "\0", "\40") ZEROS ZEROS ZEROS ZEROS),
     "tensor `u`: lies where tensor `t` does"},
    {FILE(HEAD("\2", "\0") TENSOR("t", "\1", "\0", "\0") TENSOR("u", "\1", "\0", "\0") ZEROS ZEROS ZEROS ZEROS),
     "lies where tensor"},
    {FILE(HEAD("\2", "\0") TENSOR("t", "\1", "\0", "\40") TENSOR("u", "\1", "\0", "\0") ZEROS ZEROS ZEROS ZEROS), NULL},
};

static void hostile_files_get_a_message(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        const struct hostile *h = &hostile[i];
        yk_error err = {""};
        yk_gguf g;
        put(w->path, h->bytes, h->n);
        yk_status st = yk_gguf_open(&g, w->path, &err);
        if (st != (h->message ? YK_ERR_INPUT : YK_OK)) fail_msg("case %zu: status %d, %s", i, st, err.text);
        if (h->message && (!strstr(err.text, h->message) || !strstr(err.text, w->path)))
            fail_msg("case %zu: `%s` is not in `%s`", i, h->message, err.text);
        yk_gguf_close(&g);
    }
    yk_gguf g;
    yk_error err;
    assert_int_equal(yk_gguf_open(&g, "/nowhere/a.gguf", &err), YK_ERR_INPUT);
    assert_int_equal(yk_gguf_open(&g, w->dir, &err), YK_ERR_INPUT);
    put(w->path, "", 0);
    assert_int_equal(yk_gguf_open(&g, w->path, &err), YK_ERR_INPUT);
}

/* Every prefix, and every byte changed: an error or a file that can be shown, never a crash. */
static void cut_and_changed_files(void **state)
{
    world *w = *state;
    float x[384];
    for (int i = 0; i < 384; i++) x[i] = (float)i;
    write_small(w->path, x);
    yk_buf whole = slurp(w->path);
    for (size_t n = 0; n < whole.len; n++) {
        yk_error err = {""};
        yk_gguf g;
        put(w->path, whole.data, n);
        yk_status st = yk_gguf_open(&g, w->path, &err);
        if (st == YK_OK && n + YK_GGUF_ALIGNMENT <= whole.len) fail_msg("%zu of %zu bytes are taken", n, whole.len);
        yk_gguf_close(&g);
    }
    for (size_t i = 0; i < 600 && i < whole.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            yk_error err = {""};
            yk_gguf g;
            whole.data[i] = (char)(whole.data[i] ^ 1 << bit);
            put(w->path, whole.data, whole.len);
            if (yk_gguf_open(&g, w->path, &err) != YK_OK) assert_non_null(strstr(err.text, w->path));
            yk_gguf_close(&g);
            whole.data[i] = (char)(whole.data[i] ^ 1 << bit);
        }
    yk_buf_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read), TEST(layout_is_the_specification), TEST(q8_0_is_its_definition),
        TEST(numbers_that_do_not_fit), TEST(hostile_files_get_a_message), TEST(cut_and_changed_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
