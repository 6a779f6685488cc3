#include "store/checkpoint.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/seal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_FORMAT "step-%09" PRId64 ".h5"

char *yk_checkpoint_step_path(const char *dir, int64_t step)
{
    return yk_path("%s/" STEP_FORMAT, dir, step);
}

/* The step in a name that is exactly what yk_checkpoint_step_path makes of it, plus `suffix`; else
 * -1. */
static int64_t step_of(const char *name, const char *suffix)
{
    char again[64];
    if (strncmp(name, "step-", 5) != 0) return -1;
    errno = 0;
    int64_t step = strtoll(name + 5, NULL, 10);
    if (errno || step < 0) return -1;
    snprintf(again, sizeof again, STEP_FORMAT "%s", step, suffix);
    return strcmp(again, name) == 0 ? step : -1;
}

typedef struct steps {
    int64_t *step;
    size_t n, cap;
} steps;

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* All steps with a file of that suffix, newest first. A directory that is not there has none. */
static yk_status list_steps(const char *dir, const char *suffix, steps *s, yk_error *err)
{
    yk_status st = YK_OK;
    *s = (steps){0};
    DIR *d = opendir(dir);
    if (!d && errno == ENOENT) goto done;
    if (!d) YK_FAIL(YK_ERR_IO, "%s: cannot list: %s", dir, strerror(errno));
    for (struct dirent *e; (errno = 0, e = readdir(d));) {
        int64_t step = step_of(e->d_name, suffix);
        if (step < 0) continue;
        YK_ROOM(s->step, s->n, s->cap);
        s->step[s->n++] = step;
    }
    if (errno) YK_FAIL(YK_ERR_IO, "%s: cannot list: %s", dir, strerror(errno));
    if (s->n) qsort(s->step, s->n, sizeof *s->step, newest_first);
done:
    if (d) closedir(d);
    return st;
}

yk_status yk_checkpoint_latest(const char *dir, char **path, yk_error *err)
{
    yk_status st = YK_OK;
    steps s;
    char *candidate = NULL;
    *path = NULL;
    YK_TRY(list_steps(dir, "", &s, err));
    for (size_t i = 0; i < s.n; i++) {
        candidate = yk_checkpoint_step_path(dir, s.step[i]);
        if (!candidate) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        st = yk_seal_check(candidate, NULL, err);
        if (st == YK_OK) {
            *path = candidate;
            candidate = NULL;
        }
        if (st != YK_ERR_DAMAGED) goto done;
        yk_warn("%s%s", err->text, i + 1 < s.n ? "; trying the one before it" : "");
        free(candidate);
        candidate = NULL;
    }
    if (s.n)
        YK_FAIL(
            YK_ERR_DAMAGED,
            "%s: none of its %zu checkpoints is whole; restore one from a copy, or delete them to "
            "begin again",
            dir, s.n);
done:
    free(candidate);
    free(s.step);
    return st;
}

static yk_status remove_steps(const char *dir, const char *suffix, size_t keep, yk_error *err)
{
    yk_status st = YK_OK;
    steps s;
    char *path = NULL;
    YK_TRY(list_steps(dir, suffix, &s, err));
    for (size_t i = keep; i < s.n; i++) {
        path = yk_path("%s/" STEP_FORMAT "%s", dir, s.step[i], suffix);
        if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        if (unlink(path) != 0 && errno != ENOENT)
            YK_FAIL(YK_ERR_IO, "%s: cannot remove: %s", path, strerror(errno));
        free(path);
        path = NULL;
    }
done:
    free(path);
    free(s.step);
    return st;
}

yk_status yk_checkpoint_prune(const char *dir, int keep, yk_error *err)
{
    if (keep < 1)
        return yk_fail(err, YK_ERR_INTERNAL, "%s: asked to keep %d checkpoints", dir, keep);
    yk_status st = remove_steps(dir, "", (size_t)keep, err);
    return st == YK_OK ? remove_steps(dir, ".part", 0, err) : st;
}
