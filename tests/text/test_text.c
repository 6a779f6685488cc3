/* Reading, HTML, normalising, the quality rules, near-duplicates. */
#include "base/file.h"
#include "base/rng.h"
#include "text/dedup.h"
#include "text/language.h"
#include "text/quality.h"
#include "text/read.h"
#include "text/stream.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

typedef struct folder {
    char dir[64], path[96];
} folder;

static int make_folder(void **state)
{
    folder *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%.40s/yoke-text-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    if (!mkdtemp(f->dir)) return -1;
    snprintf(f->path, sizeof f->path, "%s/file", f->dir);
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    folder *f = *state;
    unlink(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void write_bytes(const folder *f, const void *data, size_t n)
{
    yk_error err;
    assert_int_equal(yk_file_write(f->path, data, n, &err), YK_OK);
}

/* 300 kB that neither compresses to nothing nor is incompressible. */
static yk_buf sample_text(void)
{
    yk_buf text = {0};
    yk_rng r = yk_rng_make(1, YK_STREAM_TEST, 0);
    for (uint64_t i = 0; text.len < 300000; i++)
        yk_buf_printf(&text, "line %llu\n", (unsigned long long)yk_rng_below(&r, i, 1000000));
    return text;
}

/* Compressed as two members or frames, one after another. */
static yk_buf compressed(const yk_buf *text, bool gzip)
{
    yk_buf out = {0};
    size_t half = text->len / 2, part[] = {half, text->len - half};
    for (int i = 0; i < 2; i++) {
        const char *from = text->data + (i ? half : 0);
        size_t room = part[i] + 4096;
        yk_buf_reserve(&out, room);
        if (!gzip) {
            out.len += ZSTD_compress(out.data + out.len, room, from, part[i], 3);
            continue;
        }
        z_stream z = {.next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)part[i],
                      .next_out = (Bytef *)out.data + out.len, .avail_out = (uInt)room};
        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out.len += z.total_out;
        deflateEnd(&z);
    }
    return out;
}

static void plain_and_compressed_files_read_the_same(void **state)
{
    const folder *f = *state;
    yk_error err;
    yk_buf text = sample_text(), got = {0};
    for (int kind = 0; kind < 3; kind++) {
        yk_buf file = kind ? compressed(&text, kind == 1) : text;
        write_bytes(f, file.data, file.len);
        yk_buf_clear(&got);
        assert_int_equal(yk_stream_all(f->path, &got, 1 << 20, &err), YK_OK);
        assert_int_equal(got.len, text.len);
        assert_memory_equal(got.data, text.data, text.len);
        if (kind) yk_buf_free(&file);
    }
    yk_buf_free(&text);
    yk_buf_free(&got);
}

static void damaged_files_are_named(void **state)
{
    const folder *f = *state;
    yk_error err;
    yk_buf text = sample_text(), got = {0};
    for (int gzip = 0; gzip < 2; gzip++) {
        yk_buf file = compressed(&text, gzip);
        write_bytes(f, file.data, file.len - 20);
        assert_int_equal(yk_stream_all(f->path, &got, 1 << 20, &err), YK_ERR_INPUT);
        assert_non_null(strstr(err.text, f->path));
        assert_non_null(strstr(err.text, "truncated"));
        memset(file.data + file.len / 4, 0xA5, 64);
        write_bytes(f, file.data, file.len);
        assert_int_equal(yk_stream_all(f->path, &got, 1 << 20, &err), YK_ERR_INPUT);
        assert_non_null(strstr(err.text, "corrupt"));
        yk_buf_free(&file);
    }
    write_bytes(f, text.data, text.len);
    assert_int_equal(yk_stream_all(f->path, &got, 1000, &err), YK_ERR_INPUT);
    yk_buf_free(&text);
    yk_buf_free(&got);
}

static void lines_are_whole(void **state)
{
    const folder *f = *state;
    yk_error err;
    yk_stream_in *s = NULL;
    yk_buf line = {0};
    bool end = false;
    static const char *const wanted[] = {"a", "", "bcd", "last"};
    write_bytes(f, "a\n\nbcd\nlast", 11);
    assert_int_equal(yk_stream_open(&s, f->path, &err), YK_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(yk_stream_line(s, &line, 100, &end, &err), YK_OK);
        assert_false(end);
        assert_string_equal(line.data, wanted[i]);
    }
    assert_int_equal(yk_stream_line(s, &line, 100, &end, &err), YK_OK);
    assert_true(end);
    yk_stream_close(s);
    yk_buf_free(&line);
}

static void html_becomes_text(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"<p>One <b>two</b>\n three</p><p>Four</p>", "One two three\n\nFour\n"},
        {"<h1>Title</h1><ul><li>a</li><li>b</li></ul>", "Title\n\n- a\n- b\n"},
        {"<pre>  keep\n\tthis</pre>", "  keep\n\tthis\n"},
        {"<script>var x;</script><style>p{}</style><p>text</p>", "text\n"},
        {"<nav>menu</nav><div role=\"navigation\" class=\"x\">menu</div><p>body</p>", "body\n"},
        {"<div class=\"a navheader b\">menu</div><h2>Head<a class=\"headerlink\">\xC2\xB6</a></h2>", "Head\n"},
        {"<p>caf&eacute; &amp; &#8364;</p>", "caf\xC3\xA9 & \xE2\x82\xAC\n"},
        {"<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n3\n"},
        {"<p>never <i>closed <p>next", "never closed\n\nnext\n"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_error err;
        yk_buf html = {0}, text = {0}, tidy = {0};
        yk_buf_printf(&html, "<html><head><meta charset=\"utf-8\"><title>t</title></head><body>%s</body></html>",
                      cases[i][0]);
        assert_int_equal(yk_html_to_text(&html, &text, &err), YK_OK);
        assert_true(yk_normalise(text.data, text.len, &tidy));
        assert_string_equal(tidy.data, cases[i][1]);
        yk_buf_free(&html);
        yk_buf_free(&text);
        yk_buf_free(&tidy);
    }
}

static void text_is_normalised(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a  \r\nb\rc\n\n\n\nd", "a\nb\nc\n\nd\n"},
        {"e\xCC\x81", "\xC3\xA9\n"},            /* combining acute becomes one character */
        {"\xEF\xBB\xBFx\x01y\x7f", "xy\n"},     /* byte order mark and controls go       */
        {"a\fb", "a\nb\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_buf out = {0};
        assert_true(yk_normalise(cases[i][0], strlen(cases[i][0]), &out));
        assert_string_equal(out.data, cases[i][1]);
        yk_buf_free(&out);
    }
    yk_buf out = {0};
    assert_false(yk_normalise("ab\xFF\xFE", 4, &out)); /* half of it is no UTF-8 */
    yk_buf_free(&out);
    char mostly[3000];
    memset(mostly, 'a', sizeof mostly);
    mostly[1500] = (char)0xFF;
    assert_true(yk_normalise(mostly, sizeof mostly, &out));
    assert_non_null(strstr(out.data, "\xEF\xBF\xBD"));
    yk_buf_free(&out);
}

/* Sentences of random words, so that no rule is broken. */
static void good_prose(yk_buf *out, uint64_t seed, int sentences)
{
    yk_rng r = yk_rng_make(seed, YK_STREAM_TEST, 1);
    uint64_t at = 0;
    for (int s = 0; s < sentences; s++) {
        for (int w = 0; w < 8; w++) {
            if (w == 2 || w == 5) yk_buf_puts(out, w == 2 ? "the " : "of ");
            for (uint64_t n = 4 + yk_rng_below(&r, at++, 4); n; n--) {
                char c = (char)('a' + yk_rng_below(&r, at++, 26));
                yk_buf_add(out, &c, 1);
            }
            yk_buf_puts(out, w < 7 ? " " : ".\n");
        }
    }
}

static const char *judged(const char *text, bool code, const char *lang)
{
    yk_error err;
    yk_recipe r;
    yk_quality *q = NULL;
    const char *reason = NULL;
    assert_int_equal(yk_recipe_load(&r, NULL, NULL, 0, &err), YK_OK);
    assert_int_equal(yk_quality_new(&q, &err), YK_OK);
    assert_int_equal(yk_quality_check(q, &r, text, strlen(text), code, lang, &reason, &err), YK_OK);
    yk_quality_free(q);
    yk_recipe_free(&r);
    return reason ? reason : "kept";
}

static void repeat(yk_buf *out, const char *text, int n)
{
    while (n-- > 0) yk_buf_puts(out, text);
}

static void rules_drop_what_they_name(void **state)
{
    (void)state;
    static const struct {
        const char *added;
        int times;
        bool code;
        const char *reason;
    } cases[] = {
        {"", 0, false, "kept"},
        {"12345 67890 ", 200, false, "words without letters"},
        {"#abcd ", 200, false, "symbols"},
        {"Menu\n", 2, false, "kept"},
        {"incomprehensibilities antidisestablishmentarianism ", 120, false, "word length"},
        {"if (x) return y;\n", 20, true, "kept"},
        {"1234567890,\n", 200, true, "code: data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_buf text = {0};
        good_prose(&text, 1, 20);
        repeat(&text, cases[i].added, cases[i].times);
        assert_string_equal(judged(text.data, cases[i].code, "en"), cases[i].reason);
        yk_buf_free(&text);
    }
    assert_string_equal(judged("Three words here.", false, "en"), "too few words");
    yk_buf text = {0};
    for (int i = 0; i < 30; i++)
        yk_buf_printf(&text, "- item number %d in a list of many such things\n", i * 7919 % 1000);
    assert_string_equal(judged(text.data, false, "en"), "bullet lines");
    yk_buf_clear(&text);
    for (uint64_t i = 0; i < 40; i++) { /* every fifth sentence again */
        good_prose(&text, 100 + i, 1);
        if (i % 2) good_prose(&text, 7, 1);
    }
    assert_string_not_equal(judged(text.data, false, "en"), "kept");
    yk_buf_free(&text);
}

static void near_duplicates_are_found(void **state)
{
    (void)state;
    enum { WORDS = 1000 };
    yk_error err;
    yk_dedup *d = NULL;
    const yk_dedup_options o = {.shingle = 5, .bands = 14, .rows = 8, .similarity = 0.75};
    assert_int_equal(yk_dedup_new(&d, &o, &err), YK_OK);
    size_t size = yk_dedup_size(d);
    uint32_t *first = calloc(size, sizeof *first), *other = calloc(size, sizeof *other);
    uint64_t word[WORDS];
    yk_rng rng = yk_rng_make(3, YK_STREAM_TEST, 0);
    for (uint64_t i = 0; i < WORDS; i++) word[i] = yk_rng_bits(&rng, i);
    yk_dedup_sign(d, word, WORDS, first);
    /* changed words, and the Jaccard similarity of 5-grams that follows: (n - 5c) / (n + 5c) */
    for (int changed = 0; changed <= 100; changed += 10) {
        uint64_t copy[WORDS];
        memcpy(copy, word, sizeof copy);
        for (int c = 0; c < changed; c++) copy[5 + c * (WORDS - 10) / 100] = yk_rng_bits(&rng, (uint64_t)(2000 + c));
        yk_dedup_sign(d, copy, WORDS, other);
        double equal = 0, n = WORDS - 4, truth = (n - 5.0 * changed) / (n + 5.0 * changed);
        for (size_t i = 0; i < size; i++) equal += first[i] == other[i];
        assert_true(fabs(equal / (double)size - truth) < 0.15);
    }
    const char *reason;
    assert_int_equal(yk_dedup_add(d, 1, first, &reason, &err), YK_OK);
    assert_null(reason);
    assert_int_equal(yk_dedup_add(d, 1, first, &reason, &err), YK_OK);
    assert_string_equal(reason, "exact duplicate");
    word[500] = 1;
    yk_dedup_sign(d, word, WORDS, other);
    assert_int_equal(yk_dedup_add(d, 2, other, &reason, &err), YK_OK);
    assert_string_equal(reason, "near duplicate");
    for (uint64_t i = 0; i < WORDS; i++) word[i] = yk_rng_bits(&rng, 5000 + i);
    yk_dedup_sign(d, word, WORDS, other);
    assert_int_equal(yk_dedup_add(d, 3, other, &reason, &err), YK_OK);
    assert_null(reason);
    free(first);
    free(other);
    yk_dedup_free(d);
}

static void languages_are_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"en", "The kernel of an operating system is the part that is loaded first and stays in memory all the time."},
        {"de", "Die Installation des Betriebssystems ist nicht schwer, wenn man weiß, "
               "welche Geräte der Rechner hat."},
        {"fr", "Ce chapitre explique comment préparer les fichiers nécessaires avant "
               "de démarrer le programme d'installation."},
        {"ru", "Эта глава объясняет, как подготовить все необходимые "
               "файлы перед запуском программы установки системы."},
        {"el", "Αυτό το κεφάλαιο εξηγεί πώς να ετοιμάσετε τα "
               "αρχεία πριν ξεκινήσετε το πρόγραμμα εγκατάστασης."},
        {"ja", "この章では、インストールプログラムを起動する前に"
               "必要なファイルを準備する方法を説明します。"},
        {"ko", "이 장에서는 설치 프로그램을 시작하기 전에 "
               "필요한 파일을 준비하는 방법을 설명합니다."},
        {"zh", "本章说明如何在启动安装程序之前准备好所有需要的文件。"},
    };
    yk_error err;
    yk_language *l = NULL;
    assert_int_equal(yk_language_new(&l, &err), YK_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(yk_language_of(l, cases[i][1], strlen(cases[i][1])), cases[i][0]);
    yk_language_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_and_compressed_files_read_the_same, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(damaged_files_are_named, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(lines_are_whole, make_folder, remove_folder),
        cmocka_unit_test(html_becomes_text),
        cmocka_unit_test(text_is_normalised),
        cmocka_unit_test(rules_drop_what_they_name),
        cmocka_unit_test(near_duplicates_are_found),
        cmocka_unit_test(languages_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
