/* Safetensors: what is written is read again; every way in which a file can lie has its message. */
#include "base/half.h"
#include "store/safetensors.h"
#include "world.h"

#include <math.h>

enum { A = 70000, B = 6 };
static float a[A], b[B] = {0.0f, -1.5f, 0x1p-24f, 65504.0f, 0x1.002p0f, -0x1.8p-20f};
static const float *const both[] = {a, b};
static const yk_safe_item items[] = {{"model.a.weight", 2, {A / 7, 7}}, {"model.b.bias", 1, {B}}};

static const float *numbers(void *context, size_t i)
{
    return ((const float *const *)context)[i];
}

static void write_as(const world *w, yk_safe_type type)
{
    yk_error err;
    for (int i = 0; i < A; i++) a[i] = (float)(i - A / 2) * 0.37f;
    if (yk_safetensors_write(w->path, items, 2, type, numbers, (void *)(uintptr_t)both, &err) != YK_OK)
        fail_msg("%s", err.text);
}

static float rounded(float x, yk_safe_type type)
{
    return type == YK_SAFE_F32 ? x : type == YK_SAFE_BF16 ? yk_from_bf16(yk_to_bf16(x)) : yk_from_fp16(yk_to_fp16(x));
}

static void what_is_written_is_read(void **state)
{
    static float x[A], y[B];
    world *w = *state;
    yk_error err;
    for (yk_safe_type type = YK_SAFE_F32; type < YK_SAFE_OTHER; type++) {
        yk_safetensors f;
        write_as(w, type);
        if (yk_safetensors_open(&f, w->path, &err) != YK_OK) fail_msg("%s", err.text);
        const yk_safe_tensor *t = yk_safetensors_find(&f, "model.a.weight"),
            *u = yk_safetensors_find(&f, "model.b.bias");
        assert_true(f.n == 2 && t && u && !yk_safetensors_find(&f, "model.c"));
        assert_true(t->rank == 2 && t->shape[0] == A / 7 && t->shape[1] == 7 && t->begin % 8 == 0);
        assert_int_equal(yk_safetensors_read(&f, t, x, &err), YK_OK);
        assert_int_equal(yk_safetensors_read(&f, u, y, &err), YK_OK);
        for (int i = 0; i < A; i++) assert_true(yk_bits_of(x[i]) == yk_bits_of(rounded(a[i], type)));
        for (int i = 0; i < B; i++) assert_true(yk_bits_of(y[i]) == yk_bits_of(rounded(b[i], type)));
        yk_safetensors_close(&f);
    }
}

static void halves_round_to_nearest(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float x = yk_from_fp16((uint16_t)h), y = yk_from_bf16((uint16_t)h);
        if (!isnan(x)) assert_int_equal(yk_to_fp16(x), h);
        if (!isnan(y)) assert_int_equal(yk_to_bf16(y), h);
    }
    for (uint32_t h = 0; h < 0x7BFF; h++) { /* between two neighbours: to the even one; beside that: to the nearer one */
        float middle = (yk_from_fp16((uint16_t)h) + yk_from_fp16((uint16_t)(h + 1))) / 2;
        assert_int_equal(yk_to_fp16(middle), h + (h & 1));
        assert_int_equal(yk_to_fp16(nextafterf(middle, 0)), h);
        assert_int_equal(yk_to_fp16(-nextafterf(middle, INFINITY)), 0x8000 | (h + 1));
        middle = yk_float_of(h << 16 | 0x8000);
        assert_int_equal(yk_to_bf16(middle), h + (h & 1));
        assert_int_equal(yk_to_bf16(nextafterf(middle, 0)), h);
        assert_int_equal(yk_to_bf16(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(yk_to_fp16(65519.99f), 0x7BFF);
    assert_int_equal(yk_to_fp16(65520.0f), 0x7C00);
    assert_true(isnan(yk_from_fp16(yk_to_fp16(NAN))) && isnan(yk_from_bf16(yk_to_bf16(NAN))));
}

static void too_large_a_number_is_named(void **state)
{
    world *w = *state;
    yk_error err;
    write_as(w, YK_SAFE_F32);
    a[A - 1] = 70000.0f;
    assert_int_equal(yk_safetensors_write(w->path, items, 2, YK_SAFE_F16, numbers, (void *)(uintptr_t)both, &err),
                     YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "tensor model.a.weight has numbers that are too large for F16"));
    yk_safetensors f; /* what was there before is there still, and nothing beside it */
    assert_int_equal(yk_safetensors_open(&f, w->path, &err), YK_OK);
    yk_safetensors_close(&f);
    char *aside = yk_path("%s.part", w->path);
    assert_false(yk_exists(aside));
    free(aside);
}

#define T(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

/* A header, how many bytes of data follow it, and what is said. */
static const struct {
    const char *header;
    int data;
    const char *says;
} lies[] = {
    {"{" T("a", "F32", "[2]", "0", "8") "}", 8, NULL},
    {"{" T("a", "F32", "[]", "0", "4") "," T("none", "F16", "[0,9]", "4", "4") "}   ", 4, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\"}," T("b", "BOOL", "[3]", "8", "11") "," T("a", "F64", "[1]", "0", "8") "}",
     11, NULL},
    {"{" T("a", "F32", "[2]", "0", "8") "}", 7, "tensor a: lies outside the 7 bytes of data"},
    {"{" T("a", "F32", "[2]", "0", "8") "}", 9, "1 bytes of the data belong to no tensor"},
    {"{" T("a", "F32", "[2]", "0", "9") "}", 9, "tensor a: has 9 bytes, but its shape needs 8"},
    {"{" T("a", "F32", "[2]", "8", "0") "}", 8, "tensor a: lies outside"},
    {"{" T("a", "F32", "[2]", "-8", "0") "}", 8, "tensor a: lies outside"},
    {"{" T("a", "F32", "[2]", "0.0", "8") "}", 8, "tensor a: lies outside"},
    {"{" T("a", "F32", "[2]", "9223372036854775800", "9223372036854775807") "}", 8, "tensor a: lies outside"},
    {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "8", "12") "}", 12,
     "tensor b does not follow the one before it"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "4", "12") "}", 12,
     "tensor b overlaps the one before it"},
    {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "0", "4") "}", 4,
     "tensor b overlaps the one before it"},
    {"{" T("a", "F32", "[-1]", "0", "4") "}", 4, "tensor a: has an impossible shape"},
    {"{" T("a", "F32", "[\"1\"]", "0", "4") "}", 4, "tensor a: has an impossible shape"},
    {"{" T("a", "F32", "[4294967296,4294967296]", "0", "0") "}", 0, "tensor a: has an impossible shape"},
    {"{" T("a", "F32", "[9223372036854775807,9223372036854775807,0]", "0", "0") "}", 0,
     "tensor a: has an impossible shape"},
    {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "tensor a: has 9 dimensions; at most 8"},
    {"{" T("a", "F4", "[1]", "0", "4") "}", 4, "tensor a: is of the unknown type `F4`"},
    {"{" T("a", "\\u001b[31m", "[1]", "0", "4") "}", 4, "tensor a: is of the unknown type `?`"},
    {"{" T("a b", "F32", "[1]", "0", "4") "}", 4, "not of printable ASCII"},
    {"{" T("", "F32", "[1]", "0", "4") "}", 4, "name is empty"},
    {"{" T("a", "F32", "[1]", "0", "4") "," T("a", "F32", "[1]", "4", "8") "}", 8, "not valid JSON, column"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0, "tensor a: must have `dtype`, `shape` and two `data_offsets`"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,2,4]}}", 4, "tensor a: must have"},
    {"{\"a\":[1]}", 4, "tensor a: must have"},
    {"{\"a\\u0000b\":1}", 0, "not valid JSON"},
    {"[1]", 0, "its header is no JSON object"},
    {"", 0, "not valid JSON"},
    {"{} x", 0, "not valid JSON"},
};

static void put_bytes(const char *path, const void *length, size_t n, const char *header, int data)
{
    yk_buf file = {0};
    yk_buf_add(&file, length, n);
    yk_buf_puts(&file, header);
    for (int i = 0; i < data; i++) yk_buf_add(&file, "\1", 1);
    put(path, file.data, file.len);
    yk_buf_free(&file);
}

static void check(const char *path, const char *says)
{
    yk_error err = {""};
    yk_safetensors f;
    yk_status st = yk_safetensors_open(&f, path, &err), wanted = says ? YK_ERR_INPUT : YK_OK;
    if (st != wanted || (says && (!strstr(err.text, says) || !strstr(err.text, path))))
        fail_msg("%s: wanted `%s`", err.text, says ? says : "nothing");
    yk_safetensors_close(&f);
}

static void lies_are_named(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint64_t n = strlen(lies[i].header);
        put_bytes(w->path, &n, sizeof n, lies[i].header, lies[i].data);
        check(w->path, lies[i].says);
    }
    char deep[5000];
    uint64_t n = sizeof deep - 1;
    memset(deep, '[', n);
    deep[n] = 0;
    put_bytes(w->path, &n, sizeof n, deep, 0);
    check(w->path, "not valid JSON");
    const uint64_t lengths[] = {17, 100000001, UINT64_MAX};
    for (int i = 0; i < 3; i++) {
        put_bytes(w->path, &lengths[i], sizeof *lengths, "{}", 14);
        check(w->path, "its header would have");
    }
    put_bytes(w->path, lengths, 7, "", 0);
    check(w->path, "7 bytes are too few");
    unlink(w->path);
    check(w->path, "cannot open");
    check(w->dir, "is no file");
}

static void cut_and_altered_files_do_no_harm(void **state)
{
    world *w = *state;
    yk_error err;
    const char *header = lies[2].header;
    uint64_t n = strlen(header);
    put_bytes(w->path, &n, sizeof n, header, 11);
    yk_buf whole = {0};
    assert_int_equal(yk_file_read(w->path, &whole, &err), YK_OK);
    for (size_t cut = 0; cut < whole.len; cut++) {
        put(w->path, whole.data, cut);
        check(w->path, "");
    }
    for (size_t bit = 0; bit < 8 * (8 + n); bit++) {
        yk_safetensors f;
        whole.data[bit / 8] ^= (char)(1 << bit % 8);
        put(w->path, whole.data, whole.len);
        yk_safetensors_open(&f, w->path, &err);
        yk_safetensors_close(&f);
        whole.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    yk_buf_free(&whole);
}

static void other_types_are_not_read(void **state)
{
    world *w = *state;
    yk_error err;
    double x = 1;
    yk_safetensors f;
    uint64_t n = strlen(lies[2].header);
    put_bytes(w->path, &n, sizeof n, lies[2].header, lies[2].data);
    assert_int_equal(yk_safetensors_open(&f, w->path, &err), YK_OK);
    assert_int_equal(yk_safetensors_read(&f, yk_safetensors_find(&f, "a"), (float *)&x, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "tensor a is of type F64; F32, BF16 and F16 are supported"));
    yk_safetensors_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_round_to_nearest),
        cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_large_a_number_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lies_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_and_altered_files_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_types_are_not_read, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
