/* Words that texts share with evaluation sets. */
#include "text/overlap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool overlaps(const yk_overlap *o, const char *text)
{
    yk_error err;
    bool hit = false;
    assert_int_equal(yk_overlap_find(o, text, strlen(text), &hit, &err), YK_OK);
    return hit;
}

static void add_text(yk_overlap *o, const char *text)
{
    yk_error err;
    assert_int_equal(yk_overlap_add(o, text, strlen(text), &err), YK_OK);
}

static void shared_words_are_found(void **state)
{
    (void)state;
    yk_error err;
    yk_overlap *o = NULL;
    assert_int_equal(yk_overlap_new(&o, 5, &err), YK_OK);
    assert_false(overlaps(o, "one two three four five"));
    add_text(o, "One two, three (four) five six seven. ");
    add_text(o, "What is 7 + 5?");
    add_text(o, "12");
    add_text(o, "\xE7\x89\x9B\xE8\xBD\xAD\xE5\xBE\x88\xE6\xB2\x89\xE9\x87\x8D"); /* five characters */
    assert_true(overlaps(o, "zero two THREE four five six"));
    assert_false(overlaps(o, "two three four five eight nine"));
    assert_true(overlaps(o, "three four five"));        /* whole in a longer one */
    assert_false(overlaps(o, "four five"));             /* too short to tell      */
    assert_true(overlaps(o, "Please: what is 7 + 5? Think."));
    assert_false(overlaps(o, "What is 7 - 5?"));
    assert_false(overlaps(o, "What is 7 + 6?"));
    assert_false(overlaps(o, "The answer is 12 I think so"));
    assert_true(overlaps(o, "x\xE7\x89\x9B\xE8\xBD\xAD\xE5\xBE\x88\xE6\xB2\x89\xE9\x87\x8D"));
    yk_overlap_free(o);
    assert_int_equal(yk_overlap_new(&o, 2, &err), YK_OK);
    add_text(o, "alpha beta gamma");
    assert_true(overlaps(o, "x beta gamma"));
    assert_false(overlaps(o, "beta alpha"));
    yk_overlap_free(o);
}

/* Asks after an item; the words that it shares, or NULL. */
static const char *shared(const yk_overlap *o, const char *item, char out[128])
{
    yk_error err;
    yk_met met;
    assert_int_equal(yk_overlap_met(o, item, strlen(item), &met, &err), YK_OK);
    if (!met.hit) return "";
    snprintf(out, 128, "%.*s", (int)(met.to - met.from), item + met.from);
    return out;
}

static void items_that_were_met_are_found(void **state)
{
    (void)state;
    static const char *const item[] = {"So: zero, ONE two three (four) five!", "three four five six", "what is it",
                                       "no it", "", "one two three four and five"};
    static const char lines[] = "{\"prompt\": \"One two three\", \"completion\": \"four five six\"}\nrubbish\n"
                                "{\"messages\": [{\"role\": \"user\", \"content\": \"Say what is it, no it\"}], "
                                "\"kind\": \"x\"}\n";
    char path[] = "/tmp/yoke-met-XXXXXX", out[128];
    yk_error err;
    for (int threads = 1; threads <= 3; threads++) {
        yk_overlap *o = NULL;
        assert_int_equal(yk_overlap_new(&o, 5, &err), YK_OK);
        for (int i = 0; i < 6; i++) assert_int_equal(yk_overlap_add_item(o, item[i], strlen(item[i]), &err), YK_OK);
        assert_int_equal(yk_overlap_seal(o, &err), YK_OK);
        assert_string_equal(shared(o, item[0], out), "");
        strcpy(path, "/tmp/yoke-met-XXXXXX");
        int handle = mkstemp(path);
        assert_true(handle >= 0 && write(handle, lines, strlen(lines)) == (ssize_t)strlen(lines));
        close(handle);
        assert_int_equal(yk_overlap_meet_file(o, path, &(yk_team){.threads = threads}, NULL, &err), YK_OK);
        unlink(path);
        assert_string_equal(shared(o, item[0], out), "ONE two three (four) five");
        assert_string_equal(shared(o, item[1], out), "three four five six"); /* shorter, and whole in the other */
        assert_string_equal(shared(o, item[2], out), "what is it");
        assert_string_equal(shared(o, item[3], out), ""); /* too short to tell */
        assert_string_equal(shared(o, item[4], out), "");
        assert_string_equal(shared(o, item[5], out), "");
        yk_overlap_free(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_words_are_found),
        cmocka_unit_test(items_that_were_met_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
