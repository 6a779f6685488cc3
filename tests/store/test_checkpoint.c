#include "world.h"

#include <fcntl.h>
#include <hdf5.h>

static void what_is_saved_is_loaded(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *document;
    save(w, 1);
    assert_int_equal(load(w), 1);
    save(w, 2);
    assert_int_equal(load(w), 2);
    assert_part_is_gone(w);
    assert_int_equal(yk_checkpoint_document(w->path, &document, &err), YK_OK);
    assert_true(json_real_value(json_object_get(json_object_get(document, "rng"), "state")) == 0.1);
    json_decref(document);
}

static void shapes_of_every_rank_and_no_elements(void **state)
{
    world *w = *state;
    yk_error err = {""};
    float x[24], y[24] = {0}, nothing[1], one = 5, back = 0;
    for (int i = 0; i < 24; i++) x[i] = i == 7 ? -0.0f : 1.0f / (float)(i - 3);
    yk_tensor out[] = {
        {"a", 4, {2, 3, 2, 2}, x}, {"b", 1, {0}, nothing}, {"c", 3, {1, 1, 1}, &one}};
    yk_tensor in[] = {
        {"c", 3, {1, 1, 1}, &back}, {"a", 4, {2, 3, 2, 2}, y}, {"b", 1, {0}, nothing}};
    json_t *document = json_object();
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, document, &err), YK_OK);
    assert_int_equal(yk_checkpoint_load(w->path, in, 3, NULL, &err), YK_OK);
    assert_memory_equal(x, y, sizeof x);
    assert_true(back == 5);
    assert_int_equal(yk_checkpoint_save(w->path, NULL, 0, document, &err), YK_OK);
    assert_int_equal(yk_checkpoint_load(w->path, NULL, 0, NULL, &err), YK_OK);
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, NULL, &err), YK_ERR_INTERNAL);
    out[0].name = "a/b";
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, document, &err), YK_ERR_INTERNAL);
    out[0].name = "c";
    assert_int_equal(yk_checkpoint_save(w->path, out, 3, document, &err), YK_ERR_IO);
    assert_int_equal(yk_checkpoint_load(w->path, NULL, 0, NULL, &err), YK_OK);
    json_decref(document);
}

static void same_content_same_file(void **state)
{
    world *w = *state;
    save(w, 3);
    yk_buf first = slurp(w->path);
    sleep(1); /* a stored time would have seconds */
    save(w, 4);
    save(w, 3);
    yk_buf second = slurp(w->path);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    yk_buf_free(&first), yk_buf_free(&second);
}

/* The tools of HDF5 and other languages see an ordinary file. */
static void hdf5_alone_reads_it(void **state)
{
    world *w = *state;
    float back[ROWS * COLUMNS];
    save(w, 5);
    hid_t file = H5Fopen(w->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "/tensors/model.layers.3.weight", H5P_DEFAULT);
    assert_true(dataset >= 0);
    assert_true(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    assert_memory_equal(back, w->data[3], sizeof back);
    H5Dclose(dataset), H5Fclose(file);
}

static void other_shapes_are_named(void **state)
{
    world *w = *state;
    yk_error err;
    float guard[2] = {3, 4};
    yk_tensor ask[] = {{"model.layers.0.weight", 2, {ROWS, COLUMNS}, guard},
                       {"model.layers.1.weight", 2, {ROWS, COLUMNS + 1}, NULL}};
    save(w, 1);
    assert_int_equal(yk_checkpoint_load(w->path, ask, 2, NULL, &err), YK_ERR_SHAPE);
    assert_non_null(strstr(err.text, "model.layers.1.weight"));
    assert_non_null(strstr(err.text, "[7,130]"));
    assert_non_null(strstr(err.text, "[7,131]"));
    assert_true(guard[0] == 3 && guard[1] == 4);
    ask[1] = (yk_tensor){"model.layers.99.weight", 1, {4}, NULL};
    assert_int_equal(yk_checkpoint_load(w->path, ask, 2, NULL, &err), YK_ERR_SHAPE);
    assert_non_null(strstr(err.text, "model.layers.99.weight"));
    assert_non_null(strstr(err.text, "[4]"));
}

/* What a function prints to standard output. */
static yk_buf printed(const world *w, int *differ, const char *other, int as_json, yk_status *st)
{
    yk_error err = {""};
    char *path = yk_path("%s/printed", w->dir);
    fflush(stdout);
    int keep = dup(STDOUT_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    *st = differ ? yk_checkpoint_diff(w->path, other, differ, &err)
                 : yk_checkpoint_inspect(w->path, as_json, &err);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep), close(fd);
    yk_buf b = slurp(path);
    free(path);
    return b;
}

static void inspect_describes(void **state)
{
    world *w = *state;
    yk_error err;
    yk_status st;
    float x[] = {1, -3, 4, 0.0f / 0.0f}, none[] = {1.0f / 0.0f};
    yk_tensor t[] = {{"b.weight", 2, {2, 2}, x}, {"a", 1, {1}, none}};
    json_t *document = json_pack("{s:i}", "step", 7);
    assert_int_equal(yk_checkpoint_save(w->path, t, 2, document, &err), YK_OK);
    json_decref(document);
    yk_buf text = printed(w, NULL, NULL, 1, &st);
    assert_int_equal(st, YK_OK);
    json_t *all = json_loads(text.data, 0, NULL), *rows = json_object_get(all, "tensors");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(all, "document"), "step")),
                     7);
    assert_int_equal(json_array_size(rows), 2);
    json_t *a = json_array_get(rows, 0), *b = json_array_get(rows, 1);
    assert_string_equal(json_string_value(json_object_get(a, "name")), "a");
    assert_true(json_is_null(json_object_get(a, "mean")));
    assert_int_equal(json_integer_value(json_object_get(b, "not_finite")), 1);
    assert_int_equal(json_integer_value(json_object_get(b, "elements")), 4);
    assert_true(json_real_value(json_object_get(b, "min")) == -3);
    assert_true(json_real_value(json_object_get(b, "max")) == 4);
    assert_true(json_real_value(json_object_get(b, "mean")) == 2.0 / 3);
    double rms = json_real_value(json_object_get(b, "rms"));
    assert_true(rms * rms > 26.0 / 3 - 1e-12 && rms * rms < 26.0 / 3 + 1e-12);
    json_decref(all);
    yk_buf_free(&text);
    text = printed(w, NULL, NULL, 0, &st);
    assert_int_equal(st, YK_OK);
    assert_non_null(strstr(text.data, "b.weight"));
    assert_non_null(strstr(text.data, "[2,2]"));
    assert_non_null(strstr(text.data, "1 not finite"));
    assert_non_null(strstr(text.data, "\"step\": 7"));
    yk_buf_free(&text);
}

static void diff_finds_the_first(void **state)
{
    world *w = *state;
    yk_error err;
    yk_status st;
    int differ = -1;
    char *other = yk_path("%s/b.h5", w->dir);
    json_t *document = json_pack("{s:i}", "version", 9);
    save(w, 1);
    assert_int_equal(save_as(w, other, 1, &err), YK_OK);
    yk_buf text = printed(w, &differ, other, 0, &st);
    assert_int_equal(st, YK_OK);
    assert_int_equal(differ, 0);
    assert_non_null(strstr(text.data, "all 24 tensors are equal"));
    yk_buf_free(&text);

    w->data[5][2 * COLUMNS + 11] = -0.5f; /* name order: 11 comes before 5 */
    w->data[11][3] += 1;
    w->data[11][3 * COLUMNS + 4] += 1;
    w->tensors[7].shape[0]--;
    assert_int_equal(yk_checkpoint_save(other, w->tensors, TENSORS - 1, document, &err), YK_OK);
    text = printed(w, &differ, other, 0, &st);
    assert_int_equal(st, YK_OK);
    assert_int_equal(differ, 4); /* 5, 7, 11, 23 */
    assert_non_null(strstr(text.data, "first difference: model.layers.11.weight[0,3]"));
    assert_non_null(strstr(text.data, "2 of its 910 elements"));
    assert_non_null(strstr(text.data, "4 of 24 tensors differ"));
    assert_non_null(strstr(text.data, "first under \"rng\""));
    yk_buf_free(&text);

    w->tensors[0].name = "a.new.one";
    assert_int_equal(yk_checkpoint_save(other, w->tensors, 1, document, &err), YK_OK);
    text = printed(w, &differ, other, 0, &st);
    assert_int_equal(differ, TENSORS + 1);
    assert_non_null(strstr(text.data, "a.new.one is only in"));
    yk_buf_free(&text);
    w->tensors[0].name = w->name[0];
    w->tensors[0].shape[1] = 2;
    assert_int_equal(yk_checkpoint_save(other, w->tensors, 1, document, &err), YK_OK);
    text = printed(w, &differ, other, 0, &st);
    assert_non_null(strstr(text.data, "[7,130]"));
    assert_non_null(strstr(text.data, "[7,2]"));
    yk_buf_free(&text);
    json_decref(document);
    free(other);
}

static void save_step(world *w, int64_t step)
{
    yk_error err;
    char *path = yk_checkpoint_step_path(w->dir, step);
    assert_int_equal(save_as(w, path, (int)(step % 1000), &err), YK_OK);
    free(path);
}

static void assert_latest(world *w, int64_t step)
{
    yk_error err = {""};
    char *path, *wanted = yk_checkpoint_step_path(w->dir, step);
    yk_status st = yk_checkpoint_latest(w->dir, &path, &err);
    if (st != YK_OK) fail_msg("%s", err.text);
    assert_string_equal(path, wanted);
    free(path), free(wanted);
}

static void damage_step(world *w, int64_t step)
{
    char *path = yk_checkpoint_step_path(w->dir, step);
    assert_int_equal(truncate(path, 5000), 0);
    free(path);
}

static void the_latest_whole_one_is_found(void **state)
{
    world *w = *state;
    yk_error err;
    char *path = w->dir, *nowhere = yk_path("%s/nowhere", w->dir);
    assert_int_equal(yk_checkpoint_latest(w->dir, &path, &err), YK_OK);
    assert_null(path);
    assert_int_equal(yk_checkpoint_latest(nowhere, &path, &err), YK_OK);
    assert_null(path);
    free(nowhere);
    save_step(w, 90);
    save_step(w, 1000000000); /* ten digits: not the order of names */
    save_step(w, 200);
    assert_latest(w, 1000000000);
    damage_step(w, 1000000000);
    assert_latest(w, 200);
    damage_step(w, 200);
    damage_step(w, 90);
    assert_int_equal(yk_checkpoint_latest(w->dir, &path, &err), YK_ERR_DAMAGED);
    assert_null(path);
    assert_non_null(strstr(err.text, "none of its 3 checkpoints is whole"));
}

static void pruning_keeps_the_newest(void **state)
{
    world *w = *state;
    yk_error err;
    static const char *const stays[] = {"best.h5", "step-5.h5", "step-000000005.h5x",
                                        "step--00000001.h5"};
    for (int step = 1; step <= 5; step++) save_step(w, step * 100);
    char *part = yk_path("%s/step-000000600.h5.part", w->dir);
    put(part, "x", 1);
    for (size_t i = 0; i < 4; i++) {
        char *path = yk_path("%s/%s", w->dir, stays[i]);
        put(path, "x", 1);
        free(path);
    }
    assert_int_equal(yk_checkpoint_prune(w->dir, 0, &err), YK_ERR_INTERNAL);
    assert_int_equal(yk_checkpoint_prune(w->dir, 3, &err), YK_OK);
    assert_int_equal(yk_checkpoint_prune(w->dir, 9, &err), YK_OK);
    for (int step = 1; step <= 5; step++) {
        char *path = yk_checkpoint_step_path(w->dir, step * 100);
        assert_int_equal(yk_exists(path), step > 2);
        free(path);
    }
    assert_false(yk_exists(part));
    for (size_t i = 0; i < 4; i++) {
        char *path = yk_path("%s/%s", w->dir, stays[i]);
        assert_true(yk_exists(path));
        free(path);
    }
    free(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_is_loaded),  TEST(shapes_of_every_rank_and_no_elements),
        TEST(same_content_same_file),   TEST(hdf5_alone_reads_it),
        TEST(other_shapes_are_named),   TEST(inspect_describes),
        TEST(diff_finds_the_first),     TEST(the_latest_whole_one_is_found),
        TEST(pruning_keeps_the_newest),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
