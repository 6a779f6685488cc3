/* What pretraining needs against what there is, and what the system says that there is. */
#include "base/cgroup.h"
#include "base/file.h"
#include "train/memory.h"
#include "train/session.h"
#include "train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const yk_team team = {.threads = 2};

static void load(yk_recipe *r, const char *width)
{
    char line[64];
    snprintf(line, sizeof line, "model.width=%s", width);
    const char *const set[] = {line, "model.layers=6", "tokenizer.vocab=512", "pretrain.seq=128", "pretrain.batch=16",
                               "lanes=2"};
    yk_error err = {""};
    if (yk_recipe_load(r, NULL, set, sizeof set / sizeof *set, &err) != YK_OK) fail_msg("%s", err.text);
}

static const yk_kernels *kernels(void)
{
    return yk_kernels_at(0, YK_FP32);
}

static int64_t needs_of_ranks(const yk_recipe *r, const char *policy, int64_t micro, int64_t zero, yk_ranks ranks)
{
    yk_needs n;
    yk_error err;
    const yk_setting with = {policy, micro, zero};
    assert_int_equal(yk_needs_of(&n, r, 512, &with, ranks, kernels(), &team, &err), YK_OK);
    if (n.total != INT64_MAX)
        assert_int_equal(n.total, n.weights + n.gradients + n.optimiser + n.activations + n.packed + n.scratch);
    return n.total;
}

static int64_t needs(const yk_recipe *r, const char *policy, int64_t micro)
{
    return needs_of_ranks(r, policy, micro, 0, (yk_ranks){1, 1});
}

/* Refused with so many bytes, with `fragment` as the remedy; NULL: accepted. */
static void ranks_with_room(const yk_recipe *r, yk_ranks ranks, bool own, int64_t bytes, const char *fragment)
{
    yk_error err = {""};
    yk_room room = {bytes, own, "the test"};
    yk_status st = yk_needs_fit(r, 512, ranks, &room, kernels(), &team, &err);
    assert_int_equal(st, fragment ? YK_ERR_MEMORY : YK_OK);
    if (!fragment) return;
    assert_non_null(strstr(err.text, "(the test)"));
    if (!strstr(err.text, fragment)) fail_msg("%s: wanted %s", err.text, fragment);
}

static void with_room(const yk_recipe *r, int64_t bytes, const char *fragment)
{
    ranks_with_room(r, (yk_ranks){1, 1}, false, bytes, fragment);
}

static void says_what_would_fit(void **state)
{
    (void)state;
    yk_recipe r;
    load(&r, "128");
    int64_t micro = yk_micro_batch(&r), all = needs(&r, "none", micro);
    assert_true(micro == 8);
    assert_true(needs(&r, "attention", micro) < all && needs(&r, "block", micro) < needs(&r, "attention", micro));
    with_room(&r, all, NULL);
    with_room(&r, all - 1, "with `recompute: attention` it would be");
    with_room(&r, needs(&r, "attention", micro) - 1, "with `recompute: block` it would be");
    with_room(&r, needs(&r, "block", 6), "with `recompute: block` and `pretrain.micro_batch: 6` it would be");
    with_room(&r, needs(&r, "block", 1), "`pretrain.micro_batch: 1` it would be");
    with_room(&r, needs(&r, "block", 1) - 1, "the model is too large for this machine");
    yk_recipe_free(&r);
}

static void ranks_of_a_node_share_its_memory(void **state)
{
    (void)state;
    yk_recipe r;
    load(&r, "128");
    const yk_ranks two = {2, 2}, apart = {2, 1};
    const int64_t micro = yk_micro_batch(&r);
    int64_t of[4];
    for (int zero = 0; zero <= 3; zero++) of[zero] = needs_of_ranks(&r, "none", micro, zero, two);
    assert_true(of[1] < of[0] && of[2] == of[1] && of[3] < of[2]); /* two lanes of two ranks: no sum waits */
    ranks_with_room(&r, two, false, 2 * of[0], NULL);
    ranks_with_room(&r, two, false, 2 * of[0] - 1, "the 2 ranks of this node need");
    ranks_with_room(&r, two, false, 2 * of[0] - 1, "with `zero: 1` it would be");
    ranks_with_room(&r, two, true, of[0], NULL); /* the limit of a process is its own */
    ranks_with_room(&r, apart, false, of[0], NULL);
    ranks_with_room(&r, two, false, 2 * of[1] - 1, "with `zero: 3` it would be");
    r.lanes = 8;
    const int64_t wait_whole = needs_of_ranks(&r, "none", 2, 1, two), wait_slice = needs_of_ranks(&r, "none", 2, 2, two);
    assert_true(wait_slice < wait_whole); /* four lanes a rank: two sums wait */
    yk_recipe_free(&r);
}

static void what_is_allocated_is_what_is_planned(void **state)
{
    (void)state;
    yk_recipe r;
    yk_model *m;
    yk_needs n;
    yk_error err;
    const yk_ranks alone = {1, 1};
    load(&r, "64");
    yk_model_shape shape = yk_model_shape_of(&r, 512);
    assert_int_equal(yk_model_new(&m, &shape, 4 * 128, true, kernels(), &team, &err), YK_OK);
    assert_int_equal(yk_model_pack(m, true, &err), YK_OK); /* steps have several passes */
    const yk_setting with = {"none", 4, 0}, whole = {"none", r.pretrain_batch, 0};
    assert_int_equal(yk_needs_of(&n, &r, 512, &with, alone, kernels(), &team, &err), YK_OK);
    assert_int_equal(n.gradients, 2 * yk_model_gradient_floats(m) * 4); /* two lanes: one sum waits */
    assert_int_equal(n.optimiser, 2 * yk_model_floats(m) * 4);
    assert_int_equal(n.total, yk_memory_sum(yk_model_memory(m)) + n.gradients / 2 + n.optimiser + 48 * 4 * 128);
    r.lanes = 1, r.pretrain_prompts.n = 0;
    assert_int_equal(yk_needs_of(&n, &r, 512, &whole, alone, kernels(), &team, &err), YK_OK);
    assert_int_equal(n.packed, 0); /* one pass a step, no samples */
    r.lanes = 2, r.pretrain_local_steps = 10; /* weights and moments a lane, outer velocity; a pass a lane */
    const yk_setting half = {"none", r.pretrain_batch / 2, 0};
    for (int ranks = 1; ranks <= 2; ranks++) {
        assert_int_equal(yk_needs_of(&n, &r, 512, &half, (yk_ranks){ranks, 1}, kernels(), &team, &err), YK_OK);
        assert_int_equal(n.optimiser, (1 + 3 * 2 / ranks) * yk_model_floats(m) * 4);
        assert_int_equal(n.packed, 0);
    }
    yk_model_free(m);
    yk_recipe_free(&r);
}

static void sizes_beyond_counting(void **state)
{
    (void)state;
    yk_recipe r;
    load(&r, "64");
    r.model_width = 65536, r.model_layers = 1024, r.model_ffn = 1 << 20, r.pretrain_seq = 1 << 20;
    assert_true(needs(&r, "none", 4096) == INT64_MAX);
    with_room(&r, INT64_MAX - 1, "the model is too large for this machine");
    yk_recipe_free(&r);
}

static void put(const char *root, const char *path, const char *text)
{
    yk_error err;
    char *file = yk_path("%s/%s", root, path), *dir = strdup(file);
    *strrchr(dir, '/') = 0;
    assert_int_equal(yk_mkdirs(dir, &err), YK_OK);
    assert_int_equal(yk_file_write(file, text, strlen(text), &err), YK_OK);
    free(file);
    free(dir);
}

static void least_of_machine_and_groups(void **state)
{
    (void)state;
    char root[] = "/tmp/yoke-room-XXXXXX", remove[64];
    const int64_t page = sysconf(_SC_PAGESIZE);
    assert_non_null(mkdtemp(root));
    assert_true(yk_room_left("").bytes > 0);
    int64_t all = yk_room_left(root).bytes; /* RLIMIT_AS alone */
    put(root, "proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    1000 kB\n");
    put(root, "proc/self/statm", "50 7 3 1 0 2 0\n");
    assert_int_equal(yk_room_left(root).bytes, 1024000);
    put(root, "proc/self/cgroup", "0::/a/b\n");
    put(root, "sys/fs/cgroup/a/b/memory.max", "max\n");
    assert_int_equal(yk_room_left(root).bytes, 1024000);
    put(root, "sys/fs/cgroup/a/memory.max", "900000\n");
    yk_room room = yk_room_left(root);
    assert_int_equal(room.bytes, 900000 - 7 * page);
    assert_non_null(strstr(room.of, "control group"));
    put(root, "proc/self/cgroup", "3:cpu:/\n2:hugetlb,memory:/job/1\n0::/\n");
    put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "800000\n");
    assert_int_equal(yk_room_left(root).bytes, 800000 - 7 * page);
    put(root, "sys/fs/cgroup/memory/job/1/memory.limit_in_bytes", "7\n");
    assert_int_equal(yk_room_left(root).bytes, 0);
    assert_true(all >= 1024000);
    put(root, "proc/self/cgroup", "0::/a/b\n");
    put(root, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_true(yk_cgroup_processors(root) == 0);
    put(root, "sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    assert_true(yk_cgroup_processors(root) == 1.5);
    put(root, "proc/self/cgroup", "3:cpuset:/\n4:cpu,cpuacct:/job\n");
    put(root, "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put(root, "sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    assert_true(yk_cgroup_processors(root) == 0);
    put(root, "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n");
    assert_true(yk_cgroup_processors(root) == 0.5);
    snprintf(remove, sizeof remove, "rm -r %s", root);
    assert_int_equal(system(remove), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_would_fit),
        cmocka_unit_test(ranks_of_a_node_share_its_memory),
        cmocka_unit_test(what_is_allocated_is_what_is_planned),
        cmocka_unit_test(sizes_beyond_counting),
        cmocka_unit_test(least_of_machine_and_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
