#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/math64.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/team.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The known answers of the Philox paper's reference implementation (philox4x32-10). */
static void philox_known_answers(void **state)
{
    (void)state;
    yk_rng zero = {{0, 0}, 0}, ones = {{UINT32_MAX, UINT32_MAX}, UINT64_MAX};
    uint32_t out[4];
    yk_rng_block(&zero, 0, out);
    assert_int_equal(out[0], 0x6627e8d5u);
    assert_int_equal(out[1], 0xe169c58du);
    assert_int_equal(out[2], 0xbc57ac4cu);
    assert_int_equal(out[3], 0x9b00dbd8u);
    yk_rng_block(&ones, UINT64_MAX, out);
    assert_int_equal(out[0], 0x408f276du);
    assert_int_equal(out[1], 0x41c83b0eu);
    assert_int_equal(out[2], 0xa20bc7c6u);
    assert_int_equal(out[3], 0x6d5451fdu);
}

static void normal_has_unit_moments(void **state)
{
    (void)state;
    yk_rng r = yk_rng_make(7, YK_STREAM_TEST, 0);
    double sum = 0, squares = 0;
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double x = yk_rng_normal(&r, (uint64_t)i);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / N) < 0.01);
    assert_true(fabs(squares / N - 1) < 0.015);
}

static void permutation_is_one(void **state)
{
    (void)state;
    yk_rng r = yk_rng_make(7, YK_STREAM_TEST, 3);
    uint64_t perm[1000];
    char seen[1000] = {0};
    yk_rng_permutation(&r, perm, 1000);
    for (int i = 0; i < 1000; i++) seen[perm[i]]++;
    for (int i = 0; i < 1000; i++) assert_int_equal(seen[i], 1);
}

static double ulps(double got, double want)
{
    return fabs(got - want) / (nextafter(fabs(want), INFINITY) - fabs(want));
}

static void math64_is_accurate(void **state)
{
    (void)state;
    yk_rng r = yk_rng_make(7, YK_STREAM_TEST, 1);
    for (uint64_t i = 0; i < 200000; i++) {
        double x = (yk_rng_uniform(&r, 2 * i) - 0.5) * 200, a = yk_rng_uniform(&r, 2 * i + 1) * 1e5, s, c;
        assert_true(ulps(yk_exp64(x), exp(x)) < 4);
        assert_true(ulps(yk_log64(a + 1e-9), log(a + 1e-9)) < 4 || fabs(log(a + 1e-9)) < 1e-3);
        yk_sincos64(a, &s, &c);
        assert_true(fabs(s - sin(a)) < 4e-16);
        assert_true(fabs(c - cos(a)) < 4e-16);
        assert_true(fabs(yk_pow64(10000, x / 200) / pow(10000, x / 200) - 1) < 1e-14);
    }
}

static void sha256_known_answer(void **state)
{
    (void)state;
    char hex[65];
    yk_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void digest_ignores_pieces(void **state)
{
    (void)state;
    char whole[33], pieces[33];
    yk_digest *d = yk_digest_new();
    yk_digest_add(d, "hello ", 6);
    yk_digest_add(d, "world", 5);
    yk_digest_hex(d, pieces);
    yk_digest_free(d);
    yk_hash128_hex("hello world", 11, whole);
    assert_string_equal(whole, pieces);
}

static void context_is_prepended(void **state)
{
    (void)state;
    yk_error err;
    assert_int_equal(yk_fail(&err, YK_ERR_INPUT, "line %d", 3), YK_ERR_INPUT);
    assert_int_equal(yk_context(&err, YK_ERR_INPUT, "%s", "a.txt"), YK_ERR_INPUT);
    assert_string_equal(err.text, "a.txt: line 3");
    char *big = malloc(4000);
    memset(big, 'x', 3999);
    big[3999] = 0;
    yk_fail(&err, YK_ERR_INPUT, "%s", big);
    yk_context(&err, YK_ERR_INPUT, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    free(big);
}

static void files_are_replaced_whole(void **state)
{
    (void)state;
    yk_error err;
    char dir[] = "/tmp/yoke-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *deep = yk_path("%s/a/b/c", dir), *file = yk_path("%s/a/b/c/f", dir);
    assert_int_equal(yk_mkdirs(deep, &err), YK_OK);
    assert_int_equal(yk_file_write(file, "one", 3, &err), YK_OK);
    yk_outfile o;
    assert_int_equal(yk_outfile_open(&o, file, &err), YK_OK);
    fputs("two", o.f);
    yk_outfile_abandon(&o);
    yk_buf b = {0};
    assert_int_equal(yk_file_read(file, &b, &err), YK_OK);
    assert_string_equal(b.data, "one");
    yk_buf_free(&b);
    assert_int_equal(yk_file_read(dir, &b, &err), YK_ERR_IO);
    assert_non_null(strstr(err.text, dir));
    yk_buf_free(&b);
    char *clean = yk_path("rm -r %s", dir);
    assert_int_equal(system(clean), 0);
    free(clean), free(deep), free(file);
}

static json_t *row_of(const char *bytes, size_t n)
{
    return json_pack("{s:o, s:o, s:o}", "text", yk_json_of_bytes(bytes, n), "x", yk_json_number_or_null(0.5), "y",
                     yk_json_number_or_null(NAN));
}

/* What is written can be read again, whatever it is of. */
static void json_is_written_so_that_it_can_be_read(void **state)
{
    (void)state;
    static const char bytes[] = "a\0\xFF\xC3\xA9\xC3\"";
    yk_error err;
    yk_buf line = {0};
    char path[] = "/tmp/yoke-test-XXXXXX";
    FILE *f = fdopen(mkstemp(path), "wb");
    assert_non_null(f);
    assert_int_equal(yk_json_add_line(f, path, row_of(bytes, sizeof bytes - 1), &err), YK_OK);
    assert_int_equal(yk_json_add_line(f, path, row_of(NULL, 0), &err), YK_OK);
    assert_int_equal(yk_json_add_line(f, path, NULL, &err), YK_ERR_MEMORY);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(yk_file_read(path, &line, &err), YK_OK);
    assert_string_equal(line.data, "{\"text\":\"a\xEF\xBF\xBD\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\\\"\","
                                   "\"x\":0.5,\"y\":null}\n"
                                   "{\"text\":\"\",\"x\":0.5,\"y\":null}\n");
    json_t *row = row_of(bytes, sizeof bytes - 1);
    assert_int_equal(yk_json_write(path, row, &err), YK_OK);
    json_t *back = json_load_file(path, 0, NULL);
    assert_true(json_equal(row, back));
    assert_int_equal(yk_json_write(path, NULL, &err), YK_ERR_MEMORY);
    json_decref(row), json_decref(back);
    yk_buf_free(&line);
    unlink(path);
}

static void a_locked_directory_names_its_holder(void **state)
{
    (void)state;
    yk_error err;
    char dir[] = "/tmp/yoke-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    int mine, other, status;
    assert_int_equal(yk_dir_lock(dir, &mine, &err), YK_OK);
    pid_t child = fork();
    if (child == 0) {
        char pid[32];
        snprintf(pid, sizeof pid, "%d", (int)getppid());
        _exit(yk_dir_lock(dir, &other, &err) == YK_ERR_BUSY && strstr(err.text, pid) ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    yk_dir_unlock(mine);
    char *clean = yk_path("rm -r %s", dir);
    assert_int_equal(system(clean), 0);
    free(clean);
}

static void mark(const void *args, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    char *seen = *(char *const *)args;
    for (int64_t i = begin; i < end; i++) seen[i]++;
}

static void teams_cover_every_row_once(void **state)
{
    (void)state;
    yk_error err;
    char seen[1000], *at = seen;
    for (int threads = 1; threads <= 5; threads++)
        for (int grain = 0; grain < 40; grain += 13) {
            yk_team team;
            assert_int_equal(yk_team_make(&team, threads, &err), YK_OK);
            memset(seen, 0, sizeof seen);
            yk_team_rows(&team, 997, grain, mark, &at);
            for (int i = 0; i < 1000; i++) assert_int_equal(seen[i], i < 997);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(normal_has_unit_moments),
        cmocka_unit_test(permutation_is_one),
        cmocka_unit_test(math64_is_accurate),
        cmocka_unit_test(sha256_known_answer),
        cmocka_unit_test(digest_ignores_pieces),
        cmocka_unit_test(context_is_prepended),
        cmocka_unit_test(files_are_replaced_whole),
        cmocka_unit_test(json_is_written_so_that_it_can_be_read),
        cmocka_unit_test(a_locked_directory_names_its_holder),
        cmocka_unit_test(teams_cover_every_row_once),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
