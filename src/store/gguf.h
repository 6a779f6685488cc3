/* GGUF, version 3: named values, then named tensors, in one file that llama.cpp and its kin read. Layout and type codes
 * are those of ggml's docs/gguf.md; doc/formats.md says what Yoke puts into it.
 *
 * Shapes here are row-major, the longest stride first, as everywhere in Yoke; the file lists them the other way. */
#ifndef YK_STORE_GGUF_H
#define YK_STORE_GGUF_H

#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { YK_GGUF_VERSION = 3, YK_GGUF_ALIGNMENT = 32, YK_GGUF_MAX_RANK = 4, YK_GGUF_MAX_NAME = 63 };

/* Types of values, as coded in the file. */
typedef enum yk_gguf_kind {
    YK_GGUF_U8, YK_GGUF_I8, YK_GGUF_U16, YK_GGUF_I16, YK_GGUF_U32, YK_GGUF_I32, YK_GGUF_FLOAT, YK_GGUF_BOOL,
    YK_GGUF_STRING, YK_GGUF_ARRAY, YK_GGUF_U64, YK_GGUF_I64, YK_GGUF_DOUBLE, YK_GGUF_KINDS
} yk_gguf_kind;
const char *yk_gguf_kind_name(yk_gguf_kind kind); /* "u8", ... */

/* Types of tensors that Yoke writes, as coded in the file.
 *   F32, F16, BF16   the numbers, to the nearest
 *   Q8_0             32 numbers a block: fp16 of d = max|x| / 127, then 32 int8 of x / d rounded, halves away from zero
 *                    (x times 1 / d in fp32, with d before it is rounded) */
typedef enum yk_gguf_type { YK_GGUF_F32 = 0, YK_GGUF_F16 = 1, YK_GGUF_Q8_0 = 8, YK_GGUF_BF16 = 30 } yk_gguf_type;

/* How a type lays out its numbers. */
typedef struct yk_gguf_layout {
    uint32_t code;
    const char *name;
    uint32_t block, bytes; /* numbers of a block, and its bytes; rows are whole blocks */
} yk_gguf_layout;
const yk_gguf_layout *yk_gguf_layout_of(uint32_t code); /* NULL: no such type */

/* A value in the file's own bytes: the number; of a string its `count` bytes; of an array its `count` elements. */
typedef struct yk_gguf_value {
    yk_gguf_kind kind, element; /* element: of an array */
    uint64_t count;
    const uint8_t *data;
} yk_gguf_value;

typedef struct yk_gguf_key {
    char *name;
    yk_gguf_value value;
} yk_gguf_key;

typedef struct yk_gguf_tensor {
    char *name;
    const yk_gguf_layout *layout;
    int rank;
    int64_t shape[YK_GGUF_MAX_RANK];
    uint64_t offset, bytes; /* in the part of the file that holds tensors */
    const uint8_t *data;
} yk_gguf_tensor;

typedef struct yk_gguf {
    const char *path; /* the caller's */
    const uint8_t *map;
    uint64_t size;
    uint32_t alignment;
    yk_gguf_key *key; /* in the file's order */
    yk_gguf_tensor *tensor;
    size_t keys, tensors;
} yk_gguf;

/* Maps the file and checks all of it but the numbers in tensors: counts and lengths against the bytes that are there,
 * types, names (printable ASCII, none twice), nesting (8 deep), shapes, alignment, places of tensors (inside the file,
 * apart from each other). YK_ERR_INPUT names the file and the key or tensor; values and data point into the map. */
yk_status yk_gguf_open(yk_gguf *g, const char *path, yk_error *err);
void yk_gguf_close(yk_gguf *g); /* harmless after a failed open */

const yk_gguf_value *yk_gguf_find(const yk_gguf *g, const char *key);           /* NULL: none */
const yk_gguf_tensor *yk_gguf_find_tensor(const yk_gguf *g, const char *name); /* NULL: none */

/* The value, or element of an array, that begins at *at (checked by open); moves *at behind it. */
yk_gguf_value yk_gguf_take(yk_gguf_kind kind, const uint8_t **at);

/* Begins like a GGUF file. */
bool yk_gguf_is(const char *path);

/* `yoke inspect`: keys with type and value, tensors with type, shape and bytes; a table that shows the first elements
 * of arrays, or JSON with all of them. To standard output. */
yk_status yk_gguf_inspect(const char *path, int as_json, yk_error *err);

/* Writing: create; put values; declare tensors; write their numbers in the order of declaration; commit. What is
 * written goes to <path>.part first. */
typedef struct yk_gguf_writer {
    yk_outfile out;
    yk_buf keys, tensors; /* as in the file */
    uint64_t key_count, data_bytes;
    struct yk_gguf_declared {
        const yk_gguf_layout *layout;
        uint64_t numbers;
    } *declared;
    size_t n, room, now; /* declared; the one that is being written */
    uint64_t written;    /* numbers of that one */
} yk_gguf_writer;

yk_status yk_gguf_create(yk_gguf_writer *w, const char *path, yk_error *err);
yk_status yk_gguf_commit(yk_gguf_writer *w, yk_error *err); /* releases `w` whatever happens */
void yk_gguf_abandon(yk_gguf_writer *w);                    /* harmless after commit         */

void yk_gguf_put_string(yk_gguf_writer *w, const char *key, const char *text);
void yk_gguf_put_u32(yk_gguf_writer *w, const char *key, uint32_t value);
void yk_gguf_put_float(yk_gguf_writer *w, const char *key, float value);
void yk_gguf_put_bool(yk_gguf_writer *w, const char *key, bool value);
/* An array of so many elements, which are then added: strings or i32. */
void yk_gguf_put_array(yk_gguf_writer *w, const char *key, yk_gguf_kind element, uint64_t count);
void yk_gguf_add_string(yk_gguf_writer *w, const char *bytes, size_t n);
void yk_gguf_add_i32(yk_gguf_writer *w, int32_t value);

/* The last dimension is whole blocks of the type. */
yk_status yk_gguf_declare(yk_gguf_writer *w, const char *name, int rank, const int64_t *shape, yk_gguf_type type,
                          yk_error *err);

/* The next n numbers of the tensor that is next, whole blocks of its type. YK_ERR_NUMERIC: one of them is not finite,
 * or too large for the type. */
yk_status yk_gguf_write(yk_gguf_writer *w, const float *x, int64_t n, yk_error *err);

#endif
