/* Checkpoints: named tensors and a JSON document in one HDF5 file, hashed a tensor and as a whole; of several ranks one
 * such file each and a manifest (store/set.h), whose path readers take in place of a file's.
 *
 * Layout: bytes 0..511 are the HDF5 userblock and hold the seal (store/seal.h): format, length and
 * XXH3 hash of everything after it. The seal is written last, before the rename, and verified
 * before HDF5 sees a byte, because HDF5 files are not journaled. Then HDF5: one dataset a tensor at
 * /tensors/<name> (dots stay dots; float32, contiguous, not compressed) with the attribute `xxh3`
 * (hex of the 128-bit XXH3 of its bytes), the scalar string /document (JSON text, keys sorted) and
 * the root attribute `format`. No times are stored: the same content gives the same file.
 * doc/formats.md has the details.
 *
 * HDF5 keeps one state a process: call these functions from one thread at a time. While a learner writes a checkpoint
 * aside (train/saving.h) that is the writer's. */
#ifndef YK_STORE_CHECKPOINT_H
#define YK_STORE_CHECKPOINT_H

#include "base/status.h"

#include <jansson.h>
#include <stdint.h>

#define YK_MAX_RANK 4
#define YK_MAX_TENSOR_NAME 255 /* printable ASCII without blanks and slashes */

typedef struct yk_tensor {
    const char *name; /* such as "model.layers.0.mlp.up.weight" or "optimizer.m.<name>" */
    int rank;         /* 1..YK_MAX_RANK */
    int64_t shape[YK_MAX_RANK];
    float *data; /* row-major; written from, or filled by load */
} yk_tensor;

/* What is recorded of a stored tensor. */
typedef struct yk_stored {
    char name[YK_MAX_TENSOR_NAME + 1];
    int rank;
    int64_t shape[YK_MAX_RANK];
    int64_t count;
    char hash[33]; /* in a file: XXH3 of the bytes; in a set: yk_hash_sum */
} yk_stored;

/* Writes `<path>.part`, syncs it, renames it over `path`: a kill at any moment leaves the old file
 * or the new one. Space is reserved first. YK_ERR_IO (no space, quota, limit, ...) says what is
 * needed and what is there, removes the aside file and leaves the old checkpoint as it was.
 * `document` is an object. */
yk_status yk_checkpoint_save(const char *path, const yk_tensor *tensors, size_t n, json_t *document,
                             yk_error *err);

/* Verifies and reads. Every tensor asked for must exist with its shape: YK_ERR_SHAPE names the
 * first that does not, with both shapes, before any data was touched. Tensors of the file not asked
 * for are left alone. *document is new (NULL on failure; `document` itself may be NULL).
 * YK_ERR_DAMAGED: the file is truncated or altered; `data` may then hold parts of it. YK_ERR_INPUT:
 * there is no such file. */
yk_status yk_checkpoint_load(const char *path, yk_tensor *tensors, size_t n, json_t **document,
                             yk_error *err);

/* Only the document (verified as well). */
yk_status yk_checkpoint_document(const char *path, json_t **document, yk_error *err);

/* `yoke inspect`: of each tensor, in name order, shape, elements, min, max, mean, root mean square
 * (in double, over the finite elements; how many are not finite is told) and hash; then the
 * document. To standard output as a table or as JSON. */
yk_status yk_checkpoint_inspect(const char *path, int as_json, yk_error *err);

/* `yoke diff`: prints the first tensor (in name order) in which two differ, the element and both
 * values, and how many differ; *differ is their number. Tensors in only one file count, and so do
 * other shapes. Elements are compared as bits. A difference of the documents is told, but does not
 * count. */
yk_status yk_checkpoint_diff(const char *a, const char *b, int *differ, yk_error *err);

/* <dir>/step-<9 digits>.h5, the file of a step; of several ranks .json, the manifest, and .r<rank>of<ranks>.h5, their
 * files. free() them. NULL when memory is exhausted. */
char *yk_checkpoint_step_path(const char *dir, int64_t step);
char *yk_checkpoint_set_path(const char *dir, int64_t step);
char *yk_checkpoint_rank_path(const char *dir, int64_t step, int rank, int ranks);

/* Whether the file is whole; of a set all files. YK_ERR_DAMAGED says what is not. */
yk_status yk_checkpoint_check(const char *path, yk_error *err);

/* The checkpoint of the newest step in `dir` that is whole; free(*path). A damaged one is warned about and the one
 * before it taken. *path is NULL when there are none (or no directory). YK_ERR_DAMAGED: there are some, and none is
 * whole. */
yk_status yk_checkpoint_latest(const char *dir, char **path, yk_error *err);

/* Removes all checkpoints in `dir` but those of the `keep` (at least 1) newest steps, of sets the manifest first, and
 * what killed saves left (files of sets without a manifest, <name>.part): none may be under way. Other files, such as
 * best.h5, are not touched. */
yk_status yk_checkpoint_prune(const char *dir, int keep, yk_error *err);

#endif
