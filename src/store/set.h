/* A checkpoint of several ranks: one checkpoint file of each that owns something, and a manifest, JSON, which is
 * written when all of them are there.
 *
 *     {"files": [{"bytes": ..., "name": "step-000000050.r0of4.h5", "sha256": "..."}, ...],
 *      "format": "yoke-checkpoint-set-1", "step": 50,
 *      "tensors": [{"name": "model.embed.weight", "shape": [512, 32], "xxh3": "..."}, ...],
 *      "xxh3": "..."}
 *
 * A tensor [n] lies in parts, each in one file, as a vector of the name "<tensor>[<first element>:<behind the last>]".
 * Its hash is a yk_hash_sum and so does not depend on how it is cut. The first file has the document. `xxh3` is over
 * the text without it, so only one text is right for a content, as with seals. */
#ifndef YK_STORE_SET_H
#define YK_STORE_SET_H

#include "store/checkpoint.h"
#include "store/seal.h"

#include <stdbool.h>

#define YK_SET_FORMAT "yoke-checkpoint-set-1"

typedef struct yk_set_file {
    char *name; /* in the manifest's folder */
    int64_t bytes;
    char sha256[65];
} yk_set_file;

typedef struct yk_set {
    int64_t step;
    yk_set_file *file;
    size_t files;
    yk_stored *tensor; /* by name, strcmp */
    size_t tensors;
    int64_t bytes; /* of the manifest and all files; found by reading */
    char hash[33];
} yk_set;

bool yk_set_is(const char *path); /* by its name: .json */

/* As yk_checkpoint_save: the old manifest or the new one. */
yk_status yk_set_write(const char *path, const yk_set *s, yk_error *err);

/* Reads and verifies the manifest alone. YK_ERR_DAMAGED, YK_ERR_INPUT (no such file), YK_ERR_IO. yk_set_free also after
 * an error. */
yk_status yk_set_read(yk_set *s, const char *path, yk_error *err);
void yk_set_free(yk_set *s);

char *yk_set_file_path(const char *manifest, const yk_set_file *f);

/* The file is there and is the one meant, or YK_ERR_DAMAGED. `seal` may be NULL. */
yk_status yk_set_verify(const char *manifest, const yk_set_file *f, const char *path, yk_seal *seal, yk_error *err);

/* The name of a part, in out[YK_MAX_TENSOR_NAME + 1]; and back: false when it is none. */
void yk_part_name(char *out, const char *tensor, int64_t begin, int64_t end);
bool yk_part_of(const char *name, char *tensor, int64_t *begin, int64_t *end);

#endif
