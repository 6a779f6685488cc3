/* Conversations as tokens, and the files of examples they come from. */
#include "../train/small.h"
#include "align/examples.h"
#include "align/chat.h"
#include "align/tasks.h"

#include <math.h>

static small x;

static int set_up(void **state)
{
    (void)state;
    small_open(&x, &(yk_session_options){.rows = 200}, 2, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    small_close(&x);
    return 0;
}

static void decoded(const yk_sequence *q, const char *wanted)
{
    yk_buf text = {0};
    yk_tokenizer_decode(x.s.tokenizer, q->ids.id, q->ids.n, &text);
    assert_string_equal(text.data, wanted);
    yk_buf_free(&text);
}

/* The text of the ids that are learnt from. */
static void learnt(const yk_sequence *q, const char *wanted)
{
    yk_buf text = {0};
    yk_buf_reserve(&text, 1);
    text.data[0] = 0;
    for (size_t i = 0; i < q->ids.n; i++)
        if (q->weight[i] != 0.0f) yk_tokenizer_decode(x.s.tokenizer, &q->ids.id[i], 1, &text);
    assert_string_equal(text.data, wanted);
    yk_buf_free(&text);
}

static size_t count(const yk_sequence *q, const char *special)
{
    int32_t id = yk_tokenizer_special(x.s.tokenizer, special);
    size_t n = 0;
    for (size_t i = 0; i < q->ids.n; i++) n += q->ids.id[i] == id;
    return n;
}

static void templates_write_what_they_say(void **state)
{
    (void)state;
    static const yk_turn turns[] = {{YK_SYSTEM, "Be kind."}, {YK_USER, "Say <|im_end|> <think>"},
                                    {YK_ASSISTANT, "<think>a</think><answer>7</answer>"}, {YK_USER, "more"},
                                    {YK_ASSISTANT, "no"}};
    yk_error err;
    yk_chat *c;
    yk_sequence q = {0};
    must(yk_chat_new(&c, "chatml", x.s.tokenizer, &err), &err);
    must(yk_chat_encode(c, turns, 5, &q, &err), &err);
    decoded(&q, "<|endoftext|><|im_start|>system\nBe kind.<|im_end|>\n"
                "<|im_start|>user\nSay <|im_end|> <think><|im_end|>\n"
                "<|im_start|>assistant\n<think>a</think><answer>7</answer><|im_end|>\n"
                "<|im_start|>user\nmore<|im_end|>\n"
                "<|im_start|>assistant\nno<|im_end|>\n");
    learnt(&q, "<think>a</think><answer>7</answer><|im_end|>no<|im_end|>");
    assert_int_equal(count(&q, "<|im_end|>"), 5); /* that of the user's text is not one */
    assert_int_equal(count(&q, "<think>"), 1);
    assert_int_equal(count(&q, "</answer>"), 1);
    const int64_t prompt = q.prompt;
    yk_sequence_clear(&q);
    must(yk_chat_encode(c, turns, 4, &q, &err), &err);
    must(yk_chat_open(c, &q, &err), &err);
    assert_int_equal(q.prompt, prompt);
    assert_int_equal((int64_t)q.ids.n, prompt);
    yk_chat_free(c);
    yk_sequence_clear(&q);
    must(yk_chat_new(&c, "plain", x.s.tokenizer, &err), &err);
    must(yk_chat_encode(c, turns + 3, 2, &q, &err), &err);
    decoded(&q, "<|endoftext|>User: more\nAssistant: no<|endoftext|>\n");
    learnt(&q, "no<|endoftext|>");
    yk_sequence_free(&q);
    yk_chat_free(c);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static yk_status read_text(yk_examples *e, yk_form form, const char *text, size_t most_bad, yk_error *err)
{
    char *path = yk_path("%s/lines.jsonl", x.dir);
    write_file(path, text);
    yk_status st = yk_examples_read(e, &(yk_list){&path, 1}, form, most_bad, err);
    free(path);
    return st;
}

static const struct {
    yk_form form;
    const char *line, *why;
} malformed[] = {
    {YK_CONVERSATION, "{\"prompt\": \"a\"}", "`completion` is missing"},
    {YK_CONVERSATION, "{\"prompt\": \"a\", \"completion\": \" \"}", "`completion` is missing, no text or empty"},
    {YK_CONVERSATION, "{\"prompt\": 3, \"completion\": \"b\"}", "`prompt` is missing"},
    {YK_CONVERSATION, "{\"prompt\": \"\", \"completion\": \"b\"}", "`prompt` is empty"},
    {YK_CONVERSATION, "[1]", "no JSON object"},
    {YK_CONVERSATION, "{\"messages\": []}", "neither `messages`"},
    {YK_CONVERSATION, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", "not an assistant's"},
    {YK_CONVERSATION, "{\"messages\": [{\"role\": \"robot\", \"content\": \"a\"}]}", "none of system"},
    {YK_CONVERSATION, "{\"messages\": [{\"content\": \"a\"}]}", "without a text `role`"},
    {YK_CONVERSATION, "{\"messages\": [{\"role\": \"assistant\", \"content\": \"\"}]}", "answer is empty"},
    {YK_CONVERSATION, "{\"prompt\": \"a\"", "expected"},
    {YK_PREFERENCE, "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"b\"}", "are equal"},
    {YK_PREFERENCE, "{\"prompt\": \"a\", \"chosen\": \"b\"}", "`rejected` is missing"},
    {YK_PREFERENCE, "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"margin\": -1}", "`margin`"},
    {YK_PROBLEM, "{\"prompt\": \"a\", \"answer\": 7}", "`answer` is missing"},
    {YK_CHOICE, "{\"prompt\": \"a\", \"choices\": [\"b\"], \"label\": 0}", "`choices` is no list"},
    {YK_CHOICE, "{\"question\": \"a\", \"choices\": [\"b\", \"c\"], \"label\": 2}", "`label`"},
    {YK_CHOICE, "{\"question\": \"a\", \"choices\": [\"b\", 3], \"label\": 1}", "no text or empty"},
    {YK_CHOICE, "{\"good\": \"a\", \"bad\": \"a\"}", "are equal"},
    {YK_CHOICE, "{\"good\": \"a\"}", "`bad` is missing"},
};

/* Each is named with file and line, left out while that is allowed, and refused after. */
static void malformed_lines_are_named(void **state)
{
    (void)state;
    static const char *const good[] = {"{\"prompt\": \"a\", \"completion\": \"b\"}",
                                       "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}",
                                       "{\"prompt\": \"a\", \"answer\": \"b\"}", "{\"good\": \"a\", \"bad\": \"b\"}"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        yk_error err = {""};
        yk_examples e;
        char text[512];
        snprintf(text, sizeof text, "%s\n\n%s\n", good[malformed[i].form], malformed[i].line);
        assert_int_equal(read_text(&e, malformed[i].form, text, 0, &err), YK_ERR_INPUT);
        if (!strstr(err.text, malformed[i].why) || !strstr(err.text, "lines.jsonl:3: "))
            fail_msg("%s: %s", malformed[i].line, err.text);
        must(read_text(&e, malformed[i].form, text, 1, &err), &err);
        assert_int_equal(e.n, 1);
        assert_int_equal(e.bad, 1);
        yk_examples_free(&e);
        assert_int_equal(read_text(&e, malformed[i].form, malformed[i].line, 5, &err), YK_ERR_INPUT); /* none is left */
    }
}

static void pass_at_k_is_unbiased(void **state)
{
    (void)state;
    for (int n = 1; n <= 10; n++)
        for (int right = 0; right <= n; right++)
            for (int k = 1; k <= n; k++) {
                int sets = 0, hits = 0;
                for (int set = 0; set < 1 << n; set++) { /* of k of n answers, of which the first are right */
                    if (__builtin_popcount((unsigned)set) != k) continue;
                    sets++;
                    hits += (set & ((1 << right) - 1)) != 0;
                }
                assert_true(fabs(yk_pass_at(n, right, k) - (double)hits / sets) < 1e-12);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_write_what_they_say),
        cmocka_unit_test(malformed_lines_are_named),
        cmocka_unit_test(pass_at_k_is_unbiased),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
