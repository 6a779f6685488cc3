#include "store/archive.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/set.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static herr_t take_innermost(unsigned depth, const H5E_error2_t *e, void *reason)
{
    if (depth == 0) snprintf(reason, YK_H5_REASON, "%s", e->desc ? e->desc : "");
    return 0;
}

static herr_t remember(hid_t stack, void *reason)
{
    if (!*(char *)reason) H5Ewalk2(stack, H5E_WALK_UPWARD, take_innermost, reason);
    return 0;
}

hid_t yk_h5_access(char *reason)
{
    if (reason) *reason = 0;
    H5Eset_auto2(H5E_DEFAULT, reason ? remember : NULL, reason);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return access;
    bool bad = H5Pset_fapl_sec2(access) < 0 || H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0 ||
               H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST) < 0;
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    bad = bad || H5Pset_file_locking(access, false, true) < 0;
#endif
    if (!bad) return access;
    H5Pclose(access);
    return H5I_INVALID_HID;
}

yk_status yk_h5_fail(yk_status status, const char *path, const char *what, const char *reason,
                     yk_error *err)
{
    char text[YK_H5_REASON] = "";
    if (reason) snprintf(text, sizeof text, "%s", reason);
    else remember(H5E_DEFAULT, text);
    const char *number = strstr(text, "errno = ");
    int why = number ? atoi(number + strlen("errno = ")) : 0;
    if (why > 0 && status == YK_ERR_IO) return yk_refused(path, what, why, err);
    for (char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = ' ';
    return yk_fail(err, status, "%s: cannot %s: %s", path, what,
                   *text ? text : "HDF5 gives no reason");
}

bool yk_tensor_name_ok(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > YK_MAX_TENSOR_NAME || strcmp(name, ".") == 0) return false;
    for (const char *c = name; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '/') return false;
    return true;
}

const char *yk_shape_text(int rank, const int64_t *shape, char out[YK_SHAPE_TEXT])
{
    int n = 0;
    for (int i = 0; i < rank; i++)
        n += snprintf(out + n, YK_SHAPE_TEXT - (size_t)n, "%c%" PRId64, i ? ',' : '[', shape[i]);
    snprintf(out + n, YK_SHAPE_TEXT - (size_t)n, "%s", rank ? "]" : "[]");
    return out;
}

/* Plain contiguous storage inside this file: no chunks, hence no filters, nothing virtual or
 * external. */
static bool stored_plainly(hid_t dataset)
{
    hid_t how = H5Dget_create_plist(dataset);
    bool plain =
        how >= 0 && H5Pget_layout(how) == H5D_CONTIGUOUS && H5Pget_external_count(how) == 0;
    if (how >= 0) H5Pclose(how);
    return plain;
}

/* A fixed-length string of `n` bytes, padded with zeros. */
static hid_t text_type(size_t n)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, n) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
        H5Tclose(type);
        type = H5I_INVALID_HID;
    }
    return type;
}

static bool read_hash(hid_t dataset, char hash[33])
{
    bool good = false;
    hid_t space = -1, stored = -1, wanted = text_type(32);
    hid_t attribute = H5Aopen(dataset, "xxh3", H5P_DEFAULT);
    if (attribute < 0 || wanted < 0) goto done;
    space = H5Aget_space(attribute);
    stored = H5Aget_type(attribute);
    good = space >= 0 && H5Sget_simple_extent_npoints(space) == 1 && stored >= 0 &&
           H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) == 0 &&
           H5Tget_size(stored) == 32 && H5Aread(attribute, wanted, hash) >= 0;
    hash[32] = 0;
    good = good && strspn(hash, "0123456789abcdef") == 32;
done:
    if (stored >= 0) H5Tclose(stored);
    if (space >= 0) H5Sclose(space);
    if (attribute >= 0) H5Aclose(attribute);
    if (wanted >= 0) H5Tclose(wanted);
    return good;
}

/* Rank, shape and count, bounded by what the file can hold. */
static bool read_shape(hid_t dataset, int64_t file_bytes, yk_stored *e)
{
    hsize_t dim[YK_MAX_RANK] = {0};
    hid_t space = H5Dget_space(dataset);
    bool good = space >= 0 && H5Sget_simple_extent_type(space) == H5S_SIMPLE;
    e->rank = good ? H5Sget_simple_extent_ndims(space) : 0;
    good = good && e->rank >= 1 && e->rank <= YK_MAX_RANK &&
           H5Sget_simple_extent_dims(space, dim, NULL) == e->rank;
    if (space >= 0) H5Sclose(space);
    e->count = 1;
    for (int i = 0; good && i < e->rank; i++) {
        good = dim[i] <= (hsize_t)INT64_MAX &&
               !__builtin_mul_overflow(e->count, (int64_t)dim[i], &e->count);
        e->shape[i] = (int64_t)dim[i];
    }
    return good && e->count <= file_bytes / (int64_t)sizeof(float);
}

/* What is wrong with it, or NULL. */
static const char *describe(hid_t group, int64_t file_bytes, yk_stored *e)
{
    const char *wrong = NULL;
    hid_t type = -1, object = H5Oopen(group, e->name, H5P_DEFAULT);
    if (object < 0) return "cannot be opened";
    if (H5Iget_type(object) != H5I_DATASET) {
        wrong = "is no dataset";
        goto done;
    }
    type = H5Dget_type(object);
    if (type < 0 || H5Tequal(type, H5T_IEEE_F32LE) <= 0) wrong = "is not of type float32";
    else if (!stored_plainly(object)) wrong = "is not stored in one piece";
    else if (!read_shape(object, file_bytes, e)) wrong = "has an impossible shape";
    else if (!read_hash(object, e->hash)) wrong = "has no hash";
done:
    if (type >= 0) H5Tclose(type);
    H5Oclose(object);
    return wrong;
}

typedef struct listing {
    yk_archive *archive;
    yk_status status;
    yk_error *err;
} listing;

static herr_t list_one(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
    listing *l = context;
    yk_archive *a = l->archive;
    yk_error *err = l->err;
    yk_status st = YK_OK;
    if (!yk_tensor_name_ok(name))
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: a tensor has a name that none may have", a->path);
    YK_ROOM(a->entry, a->n, a->cap);
    yk_stored *e = &a->entry[a->n];
    *e = (yk_stored){0};
    memcpy(e->name, name, strlen(name) + 1);
    const char *wrong =
        link->type == H5L_TYPE_HARD ? describe(group, a->seal.bytes, e) : "is a link";
    if (wrong) YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: tensor %s %s", a->path, name, wrong);
    a->n++;
done:
    l->status = st;
    return st == YK_OK ? 0 : -1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const yk_stored *)a)->name, ((const yk_stored *)b)->name);
}

/* Opens a member of the file itself: no soft or external link is followed. */
static hid_t open_member(hid_t file, const char *name, H5I_type_t kind)
{
    H5L_info_t link;
    if (H5Lget_info(file, name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) return -1;
    hid_t object = H5Oopen(file, name, H5P_DEFAULT);
    if (object < 0 || H5Iget_type(object) == kind) return object;
    H5Oclose(object);
    return -1;
}

static int against_name(const void *name, const void *entry)
{
    return strcmp(name, ((const yk_stored *)entry)->name);
}

static yk_status connect_file(yk_archive *a, yk_error *err)
{
    yk_status st = YK_OK;
    hid_t access = yk_h5_access(NULL);
    if (access < 0) YK_FAIL(YK_ERR_MEMORY, "%s: HDF5 cannot start", a->path);
    a->file = H5Fopen(a->path, H5F_ACC_RDONLY, access);
    if (a->file < 0) YK_TRY(yk_h5_fail(YK_ERR_DAMAGED, a->path, "open as HDF5", NULL, err));
    a->tensors = open_member(a->file, "tensors", H5I_GROUP);
    if (a->tensors < 0) YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: it has no tensors", a->path);
done:
    if (access >= 0) H5Pclose(access);
    return st;
}

static void disconnect(yk_archive *a)
{
    if (a->tensors >= 0) H5Gclose(a->tensors);
    if (a->file >= 0) H5Fclose(a->file);
    a->file = a->tensors = -1;
}

/* Of a file whose seal holds. */
static yk_status list_file(yk_archive *a, yk_error *err)
{
    yk_status st = YK_OK;
    listing l = {.archive = a, .status = YK_OK, .err = err};
    a->format = YK_CHECKPOINT_FORMAT;
    YK_TRY(connect_file(a, err));
    if (H5Literate(a->tensors, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, list_one, &l) < 0) {
        YK_TRY(l.status);
        YK_TRY(yk_h5_fail(YK_ERR_DAMAGED, a->path, "list the tensors", NULL, err));
    }
    if (a->n) qsort(a->entry, a->n, sizeof *a->entry, by_name);
done:
    return st;
}

/* --- sets ------------------------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
    const yk_piece *x = a, *y = b;
    if (x->tensor != y->tensor) return x->tensor < y->tensor ? -1 : 1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* A file, which stays closed until something is read of it: there may be more of them than may be open. */
static yk_status add_member(yk_archive *a, const yk_set_file *f, yk_error *err)
{
    yk_status st = YK_OK;
    char name[YK_MAX_TENSOR_NAME + 1];
    yk_archive *m = &a->member[a->members];
    *m = (yk_archive){.file = -1, .tensors = -1, .member_path = yk_set_file_path(a->path, f)};
    a->members++;
    if (!(m->path = m->member_path)) YK_FAIL(YK_ERR_MEMORY, "%s: out of memory", a->path);
    YK_TRY(yk_set_verify(a->path, f, m->path, &m->seal, err));
    YK_TRY(list_file(m, err));
    for (size_t i = 0; i < m->n; i++) {
        int64_t begin, end;
        const yk_stored *part = &m->entry[i], *whole = NULL;
        if (yk_part_of(part->name, name, &begin, &end)) whole = yk_archive_find(a, name);
        if (!whole || part->rank != 1 || part->count != end - begin || end > whole->count)
            YK_FAIL(YK_ERR_DAMAGED, "%s: its file %s has %s, which is no part of a tensor of it", a->path, f->name,
                    part->name);
        YK_ROOM(a->piece, a->pieces, a->piece_room);
        a->piece[a->pieces++] = (yk_piece){(size_t)(whole - a->entry), a->members - 1, begin, part};
    }
done:
    disconnect(m);
    return st;
}

/* Every tensor is made up of its pieces, without holes and overlaps. */
static yk_status check_pieces(const yk_archive *a, yk_error *err)
{
    size_t next = 0;
    for (size_t t = 0; t < a->n; t++) {
        int64_t at = 0;
        for (; next < a->pieces && a->piece[next].tensor == t; at += a->piece[next++].entry->count)
            if (a->piece[next].begin != at) break;
        if (at != a->entry[t].count || (next < a->pieces && a->piece[next].tensor == t))
            return yk_fail(err, YK_ERR_DAMAGED, "%s: tensor %s is not whole: its files do not have element %" PRId64
                           " once", a->path, a->entry[t].name, at);
    }
    return YK_OK;
}

static yk_status open_set(yk_archive *a, yk_error *err)
{
    yk_status st = YK_OK;
    yk_set s;
    YK_TRY(yk_set_read(&s, a->path, err));
    a->format = YK_SET_FORMAT;
    a->seal.bytes = s.bytes;
    strcpy(a->seal.hash, s.hash);
    a->entry = s.tensor;
    a->n = a->cap = s.tensors;
    s.tensor = NULL;
    YK_NEW(a->member, s.files);
    for (size_t i = 0; i < s.files; i++) YK_TRY(add_member(a, &s.file[i], err));
    if (a->pieces) qsort(a->piece, a->pieces, sizeof *a->piece, by_place);
    YK_TRY(check_pieces(a, err));
done:
    yk_set_free(&s);
    return st;
}

/* The first piece of a tensor; pieces[a->pieces] when it has none. */
static size_t first_piece(const yk_archive *a, size_t tensor)
{
    size_t low = 0;
    for (size_t high = a->pieces; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (a->piece[middle].tensor < tensor) low = middle + 1;
        else high = middle;
    }
    return low;
}

static yk_status read_pieces(const yk_archive *a, const yk_stored *e, float *out, yk_error *err)
{
    yk_status st = YK_OK;
    char hash[33];
    yk_hash_sum sum = {0};
    const size_t tensor = (size_t)(e - a->entry);
    for (size_t i = first_piece(a, tensor); i < a->pieces && a->piece[i].tensor == tensor; i++) {
        yk_archive m = a->member[a->piece[i].member];
        st = connect_file(&m, err);
        if (st == YK_OK) st = yk_archive_read(&m, a->piece[i].entry, out + a->piece[i].begin, err);
        disconnect(&m);
        if (st != YK_OK) return st;
    }
    yk_hash_sum_add(&sum, out, (size_t)e->count * sizeof(float), 0);
    yk_hash_sum_hex(sum, hash);
    if (strcmp(hash, e->hash) != 0)
        st = yk_fail(err, YK_ERR_DAMAGED, "%s: damaged: tensor %s hashes to %s, recorded is %s", a->path, e->name, hash,
                     e->hash);
    return st;
}

/* --- both ------------------------------------------------------------------------------------ */

yk_status yk_archive_open(yk_archive *a, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    *a = (yk_archive){.path = path, .file = -1, .tensors = -1};
    if (yk_set_is(path)) {
        YK_TRY(open_set(a, err));
    } else {
        YK_TRY(yk_seal_check(path, &a->seal, err));
        YK_TRY(list_file(a, err));
    }
done:
    if (st != YK_OK) yk_archive_close(a);
    return st;
}

void yk_archive_close(yk_archive *a)
{
    for (size_t i = 0; i < a->members; i++) {
        free(a->member[i].entry);
        free(a->member[i].member_path);
    }
    disconnect(a);
    free(a->member);
    free(a->piece);
    free(a->entry);
    *a = (yk_archive){.path = a->path, .file = -1, .tensors = -1};
}

const yk_stored *yk_archive_find(const yk_archive *a, const char *name)
{
    return a->n ? bsearch(name, a->entry, a->n, sizeof *a->entry, against_name) : NULL;
}

yk_status yk_archive_expect(const yk_archive *a, const yk_tensor *t, const yk_stored **e, yk_error *err)
{
    char wanted[YK_SHAPE_TEXT], found[YK_SHAPE_TEXT];
    *e = yk_archive_find(a, t->name);
    yk_shape_text(t->rank, t->shape, wanted);
    if (!*e)
        return yk_fail(err, YK_ERR_SHAPE, "%s: has no tensor %s, which should be %s: it was written by another recipe; "
                       "use that recipe, or another --run-dir", a->path, t->name, wanted);
    bool same = (*e)->rank == t->rank;
    for (int i = 0; same && i < t->rank; i++) same = (*e)->shape[i] == t->shape[i];
    if (same) return YK_OK;
    return yk_fail(err, YK_ERR_SHAPE, "%s: tensor %s is %s in the file and should be %s: it was written by another "
                   "recipe; use that recipe, or another --run-dir", a->path, t->name,
                   yk_shape_text((*e)->rank, (*e)->shape, found), wanted);
}

yk_status yk_archive_read(const yk_archive *a, const yk_stored *e, float *out, yk_error *err)
{
    yk_status st = YK_OK;
    char hash[33];
    if (a->members) return read_pieces(a, e, out, err);
    hid_t dataset = H5Dopen2(a->tensors, e->name, H5P_DEFAULT);
    if (dataset < 0) YK_TRY(yk_h5_fail(YK_ERR_DAMAGED, a->path, "open a tensor", NULL, err));
    if (e->count && H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        YK_TRY(yk_h5_fail(YK_ERR_DAMAGED, a->path, "read a tensor", NULL, err));
    yk_hash128_hex(out, (size_t)e->count * sizeof(float), hash);
    if (strcmp(hash, e->hash) != 0)
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: its content hashes to %s, recorded is %s", a->path,
                hash, e->hash);
done:
    if (dataset >= 0) H5Dclose(dataset);
    return yk_context(err, st, "tensor %s", e->name);
}

static yk_status read_document(const yk_archive *a, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    json_error_t why;
    char *text = NULL;
    hid_t type = -1, space = -1, dataset = open_member(a->file, "document", H5I_DATASET);
    *document = NULL;
    if (dataset < 0) YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: it has no document", a->path);
    type = H5Dget_type(dataset);
    space = H5Dget_space(dataset);
    size_t n = type >= 0 ? H5Tget_size(type) : 0;
    if (n == 0 || n > (uint64_t)a->seal.bytes || H5Tget_class(type) != H5T_STRING ||
        H5Tis_variable_str(type) != 0 || !stored_plainly(dataset) || space < 0 ||
        H5Sget_simple_extent_npoints(space) != 1)
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: its document is no plain text", a->path);
    YK_NEW(text, n);
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        YK_TRY(yk_h5_fail(YK_ERR_DAMAGED, a->path, "read the document", NULL, err));
    *document = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!*document)
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: its document, line %d column %d: %s", a->path,
                why.line, why.column, why.text);
    if (!json_is_object(*document))
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: its document is no object", a->path);
done:
    if (st != YK_OK) {
        json_decref(*document);
        *document = NULL;
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (dataset >= 0) H5Dclose(dataset);
    free(text);
    return st;
}

yk_status yk_archive_document(const yk_archive *a, json_t **document, yk_error *err)
{
    if (!a->members) return read_document(a, document, err);
    yk_archive m = a->member[0];
    yk_status st = connect_file(&m, err);
    *document = NULL;
    if (st == YK_OK) st = read_document(&m, document, err);
    disconnect(&m);
    return st;
}
