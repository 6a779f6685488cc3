#include "store/seal.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK ((size_t)1 << 20)
#define REMEDY "; use another checkpoint, or a copy of this one"

yk_status yk_refused(const char *path, const char *what, int why, yk_error *err)
{
    const char *remedy = "";
    if (why == ENOSPC || why == EDQUOT)
        remedy = "; free some space or choose another --run-dir, then run the same command again";
    else if (why == EFBIG) remedy = "; raise the limit of the file size (ulimit -f)";
    return yk_fail(err, YK_ERR_IO, "%s: cannot %s: %s%s", path, what, strerror(why), remedy);
}

yk_status yk_put(int fd, const char *path, const void *data, uint64_t bytes, uint64_t at,
                 yk_error *err)
{
    const char *p = data;
    while (bytes > 0) {
        ssize_t n = pwrite(fd, p, bytes < BLOCK ? bytes : BLOCK, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return yk_refused(path, "write", n < 0 ? errno : ENOSPC, err);
        p += n;
        bytes -= (uint64_t)n;
        at += (uint64_t)n;
    }
    return YK_OK;
}

yk_status yk_reserve(int fd, const char *path, const char *what, uint64_t bytes, yk_error *err)
{
    yk_status st = YK_OK;
    struct statvfs fs;
    struct rlimit limit;
    if (fstatvfs(fd, &fs) != 0) YK_TRY(yk_refused(path, "ask for the free space", errno, err));
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (bytes > available)
        YK_FAIL(YK_ERR_IO,
                "%s: no space for %s: %" PRIu64 " bytes are needed, %" PRIu64 " are available; free some space or "
                "choose another --run-dir, then run the same command again",
                path, what, bytes, available);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur)
        YK_FAIL(YK_ERR_IO,
                "%s: %s is too large: %" PRIu64 " bytes are needed, the limit of this process is %" PRIu64
                "; raise it (ulimit -f)",
                path, what, bytes, (uint64_t)limit.rlim_cur);
    if (bytes && fallocate(fd, 0, 0, (off_t)bytes) != 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR)
        YK_TRY(yk_refused(path, "reserve its space", errno, err));
done:
    return st;
}

yk_status yk_get(int fd, const char *path, void *data, size_t n, int64_t at, size_t *got,
                 yk_error *err)
{
    for (*got = 0; *got < n;) {
        ssize_t r = pread(fd, (char *)data + *got, n - *got, (off_t)at + (off_t)*got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0)
            return yk_fail(err, errno == EIO ? YK_ERR_DAMAGED : YK_ERR_IO,
                           "%s: cannot read at byte %" PRId64 ": %s", path, at + (int64_t)*got,
                           strerror(errno));
        if (r == 0) break;
        *got += (size_t)r;
    }
    return YK_OK;
}

/* Length and hash of what follows the seal. */
static yk_status measure(int fd, const char *path, yk_seal *seal, yk_error *err)
{
    yk_status st = YK_OK;
    char *block = NULL;
    yk_digest *d = yk_digest_new();
    if (!d) YK_FAIL(YK_ERR_MEMORY, "%s: no memory for its hash", path);
    YK_NEW(block, BLOCK);
    seal->bytes = YK_SEAL_BYTES;
    for (size_t got = BLOCK; got == BLOCK; seal->bytes += (int64_t)got) {
        YK_TRY(yk_get(fd, path, block, BLOCK, seal->bytes, &got, err));
        yk_digest_add(d, block, got);
    }
    yk_digest_hex(d, seal->hash);
done:
    yk_digest_free(d);
    free(block);
    return st;
}

static void render(const yk_seal *seal, char text[YK_SEAL_BYTES])
{
    char line[128];
    int n = snprintf(line, sizeof line, "%s\nbytes %020" PRId64 "\nxxh3 %s\n", YK_CHECKPOINT_FORMAT,
                     seal->bytes - YK_SEAL_BYTES, seal->hash);
    memset(text, ' ', YK_SEAL_BYTES);
    memcpy(text, line, (size_t)n);
    text[YK_SEAL_BYTES - 1] = '\n';
}

yk_status yk_seal_write(int fd, const char *path, yk_error *err)
{
    yk_seal seal;
    char text[YK_SEAL_BYTES];
    yk_status st = measure(fd, path, &seal, err);
    if (st != YK_OK) return st;
    render(&seal, text);
    return yk_put(fd, path, text, sizeof text, 0, err);
}

/* What can be told without reading the rest. */
static yk_status check_head(const char *path, const char *text, int64_t size, yk_error *err)
{
    const char *format = YK_CHECKPOINT_FORMAT "\n", *family = strrchr(format, '-') + 1;
    char digits[21] = "";
    if (memcmp(text, format, (size_t)(family - format)) != 0)
        return yk_fail(err, YK_ERR_DAMAGED,
                       "%s: does not begin like a checkpoint: it is none, or is damaged" REMEDY,
                       path);
    if (memcmp(text, format, strlen(format)) != 0)
        return yk_fail(
            err, YK_ERR_DAMAGED,
            "%s: its format is not %s, the one this program reads: it was written by another "
            "version, or is damaged" REMEDY,
            path, YK_CHECKPOINT_FORMAT);
    memcpy(digits, text + strlen(format) + strlen("bytes "), 20);
    int64_t wanted = strtoll(digits, NULL, 10);
    if (wanted != size - YK_SEAL_BYTES)
        return yk_fail(err, YK_ERR_DAMAGED,
                       "%s: %s: %" PRId64 " bytes follow its seal, which says %" PRId64 REMEDY,
                       path, wanted > size - YK_SEAL_BYTES ? "truncated" : "damaged",
                       size - YK_SEAL_BYTES, wanted);
    return YK_OK;
}

yk_status yk_seal_check(const char *path, yk_seal *seal, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    yk_seal found;
    char text[YK_SEAL_BYTES], right[YK_SEAL_BYTES];
    size_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        YK_FAIL(errno == ENOENT ? YK_ERR_INPUT : YK_ERR_IO, "%s: cannot open: %s", path,
                strerror(errno));
    if (fstat(fd, &info) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        YK_FAIL(YK_ERR_INPUT, "%s: is no file; a checkpoint was expected", path);
    YK_TRY(yk_get(fd, path, text, sizeof text, 0, &got, err));
    if (got < sizeof text)
        YK_FAIL(YK_ERR_DAMAGED, "%s: truncated: %zu bytes are too few for a checkpoint" REMEDY,
                path, got);
    YK_TRY(check_head(path, text, info.st_size, err));
    YK_TRY(measure(fd, path, &found, err));
    render(&found, right);
    if (memcmp(text, right, sizeof text) != 0)
        YK_FAIL(YK_ERR_DAMAGED, "%s: damaged: its content hashes to %s, its seal says %.32s" REMEDY,
                path, found.hash,
                text + strlen(YK_CHECKPOINT_FORMAT "\nbytes ") + 20 + strlen("\nxxh3 "));
    if (seal) *seal = found;
done:
    if (fd >= 0) close(fd);
    return st;
}
