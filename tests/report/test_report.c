/* The report: well-formed whatever the run directory holds. The page is XHTML-compatible, so that
 * libxml2's XML parser, which forgives nothing, is the judge. */
#include "base/file.h"
#include "report/html.h"
#include "report/report.h"
#include "report/svg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include <cmocka.h>

static const char *const files[] = {"summary.json",         "metrics.jsonl", "samples.jsonl",
                                    "recipe.yaml",          "manifest.json", "clean/report.json",
                                    "tokenizer/report.json", "tune/trials.jsonl", "propose/report.json"};
static const char *const folders[] = {"clean", "tokenizer", "tune", "propose"};
enum { FILES = sizeof files / sizeof *files, FOLDERS = sizeof folders / sizeof *folders };

typedef struct fixture {
    char dir[256];
    yk_buf content[FILES];
} fixture;

static void put(const fixture *f, const char *file, const char *text, size_t n)
{
    yk_error err;
    char *path = yk_path("%s/%s", f->dir, file);
    assert_int_equal(yk_file_write(path, text, n, &err), YK_OK);
    free(path);
}

static void put_all(const fixture *f)
{
    for (int i = 0; i < FILES; i++) put(f, files[i], f->content[i].data, f->content[i].len);
}

static void drop(const fixture *f, const char *file)
{
    char *path = yk_path("%s/%s", f->dir, file);
    unlink(path);
    free(path);
}

static void make_metrics(yk_buf *b, int steps)
{
    for (int s = 0; s < steps; s++) {
        double loss = 3 + 5 * exp(-s / 100.0);
        yk_buf_printf(
            b,
            "{\"type\":\"step\",\"step\":%d,\"loss\":%.6f,\"bpb\":null,\"lr\":%.8f,\"grad_norm\":%."
            "4f,"
            "\"tokens\":%d,\"tokens_per_s\":%d,\"seconds\":1,\"skipped\":%s,\"masked_loss\":%s}\n",
            s + 1, loss, 1e-3 / (s + 1), 1 + loss, 2048 * (s + 1), 9000 + s % 7,
            s == 30 ? "true" : "false", s % 2 ? "null" : "4.5");
        if (s % 50 == 0)
            yk_buf_printf(b,
                          "{\"type\":\"eval\",\"step\":%d,\"tokens\":%d,\"bpb\":%.4f,\"by_domain\":"
                          "{\"a<b\":%.4f,"
                          "\"c&d\":%.4f},\"masked_accuracy\":0.2,\"final\":false}\n",
                          s, 2048 * s, loss / 2, loss / 2.2, loss / 1.8);
    }
    yk_buf_puts(b, "{\"type\":\"mixture\",\"domains\":{\"a<b\":{\"wanted\":0.5,\"realised\":0.48,"
                   "\"epochs\":1.5}}}\n");
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/yoke-report-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->dir)) return -1;
    for (int i = 0; i < FOLDERS; i++) {
        char *folder = yk_path("%s/%s", f->dir, folders[i]);
        mkdir(folder, 0777);
        free(folder);
    }
    yk_buf_puts(&f->content[0],
                "{\"name\":\"<b>run</"
                "b>\",\"version\":\"1.0\",\"digest\":\"00ff\",\"isa\":\"avx2\",\"threads\":2,"
                "\"processor\":\"CPU & "
                "co\",\"model\":{\"parameters\":2600000,\"layers\":4,\"width\":128,\"vocab\":4096},"
                "\"stages\":[{\"name\":\"clean\",\"seconds\":12.5,\"status\":\"done\"},"
                "{\"name\":\"pretrain\",\"seconds\":200,\"status\":\"done\"},"
                "{\"name\":\"a stage with a very long name: "
                "\\u65e5\\u672c\\u8a9e\\u65e5\\u672c\\u8a9e\",\"seconds\":0,"
                "\"status\":\"skipped\"}],"
                "\"pretrain\":{\"heldout_bpb\":{\"start\":4.1,\"end\":2.2,\"by_domain\":{\"a<b\":2."
                "1,\"c&d\":2.3}},"
                "\"tokens\":1300000,\"steps\":600,\"tokens_per_s\":9000,\"peak_share\":0.55,"
                "\"skipped_steps\":7,\"loss_scale\":8192,"
                "\"balance\":{\"ranks\":4,\"phases\":{\"forward\":{\"min\":1.25,\"avg\":2,\"max\":3.5},"
                "\"rows\":{\"min\":10,\"avg\":10,\"max\":10}},\"imbalance\":0.125,\"network\":0.25,"
                "\"advice\":\"<look> at it, and go on looking for longer than a line of a terminal is wide, "
                "to its end\"}},"
                "\"baseline\":{\"gzip_bpb\":2.53,\"xz_bpb\":2.41,\"by_domain\":{\"a<b\":{\"gzip_"
                "bpb\":2.5,\"xz_bpb\":2.4}}},"
                "\"masked\":{\"accuracy\":0.4,\"unigram_accuracy\":0.05},\"corpus\":{\"documents\":"
                "10,\"bytes\":1000}}");
    make_metrics(&f->content[1], 600);
    yk_buf_puts(&f->content[2],
                "{\"step\":1,\"prompt\":\"<script>alert('x')</"
                "script>\",\"text\":\"<script>alert('x')</script> \\u0001&\"}\n"
                "{\"step\":2,\"prompt\":\"\\\" onclick=\\\"x\",\"text\":\"\\ufffe]]> <!-- \"}\n");
    yk_buf_puts(&f->content[3], "seed: 1 # <x> & \xff\xfe \x01\n");
    yk_buf_puts(&f->content[4],
                "{\"corpus\":{\"packages\":[{\"package\":\"p<\",\"version\":\"1\",\"licence\":\"A&B\","
                "\"sha256\":\"abc\",\"domain\":\"a<b\"}]}}");
    yk_buf_puts(&f->content[5], "{\"domains\":{\"a<b\":{\"documents\":9,\"bytes\":900,\"raw_"
                                "documents\":12,\"raw_bytes\":2000,"
                                "\"heldout_documents\":1,\"heldout_bytes\":90,\"languages\":{"
                                "\"en\":5,\"<i>\":7,\"de\":6,\"fr\":1,\"ja\":9}}},"
                                "\"dropped\":{\"too <short>\":3},\"samples\":[{\"reason\":\"too "
                                "<short>\",\"source\":\"a&b\",\"text\":\"<p>\"}],"
                                "\"seconds\":1,\"mb_per_s\":2}");
    yk_buf_puts(&f->content[6],
                "{\"vocab\":4096,\"bytes_per_token\":3.4,\"by_domain\":{\"a<b\":3.3},"
                "\"by_language\":{\"<i>\":3.1},\"train_mb_per_s\":10,\"encode_mb_per_s\":20}");
    for (int i = 0; i < 12; i++)
        yk_buf_printf(&f->content[7], "{\"trial\":%d,\"rung\":%d,\"step\":%d,\"values\":{\"pretrain.lr\":%g,"
                      "\"pretrain.<b>\":\"<i>%d\"},\"score\":%s,\"seconds\":1}\n", i % 9, i / 9, i < 9 ? 40 : 120,
                      1e-4 * (i + 1) * (i + 1), i, i == 4 ? "null" : i % 2 ? "1.5" : "9.25");
    yk_buf_puts(&f->content[8], "{\"done\":40,\"kept\":7,\"dropped\":{\"too <likely>\":33,\"copied\":0},"
                                "\"samples\":[{\"reason\":\"kept\",\"passage\":\"<p>\","
                                "\"question\":\"What is \\\"&amp;\\\"?\",\"answer\":\"]]>\"}]}");
    put_all(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < FILES; i++) {
        drop(f, files[i]);
        yk_buf_free(&f->content[i]);
    }
    drop(f, "report.html");
    for (int i = 0; i < FOLDERS; i++) {
        char *folder = yk_path("%s/%s", f->dir, folders[i]);
        rmdir(folder);
        free(folder);
    }
    int code = rmdir(f->dir);
    free(f);
    return code;
}

/* Writes the report, and fails unless it is well-formed. */
static void write_page(const fixture *f, yk_buf *page)
{
    yk_error err = {""};
    char *path = yk_path("%s/report.html", f->dir);
    yk_status st = yk_report_write(f->dir, &err);
    if (st != YK_OK) print_error("%s\n", err.text);
    assert_int_equal(st, YK_OK);
    yk_buf_clear(page);
    assert_int_equal(yk_file_read(path, page, &err), YK_OK);
    xmlDocPtr doc = xmlReadMemory(page->data, (int)page->len, "report.html", NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    xmlFreeDoc(doc);
    assert_null(strstr(page->data, "nan"));
    assert_null(strstr(page->data, "inf "));
    free(path);
}

static int count(const yk_buf *page, const char *xpath)
{
    xmlDocPtr doc = xmlReadMemory(page->data, (int)page->len, "report.html", NULL, XML_PARSE_NONET);
    xmlXPathContextPtr context = xmlXPathNewContext(doc);
    xmlXPathRegisterNs(context, (const xmlChar *)"h",
                       (const xmlChar *)"http://www.w3.org/1999/xhtml");
    xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)xpath, context);
    int n = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    xmlFreeDoc(doc);
    return n;
}

static void test_whole_page(void **state)
{
    const fixture *f = *state;
    yk_buf page = {0}, again = {0};
    write_page(f, &page);
    assert_int_equal(count(&page, "//h:section"), 12);
    assert_int_equal(count(&page, "//h:section[@id='heldout']//h:figure"), 2);
    assert_int_equal(count(&page, "//h:section[@id='training']//h:figure"), 4);
    assert_int_equal(count(&page, "//h:svg[@class='chart']"), 9);
    assert_int_equal(count(&page, "//h:section[@id='tune']//h:circle"), 12); /* 11 results with a score, and the best */
    assert_int_equal(count(&page, "//h:path[@class='mark']"), 1);
    assert_int_equal(count(&page, "//h:script"), 0);
    assert_int_equal(count(&page, "//@onclick"), 0);
    assert_non_null(strstr(page.data, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert_null(strstr(page.data, "<script"));
    assert_null(
        strstr(page.data, "http://www.w3.org/2000")); /* nothing is fetched, nothing named */
    assert_null(strstr(page.data, "class=\"notes\""));
    assert_non_null(strstr(page.data, "over 600 steps, 7 skipped"));
    assert_non_null(strstr(page.data, "<h3>pretrain: 4 ranks</h3>"));
    assert_non_null(strstr(page.data, "Lost to unequal ranks 12.5%, to the exchange 25.0%: &lt;look&gt; at it"));
    write_page(f, &again);
    assert_int_equal(page.len, again.len);
    assert_memory_equal(page.data, again.data, page.len);
    yk_buf_free(&page);
    yk_buf_free(&again);
}

static void test_long_run_stays_small(void **state)
{
    const fixture *f = *state;
    yk_buf page = {0}, metrics = {0};
    make_metrics(&metrics, 40000);
    put(f, "metrics.jsonl", metrics.data, metrics.len);
    write_page(f, &page);
    assert_true(page.len < 500000);
    yk_buf_free(&page);
    yk_buf_free(&metrics);
}

/* Every file alone, every file missing, every file cut at many places or with a byte changed. */
static void test_parts_missing_and_damaged(void **state)
{
    const fixture *f = *state;
    yk_buf page = {0};
    for (int i = 0; i < FILES; i++) {
        put_all(f);
        drop(f, files[i]);
        write_page(f, &page);
        for (int k = 0; k < FILES; k++)
            if (k != i) drop(f, files[k]);
        put(f, files[i], f->content[i].data, f->content[i].len);
        write_page(f, &page);
    }
    put_all(f);
    for (int i = 0; i < FILES; i++) {
        const yk_buf *whole = &f->content[i];
        size_t stride = whole->len / 12 + 1;
        for (size_t cut = 0; cut < whole->len; cut += stride) {
            put(f, files[i], whole->data, cut);
            write_page(f, &page);
            yk_buf changed = {0};
            yk_buf_add(&changed, whole->data, whole->len);
            changed.data[cut] = (char)(changed.data[cut] ^ 0x85);
            put(f, files[i], changed.data, changed.len);
            write_page(f, &page);
            yk_buf_free(&changed);
        }
        put(f, files[i], "[1]", 3);
        write_page(f, &page);
        put(f, files[i], "", 0);
        write_page(f, &page);
        put(f, files[i], whole->data, whole->len);
    }
    put(f, "samples.jsonl", "{\"step\":1,\n\0\n", 13);
    write_page(f, &page);
    assert_non_null(
        strstr(page.data, "samples.jsonl: 2 damaged lines skipped, the first is line 1"));
    yk_buf_free(&page);
}

/* Numbers and types that no run writes. */
static void test_hostile_values(void **state)
{
    static const char *const value[] = {"1e308", "-1e308", "1e-320", "-0.0",  "null",
                                        "true",  "[]",     "{}",     "\"x\"", "9223372036854775807",
                                        "1e29"};
    const fixture *f = *state;
    yk_buf page = {0};
    for (size_t v = 0; v < sizeof value / sizeof *value; v++) {
        for (int i = 0; i < FILES; i++) {
            yk_buf b = {0};
            const char *text = f->content[i].data;
            int number = 0;
            for (size_t k = 0; k < f->content[i].len; k++) {
                yk_buf_add(&b, text + k, 1);
                if (text[k] != ':' || number++ % 3 == (int)v % 3) continue;
                size_t n = strspn(text + k + 1, "0123456789.-e");
                if (n == 0) continue;
                yk_buf_puts(&b, value[v]);
                k += n;
            }
            put(f, files[i], b.data, b.len);
            yk_buf_free(&b);
        }
        write_page(f, &page);
        yk_error err;
        yk_buf table = {0}, summary = {0};
        char *path = yk_path("%s/summary.json", f->dir);
        assert_int_equal(yk_file_read(path, &summary, &err), YK_OK);
        json_t *object = json_loads(summary.data, 0, NULL);
        yk_report_table(object, &table);
        json_decref(object);
        yk_buf_free(&table);
        yk_buf_free(&summary);
        free(path);
    }
    yk_buf_free(&page);
}

static void test_no_run(void **state)
{
    const fixture *f = *state;
    yk_error err;
    for (int i = 0; i < FILES; i++) drop(f, files[i]);
    assert_int_equal(yk_report_write(f->dir, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, f->dir));
    char *none = yk_path("%s/none", f->dir);
    assert_int_equal(yk_report_write(none, &err), YK_ERR_INPUT);
    put(f, "none", "", 0);
    assert_int_equal(yk_report_write(none, &err), YK_ERR_INPUT);
    unlink(none);
    free(none);
}

static void test_table_fits_a_terminal(void **state)
{
    const fixture *f = *state;
    json_t *summary = json_loads(f->content[0].data, 0, NULL);
    yk_buf out = {0};
    yk_report_table(summary, &out);
    assert_non_null(strstr(out.data, "pretrain"));
    assert_non_null(strstr(out.data, "94.1%"));
    assert_non_null(strstr(out.data, "4.100 -> 2.200"));
    assert_non_null(strstr(out.data, "gzip 2.530, xz 2.410"));
    assert_non_null(strstr(out.data, "loss scale 8192"));
    assert_non_null(strstr(out.data, "pretrain of 4 ranks, seconds"));
    assert_non_null(strstr(out.data, "from 1.25 to 3.50"));
    assert_non_null(strstr(out.data, "and to the exchange 25.0%"));
    for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(yk_text_columns(line) <= 80);
    yk_buf_free(&out);
    yk_report_table(NULL, &out);
    assert_int_equal(out.len, 0);
    json_decref(summary);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(yk_count(1234567).text, "1\u202F234\u202F567");
    assert_string_equal(yk_count(-4096).text, "-4096");
    assert_string_equal(yk_count(-40960).text, "-40\u202F960");
    assert_string_equal(yk_short(999).text, "999");
    assert_string_equal(yk_short(999600).text, "1.00\u202FM");
    assert_string_equal(yk_short(12340).text, "12.3\u202Fk");
    assert_string_equal(yk_percent(0.4312, 1).text, "43.1%");
    assert_string_equal(yk_fixed(NAN, 2).text, "–");
    yk_buf out = {0};
    yk_html_text(&out, "aé日", 3);
    assert_string_equal(out.data, "aé…");
    yk_buf_free(&out);
}

static void test_thin_and_smooth(void **state)
{
    (void)state;
    enum { N = 1000 };
    double x[N], y[N], smooth[N];
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = i == 500 ? NAN : 2.0 * i + 1;
    }
    yk_smooth(y, smooth, N, 10);
    assert_true(fabs(smooth[100] - y[100]) < 1e-9);
    assert_true(fabs(smooth[500] - 1001) < 1e-9);
    assert_true(fabs(smooth[0] - 11) < 1e-9);
    assert_int_equal(yk_thin(x, y, N, 100), 100);
    assert_true(x[0] == 0 && x[99] == 999 && y[99] == 1999);
    for (int i = 1; i < 100; i++) assert_true(x[i] > x[i - 1] && fabs(y[i] - (2 * x[i] + 1)) < 2);
    assert_int_equal(yk_thin(x, y, 5, 100), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_run_stays_small, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts_missing_and_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_table_fits_a_terminal, set_up, tear_down),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_thin_and_smooth),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    xmlCleanupParser();
    return failed;
}
