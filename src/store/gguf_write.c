/* The writing side of GGUF. */
#include "store/gguf.h"

#include "base/half.h"

#include <math.h>
#include <stdlib.h>

enum { PART = 1024, QUANT = 32 }; /* numbers that are encoded at once; of a block of Q8_0 */

yk_status yk_gguf_create(yk_gguf_writer *w, const char *path, yk_error *err)
{
    *w = (yk_gguf_writer){0};
    return yk_outfile_open(&w->out, path, err);
}

static void add(yk_buf *b, const void *bytes, size_t n)
{
    yk_buf_add(b, bytes, n);
}

static void add_u32(yk_buf *b, uint32_t x)
{
    add(b, &x, sizeof x);
}

static void add_u64(yk_buf *b, uint64_t x)
{
    add(b, &x, sizeof x);
}

static void add_text(yk_buf *b, const char *bytes, size_t n)
{
    add_u64(b, n);
    add(b, bytes, n);
}

static void begin_key(yk_gguf_writer *w, const char *key, yk_gguf_kind kind)
{
    add_text(&w->keys, key, strlen(key));
    add_u32(&w->keys, kind);
    w->key_count++;
}

void yk_gguf_put_string(yk_gguf_writer *w, const char *key, const char *text)
{
    begin_key(w, key, YK_GGUF_STRING);
    add_text(&w->keys, text, strlen(text));
}

void yk_gguf_put_u32(yk_gguf_writer *w, const char *key, uint32_t value)
{
    begin_key(w, key, YK_GGUF_U32);
    add_u32(&w->keys, value);
}

void yk_gguf_put_float(yk_gguf_writer *w, const char *key, float value)
{
    begin_key(w, key, YK_GGUF_FLOAT);
    add(&w->keys, &value, sizeof value);
}

void yk_gguf_put_bool(yk_gguf_writer *w, const char *key, bool value)
{
    const uint8_t byte = value;
    begin_key(w, key, YK_GGUF_BOOL);
    add(&w->keys, &byte, 1);
}

void yk_gguf_put_array(yk_gguf_writer *w, const char *key, yk_gguf_kind element, uint64_t count)
{
    begin_key(w, key, YK_GGUF_ARRAY);
    add_u32(&w->keys, element);
    add_u64(&w->keys, count);
}

void yk_gguf_add_string(yk_gguf_writer *w, const char *bytes, size_t n)
{
    add_text(&w->keys, bytes, n);
}

void yk_gguf_add_i32(yk_gguf_writer *w, int32_t value)
{
    add(&w->keys, &value, sizeof value);
}

static uint64_t padding(uint64_t n)
{
    return -n & (YK_GGUF_ALIGNMENT - 1);
}

static uint64_t bytes_of(const yk_gguf_layout *layout, uint64_t numbers)
{
    return numbers / layout->block * layout->bytes;
}

yk_status yk_gguf_declare(yk_gguf_writer *w, const char *name, int rank, const int64_t *shape, yk_gguf_type type,
                          yk_error *err)
{
    yk_status st = YK_OK;
    const yk_gguf_layout *layout = yk_gguf_layout_of(type);
    uint64_t numbers = 1;
    if (strlen(name) > YK_GGUF_MAX_NAME || rank < 1 || rank > YK_GGUF_MAX_RANK || shape[rank - 1] % layout->block != 0)
        YK_FAIL(YK_ERR_INTERNAL, "%s: tensor %s cannot be declared", w->out.path, name);
    YK_ROOM(w->declared, w->n, w->room);
    add_text(&w->tensors, name, strlen(name));
    add_u32(&w->tensors, (uint32_t)rank);
    for (int d = rank - 1; d >= 0; d--) {
        add_u64(&w->tensors, (uint64_t)shape[d]);
        numbers *= (uint64_t)shape[d];
    }
    add_u32(&w->tensors, type);
    add_u64(&w->tensors, w->data_bytes);
    w->declared[w->n++] = (struct yk_gguf_declared){layout, numbers};
    w->data_bytes += bytes_of(layout, numbers);
    w->data_bytes += padding(w->data_bytes);
done:
    return st;
}

static void pad(yk_gguf_writer *w, uint64_t written)
{
    static const char zeros[YK_GGUF_ALIGNMENT];
    fwrite(zeros, 1, padding(written), w->out.f);
}

static void write_head(yk_gguf_writer *w)
{
    yk_buf head = {0};
    add(&head, "GGUF", 4);
    add_u32(&head, YK_GGUF_VERSION);
    add_u64(&head, w->n);
    add_u64(&head, w->key_count);
    add(&head, w->keys.data, w->keys.len);
    add(&head, w->tensors.data, w->tensors.len);
    fwrite(head.data, 1, head.len, w->out.f);
    pad(w, head.len);
    yk_buf_free(&head);
}

/* Of 32 numbers; false: they are too large. */
static bool encode_block(const float *x, uint8_t *out)
{
    float most = 0;
    for (int i = 0; i < QUANT; i++) most = fmaxf(most, fabsf(x[i]));
    const float d = most / 127, inverse = d >= 0x1p-126f ? 1 / d : 0;
    const uint16_t scale = yk_to_fp16(d);
    memcpy(out, &scale, sizeof scale);
    for (int i = 0; i < QUANT; i++) out[sizeof scale + (size_t)i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
    return scale < 0x7c00;
}

/* n finite numbers, whole blocks; false: one is too large for the type. */
static bool encode(const yk_gguf_layout *layout, const float *x, int64_t n, uint8_t *out)
{
    bool fits = true;
    for (int64_t i = 0; i < n; i += layout->block, out += layout->bytes) {
        uint16_t half = 0;
        switch (layout->code) {
        case YK_GGUF_Q8_0: fits = encode_block(x + i, out) && fits; continue;
        case YK_GGUF_F16: half = yk_to_fp16(x[i]), fits = fits && (half & 0x7fff) < 0x7c00; break;
        case YK_GGUF_BF16: half = yk_to_bf16(x[i]), fits = fits && (half & 0x7fff) < 0x7f80; break;
        default: memcpy(out, x + i, sizeof *x); continue;
        }
        memcpy(out, &half, sizeof half);
    }
    return fits;
}

static yk_status write_part(yk_gguf_writer *w, const yk_gguf_layout *layout, const float *x, int64_t n, yk_error *err)
{
    uint8_t out[PART * sizeof(float)];
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return yk_fail(err, YK_ERR_NUMERIC, "holds numbers that are not finite; use another checkpoint");
    if (!encode(layout, x, n, out))
        return yk_fail(err, YK_ERR_NUMERIC, "holds numbers that are too large for %s; use f32", layout->name);
    fwrite(out, 1, bytes_of(layout, (uint64_t)n), w->out.f);
    return YK_OK;
}

yk_status yk_gguf_write(yk_gguf_writer *w, const float *x, int64_t n, yk_error *err)
{
    yk_status st = YK_OK;
    if (w->now == 0 && w->written == 0) write_head(w);
    if (w->now == w->n || w->written + (uint64_t)n > w->declared[w->now].numbers)
        YK_FAIL(YK_ERR_INTERNAL, "%s: more numbers than declared", w->out.path);
    const yk_gguf_layout *layout = w->declared[w->now].layout;
    for (int64_t i = 0; i < n; i += PART) YK_TRY(write_part(w, layout, x + i, n - i < PART ? n - i : PART, err));
    w->written += (uint64_t)n;
    if (w->written == w->declared[w->now].numbers) {
        pad(w, bytes_of(layout, w->written));
        w->written = 0;
        w->now++;
    }
    if (ferror(w->out.f)) YK_TRY(yk_outfile_commit(&w->out, err)); /* which says why */
done:
    return st;
}

yk_status yk_gguf_commit(yk_gguf_writer *w, yk_error *err)
{
    yk_status st = YK_OK;
    if (w->now < w->n) YK_FAIL(YK_ERR_INTERNAL, "%s: fewer numbers than declared", w->out.path);
    if (w->n == 0) write_head(w);
    YK_TRY(yk_outfile_commit(&w->out, err));
done:
    yk_gguf_abandon(w);
    return st;
}

void yk_gguf_abandon(yk_gguf_writer *w)
{
    yk_outfile_abandon(&w->out);
    yk_buf_free(&w->keys);
    yk_buf_free(&w->tensors);
    free(w->declared);
    *w = (yk_gguf_writer){0};
}
