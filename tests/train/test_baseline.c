/* The baseline's sizes against the gzip and xz programs. */
#include "base/file.h"
#include "base/rng.h"
#include "text/documents.h"
#include "train/baseline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXTS = 14 };

typedef struct fixture {
    char dir[256];
    yk_buf text[TEXTS];
} fixture;

/* Words of a vocabulary of `words`, in `length` bytes: from very regular to nearly random. */
static void make_text(yk_buf *out, uint64_t seed, size_t length, uint64_t words)
{
    yk_rng r = yk_rng_make(seed, YK_STREAM_TEST, 0);
    for (uint64_t i = 0; out->len < length; i++) {
        uint64_t word = yk_rng_below(&r, 2 * i, words) * yk_rng_below(&r, 2 * i + 1, words) / words;
        yk_rng letters = yk_rng_make(word, YK_STREAM_TEST, 1);
        uint64_t n = 2 + yk_rng_below(&letters, 0, 9);
        for (uint64_t k = 1; k <= n; k++)
            yk_buf_printf(out, "%c", 'a' + (char)yk_rng_below(&letters, k, 26));
        yk_buf_puts(out, i % 11 == 10 ? ".\n" : " ");
    }
    out->len = length;
}

static int set_up(void **state)
{
    static const size_t length[TEXTS] = {0,     1,     7,      100,    1000,   4096,   20000,
                                         65536, 65537, 131073, 180000, 262144, 300000, 700000};
    fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/yoke-baseline-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->dir)) return -1;
    for (int i = 0; i < TEXTS; i++)
        make_text(&f->text[i], (uint64_t)i, length[i],
                  i % 3 == 0   ? 300
                  : i % 3 == 1 ? 5000
                               : 200000);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < TEXTS; i++) yk_buf_free(&f->text[i]);
    int code = rmdir(f->dir);
    free(f);
    return code;
}

/* Bytes that `command < text` prints. */
static int64_t command_size(const fixture *f, int i, const char *command)
{
    yk_error err;
    char *in = yk_path("%s/in", f->dir), *line = yk_path("%s < %s/in", command, f->dir);
    assert_int_equal(
        yk_file_write(in, f->text[i].data ? f->text[i].data : "", f->text[i].len, &err), YK_OK);
    FILE *p = popen(line, "r");
    assert_non_null(p);
    char block[4096];
    int64_t total = 0;
    for (size_t n = 1; n > 0; total += (int64_t)n) n = fread(block, 1, sizeof block, p);
    assert_int_equal(pclose(p), 0);
    unlink(in);
    free(in);
    free(line);
    return total;
}

static char *write_documents(const fixture *f, int from, int to)
{
    yk_error err;
    yk_docwriter *w;
    char *path = yk_path("%s/a.jsonl.zst", f->dir);
    assert_int_equal(yk_docwriter_open(&w, path, &err), YK_OK);
    for (int i = from; i < to; i++) {
        yk_document doc = {.text = f->text[i].data ? f->text[i].data : "",
                           .length = f->text[i].len,
                           .source = "made",
                           .lang = "und"};
        char *copy = calloc(1, doc.length + 1);
        memcpy(copy, doc.text, doc.length);
        doc.text = copy;
        assert_int_equal(yk_docwriter_add(w, &doc, &err), YK_OK);
        free(copy);
    }
    assert_int_equal(yk_docwriter_commit(w, &err), YK_OK);
    return path;
}

static void test_sizes_equal_the_programs(void **state)
{
    const fixture *f = *state;
    if (system("command -v gzip xz > /dev/null 2>&1") != 0) skip();
    yk_team one = {.threads = 1};
    yk_error err;
    int64_t ours = 0, theirs = 0;
    for (int i = 0; i < TEXTS; i++) {
        char *path = write_documents(f, i, i + 1);
        yk_baseline sum = {0};
        assert_int_equal(yk_baseline_add(&sum, path, &one, NULL, &err), YK_OK);
        int64_t gzip = command_size(f, i, "gzip -9n"), xz = command_size(f, i, "xz -9e -T1");
        if (getenv("YK_TEST_VERBOSE"))
            printf("%8zu bytes: gzip %lld (program %lld), xz %lld (program %lld)\n", f->text[i].len,
                   (long long)sum.gzip, (long long)gzip, (long long)sum.xz, (long long)xz);
        assert_int_equal(sum.xz, xz);
        assert_in_range(sum.gzip, (uintmax_t)(gzip - 1 - gzip / 1000),
                        (uintmax_t)(gzip + 1 + gzip / 1000));
        ours += sum.gzip;
        theirs += gzip;
        unlink(path);
        free(path);
    }
    assert_in_range(ours, (uintmax_t)(theirs - theirs / 2000), (uintmax_t)(theirs + theirs / 2000));
}

static void test_team_size_does_not_matter(void **state)
{
    const fixture *f = *state;
    yk_error err;
    char *path = write_documents(f, 0, TEXTS);
    yk_baseline sum[3] = {{0}};
    for (int k = 0; k < 3; k++) {
        yk_team team = {.threads = 1 + 2 * k};
        assert_int_equal(yk_baseline_add(&sum[k], path, &team, NULL, &err), YK_OK);
    }
    assert_int_equal(sum[0].documents, TEXTS);
    assert_memory_equal(&sum[0], &sum[1], sizeof sum[0]);
    assert_memory_equal(&sum[0], &sum[2], sizeof sum[0]);
    yk_team two = {.threads = 2};
    double gzip, xz;
    assert_int_equal(yk_baseline_bpb(path, &two, &gzip, &xz, &err), YK_OK);
    assert_true(gzip == 8.0 * (double)sum[0].gzip / (double)sum[0].raw);
    assert_true(xz == 8.0 * (double)sum[0].xz / (double)sum[0].raw);
    unlink(path);
    free(path);
}

static void test_nothing_to_compress(void **state)
{
    const fixture *f = *state;
    yk_error err;
    yk_team one = {.threads = 1};
    double gzip, xz;
    char *path = write_documents(f, 0, 1);
    assert_int_equal(yk_baseline_bpb(path, &one, &gzip, &xz, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, path));
    unlink(path);
    assert_int_not_equal(yk_baseline_bpb(path, &one, &gzip, &xz, &err), YK_OK);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes_equal_the_programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_team_size_does_not_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_to_compress, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
