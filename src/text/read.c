#include "text/read.h"

#include "base/file.h"
#include "text/stream.h"
#include "text/warc.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { FILE_LIMIT = 1 << 30, MAX_DEPTH = 64 };

struct yk_reader {
    const yk_corpus *corpus;
    uint64_t seed, generated;
    char **file;
    size_t files, room, next;
    yk_stream_in *lines; /* inside a .jsonl */
    size_t line_number;
    yk_warc *warc; /* inside a web archive */
    yk_buf line;
};

void yk_raw_free(yk_raw *r)
{
    yk_buf_free(&r->bytes);
    free(r->source);
    *r = (yk_raw){0};
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static yk_status add_file(yk_reader *r, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(r->file, r->files, r->room);
    if (!(r->file[r->files] = strdup(path))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    r->files++;
done:
    return st;
}

static yk_status add_folder(yk_reader *r, const char *folder, int depth, yk_error *err)
{
    yk_status st = YK_OK;
    char **name = NULL;
    size_t n = 0, room = 0;
    struct stat info;
    DIR *d = opendir(folder);
    if (!d) YK_FAIL(YK_ERR_INPUT, "%s: cannot read the folder: %s", folder, strerror(errno));
    if (depth > MAX_DEPTH) YK_FAIL(YK_ERR_INPUT, "%s: folders nested more than %d deep", folder, MAX_DEPTH);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        YK_ROOM(name, n, room);
        if (!(name[n] = yk_path("%s/%s", folder, e->d_name))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        n++;
    }
    if (n) qsort(name, n, sizeof *name, by_bytes);
    for (size_t i = 0; i < n; i++) {
        if (lstat(name[i], &info) != 0) continue;
        if (S_ISDIR(info.st_mode)) YK_TRY(add_folder(r, name[i], depth + 1, err));
        if (S_ISREG(info.st_mode)) YK_TRY(add_file(r, name[i], err));
    }
done:
    if (d) closedir(d);
    for (size_t i = 0; i < n; i++) free(name[i]);
    free(name);
    return st;
}

static yk_status add_path(yk_reader *r, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    glob_t found = {0};
    int rc = glob(path, GLOB_NOSORT | GLOB_TILDE | GLOB_BRACE, NULL, &found);
    if (rc == GLOB_NOMATCH)
        YK_FAIL(YK_ERR_INPUT, "%s: no such file or folder (corpus entry `%s`); paths are relative to the current "
                "directory", path, r->corpus->domain);
    if (rc != 0) YK_FAIL(YK_ERR_INPUT, "%s: cannot be searched: %s", path, strerror(errno));
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_bytes);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (stat(found.gl_pathv[i], &info) != 0)
            YK_FAIL(YK_ERR_INPUT, "%s: cannot read: %s", found.gl_pathv[i], strerror(errno));
        YK_TRY(S_ISDIR(info.st_mode) ? add_folder(r, found.gl_pathv[i], 0, err) : add_file(r, found.gl_pathv[i], err));
    }
done:
    globfree(&found);
    return st;
}

yk_status yk_reader_open(yk_reader **out, const yk_corpus *c, uint64_t seed, yk_error *err)
{
    yk_status st = YK_OK;
    yk_reader *r = NULL;
    YK_NEW(r, 1);
    r->corpus = c;
    r->seed = seed;
    for (size_t i = 0; i < c->paths.n; i++) YK_TRY(add_path(r, c->paths.item[i], err));
    *out = r;
    r = NULL;
done:
    yk_reader_close(r);
    return st;
}

void yk_reader_stamp(const yk_reader *r, yk_digest *d)
{
    for (size_t i = 0; i < r->files; i++) {
        struct stat info;
        if (stat(r->file[i], &info) != 0) continue;
        int64_t fact[] = {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
        yk_digest_add(d, r->file[i], strlen(r->file[i]) + 1);
        yk_digest_add(d, fact, sizeof fact);
    }
}

void yk_reader_close(yk_reader *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->files; i++) free(r->file[i]);
    free(r->file);
    yk_stream_close(r->lines);
    yk_warc_close(r->warc);
    yk_buf_free(&r->line);
    free(r);
}

/* The name without .gz or .zst, compared by its ending. */
static bool ends_in(const char *path, const char *const *endings)
{
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".gz") == 0) n -= 3;
    else if (n > 4 && strcmp(path + n - 4, ".zst") == 0) n -= 4;
    for (; *endings; endings++) {
        size_t e = strlen(*endings);
        if (n > e && strncasecmp(path + n - e, *endings, e) == 0) return true;
    }
    return false;
}

static yk_raw_kind kind_of(const char *path, const char *wanted)
{
    static const char *const html[] = {".html", ".htm", ".xhtml", NULL};
    static const char *const code[] = {".c", ".h", ".cc", ".cpp", ".hpp", ".cxx", ".py", ".pl", ".pm", ".sh", ".js",
                                       ".ts", ".java", ".go", ".rs", ".rb", ".lua", ".tcl", ".f", ".f90", ".sql",
                                       ".mk", ".cmake", ".el", ".m4", ".s", ".asm", ".ml", ".hs", ".r", ".awk", NULL};
    if (ends_in(path, html)) return YK_RAW_HTML;
    if (strcmp(wanted, "code") == 0) return YK_RAW_CODE;
    return strcmp(wanted, "auto") == 0 && ends_in(path, code) ? YK_RAW_CODE : YK_RAW_PROSE;
}

static yk_status next_line(yk_reader *r, yk_raw *raw, bool *end, yk_error *err)
{
    yk_status st = YK_OK;
    const char *path = r->file[r->next - 1];
    YK_TRY(yk_stream_line(r->lines, &r->line, FILE_LIMIT, end, err));
    if (*end) {
        yk_stream_close(r->lines);
        r->lines = NULL;
        return YK_OK;
    }
    r->line_number++;
    json_t *row = json_loadb(r->line.data, r->line.len, 0, NULL);
    const json_t *text = json_object_get(row, "text");
    raw->kind = strcmp(r->corpus->kind, "code") == 0 ? YK_RAW_CODE : YK_RAW_PROSE;
    raw->source = yk_path("%s:%zu", path, r->line_number);
    if (json_is_string(text)) {
        yk_buf_add(&raw->bytes, json_string_value(text), json_string_length(text));
    } else {
        raw->reason = "malformed";
        yk_buf_add(&raw->bytes, r->line.data, r->line.len < 1000 ? r->line.len : 1000);
    }
    json_decref(row);
done:
    return st;
}

static yk_status next_page(yk_reader *r, yk_raw *raw, bool *end, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_warc_next(r->warc, raw, end, err));
    if (!*end) goto done;
    yk_warc_close(r->warc);
    r->warc = NULL;
done:
    return st;
}

yk_status yk_reader_next(yk_reader *r, yk_raw *raw, bool *end, yk_error *err)
{
    static const char *const jsonl[] = {".jsonl", ".ndjson", NULL}, *const warc[] = {".warc", ".wet", NULL};
    yk_status st = YK_OK;
    *raw = (yk_raw){0};
    *end = false;
    if (r->corpus->generate) {
        *end = r->generated == (uint64_t)r->corpus->generate;
        if (*end) return YK_OK;
        yk_generate_document(r->corpus->domain, r->seed, r->generated, &raw->bytes);
        raw->source = yk_path("generated:%llu", (unsigned long long)r->generated++);
        return YK_OK;
    }
    while (r->lines || r->warc) {
        YK_TRY(r->lines ? next_line(r, raw, end, err) : next_page(r, raw, end, err));
        if (!*end) return YK_OK;
    }
    *end = r->next == r->files;
    if (*end) return YK_OK;
    const char *path = r->file[r->next++];
    if (ends_in(path, jsonl)) {
        r->line_number = 0;
        YK_TRY(yk_stream_open(&r->lines, path, err));
        return yk_reader_next(r, raw, end, err);
    }
    if (ends_in(path, warc)) {
        YK_TRY(yk_warc_open(&r->warc, path, err));
        return yk_reader_next(r, raw, end, err);
    }
    raw->kind = kind_of(path, r->corpus->kind);
    raw->source = strdup(path);
    YK_TRY(yk_stream_all(path, &raw->bytes, FILE_LIMIT, err));
    if (raw->bytes.len && memchr(raw->bytes.data, 0, raw->bytes.len)) raw->reason = "binary";
done:
    if (st != YK_OK) yk_raw_free(raw);
    return st;
}
