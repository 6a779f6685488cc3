#include "store/gguf.h"

#include "base/log.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_ELEMENTS = 5, SHOWN_TEXT = 60 };

/* Of n bytes, which may be no text at all. */
static json_t *text_of(const uint8_t *bytes, uint64_t n)
{
    json_t *text = json_stringn((const char *)bytes, n);
    if (text) return text;
    yk_buf escaped = {0};
    for (uint64_t i = 0; i < n; i++)
        yk_buf_printf(&escaped, bytes[i] >= ' ' && bytes[i] <= '~' ? "%c" : "\\x%02x", bytes[i]);
    text = json_stringn(escaped.data, escaped.len);
    yk_buf_free(&escaped);
    return text;
}

static json_t *real_of(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *number_of(const yk_gguf_value *v)
{
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
    } x = {.u64 = 0};
    const uint8_t *end = v->data;
    yk_gguf_take(v->kind, &end);
    memcpy(&x, v->data, (size_t)(end - v->data));
    switch (v->kind) {
    case YK_GGUF_U8: return json_integer(x.u8);
    case YK_GGUF_I8: return json_integer(x.i8);
    case YK_GGUF_U16: return json_integer(x.u16);
    case YK_GGUF_I16: return json_integer(x.i16);
    case YK_GGUF_U32: return json_integer(x.u32);
    case YK_GGUF_I32: return json_integer(x.i32);
    case YK_GGUF_I64: return json_integer(x.i64);
    case YK_GGUF_FLOAT: return real_of((double)x.f32);
    case YK_GGUF_DOUBLE: return real_of(x.f64);
    case YK_GGUF_BOOL: return json_boolean(x.u8);
    default: return x.u64 <= INT64_MAX ? json_integer((json_int_t)x.u64) : json_real((double)x.u64);
    }
}

/* At most so many elements of an array. */
static json_t *json_of(const yk_gguf_value *v, uint64_t most)
{
    if (v->kind == YK_GGUF_STRING) return text_of(v->data, v->count);
    if (v->kind != YK_GGUF_ARRAY) return number_of(v);
    json_t *list = json_array();
    const uint8_t *at = v->data;
    for (uint64_t i = 0; i < v->count && i < most; i++) {
        const yk_gguf_value element = yk_gguf_take(v->element, &at);
        json_array_append_new(list, json_of(&element, most));
    }
    return list;
}

static void type_name(const yk_gguf_value *v, char out[48])
{
    if (v->kind == YK_GGUF_ARRAY)
        snprintf(out, 48, "%s[%" PRIu64 "]", yk_gguf_kind_name(v->element), v->count);
    else
        snprintf(out, 48, "%s", yk_gguf_kind_name(v->kind));
}

static json_t *shape_of(const yk_gguf_tensor *t)
{
    json_t *shape = json_array();
    for (int d = 0; d < t->rank; d++) json_array_append_new(shape, json_integer(t->shape[d]));
    return shape;
}

static yk_status as_json_text(const yk_gguf *g, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *keys = json_object(), *tensors = json_array();
    json_t *all = json_pack("{s:s, s:i, s:I, s:i, s:O, s:O}", "format", "GGUF", "version", YK_GGUF_VERSION, "bytes",
                            (json_int_t)g->size, "alignment", (int)g->alignment, "keys", keys, "tensors", tensors);
    if (!all) YK_FAIL(YK_ERR_MEMORY, "%s: no memory for its description", g->path);
    for (size_t i = 0; i < g->keys; i++)
        json_object_set_new(keys, g->key[i].name, json_of(&g->key[i].value, UINT64_MAX));
    for (size_t i = 0; i < g->tensors; i++) {
        const yk_gguf_tensor *t = &g->tensor[i];
        json_array_append_new(tensors, json_pack("{s:s, s:s, s:o, s:I, s:I}", "name", t->name, "type", t->layout->name,
                                                 "shape", shape_of(t), "offset", (json_int_t)t->offset, "bytes",
                                                 (json_int_t)t->bytes));
    }
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
done:
    json_decref(all);
    json_decref(keys);
    json_decref(tensors);
    return st;
}

/* On one line, cut where it is long: escapes are whole, characters outside ASCII are escaped. */
static void print_value(const yk_gguf_value *v)
{
    json_t *x = json_of(v, SHOWN_ELEMENTS);
    char *text = json_dumps(x, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(7));
    const bool some = v->kind == YK_GGUF_ARRAY && v->count > SHOWN_ELEMENTS;
    const int length = text ? (int)strlen(text) : 0;
    if (length > SHOWN_TEXT)
        printf("%.*s ...", SHOWN_TEXT, text);
    else if (text)
        printf("%.*s%s", length - some, text, some ? ", ...]" : "");
    free(text);
    json_decref(x);
}

static void print_keys(const yk_gguf *g)
{
    char type[48];
    int wide = 3;
    for (size_t i = 0; i < g->keys; i++) {
        const int length = (int)strlen(g->key[i].name);
        if (length > wide && length <= SHOWN_TEXT) wide = length;
    }
    printf("%-*s  %-14s  value\n", wide, "key", "type");
    for (size_t i = 0; i < g->keys; i++) {
        type_name(&g->key[i].value, type);
        printf("%-*s  %-14s  ", wide, g->key[i].name, type);
        print_value(&g->key[i].value);
        putchar('\n');
    }
}

static void print_tensors(const yk_gguf *g)
{
    char size[32];
    int wide = 6;
    int64_t all = 0;
    for (size_t i = 0; i < g->tensors; i++)
        if ((int)strlen(g->tensor[i].name) > wide) wide = (int)strlen(g->tensor[i].name);
    printf("\n%-*s  %-7s  %-20s  %12s\n", wide, "tensor", "type", "shape", "bytes");
    for (size_t i = 0; i < g->tensors; i++) {
        const yk_gguf_tensor *t = &g->tensor[i];
        json_t *dimensions = shape_of(t);
        char *shape = json_dumps(dimensions, JSON_COMPACT);
        int64_t numbers = 1;
        for (int d = 0; d < t->rank; d++) numbers *= t->shape[d];
        all += numbers;
        printf("%-*s  %-7s  %-20s  %12" PRIu64 "\n", wide, t->name, t->layout->name, shape ? shape : "", t->bytes);
        free(shape);
        json_decref(dimensions);
    }
    printf("\n%zu keys, %zu tensors, %" PRId64 " numbers, %s, GGUF version %d\n", g->keys, g->tensors, all,
           yk_human_bytes((double)g->size, size), YK_GGUF_VERSION);
}

yk_status yk_gguf_inspect(const char *path, int as_json, yk_error *err)
{
    yk_status st = YK_OK;
    yk_gguf g;
    YK_TRY(yk_gguf_open(&g, path, err));
    if (as_json) {
        YK_TRY(as_json_text(&g, err));
    } else {
        print_keys(&g);
        print_tensors(&g);
    }
    if (fflush(stdout) != 0) YK_FAIL(YK_ERR_IO, "standard output: cannot write");
done:
    yk_gguf_close(&g);
    return st;
}
