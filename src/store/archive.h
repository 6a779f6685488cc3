/* The reading side of a checkpoint, be it a file or a set: verified, listed in name order, read a tensor at a time. */
#ifndef YK_STORE_ARCHIVE_H
#define YK_STORE_ARCHIVE_H

#include "store/checkpoint.h"
#include "store/seal.h"

#include <hdf5.h>
#include <stdbool.h>

/* Where a part of a tensor of a set lies. */
typedef struct yk_piece {
    size_t tensor, member; /* which of the set's */
    int64_t begin;         /* its first element */
    const yk_stored *entry; /* of the member */
} yk_piece;

typedef struct yk_archive {
    const char *path; /* the caller's */
    const char *format;
    yk_seal seal; /* of a set: bytes of all files, hash of the manifest */
    hid_t file, tensors; /* not of a set */
    yk_stored *entry;     /* by name, strcmp */
    size_t n, cap;
    struct yk_archive *member; /* of a set: its files, closed, */
    size_t members;
    char *member_path; /* this one's, when it is a member */
    yk_piece *piece;   /* and their tensors in order of what they are part of */
    size_t pieces, piece_room;
} yk_archive;

/* Verifies the seal, opens, lists; of a set the manifest and all files, which must hold each element of each tensor
 * once. Anything a checkpoint of ours cannot hold (links, filters, external storage, other types, more elements than
 * the file has bytes for) is YK_ERR_DAMAGED. */
yk_status yk_archive_open(yk_archive *a, const char *path, yk_error *err);
void yk_archive_close(yk_archive *a); /* harmless after a failed open */

const yk_stored *yk_archive_find(const yk_archive *a, const char *name); /* NULL: none */

/* The tensor of that name and shape. YK_ERR_SHAPE: there is none, or it has another. */
yk_status yk_archive_expect(const yk_archive *a, const yk_tensor *t, const yk_stored **e, yk_error *err);

/* Fills out[e->count] and verifies the tensor's hash. */
yk_status yk_archive_read(const yk_archive *a, const yk_stored *e, float *out, yk_error *err);

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
