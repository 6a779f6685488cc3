#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

char *yk_path(const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0) text = NULL;
    va_end(ap);
    return text;
}

bool yk_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

yk_status yk_file_read(const char *path, yk_buf *out, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    FILE *f = fopen(path, "rb");
    if (!f) YK_FAIL(YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fileno(f), &info) == 0 && S_ISDIR(info.st_mode))
        YK_FAIL(YK_ERR_IO, "%s: is a directory, a file was expected", path);
    for (size_t n = 1; n > 0;) {
        yk_buf_reserve(out, 1 << 16);
        n = fread(out->data + out->len, 1, out->cap - out->len - 1, f);
        out->len += n;
        out->data[out->len] = 0;
    }
    if (ferror(f)) YK_FAIL(YK_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
done:
    if (f) fclose(f);
    return st;
}

static yk_status sync_directory_of(const char *path, yk_error *err)
{
    char *dir = strdup(path);
    if (!dir) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    char *slash = strrchr(dir, '/');
    if (slash) slash[slash == dir] = 0;
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY);
    if (fd >= 0) {
        fsync(fd); /* some filesystems refuse to sync a directory; the rename stands all the same */
        close(fd);
    }
    free(dir);
    return YK_OK;
}

static yk_status sync_path(const char *path, yk_error *err)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0) return yk_fail(err, YK_ERR_IO, "%s: cannot open to sync: %s", path, strerror(errno));
    int bad = fsync(fd), why = errno;
    close(fd);
    return bad ? yk_fail(err, YK_ERR_IO, "%s: cannot sync: %s", path, strerror(why)) : YK_OK;
}

yk_status yk_file_publish(const char *aside, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(sync_path(aside, err));
    if (rename(aside, path) != 0)
        YK_FAIL(YK_ERR_IO, "%s: cannot rename to %s: %s", aside, path, strerror(errno));
    YK_TRY(sync_directory_of(path, err));
done:
    return st;
}

yk_status yk_outfile_open(yk_outfile *o, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    *o = (yk_outfile){0};
    o->path = yk_path("%s", path);
    o->aside = yk_path("%s.part", path);
    if (!o->path || !o->aside) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    o->f = fopen(o->aside, "wb");
    if (!o->f) YK_FAIL(YK_ERR_IO, "%s: cannot create: %s", o->aside, strerror(errno));
done:
    if (st != YK_OK) yk_outfile_abandon(o);
    return st;
}

yk_status yk_outfile_commit(yk_outfile *o, yk_error *err)
{
    yk_status st = YK_OK;
    bool bad = ferror(o->f) || fflush(o->f) != 0;
    int why = errno;
    if (fclose(o->f) != 0 && !bad) {
        bad = true;
        why = errno;
    }
    o->f = NULL;
    if (bad)
        YK_FAIL(YK_ERR_IO, "%s: cannot write: %s%s", o->aside, strerror(why),
                why == ENOSPC ? "; free some space and run the same command again" : "");
    YK_TRY(yk_file_publish(o->aside, o->path, err));
    free(o->aside);
    o->aside = NULL;
done:
    yk_outfile_abandon(o);
    return st;
}

void yk_outfile_abandon(yk_outfile *o)
{
    if (o->f) fclose(o->f);
    if (o->aside) unlink(o->aside);
    free(o->path);
    free(o->aside);
    *o = (yk_outfile){0};
}

yk_status yk_file_write(const char *path, const void *data, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yk_outfile o;
    YK_TRY(yk_outfile_open(&o, path, err));
    fwrite(data, 1, n, o.f);
    YK_TRY(yk_outfile_commit(&o, err));
done:
    return st;
}

yk_status yk_file_copy(const char *from, const char *to, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf bytes = {0};
    YK_TRY(yk_file_read(from, &bytes, err));
    YK_TRY(yk_file_write(to, bytes.data ? bytes.data : "", bytes.len, err));
done:
    yk_buf_free(&bytes);
    return st;
}

yk_status yk_mkdirs(const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    char *part = strdup(path);
    if (!part) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p) continue;
        char keep = *p;
        *p = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            YK_FAIL(YK_ERR_IO, "%s: cannot create the directory: %s", part, strerror(errno));
        *p = keep;
        if (!keep) break;
    }
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        YK_FAIL(YK_ERR_IO, "%s: is not a directory", path);
done:
    free(part);
    return st;
}

static bool is_free(const char *path)
{
    struct stat info;
    bool empty = true;
    if (lstat(path, &info) != 0) return errno == ENOENT;
    DIR *d = opendir(path);
    if (!d) return false;
    for (const struct dirent *e; empty && (e = readdir(d));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(d);
    return empty;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)kind, (void)place;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

yk_status yk_outdir_open(yk_outdir *o, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    *o = (yk_outdir){yk_path("%.*s", (int)n, path), NULL};
    if (!o->path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!is_free(o->path))
        YK_FAIL(YK_ERR_INPUT, "%s: exists already and is not empty; remove it, or choose another place", o->path);
    o->aside = yk_path("%s.part", o->path);
    if (!o->aside) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    remove_tree(o->aside);
    YK_TRY(yk_mkdirs(o->aside, err));
done:
    if (st != YK_OK) yk_outdir_abandon(o);
    return st;
}

yk_status yk_outdir_commit(yk_outdir *o, yk_error *err)
{
    yk_status st = yk_file_publish(o->aside, o->path, err);
    if (st == YK_OK) {
        free(o->aside);
        o->aside = NULL;
    }
    yk_outdir_abandon(o);
    return st;
}

void yk_outdir_abandon(yk_outdir *o)
{
    if (o->aside) remove_tree(o->aside);
    free(o->path);
    free(o->aside);
    *o = (yk_outdir){0};
}

yk_status yk_dir_lock(const char *dir, int *handle, yk_error *err)
{
    yk_status st = YK_OK;
    char holder[32] = "";
    char *path = yk_path("%s/lock", dir);
    int fd = -1;
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) YK_FAIL(YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) YK_FAIL(YK_ERR_IO, "%s: cannot lock: %s", path, strerror(errno));
        ssize_t n = read(fd, holder, sizeof holder - 1);
        holder[n > 0 ? n : 0] = 0;
        YK_FAIL(YK_ERR_BUSY,
                "%s: in use by process %s; wait for it, stop it, or choose another --run-dir", dir,
                holder[0] ? holder : "(unknown)");
    }
    int n = snprintf(holder, sizeof holder, "%ld", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, holder, (size_t)n, 0) != n)
        YK_FAIL(YK_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    *handle = fd;
    fd = -1;
done:
    if (fd >= 0) close(fd);
    free(path);
    return st;
}

void yk_dir_unlock(int handle)
{
    if (handle >= 0) close(handle);
}
