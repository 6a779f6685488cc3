/* What the tests of src/store share: a directory and a set of tensors that carry a version. */
#ifndef YK_TESTS_STORE_WORLD_H
#define YK_TESTS_STORE_WORLD_H

#include "base/file.h"
#include "store/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory and a set of tensors whose content depends on `version`. */
enum { TENSORS = 24, ROWS = 7, COLUMNS = 130 };
typedef struct world {
    char dir[64], *path;
    char name[TENSORS][32];
    float data[TENSORS][ROWS * COLUMNS];
    yk_tensor tensors[TENSORS];
} world;

static inline void fill(world *w, int version)
{
    for (int t = 0; t < TENSORS; t++)
        for (int i = 0; i < ROWS * COLUMNS; i++)
            w->data[t][i] = (float)version + (float)t / 32 + (float)i / 65536;
}

static inline int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    world *w = calloc(1, sizeof *w);
    *state = w;
    snprintf(w->dir, sizeof w->dir, "%s/yoke-test-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(w->dir)) return -1;
    w->path = yk_path("%s/a.h5", w->dir);
    for (int t = 0; t < TENSORS; t++) {
        snprintf(w->name[t], sizeof w->name[t], "model.layers.%d.weight", t);
        w->tensors[t] = (yk_tensor){w->name[t], 2, {ROWS, COLUMNS}, w->data[t]};
    }
    fill(w, 1);
    return 0;
}

static inline int tear_down(void **state)
{
    world *w = *state;
    char *command = yk_path("rm -r %s", w->dir);
    int bad = system(command);
    free(command), free(w->path), free(w);
    return bad;
}

static inline yk_status save_as(world *w, const char *path, int version, yk_error *err)
{
    json_t *document = json_pack("{s:i, s:s, s:{s:f}}", "version", version, "text",
                                 "gr\xc3\xbc\xc3\x9f", "rng", "state", 0.1);
    fill(w, version);
    yk_status st = yk_checkpoint_save(path, w->tensors, TENSORS, document, err);
    json_decref(document);
    return st;
}

static inline void save(world *w, int version)
{
    yk_error err = {""};
    yk_status st = save_as(w, w->path, version, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
}

/* Loads; checks that all of it is of one version, which is returned. */
static inline int load(world *w)
{
    yk_error err = {""};
    json_t *document;
    memset(w->data, 0xff, sizeof w->data);
    yk_status st = yk_checkpoint_load(w->path, w->tensors, TENSORS, &document, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
    int version = (int)json_integer_value(json_object_get(document, "version"));
    assert_string_equal(json_string_value(json_object_get(document, "text")), "gr\xc3\xbc\xc3\x9f");
    json_decref(document);
    world *expected = calloc(1, sizeof *expected);
    fill(expected, version);
    assert_memory_equal(expected->data, w->data, sizeof w->data);
    free(expected);
    return version;
}

static inline yk_status try_load(world *w, yk_error *err)
{
    json_t *document = (json_t *)w;
    yk_status st = yk_checkpoint_load(w->path, w->tensors, TENSORS, &document, err);
    if (st == YK_OK) json_decref(document);
    else assert_null(document);
    return st;
}

static inline void assert_part_is_gone(world *w)
{
    char *part = yk_path("%s.part", w->path);
    assert_false(yk_exists(part));
    free(part);
}

static inline yk_buf slurp(const char *path)
{
    yk_error err;
    yk_buf b = {0};
    assert_int_equal(yk_file_read(path, &b, &err), YK_OK);
    return b;
}

static inline void put(const char *path, const void *data, size_t n)
{
    yk_error err;
    assert_int_equal(yk_file_write(path, data, n, &err), YK_OK);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#endif
