/* Files: whole reads, outputs written aside, synced and renamed, directory locks. */
#ifndef YK_BASE_FILE_H
#define YK_BASE_FILE_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdio.h>

/* Appends the whole file to `out`. Fails with YK_ERR_IO naming the path. */
yk_status yk_file_read(const char *path, yk_buf *out, yk_error *err);

/* Writes the bytes aside, syncs, renames over `path`. The old file survives any failure. */
yk_status yk_file_write(const char *path, const void *data, size_t n, yk_error *err);

/* Writes what `from` holds as `to`, in the same way. */
yk_status yk_file_copy(const char *from, const char *to, yk_error *err);

/* The same for a stream: open, write to `f` (errors may be left to commit), then commit or abandon. */
typedef struct yk_outfile {
    FILE *f;
    char *path, *aside;
} yk_outfile;
yk_status yk_outfile_open(yk_outfile *o, const char *path, yk_error *err);
yk_status yk_outfile_commit(yk_outfile *o, yk_error *err); /* releases `o` whatever happens */
void yk_outfile_abandon(yk_outfile *o);                    /* harmless after commit         */

/* Syncs a finished file and renames it over `path`, then syncs the directory. */
yk_status yk_file_publish(const char *aside, const char *path, yk_error *err);

yk_status yk_mkdirs(const char *path, yk_error *err); /* like mkdir -p */
bool yk_exists(const char *path);

/* A directory that is made aside, as `<path>.part`, then renamed; what a killed process left there is removed first.
 * YK_ERR_INPUT when `path` exists already and is no empty directory. */
typedef struct yk_outdir {
    char *path, *aside; /* files are written below `aside` */
} yk_outdir;
yk_status yk_outdir_open(yk_outdir *o, const char *path, yk_error *err);
yk_status yk_outdir_commit(yk_outdir *o, yk_error *err); /* releases `o` whatever happens */
void yk_outdir_abandon(yk_outdir *o);                    /* harmless after commit         */

/* Takes the lock of a directory for the life of the process (file `lock` inside, flock). Fails with
 * YK_ERR_BUSY naming the holder's process id. */
yk_status yk_dir_lock(const char *dir, int *handle, yk_error *err);
void yk_dir_unlock(int handle);

/* printf into a path of any length; free() it. NULL only when memory is exhausted. */
char *yk_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
