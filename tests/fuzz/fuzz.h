/* What fuzz targets share. A target declares LLVMFuzzerTestOneInput and gives the input to a parser; libFuzzer
 * (`make fuzz`) or driver.c (`make check`) calls it. Whatever is wrong is a crash: a sanitizer's, or abort(). */
#ifndef YK_TESTS_FUZZ_H
#define YK_TESTS_FUZZ_H

#include "base/file.h"
#include "base/mem.h"
#include "base/status.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void fuzz_must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

/* Success, or a refusal with a message that does not blame the program or the machine. */
static inline bool fuzz_status(yk_status st, const yk_error *err)
{
    fuzz_must(st == YK_OK || err->text[0], "a refusal has a message");
    fuzz_must(st != YK_ERR_INTERNAL && st != YK_ERR_MEMORY, err->text);
    return st == YK_OK;
}

/* A text of its own allocation, so that reading behind its end is found. free() it. */
static inline char *fuzz_text(const uint8_t *data, size_t n)
{
    char *text = malloc(n + 1);
    fuzz_must(text != NULL, "there is memory");
    if (n) memcpy(text, data, n);
    text[n] = 0;
    return text;
}

/* Cuts the input at its first NUL: the text before it, and what is behind it. */
typedef struct fuzz_halves {
    char *first, *second; /* NUL-terminated */
    size_t first_n, second_n;
} fuzz_halves;

static inline fuzz_halves fuzz_cut(const uint8_t *data, size_t n)
{
    const uint8_t *nul = n ? memchr(data, 0, n) : NULL;
    const size_t at = nul ? (size_t)(nul - data) : n, rest = nul ? n - at - 1 : 0;
    return (fuzz_halves){fuzz_text(data, at), fuzz_text(nul ? nul + 1 : data, rest), at, rest};
}

static inline void fuzz_cut_free(fuzz_halves *h)
{
    free(h->first);
    free(h->second);
}

typedef struct fuzz_place {
    char dir[64], *path;
    int fd;
} fuzz_place;

static inline fuzz_place *fuzz_place_of(void)
{
    static fuzz_place place;
    return &place;
}

static inline void fuzz_remove(void)
{
    fuzz_place *p = fuzz_place_of();
    unlink(p->path);
    rmdir(p->dir);
    free(p->path);
    p->path = NULL;
}

/* The path of a file `name` that holds the input, in a folder of its own, in memory where the system has /dev/shm. A
 * target has one such file. */
static inline const char *fuzz_file(const char *name, const uint8_t *data, size_t n)
{
    fuzz_place *p = fuzz_place_of();
    if (!p->path) {
        const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(p->dir, sizeof p->dir, "%s/yoke-fuzz.XXXXXX", top);
        fuzz_must(mkdtemp(p->dir) != NULL, "a folder can be made");
        fuzz_must((p->path = yk_path("%s/%s", p->dir, name)) != NULL, "there is memory");
        p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        fuzz_must(p->fd >= 0 && atexit(fuzz_remove) == 0, "a file can be made");
    }
    fuzz_must(ftruncate(p->fd, 0) == 0 && pwrite(p->fd, data, n, 0) == (ssize_t)n, "the file can be written");
    return p->path;
}

#endif
