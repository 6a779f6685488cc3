/* The reading side of a checkpoint file: verified, listed in name order, read a tensor at a
 * time. */
#ifndef YK_STORE_ARCHIVE_H
#define YK_STORE_ARCHIVE_H

#include "store/checkpoint.h"
#include "store/seal.h"

#include <hdf5.h>
#include <stdbool.h>

typedef struct yk_entry {
    char name[YK_MAX_TENSOR_NAME + 1];
    int rank;
    int64_t shape[YK_MAX_RANK];
    int64_t count;
    char hash[33]; /* as recorded */
} yk_entry;

typedef struct yk_archive {
    const char *path; /* the caller's */
    yk_seal seal;
    hid_t file, tensors;
    yk_entry *entry; /* by name, strcmp */
    size_t n, cap;
} yk_archive;

/* Verifies the seal, opens, lists. Anything a checkpoint of ours cannot hold (links, filters,
 * external storage, other types, more elements than the file has bytes for) is YK_ERR_DAMAGED. */
yk_status yk_archive_open(yk_archive *a, const char *path, yk_error *err);
void yk_archive_close(yk_archive *a); /* harmless after a failed open */

const yk_entry *yk_archive_find(const yk_archive *a, const char *name); /* NULL: none */

/* Fills out[e->count] and verifies the tensor's hash. */
yk_status yk_archive_read(const yk_archive *a, const yk_entry *e, float *out, yk_error *err);

yk_status yk_archive_document(const yk_archive *a, json_t **document, yk_error *err);

bool yk_tensor_name_ok(const char *name);

#define YK_SHAPE_TEXT 96
/* "[3,17]". Returns `out`. */
const char *yk_shape_text(int rank, const int64_t *shape, char out[YK_SHAPE_TEXT]);

/* File access the way all of ours go: no locking (Lustre, NFS), everything closed with the file,
 * nothing printed by HDF5. H5I_INVALID_HID on failure. `reason` (or NULL) gets the innermost
 * message of the first HDF5 call that fails from now on, until H5Eset_auto2 is called again. */
#define YK_H5_REASON 512
hid_t yk_h5_access(char *reason);

/* "<path>: cannot <what>: <reason>". reason NULL: that of the HDF5 call just made. An errno in it
 * speaks for itself, with the remedy where space is short. */
yk_status yk_h5_fail(yk_status status, const char *path, const char *what, const char *reason,
                     yk_error *err);

#endif
