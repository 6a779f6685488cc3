#include "store/set.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 28, STYLE = JSON_INDENT(1) | JSON_SORT_KEYS };
#define REMEDY "; use another checkpoint, or a copy of this one"

bool yk_set_is(const char *path)
{
    const size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".json") == 0;
}

/* --- names ----------------------------------------------------------------------------------- */

void yk_part_name(char *out, const char *tensor, int64_t begin, int64_t end)
{
    snprintf(out, YK_MAX_TENSOR_NAME + 1, "%s[%" PRId64 ":%" PRId64 "]", tensor, begin, end);
}

bool yk_part_of(const char *name, char *tensor, int64_t *begin, int64_t *end)
{
    char again[YK_MAX_TENSOR_NAME + 1];
    const char *bracket = strrchr(name, '['), *colon = bracket ? strchr(bracket, ':') : NULL;
    if (!colon) return false;
    memcpy(tensor, name, (size_t)(bracket - name));
    tensor[bracket - name] = 0;
    *begin = strtoll(bracket + 1, NULL, 10);
    *end = strtoll(colon + 1, NULL, 10);
    yk_part_name(again, tensor, *begin, *end);
    return strcmp(again, name) == 0 && *begin >= 0 && *begin < *end;
}

char *yk_set_file_path(const char *manifest, const yk_set_file *f)
{
    const char *slash = strrchr(manifest, '/');
    return yk_path("%.*s%s", slash ? (int)(slash + 1 - manifest) : 0, manifest, f->name);
}

/* --- writing --------------------------------------------------------------------------------- */

static json_t *file_json(const yk_set_file *f)
{
    return json_pack("{s:s, s:I, s:s}", "name", f->name, "bytes", (json_int_t)f->bytes, "sha256", f->sha256);
}

static json_t *tensor_json(const yk_stored *e)
{
    json_t *shape = json_array();
    for (int d = 0; d < e->rank; d++) json_array_append_new(shape, json_integer(e->shape[d]));
    return json_pack("{s:s, s:o, s:s}", "name", e->name, "shape", shape, "xxh3", e->hash);
}

/* The text (malloc'd) of a manifest, into which the hash over it is set; NULL: no memory. */
static char *text_of(json_t *manifest, char hash[33])
{
    char *bare, *text = NULL;
    json_object_del(manifest, "xxh3");
    if (!(bare = json_dumps(manifest, STYLE))) return NULL;
    yk_hash128_hex(bare, strlen(bare), hash);
    free(bare);
    if (json_object_set_new(manifest, "xxh3", json_string(hash)) == 0) text = json_dumps(manifest, STYLE);
    return text;
}

yk_status yk_set_write(const char *path, const yk_set *s, yk_error *err)
{
    yk_status st = YK_OK;
    char hash[33], *text = NULL;
    json_t *files = json_array(), *tensors = json_array();
    json_t *manifest = json_pack("{s:s, s:I, s:O, s:O}", "format", YK_SET_FORMAT, "step", (json_int_t)s->step, "files",
                                 files, "tensors", tensors);
    bool bad = !manifest;
    for (size_t i = 0; i < s->files; i++) bad = json_array_append_new(files, file_json(&s->file[i])) != 0 || bad;
    for (size_t i = 0; i < s->tensors; i++)
        bad = json_array_append_new(tensors, tensor_json(&s->tensor[i])) != 0 || bad;
    if (bad || !(text = text_of(manifest, hash))) YK_FAIL(YK_ERR_MEMORY, "%s: out of memory", path);
    YK_TRY(yk_file_write(path, text, strlen(text), err));
done:
    free(text);
    json_decref(manifest);
    json_decref(files);
    json_decref(tensors);
    return st;
}

/* --- reading --------------------------------------------------------------------------------- */

static yk_status read_text(const char *path, yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        YK_FAIL(errno == ENOENT ? YK_ERR_INPUT : YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) YK_FAIL(YK_ERR_INPUT, "%s: is no file; a checkpoint was expected", path);
    if (info.st_size > MOST_BYTES) YK_FAIL(YK_ERR_DAMAGED, "%s: is too long for a manifest" REMEDY, path);
    yk_buf_reserve(text, (size_t)info.st_size);
    YK_TRY(yk_get(fd, path, text->data, (size_t)info.st_size, 0, &text->len, err));
done:
    if (fd >= 0) close(fd);
    return st;
}

/* The text is the one right text of its content. */
static yk_status check_text(const char *path, const yk_buf *text, json_t *manifest, char hash[33], yk_error *err)
{
    yk_status st = YK_OK;
    const json_t *found = json_object_get(manifest, "xxh3");
    const char *format = json_string_value(json_object_get(manifest, "format"));
    char said[33] = "", *right = NULL;
    if (!format || strcmp(format, YK_SET_FORMAT) != 0)
        YK_FAIL(YK_ERR_DAMAGED, "%s: is no manifest of a checkpoint of the format %s: it was written by another "
                "version, or is damaged" REMEDY, path, YK_SET_FORMAT);
    if (json_is_string(found)) snprintf(said, sizeof said, "%s", json_string_value(found));
    if (!(right = text_of(manifest, hash))) YK_FAIL(YK_ERR_MEMORY, "%s: out of memory", path);
    if (strlen(right) != text->len || memcmp(right, text->data, text->len) != 0)
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: its content hashes to %s, it says %s" REMEDY, path, hash, said);
done:
    free(right);
    return st;
}

/* A string of so many characters, all from `set`. */
static bool take_text(const json_t *from, const char *key, size_t n, const char *set, char *out)
{
    const char *text = json_string_value(json_object_get(from, key));
    if (!text || strlen(text) != n || strspn(text, set) != n) return false;
    memcpy(out, text, n + 1);
    return true;
}

#define HEX "0123456789abcdef"

/* Below: false where a manifest of ours has something else. */
static bool take_file(const json_t *x, yk_set_file *f)
{
    const char *name = json_string_value(json_object_get(x, "name"));
    f->bytes = json_integer_value(json_object_get(x, "bytes"));
    if (!name || *name == '.' || !yk_tensor_name_ok(name) || yk_set_is(name) || f->bytes <= 0) return false;
    f->name = yk_path("%s", name);
    return f->name && take_text(x, "sha256", 64, HEX, f->sha256);
}

static bool take_tensor(const json_t *x, yk_stored *e)
{
    const char *name = json_string_value(json_object_get(x, "name"));
    const json_t *shape = json_object_get(x, "shape");
    e->rank = (int)json_array_size(shape);
    e->count = 1;
    if (!name || !yk_tensor_name_ok(name) || e->rank < 1 || e->rank > YK_MAX_RANK) return false;
    strcpy(e->name, name);
    for (int d = 0; d < e->rank; d++) {
        e->shape[d] = json_integer_value(json_array_get(shape, (size_t)d));
        if (e->shape[d] < 0 || __builtin_mul_overflow(e->count, e->shape[d], &e->count)) return false;
    }
    return e->count <= INT64_MAX / (int64_t)sizeof(float) && take_text(x, "xxh3", 32, HEX, e->hash);
}

static bool take_all(yk_set *s, const json_t *files, const json_t *tensors)
{
    for (size_t i = 0; i < s->files; i++)
        if (!take_file(json_array_get(files, i), &s->file[i]) ||
            __builtin_add_overflow(s->bytes, s->file[i].bytes, &s->bytes))
            return false;
    for (size_t i = 0; i < s->tensors; i++)
        if (!take_tensor(json_array_get(tensors, i), &s->tensor[i]) ||
            (i > 0 && strcmp(s->tensor[i - 1].name, s->tensor[i].name) >= 0))
            return false;
    return s->files > 0;
}

yk_status yk_set_read(yk_set *s, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    json_error_t why;
    json_t *manifest = NULL;
    *s = (yk_set){0};
    YK_TRY(read_text(path, &text, err));
    manifest = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!manifest)
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged, line %d column %d: %s" REMEDY, path, why.line, why.column, why.text);
    YK_TRY(check_text(path, &text, manifest, s->hash, err));
    const json_t *files = json_object_get(manifest, "files"), *tensors = json_object_get(manifest, "tensors");
    s->step = json_integer_value(json_object_get(manifest, "step"));
    s->bytes = (int64_t)text.len;
    s->files = json_array_size(files);
    s->tensors = json_array_size(tensors);
    YK_NEW(s->file, s->files);
    YK_NEW(s->tensor, s->tensors);
    if (!take_all(s, files, tensors)) YK_FAIL(YK_ERR_DAMAGED, "%s: its content is none that a manifest has", path);
done:
    json_decref(manifest);
    yk_buf_free(&text);
    return st;
}

void yk_set_free(yk_set *s)
{
    for (size_t i = 0; s->file && i < s->files; i++) free(s->file[i].name);
    free(s->file);
    free(s->tensor);
    *s = (yk_set){0};
}

yk_status yk_set_verify(const char *manifest, const yk_set_file *f, const char *path, yk_seal *seal, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    char sha256[65];
    if (stat(path, &info) != 0)
        YK_FAIL(errno == ENOENT ? YK_ERR_DAMAGED : YK_ERR_IO, "%s: its file %s cannot be opened: %s" REMEDY, manifest,
                f->name, strerror(errno));
    YK_TRY(yk_context(err, yk_seal_check(path, seal, err), "%s", manifest));
    YK_TRY(yk_sha256_file(path, sha256, err));
    if (info.st_size != f->bytes || strcmp(sha256, f->sha256) != 0)
        YK_FAIL(YK_ERR_DAMAGED, "%s: its file %s is another than it was written with: %" PRId64 " bytes, SHA-256 %s; "
                "the manifest says %" PRId64 " bytes, SHA-256 %s" REMEDY, manifest, f->name, (int64_t)info.st_size,
                sha256, f->bytes, f->sha256);
done:
    return st;
}

yk_status yk_checkpoint_check(const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_set s = {0};
    if (!yk_set_is(path)) return yk_seal_check(path, NULL, err);
    YK_TRY(yk_set_read(&s, path, err));
    for (size_t i = 0; i < s.files; i++) {
        char *file = yk_set_file_path(path, &s.file[i]);
        st = file ? yk_set_verify(path, &s.file[i], file, NULL, err) : yk_fail(err, YK_ERR_MEMORY, "out of memory");
        free(file);
        if (st != YK_OK) break;
    }
done:
    yk_set_free(&s);
    return st;
}
