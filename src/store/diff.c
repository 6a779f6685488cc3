#include "store/archive.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* "[3,17]" for element i of a row-major tensor. */
static const char *place_text(const yk_stored *e, int64_t i, char out[YK_SHAPE_TEXT])
{
    int64_t place[YK_MAX_RANK];
    for (int d = e->rank - 1; d >= 0; d--) {
        place[d] = i % e->shape[d];
        i /= e->shape[d];
    }
    return yk_shape_text(e->rank, place, out);
}

static bool equal_shapes(const yk_stored *x, const yk_stored *y)
{
    return x->rank == y->rank && memcmp(x->shape, y->shape, sizeof x->shape) == 0;
}

/* Shows where two tensors of one shape differ first, in x[i] and y[i], and in how many elements. */
static void show_elements(const yk_archive *a, const yk_archive *b, const yk_stored *e, const float *x, const float *y)
{
    int64_t first = -1, differ = 0;
    char place[YK_SHAPE_TEXT];
    for (int64_t i = 0; i < e->count; i++)
        if (bits_of(x[i]) != bits_of(y[i])) {
            if (first < 0) first = i;
            differ++;
        }
    printf("first difference: %s%s, and in %" PRId64 " of its %" PRId64 " elements\n", e->name,
           place_text(e, first, place), differ, e->count);
    printf("  %.9g (0x%08" PRIx32 ") in %s\n", (double)x[first], bits_of(x[first]), a->path);
    printf("  %.9g (0x%08" PRIx32 ") in %s\n", (double)y[first], bits_of(y[first]), b->path);
}

static yk_status compare(const yk_archive *a, const yk_archive *b, const yk_stored *ea, const yk_stored *eb, bool shows,
                         bool *same, yk_error *err)
{
    yk_status st = YK_OK;
    float *x = NULL, *y = NULL;
    YK_NEW(x, ea->count);
    YK_NEW(y, eb->count);
    YK_TRY(yk_archive_read(a, ea, x, err));
    YK_TRY(yk_archive_read(b, eb, y, err));
    *same = memcmp(x, y, (size_t)ea->count * sizeof *x) == 0;
    if (shows && !*same) show_elements(a, b, ea, x, y);
done:
    free(x);
    free(y);
    return st;
}

/* ea or eb is NULL where the tensor is in one file only. */
static void show_shapes(const yk_archive *a, const yk_archive *b, const yk_stored *ea, const yk_stored *eb)
{
    char sa[YK_SHAPE_TEXT], sb[YK_SHAPE_TEXT];
    if (!ea || !eb)
        printf("first difference: %s is only in %s\n", (ea ? ea : eb)->name, (ea ? a : b)->path);
    else
        printf("first difference: %s is %s in %s, %s in %s\n", ea->name, yk_shape_text(ea->rank, ea->shape, sa),
               a->path, yk_shape_text(eb->rank, eb->shape, sb), b->path);
}

/* Walks both lists in name order; shows the first difference, counts all. */
static yk_status walk(const yk_archive *a, const yk_archive *b, int *differ, size_t *names,
                      yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0, j = 0; i < a->n || j < b->n; ++*names) {
        int order = i == a->n ? 1 : j == b->n ? -1 : strcmp(a->entry[i].name, b->entry[j].name);
        const yk_stored *ea = order <= 0 ? &a->entry[i++] : NULL;
        const yk_stored *eb = order >= 0 ? &b->entry[j++] : NULL;
        bool same = false;
        if (ea && eb && equal_shapes(ea, eb)) YK_TRY(compare(a, b, ea, eb, *differ == 0, &same, err));
        else if (*differ == 0) show_shapes(a, b, ea, eb);
        *differ += !same;
    }
done:
    return st;
}

/* The first key, in sorted order, under which two objects differ. */
static const char *first_key(json_t *x, json_t *y)
{
    const char *key, *first = NULL;
    json_t *value;
    json_object_foreach(x, key, value) if (!json_equal(value, json_object_get(y, key)) &&
                                           (!first || strcmp(key, first) < 0)) first = key;
    json_object_foreach(y, key, value) if (!json_object_get(x, key) &&
                                           (!first || strcmp(key, first) < 0)) first = key;
    return first;
}

yk_status yk_checkpoint_diff(const char *path_a, const char *path_b, int *differ, yk_error *err)
{
    yk_status st = YK_OK;
    yk_archive a, b = {.file = -1, .tensors = -1};
    json_t *da = NULL, *db = NULL;
    size_t names = 0;
    *differ = 0;
    YK_TRY(yk_archive_open(&a, path_a, err));
    YK_TRY(yk_archive_open(&b, path_b, err));
    YK_TRY(walk(&a, &b, differ, &names, err));
    YK_TRY(yk_archive_document(&a, &da, err));
    YK_TRY(yk_archive_document(&b, &db, err));
    if (*differ) printf("%d of %zu tensors differ\n", *differ, names);
    else printf("all %zu tensors are equal, bit for bit\n", names);
    const char *key = first_key(da, db);
    if (key) printf("the documents differ, first under \"%s\"\n", key);
    if (fflush(stdout) != 0) YK_FAIL(YK_ERR_IO, "standard output: cannot write");
done:
    json_decref(da);
    json_decref(db);
    yk_archive_close(&a);
    yk_archive_close(&b);
    return st;
}
