#include "store/archive.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct figures {
    double min, max, mean, rms; /* of the finite elements; 0 when there are none */
    int64_t finite;
    char hash[33]; /* which does not depend on how a set cuts the tensor */
} figures;

static figures figures_of(const float *x, int64_t n)
{
    figures f = {0};
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = x[i];
        if (!isfinite(v)) continue;
        if (!f.finite || v < f.min) f.min = v;
        if (!f.finite || v > f.max) f.max = v;
        sum += v;
        squares += v * v;
        f.finite++;
    }
    if (f.finite) {
        f.mean = sum / (double)f.finite;
        f.rms = sqrt(squares / (double)f.finite);
    }
    return f;
}

static yk_status read_figures(const yk_archive *a, const yk_stored *e, figures *f, yk_error *err)
{
    yk_status st = YK_OK;
    float *x = NULL;
    YK_NEW(x, e->count);
    yk_hash_sum sum = {0};
    YK_TRY(yk_archive_read(a, e, x, err));
    *f = figures_of(x, e->count);
    yk_hash_sum_add(&sum, x, (size_t)e->count * sizeof *x, 0);
    yk_hash_sum_hex(sum, f->hash);
done:
    free(x);
    return st;
}

static json_t *number(const figures *f, double value)
{
    return f->finite ? json_real(value) : json_null();
}

static yk_status as_json_text(const yk_archive *a, json_t *document, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *list = json_array();
    json_t *all = json_pack("{s:s, s:I, s:s, s:O, s:O}", "format", a->format, "bytes",
                            (json_int_t)a->seal.bytes, "xxh3", a->seal.hash, "tensors", list,
                            "document", document);
    if (!all) YK_FAIL(YK_ERR_MEMORY, "%s: no memory for its description", a->path);
    for (size_t i = 0; i < a->n; i++) {
        const yk_stored *e = &a->entry[i];
        figures f;
        YK_TRY(read_figures(a, e, &f, err));
        json_t *shape = json_array();
        for (int d = 0; d < e->rank; d++) json_array_append_new(shape, json_integer(e->shape[d]));
        json_t *row =
            json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:I, s:s}", "name", e->name, "shape",
                      shape, "elements", (json_int_t)e->count, "min", number(&f, f.min), "max",
                      number(&f, f.max), "mean", number(&f, f.mean), "rms", number(&f, f.rms),
                      "not_finite", (json_int_t)(e->count - f.finite), "xxh3", f.hash);
        if (json_array_append_new(list, row) != 0)
            YK_FAIL(YK_ERR_MEMORY, "%s: no memory for its description", a->path);
    }
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
done:
    json_decref(all);
    json_decref(list);
    return st;
}

static yk_status as_table(const yk_archive *a, json_t *document, yk_error *err)
{
    yk_status st = YK_OK;
    int wide = (int)strlen("tensor"), shapes = (int)strlen("shape");
    int64_t elements = 0;
    char shape[YK_SHAPE_TEXT], size[32];
    for (size_t i = 0; i < a->n; i++) {
        int name = (int)strlen(a->entry[i].name);
        int text = (int)strlen(yk_shape_text(a->entry[i].rank, a->entry[i].shape, shape));
        if (name > wide) wide = name;
        if (text > shapes) shapes = text;
        elements += a->entry[i].count;
    }
    printf("%-*s  %-*s %12s %13s %13s %13s %13s  xxh3\n", wide, "tensor", shapes, "shape",
           "elements", "min", "max", "mean", "rms");
    for (size_t i = 0; i < a->n; i++) {
        const yk_stored *e = &a->entry[i];
        figures f;
        YK_TRY(read_figures(a, e, &f, err));
        printf("%-*s  %-*s %12" PRId64 " %13.6g %13.6g %13.6g %13.6g  %s", wide, e->name, shapes,
               yk_shape_text(e->rank, e->shape, shape), e->count, f.min, f.max, f.mean, f.rms,
               f.hash);
        if (f.finite < e->count) printf("  %" PRId64 " not finite", e->count - f.finite);
        putchar('\n');
    }
    printf("\n%zu tensors, %" PRId64 " elements, %s, format %s, xxh3 %s\n\n", a->n, elements,
           yk_human_bytes((double)a->seal.bytes, size), a->format, a->seal.hash);
    json_dumpf(document, stdout, JSON_INDENT(2));
    putchar('\n');
done:
    return st;
}

yk_status yk_checkpoint_inspect(const char *path, int as_json, yk_error *err)
{
    yk_status st = YK_OK;
    yk_archive a;
    json_t *document = NULL;
    YK_TRY(yk_archive_open(&a, path, err));
    YK_TRY(yk_archive_document(&a, &document, err));
    YK_TRY(as_json ? as_json_text(&a, document, err) : as_table(&a, document, err));
    if (fflush(stdout) != 0) YK_FAIL(YK_ERR_IO, "standard output: cannot write");
done:
    json_decref(document);
    yk_archive_close(&a);
    return st;
}
