#include "sets.h"

#include "store/archive.h"

#include <sys/stat.h>

static void any_number_of_ranks_is_loaded(void **state)
{
    world *w = *state;
    yk_error err = {""};
    char hash[33] = "";
    for (int ranks = 1; ranks <= 8; ranks++) {
        yk_archive a;
        save_set(w, 50, ranks, 3);
        use_set(w, 50);
        assert_int_equal(load(w), 3);
        assert_int_equal(yk_archive_open(&a, w->path, &err), YK_OK);
        assert_int_equal(a.n, TENSORS);
        assert_int_equal(a.members, ranks);
        if (*hash) assert_string_equal(a.entry[7].hash, hash);
        strcpy(hash, a.entry[7].hash);
        yk_archive_close(&a);
    }
}

static void a_sum_of_hashes_tells_places(void **state)
{
    float x[40], y[40];
    yk_hash_sum whole = {0}, parts = {0}, other = {0};
    (void)state;
    for (int i = 0; i < 40; i++) x[i] = (float)i;
    yk_hash_sum_add(&whole, x, sizeof x, 0);
    yk_hash_sum_add(&parts, x + 32, 8 * sizeof *x, 2); /* any order, any cut between lines */
    yk_hash_sum_add(&parts, x, 32 * sizeof *x, 0);
    assert_memory_equal(&whole, &parts, sizeof whole);
    memcpy(y, x + 16, 16 * sizeof *x); /* two lines exchanged */
    memcpy(y + 16, x, 16 * sizeof *x);
    memcpy(y + 32, x + 32, 8 * sizeof *x);
    yk_hash_sum_add(&other, y, sizeof y, 0);
    assert_memory_not_equal(&whole, &other, sizeof whole);
}

static void diff_sees_through_the_cut(void **state)
{
    world *w = *state;
    yk_error err = {""};
    int differ = -1;
    char *whole = yk_path("%s/whole.h5", w->dir);
    save_set(w, 50, 4, 1);
    use_set(w, 50);
    assert_int_equal(save_as(w, whole, 1, &err), YK_OK);
    assert_int_equal(yk_checkpoint_diff(w->path, whole, &differ, &err), YK_OK);
    assert_int_equal(differ, 0);
    w->data[11][3] += 1;
    assert_int_equal(yk_checkpoint_save(whole, w->tensors, TENSORS, json_object(), &err), YK_OK);
    assert_int_equal(yk_checkpoint_diff(w->path, whole, &differ, &err), YK_OK);
    assert_int_equal(differ, 1);
    free(whole);
}

static void assert_damaged(world *w, const char *word)
{
    yk_error err = {""};
    assert_int_equal(try_load(w, &err), YK_ERR_DAMAGED);
    assert_non_null(strstr(err.text, w->path));
    if (!strstr(err.text, word)) fail_msg("%s", err.text);
}

static void a_missing_file_is_told(void **state)
{
    world *w = *state;
    char *path = rank_path(w, 50, 1, 4), *moved = yk_path("%s/moved", w->dir);
    yk_error err = {""};
    save_set(w, 50, 4, 1);
    use_set(w, 50);
    assert_int_equal(rename(path, moved), 0);
    assert_damaged(w, "step-000000050.r1of4.h5");
    assert_int_equal(yk_checkpoint_check(w->path, &err), YK_ERR_DAMAGED);
    assert_int_equal(rename(moved, path), 0);
    assert_int_equal(load(w), 1);
    assert_int_equal(yk_checkpoint_check(w->path, &err), YK_OK);
    free(path), free(moved);
}

/* Whole, but of another step; and with it another manifest, made for it. */
static void a_file_of_another_set_is_told(void **state)
{
    world *w = *state;
    save_set(w, 50, 4, 1);
    use_set(w, 50);
    fill(w, 2);
    save_rank(w, 50, 2, 4, 2);
    assert_damaged(w, "is another than it was written with");
    fill(w, 1);
    save_manifest(w, 50, 4);
    assert_damaged(w, "hashes to");
}

static void holes_and_overlaps_are_told(void **state)
{
    world *w = *state;
    char *from = rank_path(w, 50, 1, 3), *to = rank_path(w, 50, 1, 4);
    yk_error err;
    save_set(w, 50, 4, 1);
    save_set(w, 50, 3, 1);
    use_set(w, 50);
    assert_int_equal(yk_file_copy(from, to, &err), YK_OK); /* a third among quarters */
    save_manifest(w, 50, 4);
    assert_damaged(w, "is not whole");
    assert_int_equal(yk_checkpoint_save(to, w->tensors, 1, json_object(), &err), YK_OK);
    save_manifest(w, 50, 4);
    assert_damaged(w, "no part of a tensor");
    free(from), free(to);
}

static void what_is_no_manifest_is_refused(void **state)
{
    static const char *const text[] = {"", "{", "[]", "{}", "{\"format\": \"yoke-checkpoint-set-1\"}",
                                       "{\"format\": \"yoke-checkpoint-set-2\"}"};
    world *w = *state;
    yk_error err = {""};
    use_set(w, 50);
    assert_int_equal(try_load(w, &err), YK_ERR_INPUT);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        put(w->path, text[i], strlen(text[i]));
        assert_damaged(w, "");
    }
    assert_int_equal(unlink(w->path), 0);
    assert_int_equal(mkfifo(w->path, 0600), 0);
    assert_int_equal(try_load(w, &err), YK_ERR_INPUT);
}

static void a_part_has_one_name(void **state)
{
    static const char *const none[] = {"a", "a[0:]", "a[:1]", "a[1:1]", "a[2:1]", "a[-1:2]", "a[0:1", "a[00:1]",
                                       "a[0:1]x", "a[0:99999999999999999999]"};
    char name[YK_MAX_TENSOR_NAME + 1];
    int64_t begin, end;
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) assert_false(yk_part_of(none[i], name, &begin, &end));
    assert_true(yk_part_of("a[0][16:32]", name, &begin, &end));
    assert_string_equal(name, "a[0]");
    assert_true(begin == 16 && end == 32);
}

static void assert_latest_is(world *w, const char *name)
{
    yk_error err = {""};
    char *path;
    if (yk_checkpoint_latest(w->dir, &path, &err) != YK_OK) fail_msg("%s", err.text);
    assert_string_equal(strrchr(path, '/') + 1, name);
    free(path);
}

static void the_one_before_a_damaged_set_is_taken(void **state)
{
    world *w = *state;
    yk_error err;
    char *one = yk_checkpoint_step_path(w->dir, 40), *part = rank_path(w, 60, 0, 2);
    assert_int_equal(save_as(w, one, 1, &err), YK_OK);
    save_set(w, 50, 4, 1);
    save_set(w, 60, 2, 1);
    assert_latest_is(w, "step-000000060.json");
    assert_int_equal(truncate(part, 9000), 0);
    assert_latest_is(w, "step-000000050.json");
    free(part);
    part = yk_checkpoint_set_path(w->dir, 50);
    assert_int_equal(unlink(part), 0); /* files without a manifest are no checkpoint */
    assert_latest_is(w, "step-000000040.h5");
    free(part), free(one);
}

static bool is_there(const world *w, const char *name)
{
    char *path = yk_path("%s/%s", w->dir, name);
    const bool there = yk_exists(path);
    free(path);
    return there;
}

static void sets_are_pruned_whole(void **state)
{
    static const struct {
        const char *name;
        bool stays;
    } row[] = {{"step-000000010.h5", false},        {"step-000000020.json", false},
               {"step-000000020.r0of2.h5", false},  {"step-000000020.r1of2.h5", false},
               {"step-000000030.json", true},       {"step-000000030.r0of2.h5", true},
               {"step-000000030.r1of2.h5", true},   {"step-000000040.h5", true},
               {"step-000000050.r0of2.h5", false},  {"step-000000050.json.part", false},
               {"step-000000060.r3of4.h5.part", false}, {"step-000000050.r00of2.h5", true},
               {"step-000000050.json.parts", true}};
    world *w = *state;
    yk_error err;
    char *path;
    save_set(w, 20, 2, 1);
    save_set(w, 30, 2, 1);
    save_rank(w, 50, 0, 2, 1); /* of a save that was killed */
    for (int64_t step = 10; step <= 40; step += 30) {
        path = yk_checkpoint_step_path(w->dir, step);
        assert_int_equal(save_as(w, path, 1, &err), YK_OK);
        free(path);
    }
    for (size_t i = sizeof row / sizeof *row - 4; i < sizeof row / sizeof *row; i++) {
        path = yk_path("%s/%s", w->dir, row[i].name);
        put(path, "x", 1);
        free(path);
    }
    assert_int_equal(yk_checkpoint_prune(w->dir, 2, &err), YK_OK);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (is_there(w, row[i].name) != row[i].stays) fail_msg("%s", row[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_number_of_ranks_is_loaded), TEST(a_sum_of_hashes_tells_places), TEST(diff_sees_through_the_cut),
        TEST(a_missing_file_is_told), TEST(a_file_of_another_set_is_told), TEST(holes_and_overlaps_are_told),
        TEST(what_is_no_manifest_is_refused), TEST(a_part_has_one_name), TEST(the_one_before_a_damaged_set_is_taken),
        TEST(sets_are_pruned_whole),
    };
    return cmocka_run_group_tests_name("checkpoint set", tests, NULL, NULL);
}
