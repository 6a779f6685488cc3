#include "store/archive.h"

#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(float) == 4,
               "tensors are written as they lie in memory");

/* HDF5 lays the file out in memory: it creates the file aside, then its descriptor is turned to an
 * anonymous memory file, where the tensors' places are holes. The result and the tensors go to the
 * disk by plain writes. So a full disk is met in calls that report it and never inside the library,
 * which cannot give up a file that it failed to write (1.10.8 keeps an identifier of freed memory).
 */
typedef struct piece {
    const void *data;
    uint64_t bytes;
    uint64_t at; /* in the file */
} piece;

typedef struct saving {
    char *aside;
    int fd, memory; /* the file aside, the layout */
    const yk_tensor *tensors;
    size_t n;
    char *text;      /* of the document */
    piece *pieces;   /* of the tensors, then of the document */
    uint64_t needed; /* bytes of the file, at most */
} saving;

/* Room for HDF5's own structures: generous, and small beside any tensor that matters. */
#define FIXED_OVERHEAD 65536
#define TENSOR_OVERHEAD 2048

static yk_status plan(saving *s, json_t *document, yk_error *err)
{
    yk_status st = YK_OK;
    uint64_t bytes;
    s->text = json_is_object(document) ? json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!s->text)
        YK_FAIL(YK_ERR_INTERNAL, "%s: the document is no object, or no JSON can be made of it",
                s->aside);
    YK_NEW(s->pieces, s->n + 1);
    s->needed = FIXED_OVERHEAD + strlen(s->text) + s->n * TENSOR_OVERHEAD;
    for (size_t i = 0; i < s->n; i++) {
        const yk_tensor *t = &s->tensors[i];
        bool good = yk_tensor_name_ok(t->name) && t->rank >= 1 && t->rank <= YK_MAX_RANK;
        bytes = sizeof(float);
        for (int d = 0; good && d < t->rank; d++)
            good =
                t->shape[d] >= 0 && !__builtin_mul_overflow(bytes, (uint64_t)t->shape[d], &bytes);
        if (!good || __builtin_add_overflow(s->needed, bytes, &s->needed) || s->needed > INT64_MAX)
            YK_FAIL(YK_ERR_INTERNAL,
                    "%s: tensor %zu (%.64s) has a name or shape that none may have", s->aside, i,
                    t->name);
        s->pieces[i] = (piece){t->data, bytes, 0};
    }
    s->pieces[s->n] = (piece){s->text, strlen(s->text), 0};
done:
    return st;
}

static bool put_text_attribute(hid_t object, const char *name, const char *text)
{
    bool good = false;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    if (type < 0 || space < 0 || H5Tset_size(type, strlen(text)) < 0 ||
        H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)
        goto done;
    attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    good = attribute >= 0 && H5Awrite(attribute, type, text) >= 0;
done:
    if (attribute >= 0) H5Aclose(attribute);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return good;
}

/* A dataset in one piece whose place in the file is fixed here and now. */
static hid_t create_dataset(hid_t group, const char *name, hid_t type, hid_t space, piece *p)
{
    hid_t dataset = -1, how = H5Pcreate(H5P_DATASET_CREATE);
    if (how < 0 || H5Pset_layout(how, H5D_CONTIGUOUS) < 0 ||
        H5Pset_obj_track_times(how, false) < 0 ||
        H5Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(how, H5D_FILL_TIME_NEVER) < 0)
        goto done;
    dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    haddr_t at = dataset >= 0 && p->bytes ? H5Dget_offset(dataset) : 0;
    if (dataset >= 0 && at == HADDR_UNDEF) {
        H5Dclose(dataset);
        dataset = -1;
    }
    p->at = at;
done:
    if (how >= 0) H5Pclose(how);
    return dataset;
}

static bool create_tensor(hid_t group, const yk_tensor *t, piece *p)
{
    char hash[33];
    hsize_t dim[YK_MAX_RANK];
    for (int i = 0; i < t->rank; i++) dim[i] = (hsize_t)t->shape[i];
    hid_t space = H5Screate_simple(t->rank, dim, NULL), dataset = -1;
    if (space >= 0) dataset = create_dataset(group, t->name, H5T_IEEE_F32LE, space, p);
    yk_hash128_hex(p->data, p->bytes, hash);
    bool good = dataset >= 0 && put_text_attribute(dataset, "xxh3", hash);
    if (dataset >= 0) H5Dclose(dataset);
    if (space >= 0) H5Sclose(space);
    return good;
}

static bool create_document(hid_t file, piece *p)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), dataset = -1;
    if (type >= 0 && space >= 0 && H5Tset_size(type, p->bytes) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0)
        dataset = create_dataset(file, "document", type, space, p);
    bool good = dataset >= 0;
    if (dataset >= 0) H5Dclose(dataset);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return good;
}

static hid_t create_file(const char *path, char *reason)
{
    hid_t file = -1, access = yk_h5_access(reason), how = H5Pcreate(H5P_FILE_CREATE);
    if (access >= 0 && how >= 0 && H5Pset_userblock(how, YK_SEAL_BYTES) >= 0 &&
        H5Pset_obj_track_times(how, false) >= 0)
        file = H5Fcreate(path, H5F_ACC_TRUNC, how, access);
    if (how >= 0) H5Pclose(how);
    if (access >= 0) H5Pclose(access);
    return file;
}

static hid_t create_group(hid_t file, const char *name)
{
    hid_t group = -1, how = H5Pcreate(H5P_GROUP_CREATE);
    if (how >= 0 && H5Pset_obj_track_times(how, false) >= 0)
        group = H5Gcreate2(file, name, H5P_DEFAULT, how, H5P_DEFAULT);
    if (how >= 0) H5Pclose(how);
    return group;
}

/* Copies what is no hole, and the length. */
static yk_status copy_extents(const saving *s, int from, int to, yk_error *err)
{
    yk_status st = YK_OK;
    char block[16384];
    ssize_t n;
    off_t end = lseek(from, 0, SEEK_END), stop;
    if (end < 0 || ftruncate(to, end) != 0) YK_TRY(yk_refused(s->aside, "resize", errno, err));
    for (off_t at = lseek(from, 0, SEEK_DATA); at >= 0; at = lseek(from, stop, SEEK_DATA)) {
        stop = lseek(from, at, SEEK_HOLE);
        if (stop < 0) break;
        for (; at < stop; at += n) {
            size_t left = (size_t)(stop - at);
            n = pread(from, block, left < sizeof block ? left : sizeof block, at);
            if (n <= 0) YK_TRY(yk_refused(s->aside, "copy", n < 0 ? errno : EIO, err));
            YK_TRY(yk_put(to, s->aside, block, (uint64_t)n, (uint64_t)at, err));
        }
    }
    if (errno != ENXIO) YK_TRY(yk_refused(s->aside, "copy", errno, err));
done:
    return st;
}

/* From here on HDF5 writes to s->memory. */
static yk_status turn_to_memory(saving *s, hid_t file, yk_error *err)
{
    yk_status st = YK_OK;
    void *handle;
    YK_TRY(copy_extents(s, s->fd, s->memory, err));
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0)
        YK_FAIL(YK_ERR_INTERNAL, "%s: HDF5 has no descriptor for it", s->aside);
    if (dup3(s->memory, *(int *)handle, O_CLOEXEC) < 0)
        YK_TRY(yk_refused(s->aside, "lay out in memory", errno, err));
done:
    return st;
}

static yk_status lay_out(saving *s, yk_error *err)
{
    yk_status st = YK_OK;
    char reason[YK_H5_REASON];
    hid_t file = -1, group = -1;
    s->memory = memfd_create("checkpoint", MFD_CLOEXEC);
    if (s->memory < 0) YK_TRY(yk_refused(s->aside, "lay out in memory", errno, err));
    file = create_file(s->aside, reason);
    if (file < 0) YK_TRY(yk_h5_fail(YK_ERR_IO, s->aside, "create", reason, err));
    YK_TRY(turn_to_memory(s, file, err));
    group = create_group(file, "tensors");
    if (group < 0 || !put_text_attribute(file, "format", YK_CHECKPOINT_FORMAT) ||
        !create_document(file, &s->pieces[s->n]))
        YK_TRY(yk_h5_fail(YK_ERR_IO, s->aside, "lay out", reason, err));
    for (size_t i = 0; i < s->n; i++)
        if (!create_tensor(group, &s->tensors[i], &s->pieces[i])) {
            st = yk_h5_fail(YK_ERR_IO, s->aside, "lay out", reason, err);
            yk_context(err, st, "tensor %s", s->tensors[i].name);
            goto done;
        }
done:
    if (group >= 0) H5Gclose(group);
    if (file >= 0 && H5Fclose(file) < 0 && st == YK_OK)
        st = yk_h5_fail(YK_ERR_IO, s->aside, "lay out", reason, err);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return st;
}

static yk_status fill(const saving *s, yk_error *err)
{
    yk_status st = YK_OK;
    off_t end = lseek(s->memory, 0, SEEK_END);
    if (end < 0) YK_TRY(yk_refused(s->aside, "measure", errno, err));
    YK_TRY(yk_reserve(s->fd, s->aside, "the checkpoint", (uint64_t)end, err));
    YK_TRY(copy_extents(s, s->memory, s->fd, err));
    for (size_t i = 0; i <= s->n; i++) {
        const piece *p = &s->pieces[i];
        if (p->at + p->bytes > (uint64_t)end)
            YK_FAIL(YK_ERR_INTERNAL, "%s: HDF5 placed data behind the end of the file", s->aside);
        YK_TRY(yk_put(s->fd, s->aside, p->data, p->bytes, p->at, err));
    }
done:
    return st;
}

yk_status yk_checkpoint_save(const char *path, const yk_tensor *tensors, size_t n, json_t *document,
                             yk_error *err)
{
    yk_status st = YK_OK;
    saving s = {
        .aside = yk_path("%s.part", path), .fd = -1, .memory = -1, .tensors = tensors, .n = n};
    if (!s.aside) YK_FAIL(YK_ERR_MEMORY, "%s: out of memory", path);
    YK_TRY(plan(&s, document, err));
    s.fd = open(s.aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s.fd < 0) YK_TRY(yk_refused(s.aside, "create", errno, err));
    YK_TRY(yk_reserve(s.fd, s.aside, "the checkpoint", s.needed, err));
    YK_TRY(lay_out(&s, err));
    YK_TRY(fill(&s, err));
    YK_TRY(yk_seal_write(s.fd, s.aside, err));
    if (fsync(s.fd) != 0) YK_TRY(yk_refused(s.aside, "sync", errno, err));
    YK_TRY(yk_file_publish(s.aside, path, err));
done:
    if (s.memory >= 0) close(s.memory);
    if (s.fd >= 0) {
        close(s.fd);
        if (st != YK_OK) unlink(s.aside);
    }
    free(s.aside);
    free(s.text);
    free(s.pieces);
    return st;
}

yk_status yk_checkpoint_load(const char *path, yk_tensor *tensors, size_t n, json_t **document,
                             yk_error *err)
{
    yk_status st = YK_OK;
    yk_archive a;
    const yk_stored *e;
    json_t *found = NULL;
    if (document) *document = NULL;
    YK_TRY(yk_archive_open(&a, path, err));
    for (size_t i = 0; i < n; i++) YK_TRY(yk_archive_expect(&a, &tensors[i], &e, err));
    for (size_t i = 0; i < n; i++)
        YK_TRY(yk_archive_read(&a, yk_archive_find(&a, tensors[i].name), tensors[i].data, err));
    if (document) YK_TRY(yk_archive_document(&a, &found, err));
    if (document) *document = found;
done:
    yk_archive_close(&a);
    return st;
}

yk_status yk_checkpoint_document(const char *path, json_t **document, yk_error *err)
{
    return yk_checkpoint_load(path, NULL, 0, document, err);
}
