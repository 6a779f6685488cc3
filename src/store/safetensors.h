/* Safetensors, the format in which models are passed on: https://github.com/huggingface/safetensors.
 *
 * A 64-bit length n, n bytes of JSON, then the data up to the end of the file. JSON: {name: {"dtype": "F32", "shape":
 * [..], "data_offsets": [begin, end]}, ..., "__metadata__": {text: text}}; offsets count from the end of the JSON, and
 * the tensors, row-major, leave no byte of the data out. Numbers are little-endian. */
#ifndef YK_STORE_SAFETENSORS_H
#define YK_STORE_SAFETENSORS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { YK_SAFE_RANK = 8 };

/* What tensors are written as; those of other types (F64, I64, ...) can be listed, but not read. */
typedef enum yk_safe_type { YK_SAFE_F32, YK_SAFE_BF16, YK_SAFE_F16, YK_SAFE_OTHER } yk_safe_type;

typedef struct yk_safe_tensor {
    char *name;
    const char *dtype; /* as the file has it */
    yk_safe_type type;
    int rank;
    int64_t shape[YK_SAFE_RANK];
    uint64_t begin, end; /* bytes in the file */
} yk_safe_tensor;

typedef struct yk_safetensors {
    const char *path; /* the caller's */
    int fd;
    yk_safe_tensor *tensor; /* by name, strcmp */
    size_t n;
} yk_safetensors;

/* Reads the header. The file is hostile: YK_ERR_INPUT names it, the tensor and what is wrong, or that there is no such
 * file. yk_safetensors_close() also after an error. */
yk_status yk_safetensors_open(yk_safetensors *f, const char *path, yk_error *err);
void yk_safetensors_close(yk_safetensors *f);
const yk_safe_tensor *yk_safetensors_find(const yk_safetensors *f, const char *name); /* NULL: none */

/* Fills out[product of the shape], exactly. YK_ERR_INPUT for another type than the three. */
yk_status yk_safetensors_read(const yk_safetensors *f, const yk_safe_tensor *t, float *out, yk_error *err);

/* A tensor to write, of rank 1 or 2. */
typedef struct yk_safe_item {
    const char *name;
    int rank;
    int64_t shape[2];
} yk_safe_item;

/* The numbers of item i, valid until the next call. */
typedef const float *(*yk_safe_numbers_fn)(void *context, size_t i);

int64_t yk_safe_bytes(const yk_safe_item *item, yk_safe_type type); /* of its data */

/* Writes `<path>.part`, for which space is reserved first, syncs it and renames it over `path`. Rounds to nearest, ties
 * to even; YK_ERR_INPUT where a finite number is too large for the type. */
yk_status yk_safetensors_write(const char *path, const yk_safe_item *item, size_t n, yk_safe_type type,
                               yk_safe_numbers_fn numbers, void *context, yk_error *err);

#endif
