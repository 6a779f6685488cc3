#include "store/safetensors.h"

#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"
#include "store/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

enum { LENGTH = 8, MOST_HEADER = 100000000, AT_ONCE = 1 << 16, MOST_NAME = 255 };

static const struct {
    const char *name;
    uint64_t bytes;
    yk_safe_type type;
} types[] = {{"F32", 4, YK_SAFE_F32},        {"BF16", 2, YK_SAFE_BF16},     {"F16", 2, YK_SAFE_F16},
             {"F64", 8, YK_SAFE_OTHER},      {"I64", 8, YK_SAFE_OTHER},     {"U64", 8, YK_SAFE_OTHER},
             {"C64", 8, YK_SAFE_OTHER},      {"I32", 4, YK_SAFE_OTHER},     {"U32", 4, YK_SAFE_OTHER},
             {"I16", 2, YK_SAFE_OTHER},      {"U16", 2, YK_SAFE_OTHER},     {"I8", 1, YK_SAFE_OTHER},
             {"U8", 1, YK_SAFE_OTHER},       {"BOOL", 1, YK_SAFE_OTHER},    {"F8_E4M3", 1, YK_SAFE_OTHER},
             {"F8_E5M2", 1, YK_SAFE_OTHER},  {"F8_E8M0", 1, YK_SAFE_OTHER}};
enum { TYPES = sizeof types / sizeof *types };

/* --- reading --------------------------------------------------------------------------------- */

/* A whole number that is not negative. */
static bool take_size(const json_t *x, int64_t *size)
{
    *size = json_integer_value(x);
    return json_is_integer(x) && *size >= 0;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~') return false;
    return true;
}

/* Type, shape and place; `base` is where the data begin, `bytes` how many there are. */
static yk_status read_tensor(yk_safe_tensor *t, const json_t *x, uint64_t base, uint64_t bytes, yk_error *err)
{
    const json_t *shape = json_object_get(x, "shape"), *place = json_object_get(x, "data_offsets");
    const char *dtype = json_string_value(json_object_get(x, "dtype"));
    int64_t begin, end;
    size_t k = 0;
    if (!dtype || !json_is_array(shape) || json_array_size(place) != 2)
        return yk_fail(err, YK_ERR_INPUT, "must have `dtype`, `shape` and two `data_offsets`");
    while (k < TYPES && strcmp(dtype, types[k].name) != 0) k++;
    if (k == TYPES)
        return yk_fail(err, YK_ERR_INPUT, "is of the unknown type `%.16s`", is_printable(dtype) ? dtype : "?");
    if (json_array_size(shape) > YK_SAFE_RANK)
        return yk_fail(err, YK_ERR_INPUT, "has %zu dimensions; at most %d are supported", json_array_size(shape),
                       YK_SAFE_RANK);
    t->dtype = types[k].name;
    t->type = types[k].type;
    t->rank = (int)json_array_size(shape);
    uint64_t needs = types[k].bytes;
    for (int d = 0; d < t->rank; d++)
        if (!take_size(json_array_get(shape, (size_t)d), &t->shape[d]) ||
            __builtin_mul_overflow(needs, (uint64_t)t->shape[d], &needs))
            return yk_fail(err, YK_ERR_INPUT, "has an impossible shape");
    if (!take_size(json_array_get(place, 0), &begin) || !take_size(json_array_get(place, 1), &end) || begin > end ||
        (uint64_t)end > bytes)
        return yk_fail(err, YK_ERR_INPUT,
                       "lies outside the %" PRIu64 " bytes of data: the file is truncated or damaged", bytes);
    if ((uint64_t)(end - begin) != needs)
        return yk_fail(err, YK_ERR_INPUT, "has %" PRId64 " bytes, but its shape needs %" PRIu64, end - begin, needs);
    t->begin = base + (uint64_t)begin;
    t->end = base + (uint64_t)end;
    return YK_OK;
}

static int by_place(const void *a, const void *b)
{
    const yk_safe_tensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const yk_safe_tensor *)a)->name, ((const yk_safe_tensor *)b)->name);
}

static int against_name(const void *name, const void *tensor)
{
    return strcmp(name, ((const yk_safe_tensor *)tensor)->name);
}

/* Whether the tensors, in the order of their places, cover the data from `at` to `end`, each byte once. */
static yk_status check_cover(const yk_safetensors *f, uint64_t at, uint64_t end, yk_error *err)
{
    for (size_t i = 0; i < f->n; i++) {
        const yk_safe_tensor *t = &f->tensor[i];
        if (t->begin != at)
            return yk_fail(err, YK_ERR_INPUT, "tensor %s %s", t->name,
                           t->begin < at ? "overlaps the one before it"
                                         : "does not follow the one before it: there is a hole");
        at = t->end;
    }
    return at == end ? YK_OK
                     : yk_fail(err, YK_ERR_INPUT, "%" PRIu64 " bytes of the data belong to no tensor", end - at);
}

static yk_status read_header(yk_safetensors *f, const json_t *header, uint64_t base, uint64_t end, yk_error *err)
{
    yk_status st = YK_OK;
    const char *name;
    json_t *x;
    YK_NEW(f->tensor, json_object_size(header));
    json_object_foreach((json_t *)header, name, x) {
        if (strcmp(name, "__metadata__") == 0) continue;
        yk_safe_tensor *t = &f->tensor[f->n];
        if (!*name || strlen(name) > MOST_NAME || !is_printable(name))
            YK_FAIL(YK_ERR_INPUT,
                    "a tensor's name is empty, longer than %d bytes, or not of printable ASCII characters", MOST_NAME);
        st = read_tensor(t, x, base, end - base, err);
        if (st != YK_OK) {
            yk_context(err, st, "tensor %s", name);
            goto done;
        }
        if (!(t->name = strdup(name))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        f->n++;
    }
    if (f->n) qsort(f->tensor, f->n, sizeof *f->tensor, by_place);
    YK_TRY(check_cover(f, base, end, err));
    if (f->n) qsort(f->tensor, f->n, sizeof *f->tensor, by_name);
done:
    return st;
}

/* The JSON, and in *base where the data begin. */
static yk_status parse_header(const yk_safetensors *f, uint64_t size, json_t **header, uint64_t *base, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t n = 0;
    size_t got;
    char *text = NULL;
    json_error_t why;
    YK_TRY(yk_get(f->fd, f->path, &n, LENGTH, 0, &got, err));
    if (got < LENGTH) YK_FAIL(YK_ERR_INPUT, "%zu bytes are too few for a safetensors file", got);
    if (n > MOST_HEADER)
        YK_FAIL(YK_ERR_INPUT, "its header would have %" PRIu64 " bytes, more than the %d allowed", n, MOST_HEADER);
    if (n > size - LENGTH)
        YK_FAIL(YK_ERR_INPUT, "its header would have %" PRIu64 " bytes: the file is truncated or damaged", n);
    YK_NEW(text, n + 1);
    YK_TRY(yk_get(f->fd, f->path, text, n, LENGTH, &got, err));
    *header = json_loadb(text, got, JSON_REJECT_DUPLICATES, &why);
    if (!*header) YK_FAIL(YK_ERR_INPUT, "its header is not valid JSON, column %d: %s", why.column, why.text);
    if (!json_is_object(*header)) YK_FAIL(YK_ERR_INPUT, "its header is no JSON object");
    *base = LENGTH + n;
done:
    free(text);
    return st;
}

yk_status yk_safetensors_open(yk_safetensors *f, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    json_t *header = NULL;
    uint64_t base = 0;
    *f = (yk_safetensors){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (f->fd < 0)
        return yk_fail(err, errno == ENOENT ? YK_ERR_INPUT : YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(f->fd, &info) != 0) YK_FAIL(YK_ERR_IO, "cannot read: %s", strerror(errno));
    if (!S_ISREG(info.st_mode)) YK_FAIL(YK_ERR_INPUT, "is no file; a safetensors file was expected");
    YK_TRY(parse_header(f, (uint64_t)info.st_size, &header, &base, err));
    YK_TRY(read_header(f, header, base, (uint64_t)info.st_size, err));
done:
    json_decref(header);
    return yk_context(err, st, "%s", path);
}

void yk_safetensors_close(yk_safetensors *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->tensor[i].name);
    free(f->tensor);
    if (f->fd >= 0) close(f->fd);
    *f = (yk_safetensors){.fd = -1};
}

const yk_safe_tensor *yk_safetensors_find(const yk_safetensors *f, const char *name)
{
    return f->n ? bsearch(name, f->tensor, f->n, sizeof *f->tensor, against_name) : NULL;
}

static void widen(yk_safe_type type, const uint16_t *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = type == YK_SAFE_BF16 ? yk_from_bf16(from[i]) : yk_from_fp16(from[i]);
}

yk_status yk_safetensors_read(const yk_safetensors *f, const yk_safe_tensor *t, float *out, yk_error *err)
{
    yk_status st = YK_OK;
    uint16_t half[AT_ONCE];
    const size_t size = t->type == YK_SAFE_F32 ? sizeof *out : sizeof *half;
    const uint64_t most = t->type == YK_SAFE_F32 ? t->end - t->begin : sizeof half;
    if (t->type == YK_SAFE_OTHER)
        YK_FAIL(YK_ERR_INPUT, "%s: tensor %s is of type %s; F32, BF16 and F16 are supported", f->path, t->name,
                t->dtype);
    for (uint64_t at = t->begin; at < t->end;) {
        size_t bytes = (size_t)(t->end - at < most ? t->end - at : most), got;
        YK_TRY(yk_get(f->fd, f->path, t->type == YK_SAFE_F32 ? (void *)out : half, bytes, (int64_t)at, &got, err));
        if (got < bytes) YK_FAIL(YK_ERR_INPUT, "%s: tensor %s: the file was truncated meanwhile", f->path, t->name);
        if (t->type != YK_SAFE_F32) widen(t->type, half, out, bytes / size);
        out += bytes / size;
        at += bytes;
    }
done:
    return st;
}

/* --- writing --------------------------------------------------------------------------------- */

int64_t yk_safe_bytes(const yk_safe_item *item, yk_safe_type type)
{
    return item->shape[0] * (item->rank == 2 ? item->shape[1] : 1) * (int64_t)types[type].bytes;
}

/* The length and the JSON, filled up with blanks so that the data begin at a multiple of 8. */
static yk_status make_header(const yk_safe_item *item, size_t n, yk_safe_type type, yk_buf *out, yk_error *err)
{
    yk_status st = YK_OK;
    json_int_t at = 0;
    char *text = NULL;
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    for (size_t i = 0; header && i < n; i++) {
        json_int_t end = at + yk_safe_bytes(&item[i], type), rows = item[i].shape[0], columns = item[i].shape[1];
        json_t *shape = item[i].rank == 2 ? json_pack("[I, I]", rows, columns) : json_pack("[I]", rows);
        json_object_set_new(header, item[i].name, json_pack("{s:s, s:o, s:[I, I]}", "dtype", types[type].name, "shape",
                                                            shape, "data_offsets", at, end));
        at = end;
    }
    if (!header || json_object_size(header) != n + 1 || !(text = json_dumps(header, JSON_COMPACT)))
        YK_FAIL(YK_ERR_MEMORY, "out of memory");
    uint64_t length = (strlen(text) + 7) / 8 * 8;
    if (length > MOST_HEADER) YK_FAIL(YK_ERR_INPUT, "%zu tensors are too many for one file", n);
    yk_buf_add(out, &length, LENGTH);
    yk_buf_puts(out, text);
    while (out->len < LENGTH + length) yk_buf_puts(out, " ");
done:
    json_decref(header);
    free(text);
    return st;
}

/* False where a finite number becomes infinite. */
static bool narrow(yk_safe_type type, const float *from, uint16_t *to, size_t n)
{
    const uint16_t infinite = type == YK_SAFE_BF16 ? 0x7F80 : 0x7C00;
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        to[i] = type == YK_SAFE_BF16 ? yk_to_bf16(from[i]) : yk_to_fp16(from[i]);
        good = good && ((to[i] & 0x7FFF) != infinite || isinf(from[i]));
    }
    return good;
}

static yk_status put_numbers(int fd, const char *path, const yk_safe_item *item, yk_safe_type type, const float *x,
                             uint64_t at, yk_error *err)
{
    yk_status st = YK_OK;
    uint16_t half[AT_ONCE] = {0};
    uint64_t left = (uint64_t)yk_safe_bytes(item, type) / types[type].bytes;
    if (type == YK_SAFE_F32) return yk_put(fd, path, x, left * sizeof *x, at, err);
    while (left > 0) {
        size_t n = left < AT_ONCE ? (size_t)left : AT_ONCE;
        if (!narrow(type, x, half, n))
            YK_FAIL(YK_ERR_INPUT, "tensor %s has numbers that are too large for %s; choose another type", item->name,
                    types[type].name);
        YK_TRY(yk_put(fd, path, half, n * sizeof *half, at, err));
        x += n, left -= n, at += n * sizeof *half;
    }
done:
    return st;
}

yk_status yk_safetensors_write(const char *path, const yk_safe_item *item, size_t n, yk_safe_type type,
                               yk_safe_numbers_fn numbers, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf header = {0};
    int fd = -1;
    char *aside = yk_path("%s.part", path);
    if (!aside) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(make_header(item, n, type, &header, err));
    uint64_t end = header.len, at = header.len;
    for (size_t i = 0; i < n; i++) end += (uint64_t)yk_safe_bytes(&item[i], type);
    fd = open(aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) YK_TRY(yk_refused(aside, "create", errno, err));
    YK_TRY(yk_reserve(fd, aside, "the model", end, err));
    YK_TRY(yk_put(fd, aside, header.data, header.len, 0, err));
    for (size_t i = 0; i < n; i++) {
        YK_TRY(put_numbers(fd, aside, &item[i], type, numbers(context, i), at, err));
        at += (uint64_t)yk_safe_bytes(&item[i], type);
    }
    YK_TRY(yk_file_publish(aside, path, err));
done:
    if (fd >= 0) {
        close(fd);
        if (st != YK_OK) unlink(aside);
    }
    yk_buf_free(&header);
    free(aside);
    return st;
}
