#include "store/checkpoint.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP "step-%09" PRId64
#define PART ".part"

/* In the order in which they are removed: a set without its manifest is none. */
typedef enum kind { MANIFEST, WHOLE, PIECE, ASIDE } kind;

typedef struct found {
    int64_t step;
    kind kind;
    char *name;
} found;

typedef struct listing {
    found *item; /* newest first, then by kind */
    size_t n, cap;
} listing;

char *yk_checkpoint_step_path(const char *dir, int64_t step)
{
    return yk_path("%s/" STEP ".h5", dir, step);
}

char *yk_checkpoint_set_path(const char *dir, int64_t step)
{
    return yk_path("%s/" STEP ".json", dir, step);
}

char *yk_checkpoint_rank_path(const char *dir, int64_t step, int rank, int ranks)
{
    return yk_path("%s/" STEP ".r%dof%d.h5", dir, step, rank, ranks);
}

/* Whether a name is exactly what the functions above make, or that and `.part`. */
static bool is_ours(const char *name, found *f)
{
    static const char *const format[] = {[MANIFEST] = STEP ".json%s", [WHOLE] = STEP ".h5%s",
                                         [PIECE] = STEP ".r%dof%d.h5%s"};
    char again[96];
    int rank = 0, ranks = 0;
    const size_t n = strlen(name), tail = strlen(PART);
    const char *end = n > tail && strcmp(name + n - tail, PART) == 0 ? PART : "";
    errno = 0;
    f->step = strncmp(name, "step-", 5) == 0 ? strtoll(name + 5, NULL, 10) : -1;
    if (errno || f->step < 0) return false;
    const char *piece = strstr(name, ".r");
    if (piece) sscanf(piece, ".r%dof%d", &rank, &ranks);
    for (kind k = MANIFEST; k <= PIECE; k++) {
        if (k == PIECE) snprintf(again, sizeof again, format[k], f->step, rank, ranks, end);
        else snprintf(again, sizeof again, format[k], f->step, end);
        f->kind = *end ? ASIDE : k;
        if (strcmp(again, name) == 0) return true;
    }
    return false;
}

static int newest_first(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->step != y->step) return x->step > y->step ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void free_listing(listing *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->item[i].name);
    free(l->item);
}

/* A directory that is not there has none. */
static yk_status list(const char *dir, listing *l, yk_error *err)
{
    yk_status st = YK_OK;
    found f;
    *l = (listing){0};
    DIR *d = opendir(dir);
    if (!d && errno == ENOENT) goto done;
    if (!d) YK_FAIL(YK_ERR_IO, "%s: cannot list: %s", dir, strerror(errno));
    for (struct dirent *e; (errno = 0, e = readdir(d));) {
        if (!is_ours(e->d_name, &f)) continue;
        if (!(f.name = yk_path("%s", e->d_name))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        YK_ROOM(l->item, l->n, l->cap);
        l->item[l->n++] = f;
    }
    if (errno) YK_FAIL(YK_ERR_IO, "%s: cannot list: %s", dir, strerror(errno));
    if (l->n) qsort(l->item, l->n, sizeof *l->item, newest_first);
done:
    if (d) closedir(d);
    return st;
}

static bool is_checkpoint(const found *f)
{
    return f->kind == MANIFEST || f->kind == WHOLE;
}

yk_status yk_checkpoint_latest(const char *dir, char **path, yk_error *err)
{
    yk_status st = YK_OK;
    listing l;
    char *candidate = NULL;
    size_t tried = 0, all = 0;
    *path = NULL;
    YK_TRY(list(dir, &l, err));
    for (size_t i = 0; i < l.n; i++) all += is_checkpoint(&l.item[i]);
    for (size_t i = 0; i < l.n; i++) {
        if (!is_checkpoint(&l.item[i])) continue;
        candidate = yk_path("%s/%s", dir, l.item[i].name);
        if (!candidate) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        st = yk_checkpoint_check(candidate, err);
        if (st == YK_OK) {
            *path = candidate;
            candidate = NULL;
        }
        if (st != YK_ERR_DAMAGED) goto done;
        yk_warn("%s%s", err->text, ++tried < all ? "; trying the one before it" : "");
        free(candidate);
        candidate = NULL;
    }
    if (all)
        YK_FAIL(YK_ERR_DAMAGED, "%s: none of its %zu checkpoints is whole; restore one from a copy, or delete them to "
                "begin again", dir, all);
done:
    free(candidate);
    free_listing(&l);
    return st;
}

/* The oldest step that stays. */
static int64_t last_kept(const listing *l, int keep)
{
    int64_t step = INT64_MAX;
    for (size_t i = 0; i < l->n && keep > 0; i++) {
        if (!is_checkpoint(&l->item[i]) || l->item[i].step == step) continue;
        step = l->item[i].step;
        keep--;
    }
    return keep > 0 ? 0 : step;
}

/* Whether a file stays: `manifest` is the newest step with a manifest, of those listed so far. */
static bool stays(const found *f, int64_t oldest, int64_t manifest)
{
    return f->kind != ASIDE && f->step >= oldest && (f->kind != PIECE || f->step == manifest);
}

yk_status yk_checkpoint_prune(const char *dir, int keep, yk_error *err)
{
    yk_status st = YK_OK;
    listing l;
    int64_t manifest = -1;
    char *path = NULL;
    if (keep < 1) return yk_fail(err, YK_ERR_INTERNAL, "%s: asked to keep %d checkpoints", dir, keep);
    YK_TRY(list(dir, &l, err));
    const int64_t oldest = last_kept(&l, keep);
    for (size_t i = 0; i < l.n; i++) {
        if (l.item[i].kind == MANIFEST) manifest = l.item[i].step;
        if (stays(&l.item[i], oldest, manifest)) continue;
        if (!(path = yk_path("%s/%s", dir, l.item[i].name))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        if (unlink(path) != 0 && errno != ENOENT) YK_FAIL(YK_ERR_IO, "%s: cannot remove: %s", path, strerror(errno));
        free(path);
        path = NULL;
    }
done:
    free(path);
    free_listing(&l);
    return st;
}
