/* The gate of the stage propose, passages and their sentences, near duplicates among short texts. */
#include "align/gate.h"
#include "base/mem.h"
#include "text/near.h"
#include "text/passages.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char passage[] = "A yoke is a wooden beam. It joins two oxen at their necks, so that they pull together.";

static int defaults(void **state)
{
    yk_error err;
    yk_recipe *r = calloc(1, sizeof *r);
    *state = r;
    return yk_recipe_load(r, NULL, NULL, 0, &err);
}

static int end(void **state)
{
    yk_recipe_free(*state);
    free(*state);
    return 0;
}

/* A question, of which the model wrote what stands in brackets. */
static yk_gate_reason judge(const yk_recipe *r, const char *marked, const char *answer)
{
    yk_error err;
    char question[300];
    const char *open = strchr(marked, '['), *close = strchr(marked, ']');
    yk_proposal p = {.passage = passage, .question = question, .answer = answer, .answer_bytes = strlen(answer),
                     .asked = true, .answered = *answer != 0};
    yk_gate_reason reason;
    double overlap;
    snprintf(question, sizeof question, "%.*s%.*s%s", (int)(open - marked), marked, (int)(close - open - 1), open + 1,
             close + 1);
    p.question_bytes = strlen(question);
    p.written = (size_t)(open - marked);
    p.written_bytes = (size_t)(close - open - 1);
    assert_int_equal(yk_gate_texts(r, &p, &reason, &overlap, &err), YK_OK);
    return reason;
}

static void texts_are_judged(void **state)
{
    const yk_recipe *r = *state;
    static const char answer[] = "A yoke is a wooden beam.";
    static const struct {
        const char *question, *answer;
        yk_gate_reason reason;
    } cases[] = {
        {"What is [a yoke]?", answer, YK_GATE_KEPT},
        {"What is \"[two oxen]\"?", "It joins two oxen at their necks.", YK_GATE_KEPT},
        {"[yoke]?", answer, YK_GATE_QUESTION},                       /* too short */
        {"What is \"[]\" then?", answer, YK_GATE_QUESTION},          /* nothing was written */
        {"What is [a yoke\nAnswer: x]?", answer, YK_GATE_QUESTION},  /* lines */
        {"What is [a yoke Question: two oxen]?", answer, YK_GATE_QUESTION},
        {"What is [a yoke \xff]?", answer, YK_GATE_QUESTION},
        {"What is [a yoke]?", "", YK_GATE_ANSWER},
        {"What is [a yoke]?", "A yoke\x01 is a", YK_GATE_ANSWER},
        {"What is [a yoke]?", "A beam", YK_GATE_ANSWER}, /* too short */
        {"What is [a yoke]?", "Is a yoke a wooden beam?", YK_GATE_ANSWER},
        {"What is [the yoke and the yoke and the yoke]?", answer, YK_GATE_REPETITION},
        {"What is [a yoke]?", "A wooden beam a wooden beam a wooden beam", YK_GATE_REPETITION},
        {"What is [a yoke]?", "What is a yoke", YK_GATE_COPIED},
        {"What is [a plough]?", answer, YK_GATE_ABOUT},
        {"What is [yoke beam two]?", answer, YK_GATE_ABOUT}, /* its words, but not in a row */
        {"What is [a yoke]?", "It ploughs the field before rain comes", YK_GATE_OVERLAP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const yk_gate_reason reason = judge(r, cases[i].question, cases[i].answer);
        if (reason != cases[i].reason)
            fail_msg("%s %s: %s, not %s", cases[i].question, cases[i].answer, yk_gate_name[reason],
                     yk_gate_name[cases[i].reason]);
    }
}

static void ends_bytes_and_common_words_count(void **state)
{
    const yk_recipe *r = *state;
    yk_error err;
    yk_gate_reason reason;
    double overlap;
    const char *question = "What is a yoke?", *answer = "A yoke is a wooden beam.";
    const yk_proposal good = {.passage = passage, .question = question, .question_bytes = strlen(question),
                              .answer = answer, .answer_bytes = strlen(answer), .written = 8, .written_bytes = 6,
                              .asked = true, .answered = true};
    yk_proposal p = good;
    assert_int_equal(yk_gate_texts(r, &p, &reason, &overlap, &err), YK_OK);
    assert_int_equal(reason, YK_GATE_KEPT);
    assert_true(overlap == 1);
    p.asked = false;
    assert_int_equal(yk_gate_texts(r, &p, &reason, &overlap, &err), YK_OK);
    assert_int_equal(reason, YK_GATE_QUESTION);
    assert_true(isnan(overlap));
    p = good, p.answered = false;
    assert_int_equal(yk_gate_texts(r, &p, &reason, &overlap, &err), YK_OK);
    assert_int_equal(reason, YK_GATE_ANSWER);
    p = good, p.answer = "A yoke is\0 a wooden beam", p.answer_bytes = 24;
    assert_int_equal(yk_gate_texts(r, &p, &reason, &overlap, &err), YK_OK);
    assert_int_equal(reason, YK_GATE_ANSWER);
    p = good, p.rarest = 0.5;
    assert_int_equal(yk_gate_texts(r, &p, &reason, &overlap, &err), YK_OK);
    assert_int_equal(reason, YK_GATE_COMMON);
}

static void copies_of_examples_are_found(void **state)
{
    const yk_recipe *r = *state;
    yk_error err;
    bool copied;
    const yk_proposal p = {.question = "What is written under \"yoke\"?", .answer = "A yoke is a wooden beam."};
    assert_int_equal(yk_gate_copied(r, &p, "What is written under \"Yoke\"?", "Nothing at all.", &copied, &err), YK_OK);
    assert_true(copied);
    assert_int_equal(yk_gate_copied(r, &p, "Which beam is it?", "a yoke is a wooden beam", &copied, &err), YK_OK);
    assert_true(copied);
    assert_int_equal(yk_gate_copied(r, &p, "What is written under \"oxen\"?", "Oxen pull.", &copied, &err), YK_OK);
    assert_false(copied);
}

static void shares_are_exact(void **state)
{
    yk_error err;
    double share;
    (void)state;
    static const struct {
        const char *text;
        double repetition;
    } texts[] = {{"", 0}, {"one", 0}, {"one two", 0}, {"no no no", 0.5}, {"a b a b a", 0.5}, {"a b c d a b", 0.2}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(yk_gate_repetition(texts[i].text, strlen(texts[i].text), &share, &err), YK_OK);
        assert_true(share == texts[i].repetition);
    }
    assert_int_equal(yk_gate_overlap("a yoke a plough", 15, passage, 1, &share, &err), YK_OK);
    assert_true(share == 0.75);
    assert_int_equal(yk_gate_overlap("a yoke a plough", 15, passage, 2, &share, &err), YK_OK);
    assert_true(fabs(share - 1.0 / 3) < 1e-15);
    assert_int_equal(yk_gate_overlap("yoke", 4, passage, 2, &share, &err), YK_OK);
    assert_true(share == 1);
    assert_int_equal(yk_gate_overlap("...", 3, passage, 1, &share, &err), YK_OK);
    assert_true(share == 0);
}

static void likelihood_has_bounds(void **state)
{
    yk_recipe r = *(const yk_recipe *)*state;
    r.propose_nats_min = 0.5, r.propose_nats_max = 3, r.propose_margin = 0.25, r.propose_question_margin = 0.125;
    static const struct {
        yk_gate_nats nats;
        yk_gate_reason reason;
    } cases[] = {
        {{3, 3.25, 3.125}, YK_GATE_KEPT},  {{0.5, 0.75, 0.625}, YK_GATE_KEPT}, {{3.01, 9, 9}, YK_GATE_UNLIKELY},
        {{NAN, 9, 9}, YK_GATE_UNLIKELY},   {{0.49, 9, 9}, YK_GATE_TOO_LIKELY}, {{1, 1.2, 9}, YK_GATE_GAIN},
        {{1, NAN, 9}, YK_GATE_GAIN},       {{1, 2, 1.1}, YK_GATE_ASKED},       {{1, 2, NAN}, YK_GATE_ASKED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(yk_gate_likelihood(&r, &cases[i].nats), cases[i].reason);
}

/* --- passages and sentences ------------------------------------------------------------------ */

static yk_status take(void *context, const char *text, size_t n, yk_error *err)
{
    (void)err;
    yk_buf_add(context, text, n);
    yk_buf_puts(context, "|");
    return YK_OK;
}

static void expect_passages(const char *text, size_t least, size_t most, const char *wanted)
{
    yk_error err;
    yk_buf found = {0};
    char *exact = strdup(text);
    yk_buf_puts(&found, "");
    const yk_document doc = {exact, strlen(exact), "t", "en"};
    assert_int_equal(yk_passages_of(&doc, least, most, take, &found, &err), YK_OK);
    assert_string_equal(found.data, wanted);
    yk_buf_free(&found);
    free(exact);
}

static void passages_are_whole(void **state)
{
    (void)state;
    expect_passages("", 5, 20, "");
    expect_passages("Tiny.\n", 5, 20, "Tiny.|");
    expect_passages("Tiny.\n", 6, 20, "");
    expect_passages("One two.\n\nThree.\n\nFour five six.\n", 5, 20, "One two.\n\nThree.|Four five six.|");
    expect_passages("First one here. Then a second. And a third here.", 5, 20,
                    "First one here.|Then a second.|And a third here.|");
    expect_passages("no end in so many bytes as this\n\nThe next.", 5, 20, "The next.|");
    for (size_t n = 0; n < strlen(passage); n++) { /* any beginning */
        yk_error err;
        yk_buf found = {0};
        char *exact = strndup(passage, n);
        assert_int_equal(yk_passages_of(&(yk_document){exact, n, "t", "en"}, 5, 30, take, &found, &err), YK_OK);
        yk_buf_free(&found);
        free(exact);
    }
}

static void sentences_end_where_they_do(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"One sentence without an end", "One sentence without an end|"},
        {"First\n  here. \"Second there.\" Third!\n", "First here.|\"Second there.\"|Third!|"},
        {"See p. 186, op. cit. for all. Then more.", "See p. 186, op. cit. for all. Then more.|"},
        {"A heading\n\nIts text. . . goes on there.", "A heading|Its text.|. . goes on there.|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yk_error err;
        yk_buf found = {0};
        yk_buf_puts(&found, "");
        assert_int_equal(yk_sentences_of(cases[i][0], take, &found, &err), YK_OK);
        assert_string_equal(found.data, cases[i][1]);
        yk_buf_free(&found);
    }
}

static void rare_words_are_known(void **state)
{
    yk_error err;
    uint64_t word[] = {1, 2, 2, 2, 3};
    (void)state;
    const yk_passages p = {.n = 4, .word = word, .words = 5};
    double share;
    assert_int_equal(yk_passages_rarest(&p, "absent", 6, &share, &err), YK_OK);
    assert_true(share == 0);
    assert_int_equal(yk_passages_rarest(&p, "?", 1, &share, &err), YK_OK);
    assert_true(share == 1);
}

/* --- near duplicates ------------------------------------------------------------------------- */

static double similarity(const char *a, const char *b)
{
    yk_error err;
    double s, t;
    assert_int_equal(yk_near_similarity(a, b, &s, &err), YK_OK);
    assert_int_equal(yk_near_similarity(b, a, &t, &err), YK_OK);
    assert_true(s == t);
    return s;
}

static void similarity_is_jaccards(void **state)
{
    (void)state;
    assert_true(similarity("What is a yoke?", "what IS a yoke") == 1);
    assert_true(similarity("one two three four", "one two three five") == 0.5);
    assert_true(similarity("one two", "three four") == 0);
    assert_true(similarity("yoke", "Yoke!") == 1);
    assert_true(similarity("yoke", "a yoke") == 0);
    assert_true(similarity("", "") == 0);
    assert_true(similarity("What is 3 * 5?", "What is 3 * 6?") == 0);
    assert_true(similarity("What is 3 * 5?", "What is 5 * 3?") == 0);
}

static bool known(yk_near *n, const char *text, uint64_t group)
{
    yk_error err;
    bool hit;
    assert_int_equal(yk_near_find(n, text, group, &hit, &err), YK_OK);
    return hit;
}

static void near_duplicates_are_found(void **state)
{
    (void)state;
    yk_error err;
    yk_near *n;
    static const char text[] = "Which property tells where the library files of a target are written when it is built?",
                      alike[] = "which property tells where the library files of a target are written, when it is made";
    assert_int_equal(yk_near_new(&n, 0.8, &err), YK_OK);
    assert_false(known(n, text, 0));
    assert_int_equal(yk_near_add(n, text, 0, &err), YK_OK);
    assert_int_equal(yk_near_add(n, "What is 7 + 5?", 0, &err), YK_OK);
    assert_true(known(n, text, 0));
    assert_false(known(n, text, 1));
    assert_true(known(n, alike, 0));
    assert_true(similarity(text, alike) > 0.85);
    assert_false(known(n, "Which property tells how the object files of a target are named where it is used?", 0));
    assert_true(known(n, "what is 7 + 5", 0));
    assert_false(known(n, "What is 7 + 6?", 0));
    assert_false(known(n, "What is 5 + 7?", 0));
    yk_near_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_judged), cmocka_unit_test(ends_bytes_and_common_words_count),
        cmocka_unit_test(copies_of_examples_are_found), cmocka_unit_test(shares_are_exact),
        cmocka_unit_test(likelihood_has_bounds), cmocka_unit_test(passages_are_whole),
        cmocka_unit_test(sentences_end_where_they_do), cmocka_unit_test(rare_words_are_known),
        cmocka_unit_test(similarity_is_jaccards), cmocka_unit_test(near_duplicates_are_found)};
    return cmocka_run_group_tests(tests, defaults, end);
}
