/* Checkpoints: named tensors and a JSON document in one HDF5 file, hashed a tensor and as a whole.
 *
 * Layout: one dataset a tensor at /tensors/<name> (dots stay dots), float32 or int64, with the attribute
 * `xxh3` (hex of yk_hash128 over its bytes); the root attributes `format` ("yoke-checkpoint-1") and
 * `document` (JSON text). A sidecar `<path>.xxh3` holds size and 128-bit hash of the whole file; it is
 * written before the rename and verified before H5Fopen, because HDF5 files are not journaled. */
#ifndef YK_STORE_CHECKPOINT_H
#define YK_STORE_CHECKPOINT_H

#include "base/status.h"

#include <jansson.h>
#include <stdint.h>

#define YK_MAX_RANK 4

typedef struct yk_tensor {
    const char *name; /* such as "model.layers.0.mlp.up.weight" or "optimizer.m.<name>" */
    int rank;
    int64_t shape[YK_MAX_RANK];
    float *data; /* row-major; written from, or filled by load */
} yk_tensor;

/* Writes aside, syncs, renames; checks free space first (the remedy is in the message). */
yk_status yk_checkpoint_save(const char *path, const yk_tensor *tensors, size_t n, json_t *document,
                             yk_error *err);

/* Verifies and reads. Every tensor asked for must exist with its shape: YK_ERR_SHAPE names the first that
 * does not, with both shapes. *document is new. Damage: YK_ERR_DAMAGED. */
yk_status yk_checkpoint_load(const char *path, yk_tensor *tensors, size_t n, json_t **document,
                             yk_error *err);

/* Only the document (verified as well). */
yk_status yk_checkpoint_document(const char *path, json_t **document, yk_error *err);

/* `yoke inspect`: tensors with shape, hash, min, max, mean, and the document; to standard output as a table or JSON. */
yk_status yk_checkpoint_inspect(const char *path, int as_json, yk_error *err);

/* `yoke diff`: prints the first tensor (in name order) in which two differ, the element and both values,
 * and how many differ; *differ is their number. Tensors in only one file count. */
yk_status yk_checkpoint_diff(const char *a, const char *b, int *differ, yk_error *err);

#endif
