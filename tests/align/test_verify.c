/* The format of reasoned responses, the built-in verifiers, and the sum of the reward. */
#include "tests/align/items.h"

#include "base/log.h"

static yk_reasoning parse(const char *text)
{
    return yk_reasoning_of(text, strlen(text));
}

static void same_span(yk_span s, const char *text)
{
    assert_int_equal(s.length, strlen(text));
    assert_memory_equal(s.text, text, s.length);
}

static void well_formed(void **state)
{
    (void)state;
    yk_reasoning r = parse(" \n<think>\n 1 + 1 < 3 \n</think>\n\n<answer> 2 </answer>\n");
    assert_true(r.well_formed);
    same_span(r.thought, "1 + 1 < 3");
    same_span(r.answer, "2");
}

static void ill_formed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *answer;
    } bad[] = {
        {"", ""},
        {"12", ""},
        {"<answer>2</answer>", "2"},
        {"<think>a</think>2", ""},
        {"<think>a</think><answer>2", ""},
        {"<think> </think><answer>2</answer>", "2"},
        {"<think>a</think><answer> </answer>", ""},
        {"So: <think>a</think><answer>2</answer>", "2"},
        {"<think>a</think> so <answer>2</answer>", "2"},
        {"<think>a</think><answer>2</answer>.", "2"},
        {"<answer>2</answer><think>a</think>", "2"},
        {"<think>a<answer>2</answer></think>", "2"},
        {"<think><think>a</think></think><answer>2</answer>", "2"},
        {"<think>a</think><answer>1</answer><answer>2</answer>", "2"},
        {"<think>a</think><answer>1<answer>2</answer></answer>", "2"},
        {"<think>a</think><answer>1</answer><answer>2", "1"},
        {"</answer>2<answer>", ""},
        {"<THINK>a</THINK><answer>2</answer>", "2"},
        {"<think>a</think ><answer>2</answer>", "2"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        yk_reasoning r = parse(bad[i].text);
        assert_false(r.well_formed);
        assert_int_equal(r.thought.length, 0);
        same_span(r.answer, bad[i].answer);
    }
    static const char nul[] = "<think>a\0b</think><answer>\0</answer>";
    yk_reasoning r = yk_reasoning_of(nul, sizeof nul - 1);
    assert_true(r.well_formed);
    assert_int_equal(r.thought.length, 3);
    assert_int_equal(r.answer.length, 1);
}

static void long_responses_take_no_time(void **state)
{
    (void)state;
    static const char *const unit[] = {"<answer>", "</answer>", "<think>", "<",    " ",
                                       "1,111,",   "1 1/",      "9",       "\xFF", "1/2"};
    enum { LONG = 1 << 20 };
    yk_verifier *v = verifier_of((yk_verifier_options){.lenient = true});
    char *text = malloc(LONG);
    assert_non_null(text);
    double start = yk_now();
    for (size_t u = 0; u < sizeof unit / sizeof *unit; u++) {
        size_t n = strlen(unit[u]);
        for (size_t i = 0; i < LONG; i++) text[i] = unit[u][i % n];
        static const char *const kind[] = {"text", "number", "regex", "contains"};
        for (int k = 0; k < 4; k++) {
            yk_reward_item it = {"", text, LONG, 0, "77", kind[k]};
            double score;
            yk_error err;
            assert_int_equal(yk_verify_batch(v, &it, 1, &score, &err), YK_OK);
            assert_true(score == 0);
        }
    }
    assert_true(yk_now() - start < 30);
    free(text);
    yk_verifier_free(v);
}

/* The score of "<think>t</think><answer>ANSWER</answer>". */
static double score_of(yk_verifier *v, const char *answer, const char *expected)
{
    yk_buf b = {0};
    yk_error err = {""};
    double score = -1;
    yk_buf_printf(&b, "<think>t</think><answer>%s</answer>", answer);
    yk_reward_item it = item_of(b.data, expected, NULL);
    if (yk_verify_batch(v, &it, 1, &score, &err) != YK_OK) fail_msg("%s", err.text);
    yk_buf_free(&b);
    return score;
}

typedef struct verdict {
    const char *answer, *expected;
    int score;
} verdict;

static void judge(yk_verifier_options o, const verdict *all, size_t n)
{
    yk_verifier *v = verifier_of(o);
    for (size_t i = 0; i < n; i++)
        if (score_of(v, all[i].answer, all[i].expected) != all[i].score)
            fail_msg("%s: \"%s\" for \"%s\" should score %d", o.kind, all[i].answer, all[i].expected, all[i].score);
    yk_verifier_free(v);
}
#define JUDGE(all, ...) judge((yk_verifier_options){__VA_ARGS__}, all, sizeof(all) / sizeof *(all))

static void text_kind(void **state)
{
    (void)state;
    static const verdict all[] = {
        {"Paris", "paris", 1},
        {" new\n\tYORK . ", "New York", 1},
        {"Paris.", "Paris", 1},
        {"Paris..", "Paris", 0},
        {"in Paris", "Paris", 0},
        {"", "Paris", 0},
        {".", "Paris", 0},
        {"caf\xC3\xA9", "cafe\xCC\x81", 1},
        {"STRASSE", "stra\xC3\x9F" "e", 1},
        {"a\xC2\xA0\xE3\x80\x80" "b", "a b", 1},
        {"\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x80\x82", "\xE6\x9D\xB1\xE4\xBA\xAC", 1},
        {"Par\xFFis", "Paris", 0},
        {"\xC3", "\xC3\xA9", 0},
        {"1,3,5", "1, 3, 5", 0},
    };
    JUDGE(all, .kind = "text");
}

static void contains_kind(void **state)
{
    (void)state;
    static const verdict all[] = {
        {"It is the Red  House.", "red house", 1},
        {"concatenate", "cat", 0},
        {"concatenate a cat", "cat", 1},
        {"112 or 12", "12", 1},
        {"112", "12", 0},
        {"(cat)", "cat", 1},
        {"c++!", "C++", 1},
        {"\xC3\xA9" "cat", "cat", 0},
        {"\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD", "\xE6\x9D\xB1\xE4\xBA\xAC", 1},
        {"", "cat", 0},
    };
    JUDGE(all, .kind = "contains");
}

static void number_kind(void **state)
{
    (void)state;
    static const verdict all[] = {
        {"12", "12", 1},
        {"The answer is 12.", "12", 1},
        {"3 and 12", "12", 1},
        {"12 and 3", "12", 0},
        {"-12", "12", 0},
        {"\xE2\x88\x92" "12", "-12", 1},
        {"+12", "12", 1},
        {"15-3", "3", 1},
        {"f(2)-3", "3", 1},
        {"x = -3", "-3", 1},
        {"012", "12", 1},
        {"12.0", "12", 1},
        {"12.0000000001", "12", 0},
        {"1,234,567", "1234567", 1},
        {"1,234,567, that is it", "1234567", 1},
        {"1,234,56", "56", 1},
        {"1\xE2\x80\xAF" "234", "1234", 1},
        {"1, 2, 345", "345", 1},
        {"0,123", "123", 1},
        {"$1,000.50", "1000.5", 1},
        {"-$5", "-5", 1},
        {"50%", "1/2", 1},
        {"50 %", "0.5", 1},
        {"50\\%", "0.5", 1},
        {"50%", "50", 0},
        {"2/4", "0.5", 1},
        {"1 / 3", "0.333", 0},
        {"1/3", "0.3333333", 1},
        {"1 1/2", "1.5", 1},
        {"-1 1/2", "-3/2", 1},
        {"1 1/2", "1/2", 0},
        {"4/0", "4", 0},
        {"4/0 or 5", "5", 1},
        {"1e3", "1000", 1},
        {"1.5E-3", "0.0015", 1},
        {"1e999999999999999999999", "1", 0},
        {"12345678901234567890123", "12345678901234567890123", 1},
        {"12345678901234567890124", "12345678901234567890123", 0},
        {"x2", "2", 0},
        {"H2O", "2", 0},
        {"5km", "5", 1},
        {"it is...5", "5", 1},
        {".5", "1/2", 1},
        {"-0", "0", 1},
        {"0.0", "0", 1},
        {"none", "0", 0},
        {"-", "0", 0},
        {"\xEF\xBC\x95", "5", 0},
    };
    JUDGE(all, .kind = "number");
    static const verdict near[] = {
        {"3.14", "3.14159", 1}, {"3.1", "3.14159", 0}, {"-3.14", "-3.14159", 1}, {"3.14", "-3.14159", 0},
        {"100.9", "100", 1},    {"101.1", "100", 0},   {"99", "100", 1},         {"98.99", "100", 0}};
    JUDGE(near, .kind = "number", .relative = 0.01);
    static const verdict close[] = {{"0.01", "0", 1}, {"0.02", "0", 0}, {"100.01", "100", 1}, {"100.011", "100", 0}};
    JUDGE(close, .kind = "number", .absolute = 0.01000000001);
}

static void regex_kind(void **state)
{
    (void)state;
    static const verdict all[] = {
        {"abc", "[a-c]+", 1},
        {"abcd", "[a-c]+", 0},
        {"dabc", "[a-c]+", 0},
        {"a", "a|ab", 1},
        {"ab", "a|ab", 1},
        {"ABC", "(?i)abc", 1},
        {"\xC3\xA9", "\\w", 1},
        {"\xC3", ".", 0},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "(a+)+b", 0},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "(*LIMIT_MATCH=4000000000)(a|aa)+b", 0},
        {"aaaa", "(?R)*", 0},
    };
    JUDGE(all, .kind = "regex");
}

static void hostile_patterns_end(void **state)
{
    (void)state;
    static const char *const pattern[] = {"(a*)*b", "(?:a|b|ab)*c", "(.*)(.*)(.*)(.*)\\1\\2x", "((a{0,5}){0,5}){0,5}b",
                                          "(?=(a+))a*b\\1", "(a(?R)?)+b"};
    enum { LONG = 60000 };
    yk_verifier *v = verifier_of((yk_verifier_options){.kind = "regex"});
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, 'a', LONG);
    text[LONG] = 0;
    for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++) {
        double start = yk_now();
        assert_true(score_of(v, text, pattern[i]) == 0);
        double took = yk_now() - start;
        if (took > 5) fail_msg("%s took %.1f s", pattern[i], took);
    }
    assert_true(yk_verifier_counts_of(v).regex_limits > 0);
    free(text);
    yk_verifier_free(v);
}

static void refused(yk_verifier *v, const char *kind, const char *expected, const char *says)
{
    yk_error err = {""};
    assert_int_equal(yk_verifier_accepts(v, kind, expected, &err), YK_ERR_INPUT);
    if (!strstr(err.text, says)) fail_msg("\"%s\" should say \"%s\"", err.text, says);
}

static void bad_expectations_are_named(void **state)
{
    (void)state;
    yk_verifier *v = verifier_of((yk_verifier_options){0});
    yk_error err;
    refused(v, "regex", "(a", "byte 2: missing closing parenthesis");
    refused(v, "regex", "((((a{999}){999}){999}){999})", "too large");
    refused(v, "regex", "\xFF", "UTF-8");
    refused(v, "regex", "\\C", "\\C");
    refused(v, "number", "twelve", "no number");
    refused(v, "number", "1/0", "no number");
    refused(v, "text", " . ", "empty");
    refused(v, "contains", "", "empty");
    refused(v, "text", NULL, "no expected answer");
    refused(v, "command", "1", "no command is named");
    refused(v, "numeric", "1", "there are\n    text ");
    assert_int_equal(yk_verifier_accepts(v, NULL, "yes", &err), YK_OK);
    assert_int_equal(yk_verifier_accepts(v, "regex", "a+", &err), YK_OK);
    yk_verifier_free(v);
    assert_int_equal(yk_verifier_new(&v, &(yk_verifier_options){.kind = "sums"}, &err), YK_ERR_INPUT);
    assert_int_equal(yk_verifier_new(&v, &(yk_verifier_options){.kind = "command"}, &err), YK_ERR_INPUT);
    assert_int_equal(yk_verifier_new(&v, &(yk_verifier_options){.absolute = -1}, &err), YK_ERR_CONFIG);
}

/* exact_match of lm-eval: the response as it is, but for what is ignored on both sides, and blanks around it alone. */
static void exact_kind(void **state)
{
    (void)state;
    enum { CASE = 1, PUNCTUATION = 2, STRIP = 4 };
    static const struct {
        const char *response, *expected;
        int ignored, score;
    } all[] = {
        {"Paris", "Paris", 0, 1},         {"paris", "Paris", 0, 0},          {"paris", "Paris", CASE, 1},
        {"\xC3\x89T\xC3\x89", "\xC3\xA9t\xC3\xA9", CASE, 1}, {" Paris\n", "Paris", 0, 0},
        {" Paris\n", "Paris", STRIP, 1},
        {"Paris", " Paris", STRIP, 0},    {"Pa-ris.", "Paris", 0, 0},        {"Pa-ris.", "Paris", PUNCTUATION, 1},
        {"PARIS!", "Paris?", CASE | PUNCTUATION, 1}, {"<answer>7</answer>", "7", 0, 0}, {"7\xFF", "7", CASE, 0},
        {"a  b", "a b", CASE | PUNCTUATION | STRIP, 0}, {"", "a", 0, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double score;
        yk_error err = {""};
        yk_verifier *v = verifier_of((yk_verifier_options){.kind = "exact", .ignore_case = all[i].ignored & CASE,
                                                           .ignore_punctuation = all[i].ignored & PUNCTUATION,
                                                           .strip = all[i].ignored & STRIP});
        yk_reward_item item = item_of(all[i].response, all[i].expected, NULL);
        assert_int_equal(yk_verify_batch(v, &item, 1, &score, &err), YK_OK);
        if (score != all[i].score) fail_msg("\"%s\" for \"%s\": %g", all[i].response, all[i].expected, score);
        yk_verifier_free(v);
    }
}

static void lenient_takes_the_last_line(void **state)
{
    (void)state;
    static const struct {
        const char *response, *kind, *expected;
        int strict, lenient;
    } all[] = {
        {"I think:\n Paris \n\n", "text", "paris", 0, 1},
        {"Paris\nI think", "text", "paris", 0, 0},
        {"12 it is\nsurely", "number", "12", 0, 1},
        {"<answer>3</answer> or 12", "number", "12", 0, 0},
        {"", "number", "12", 0, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int lenient = 0; lenient < 2; lenient++) {
            yk_verifier *v = verifier_of((yk_verifier_options){.lenient = lenient});
            yk_reward_item it = item_of(all[i].response, all[i].expected, all[i].kind);
            yk_error err;
            double score;
            assert_int_equal(yk_verify_batch(v, &it, 1, &score, &err), YK_OK);
            assert_true(score == (lenient ? all[i].lenient : all[i].strict));
            yk_verifier_free(v);
        }
}

static void parts_add_up(void **state)
{
    (void)state;
    const char *good = "<think>t</think><answer>2</answer>";
    static const int64_t tokens[] = {0, 100, 150, 200, 1000};
    static const double penalty[] = {0, 0, -0.5, -1, -1};
    yk_reward_weights w = {1, 0.25, 0.5, 0, 100, 200};
    yk_verifier *v = verifier_of((yk_verifier_options){.kind = "number"});
    yk_reward_item it[7];
    yk_reward_parts part[7], alone;
    yk_error err;
    for (int i = 0; i < 5; i++) it[i] = item_of(good, "2", NULL), it[i].tokens = tokens[i];
    it[5] = item_of("<answer>2</answer>", "2", NULL);
    it[6] = item_of("<think>t</think><answer>3</answer>", "2", "text");
    assert_int_equal(yk_reward_batch(v, it, 7, &w, part, &err), YK_OK);
    for (int i = 0; i < 5; i++) {
        assert_true(part[i].length == penalty[i]);
        assert_true(part[i].total == 1.25 + 0.5 * penalty[i]);
        assert_int_equal(yk_reward_batch(v, &it[i], 1, &w, &alone, &err), YK_OK);
        assert_memory_equal(&alone, &part[i], sizeof alone);
    }
    assert_true(part[5].format == 0 && part[5].accuracy == 1 && part[5].total == 1);
    assert_true(part[6].format == 1 && part[6].accuracy == 0 && part[6].total == 0.25);
    w.length_max = 100;
    assert_int_equal(yk_reward_batch(v, it, 7, &w, part, &err), YK_ERR_CONFIG);
    w = (yk_reward_weights){.accuracy = -1};
    assert_int_equal(yk_reward_batch(v, it, 7, &w, part, &err), YK_ERR_CONFIG);
    assert_int_equal(yk_reward_batch(v, it, 0, &(yk_reward_weights){.accuracy = 1}, part, &err), YK_OK);
    yk_verifier_free(v);
}

#define ENGLISH                                                                                                      \
    "First the number of apples is counted, and then those which were eaten by the children are taken away. What is " \
    "left must be shared between the two baskets, so that each of them gets half of the apples. That is the answer. "  \
    "Let us check it again by adding all of them up, which gives the number with which we began, as it should be. "
#define GERMAN                                                                                                        \
    "Zuerst werden die \xC3\x84pfel gez\xC3\xA4hlt, und dann werden die abgezogen, welche von den Kindern gegessen "  \
    "wurden. Was \xC3\xBC" "brig bleibt, muss auf die beiden K\xC3\xB6rbe verteilt werden, so dass jeder von ihnen "  \
    "die H\xC3\xA4lfte der \xC3\x84pfel bekommt. Das ist die Antwort, und zur Probe rechnen wir alles noch einmal. "
#define QUESTION "How many apples are in each of the two baskets when the children have eaten some of them?"

static double language_part(yk_verifier *v, const char *prompt, const char *thought)
{
    yk_buf b = {0};
    yk_error err = {""};
    yk_reward_parts part;
    yk_buf_printf(&b, "<think>%s</think><answer>2</answer>", thought);
    yk_reward_item it = item_of(b.data, "2", NULL);
    it.prompt = prompt;
    if (yk_reward_batch(v, &it, 1, &(yk_reward_weights){.language = 1}, &part, &err) != YK_OK) fail_msg("%s", err.text);
    assert_true(part.total == part.language);
    yk_buf_free(&b);
    return part.language;
}

static void languages_are_told(void **state)
{
    (void)state;
    yk_verifier *v = verifier_of((yk_verifier_options){0});
    yk_verifier *german = verifier_of((yk_verifier_options){.language = "de"});
    assert_true(language_part(v, QUESTION, ENGLISH) == 1);
    assert_true(language_part(v, QUESTION, GERMAN) == 0);
    double mixed = language_part(v, QUESTION, ENGLISH ENGLISH ENGLISH GERMAN GERMAN GERMAN);
    assert_true(mixed > 0.25 && mixed < 0.75);
    assert_true(language_part(v, "2+2", GERMAN) == 1);
    assert_true(language_part(v, QUESTION, "3 + 4 = 7") == 1);
    assert_true(language_part(v, QUESTION, "12 * 3 = 36") == 1);
    const char *chinese = "\xE9\xA6\x96\xE5\x85\x88\xE6\x88\x91\xE4\xBB\xAC\xE7\x9B\xB8\xE5\x8A\xA0";
    assert_true(language_part(v, QUESTION, chinese) == 0);
    assert_true(language_part(v, "What is 3 + 4?", "Add 3 and 4: 7. So 7 + 5 = 12.") == 1);
    assert_true(language_part(v, QUESTION, " ") == 0);
    assert_true(language_part(v, QUESTION, "\xFF\xFE\x80\x80 \xC3") >= 0);
    assert_true(language_part(german, QUESTION, GERMAN) == 1);
    assert_true(language_part(german, QUESTION, ENGLISH) == 0);
    yk_verifier_free(v);
    yk_verifier_free(german);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed),
        cmocka_unit_test(ill_formed),
        cmocka_unit_test(text_kind),
        cmocka_unit_test(contains_kind),
        cmocka_unit_test(number_kind),
        cmocka_unit_test(regex_kind),
        cmocka_unit_test(hostile_patterns_end),
        cmocka_unit_test(bad_expectations_are_named),
        cmocka_unit_test(lenient_takes_the_last_line),
        cmocka_unit_test(exact_kind),
        cmocka_unit_test(long_responses_take_no_time),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(languages_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
