/* Files of examples: compression, limits, members of another type; texts made to take long. */
#include "../train/small.h"
#include "align/chat.h"
#include "align/examples.h"
#include "base/log.h"

static small x;
static char *path;

static int set_up(void **state)
{
    (void)state;
    small_open(&x, &(yk_session_options){.rows = 200}, 1, NULL);
    path = yk_path("%s/lines.jsonl", x.dir);
    return path ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(path);
    small_close(&x);
    return 0;
}

static void write_bytes(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static yk_status read_bytes(yk_examples *e, yk_form form, const char *bytes, size_t n, size_t most_bad, yk_error *err)
{
    write_bytes(bytes, n);
    return yk_examples_read(e, &(yk_list){&path, 1}, form, most_bad, err);
}

static yk_status read_text(yk_examples *e, yk_form form, const char *text, size_t most_bad, yk_error *err)
{
    return read_bytes(e, form, text, strlen(text), most_bad, err);
}

/* The same examples and the same hash, however the file is packed; a truncated one is refused. */
static void compressed_files_are_read(void **state)
{
    (void)state;
    static const char text[] = "{\"prompt\": \"a\", \"answer\": \"1\", \"kind\": \"sum\"}\n"
                               "{\"prompt\": \"b\", \"answer\": \"2\"}\n";
    static const char *const tools[] = {"gzip", "zstd"};
    yk_error err;
    yk_examples plain, packed;
    must(read_text(&plain, YK_PROBLEM, text, 0, &err), &err);
    assert_int_equal(plain.n, 2);
    assert_string_equal(plain.item[0].kind, "sum");
    assert_string_equal(plain.item[1].kind, "");
    assert_null(plain.item[1].verifier);
    for (int i = 0; i < 2; i++) {
        char command[400];
        snprintf(command, sizeof command, "command -v %s >/dev/null && %s -qc < '%s' > '%s.p' && mv '%s.p' '%s'",
                 tools[i], tools[i], path, path, path, path);
        write_bytes(text, strlen(text));
        if (system(command) != 0) continue;
        must(yk_examples_read(&packed, &(yk_list){&path, 1}, YK_PROBLEM, 0, &err), &err);
        assert_int_equal(packed.n, 2);
        assert_string_equal(packed.hash, plain.hash);
        assert_string_equal(packed.item[1].answer, "2");
        yk_examples_free(&packed);
        assert_int_equal(truncate(path, 24), 0);
        assert_int_equal(yk_examples_read(&packed, &(yk_list){&path, 1}, YK_PROBLEM, 9, &err), YK_ERR_INPUT);
        assert_non_null(strstr(err.text, "truncated"));
    }
    yk_examples_free(&plain);
}

static const char *const of_another_type[][2] = {
    {"{\"prompt\": \"a\", \"answer\": \"b\", \"verifier\": 3}", "`verifier` is no text"},
    {"{\"prompt\": \"a\", \"answer\": \"b\", \"kind\": [\"c\"]}", "`kind` is no text"},
    {"{\"prompt\": \"a\", \"answer\": null}", "`answer` is missing"},
    {"{\"prompt\": [\"a\"], \"answer\": \"b\"}", "without a text `role`"},
    {"{\"prompt\": [], \"answer\": \"b\"}", "`prompt` is missing"},
    {"{\"prompt\": \"a\\u0000\", \"answer\": \"b\"}", "NUL"},
    {"{\"prompt\": \"\xFF\", \"answer\": \"b\"}", "unable to decode byte 0xff"},
    {"{\"prompt\": \"a\", \"answer\": \"b\"} {}", "end of file expected"},
    {"null", "expected near 'null'"},
};

static void members_of_another_type_are_named(void **state)
{
    (void)state;
    yk_error err;
    yk_examples e;
    for (size_t i = 0; i < sizeof of_another_type / sizeof *of_another_type; i++) {
        assert_int_equal(read_text(&e, YK_PROBLEM, of_another_type[i][0], 0, &err), YK_ERR_INPUT);
        if (!strstr(err.text, of_another_type[i][1]) || !strstr(err.text, "lines.jsonl:1: "))
            fail_msg("%s: %s", of_another_type[i][0], err.text);
    }
    static const char nulls[] = "{\"prompt\": \"a\", \"answer\": \"b\", \"verifier\": null, \"kind\": null}";
    must(read_text(&e, YK_PROBLEM, nulls, 0, &err), &err);
    assert_null(e.item[0].verifier);
    assert_string_equal(e.item[0].kind, "");
    yk_examples_free(&e);
}

static void limits_are_kept(void **state)
{
    (void)state;
    yk_error err;
    yk_examples e;
    yk_buf text = {0};
    for (int turns = 1000; turns <= 1001; turns++) {
        yk_buf_clear(&text);
        yk_buf_puts(&text, "{\"messages\": [");
        for (int i = 0; i < turns; i++)
            yk_buf_printf(&text, "%s{\"role\": \"assistant\", \"content\": \"a\"}", i ? "," : "");
        yk_buf_puts(&text, "]}\n");
        yk_status st = read_bytes(&e, YK_CONVERSATION, text.data, text.len, 0, &err);
        assert_int_equal(st, turns == 1000 ? YK_OK : YK_ERR_INPUT);
        if (st == YK_OK) yk_examples_free(&e);
    }
    yk_buf_clear(&text);
    yk_buf_puts(&text, "{\"prompt\": \"");
    while (text.len <= 16 << 20) yk_buf_puts(&text, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    assert_int_equal(read_bytes(&e, YK_PROBLEM, text.data, text.len, 9, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "a line of more than 16777216 bytes"));
    assert_int_equal(read_text(&e, YK_PROBLEM, "", 9, &err), YK_ERR_INPUT);
    assert_int_equal(yk_examples_read(&e, &(yk_list){NULL, 0}, YK_PROBLEM, 9, &err), YK_ERR_INPUT);
    unlink(path);
    assert_int_equal(yk_examples_read(&e, &(yk_list){&path, 1}, YK_PROBLEM, 9, &err), YK_ERR_INPUT);
    yk_buf_free(&text);
}

/* An answer of nothing but tags is as many ids, and is not searched anew for each. */
static void many_tags_take_one_pass(void **state)
{
    (void)state;
    enum { TAGS = 200000 };
    yk_error err;
    yk_chat *c;
    yk_sequence q = {0};
    yk_buf text = {0};
    for (int i = 0; i < TAGS; i++) yk_buf_puts(&text, i % 2 ? "</think>" : "<think>");
    must(yk_chat_new(&c, "chatml", x.s.tokenizer, &err), &err);
    const double began = yk_now();
    must(yk_chat_answer(c, text.data, &q, &err), &err);
    assert_true(yk_now() - began < 5);
    const int64_t think = yk_tokenizer_special(x.s.tokenizer, "<think>");
    for (int i = 0; i < TAGS; i++) {
        assert_int_equal(q.ids.id[q.prompt + i], think + i % 2);
        assert_true(q.weight[q.prompt + i] == 1.0f);
    }
    yk_chat_free(c);
    yk_sequence_free(&q);
    yk_buf_free(&text);
}

/* What is asked, whatever form says it. */
static void prompts_are_taken_from_every_form(void **state)
{
    (void)state;
    static const char text[] = "{\"prompt\": \"a\", \"answer\": \"1\"}\n"
                               "{\"prompt\": \"b\", \"completion\": \"2\"}\n"
                               "{\"prompt\": \"c\", \"chosen\": \"3\", \"rejected\": \"4\"}\n"
                               "{\"prompt\": \"d\"}\n"
                               "{\"messages\": [{\"role\": \"user\", \"content\": \"e\"}, "
                               "{\"role\": \"assistant\", \"content\": \"5\"}]}\n"
                               "{\"messages\": [{\"role\": \"assistant\", \"content\": \"5\"}]}\n";
    yk_error err;
    yk_examples e;
    must(read_text(&e, YK_PROMPT, text, 1, &err), &err);
    assert_int_equal(e.n, 5);
    assert_int_equal(e.bad, 1);
    for (size_t i = 0; i < e.n; i++) {
        assert_int_equal(e.item[i].turns, 1);
        assert_int_equal(e.item[i].turn[0].role, YK_USER);
        assert_int_equal(*e.item[i].turn[0].content, "abcde"[i]);
    }
    yk_examples_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_taken_from_every_form),
        cmocka_unit_test(compressed_files_are_read),
        cmocka_unit_test(members_of_another_type_are_named),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(many_tags_take_one_pass),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
