/* Generated problems, questions from documents, the stage's files. */
#include "base/file.h"
#include "base/log.h"
#include "text/extract.h"
#include "text/problems.h"
#include "text/questions.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* --- Problems: their answers computed again -------------------------------------------------- */

enum { MOST_NUMBERS = 8 };

static size_t numbers_in(const char *text, long long *x)
{
    size_t n = 0;
    while (*text && n < MOST_NUMBERS) {
        if (isdigit((unsigned char)*text)) x[n++] = strtoll(text, (char **)&text, 10);
        else text++;
    }
    return n;
}

static void expect_arithmetic(const yk_problem *p, char *out)
{
    long long x[MOST_NUMBERS] = {0};
    assert_int_equal(numbers_in(p->key.data, x), 2);
    long long is = p->kind[0] == 'a' ? x[0] + x[1] : p->kind[0] == 's' ? x[0] - x[1] : x[0] * x[1];
    sprintf(out, "%lld", is);
}

static int ascending(const void *a, const void *b)
{
    const long long *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void expect_order(const yk_problem *p, char *out)
{
    long long x[MOST_NUMBERS];
    size_t n = numbers_in(p->key.data, x);
    bool large = strstr(p->key.data, " large") != NULL, all = strcmp(p->kind, "sort") == 0;
    assert_true(n >= (all ? 3 : 2));
    qsort(x, n, sizeof *x, ascending);
    for (size_t i = 0; i < (all ? n : 1); i++)
        out += sprintf(out, "%s%lld", i ? ", " : "", x[large ? n - 1 - i : i]);
}

static void expect_count(const yk_problem *p, char *out)
{
    const char *key = p->key.data + strlen("count ");
    int n = 0;
    if (key[1] == ' ')
        for (const char *c = key + 2; *c; c++) n += *c == key[0];
    else
        for (n = 1; *key; key++) n += *key == ',';
    sprintf(out, "%d", n);
}

static void expect_weekday(const yk_problem *p, char *out)
{
    long long n;
    char way[16], day[16];
    assert_int_equal(sscanf(p->key.data, "weekday %lld %*[days] %15s %15s", &n, way, day), 3);
    struct tm tm = {.tm_year = 101, .tm_mday = 1}; /* 1 January 2001 was a Monday */
    for (time_t t = timegm(&tm);; t += 86400) {
        gmtime_r(&t, &tm);
        strftime(out, 64, "%A", &tm);
        if (strcmp(out, day) != 0) continue;
        t += (strcmp(way, "after") == 0 ? n : -n) * 86400;
        gmtime_r(&t, &tm);
        strftime(out, 64, "%A", &tm);
        return;
    }
}

static void expect_days(const yk_problem *p, char *out)
{
    struct tm from = {0}, to = {0};
    const char *format = p->level > 2 ? " %d %B %Y" : " %d %B", *rest = strptime(p->key.data + 4, format, &from);
    assert_non_null(rest);
    rest = strptime(rest, format, &to);
    assert_true(rest && !*rest);
    if (p->level <= 2) from.tm_year = to.tm_year = 101;
    sprintf(out, "%lld", (long long)(timegm(&to) - timegm(&from)) / 86400);
}

static long long size_of(const char *unit)
{
    static const struct {
        const char *name;
        long long size;
    } units[] = {{"mm", 1},   {"cm", 10},  {"m", 1000}, {"km", 1000000}, {"s", 1},
                 {"min", 60}, {"h", 3600}, {"g", 1},    {"kg", 1000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0) return units[i].size;
    fail_msg("%s is no unit", unit);
    return 0;
}

static void expect_units(const yk_problem *p, char *out)
{
    long long n, more;
    char unit[8], second[8], target[8];
    if (sscanf(p->key.data, "units %lld %7s %lld %7s %7s", &n, unit, &more, second, target) == 5) {
        n = n * size_of(unit) + more * size_of(second);
    } else {
        assert_int_equal(sscanf(p->key.data, "units %lld %7s %7s", &n, unit, target), 3);
        n *= size_of(unit);
    }
    assert_int_equal(n % size_of(target), 0);
    sprintf(out, "%lld", n / size_of(target));
}

/* a + b - c * d ...: products first. Stops at what is neither. */
static long long evaluate(const char *at)
{
    long long sum = 0, term = 0;
    char op = '+', sign = '+';
    for (;;) {
        while (*at == ' ') at++;
        assert_true(isdigit((unsigned char)*at));
        long long x = strtoll(at, (char **)&at, 10);
        if (op == '*') term *= x;
        else if (op == '/') assert_int_equal(term % x, 0), term /= x;
        else sum += sign == '+' ? term : -term, sign = op, term = x;
        while (*at == ' ') at++;
        if (!*at || !strchr("+-*/", *at)) return sum + (sign == '+' ? term : -term);
        op = *at++;
    }
}

/* Every equation of numbers in the steps holds. */
static void check_steps(const yk_problem *p)
{
    char *work = strdup(p->work.data), *save;
    for (char *piece = strtok_r(work, ",;:", &save); piece; piece = strtok_r(NULL, ",;:", &save)) {
        char *equal = strchr(piece, '=');
        bool words = false;
        for (char *c = piece; *c; c++) words = words || isalpha((unsigned char)*c);
        if (equal && !words) assert_int_equal(evaluate(piece), evaluate(equal + 1));
    }
    free(work);
}

static void check_texts(const yk_problem *p, const char *expected)
{
    yk_buf response = {0};
    char end[192];
    assert_string_equal(p->answer.data, expected);
    assert_string_not_equal(p->wrong.data, expected);
    yk_problem_respond(p, YK_BARE, &p->answer, &response);
    assert_string_equal(response.data, expected);
    yk_buf_clear(&response);
    yk_problem_respond(p, YK_FULL, &p->answer, &response);
    snprintf(end, sizeof end, " %s.", expected);
    assert_string_equal(response.data + response.len - strlen(end), end);
    yk_buf_clear(&response);
    yk_problem_respond(p, YK_STEPS, &p->answer, &response);
    snprintf(end, sizeof end, "</think><answer>%s</answer>", expected);
    assert_int_equal(strncmp(response.data, "<think>", 7), 0);
    assert_string_equal(response.data + response.len - strlen(end), end);
    for (size_t i = 0; i < response.len; i++) assert_true(response.data[i] >= ' ' && response.data[i] <= '~');
    for (size_t i = 0; i < p->prompt.len; i++) assert_true(p->prompt.data[i] >= ' ' && p->prompt.data[i] <= '~');
    yk_buf_free(&response);
}

static void answers_are_right(void **state)
{
    static void (*const expect[YK_PROBLEM_KINDS])(const yk_problem *, char *) = {
        expect_arithmetic, expect_arithmetic, expect_arithmetic, expect_order, expect_order,
        expect_count,      expect_weekday,    expect_days,       expect_units};
    (void)state;
    yk_problem p = {0};
    for (size_t kind = 0; kind < YK_PROBLEM_KINDS; kind++)
        for (int level = 1; level <= YK_PROBLEM_LEVELS; level++)
            for (uint64_t i = 0; i < 500; i++) {
                char expected[128];
                yk_problem_make(&p, kind, level, 7, i);
                expect[kind](&p, expected);
                check_texts(&p, expected);
                check_steps(&p);
                bool number = strcmp(p.kind, "sort") != 0 && strcmp(p.kind, "weekday") != 0;
                assert_string_equal(p.verifier, number ? "number" : "text");
            }
    yk_problem_free(&p);
}

static void prompts_ask_for_what_the_key_says(void **state)
{
    (void)state;
    yk_problem p = {0};
    for (size_t kind = 0; kind < YK_PROBLEM_KINDS; kind++)
        for (uint64_t i = 0; i < 200; i++) {
            long long in_key[MOST_NUMBERS], in_prompt[MOST_NUMBERS];
            yk_problem_make(&p, kind, 1 + (int)(i % YK_PROBLEM_LEVELS), 1, i);
            size_t n = numbers_in(p.key.data, in_key);
            assert_int_equal(numbers_in(p.prompt.data, in_prompt), n);
            bool reversed = strstr(p.prompt.data, "Subtract") || strstr(p.prompt.data, "Take");
            for (size_t k = 0; k < n; k++) assert_int_equal(in_prompt[k], in_key[reversed ? n - 1 - k : k]);
        }
    yk_problem_free(&p);
}

static void easy_problems_are_short_and_varied(void **state)
{
    (void)state;
    yk_problem p = {0};
    yk_buf text = {0};
    size_t bytes = 0, n = 0, use[4] = {0};
    for (size_t kind = 0; kind < YK_PROBLEM_KINDS; kind++)
        for (uint64_t i = 0; i < 1000; i++, n++) {
            yk_problem_make(&p, kind, 1 + (int)(i % 2), 5, i);
            yk_buf_clear(&text);
            yk_problem_respond(&p, YK_STEPS, &p.answer, &text);
            bytes += p.prompt.len + text.len;
            use[yk_problem_use_of(&p)]++;
        }
    assert_true(bytes / n < 100);
    for (int i = 0; i < 4; i++) assert_true(use[i] > n / 50);
    yk_buf_free(&text);
    yk_problem_free(&p);
}

static void problems_are_pure(void **state)
{
    (void)state;
    yk_problem a = {0}, b = {0};
    int differ = 0;
    for (uint64_t i = 0; i < 100; i++) {
        yk_problem_make(&a, i % YK_PROBLEM_KINDS, 5, 1, i);
        yk_problem_make(&b, 0, 9, 2, i + 1);
        yk_problem_make(&b, i % YK_PROBLEM_KINDS, 5, 1, i);
        assert_string_equal(a.prompt.data, b.prompt.data);
        assert_string_equal(a.work.data, b.work.data);
        yk_problem_make(&b, i % YK_PROBLEM_KINDS, 5, 2, i);
        differ += strcmp(a.key.data, b.key.data) != 0;
    }
    assert_true(differ > 90);
    yk_problem_free(&a);
    yk_problem_free(&b);
}

/* --- Extraction ------------------------------------------------------------------------------ */

static const char prose[] = "3.1 The Yoke of Oxen\n\n"
                            "Two oxen pull a plough together when a beam of wood joins their necks. It is carved by "
                            "hand. The beam lasts long.\n\n"
                            "- a list is no heading\n\n"
                            "A yoke is a wooden beam that joins two\xC2\xA0oxen at their necks.\n\n"
                            "It is a rule that nothing here should become a definition of something.\n\n"
                            "Why do farmers love oxen?\n\n"
                            "Because oxen are strong, patient and need no fuel at all, farmers love them.\n\n"
                            "Overview\n\n"
                            "This section gives an overview of everything that was said before in vain.\n";

static const char python[] =
    "import os\n\n"
    "def path_graph(n, closed=False):\n"
    "    \"\"\"Return a path graph of length n.\n\n    More is said here.\n    \"\"\"\n"
    "    return n\n\n"
    "def _private(x):\n    \"\"\"Nobody should ask about this one.\"\"\"\n"
    "def bare(x):\n    return x\n"
    "def open_end(x):\n    \"\"\"This string never ends";

static const char c_code[] =
    "/* Copyright of nobody. All rights are left. */\n\n#include <stdio.h>\n\n"
    "/**\n * Count the oxen in a field.\n *\n * \\param f the field\n */\n"
    "extern int count_oxen(const struct field *f,\n                      int most);\n\n"
    "/* Not a prototype at all. */\nstatic int x = 3;\n/* unfinished";

typedef struct found {
    yk_buf text;
    int n[YK_ASK_KINDS];
} found;

static yk_status collect(void *context, yk_question_kind kind, const char *prompt, const char *answer, yk_error *err)
{
    (void)err;
    found *f = context;
    f->n[kind]++;
    yk_buf_printf(&f->text, "%s|%s|%s\n", yk_question_kind_name(kind), prompt, answer);
    return YK_OK;
}

static found extract(const char *text, const char *lang)
{
    found f = {0};
    yk_error err;
    yk_document doc = {text, strlen(text), "test", lang};
    yk_buf_puts(&f.text, "\n");
    assert_int_equal(yk_extract(&doc, collect, &f, &err), YK_OK);
    return f;
}

static void has_line(const found *f, const char *line)
{
    if (!strstr(f->text.data, line)) fail_msg("`%s` is not in:%s", line, f->text.data);
}

static void prose_is_asked_about(void **state)
{
    (void)state;
    found f = extract(prose, "en");
    assert_int_equal(f.n[YK_ASK_SECTION], 2);
    assert_int_equal(f.n[YK_ASK_DEFINITION], 1);
    assert_int_equal(f.n[YK_ASK_CLOZE], 1);
    has_line(&f, "The Yoke of Oxen\"");
    has_line(&f,
             "|Two oxen pull a plough together when a beam of wood joins their necks. It is carved by hand. The beam");
    has_line(&f, "\ndefinition|What is a yoke?|A yoke is a wooden beam that joins two oxen at their necks.\n");
    has_line(&f, "\nsection|Why do farmers love oxen?|Because oxen are strong, patient and need no fuel at all,");
    has_line(&f, "\ncloze|Fill in the missing word: ");
    has_line(&f, "___");
    yk_buf_free(&f.text);
    f = extract(prose, "de");
    assert_string_equal(f.text.data, "\n");
    yk_buf_free(&f.text);
}

static void code_is_asked_about(void **state)
{
    (void)state;
    found f = extract(python, "code");
    assert_string_equal(
        f.text.data,
        "\ncode|What does the Python function path_graph(n, closed=False) do?|Return a path graph of length n.\n"
        "signature|Write the signature of a Python function: Return a path graph of length n.|"
        "def path_graph(n, closed=False):\n");
    yk_buf_free(&f.text);
    f = extract(c_code, "code");
    assert_string_equal(f.text.data,
                        "\ncode|What does the C function int count_oxen(const struct field *f, int most) do?|"
                        "Count the oxen in a field.\n"
                        "signature|Write the signature of a C function: Count the oxen in a field.|"
                        "int count_oxen(const struct field *f, int most)\n");
    yk_buf_free(&f.text);
}

/* Any beginning of a document is a document. */
static void cut_documents_do_no_harm(void **state)
{
    (void)state;
    static const char *const texts[] = {prose, python, c_code};
    for (size_t t = 0; t < 3; t++)
        for (size_t n = 0; n < strlen(texts[t]); n++) {
            char *exact = strndup(texts[t], n);
            found f = extract(exact, t ? "code" : "en");
            yk_buf_free(&f.text);
            free(exact);
        }
}

/* --- The stage ------------------------------------------------------------------------------- */

typedef struct world {
    char dir[96], recipe[128], against[128];
    yk_recipe r;
} world;

static int make_world(void **state)
{
    world *w = calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    snprintf(w->dir, sizeof w->dir, "%.40s/yoke-questions-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    if (!mkdtemp(w->dir)) return -1;
    snprintf(w->recipe, sizeof w->recipe, "%s/recipe.yaml", w->dir);
    snprintf(w->against, sizeof w->against, "%s/against.jsonl", w->dir);
    *state = w;
    return 0;
}

static int remove_world(void **state)
{
    world *w = *state;
    char command[160];
    snprintf(command, sizeof command, "rm -r '%s'", w->dir);
    int rc = system(command);
    yk_recipe_free(&w->r);
    free(w);
    return rc;
}

static void write_file(const char *path, const char *text)
{
    yk_error err;
    assert_int_equal(yk_file_write(path, text, strlen(text), &err), YK_OK);
}

static void write_documents(const world *w, bool heldout, const char *text, const char *lang)
{
    yk_error err;
    yk_docwriter *d = NULL;
    char *path = yk_documents_path(w->dir, "farm", heldout), *folder = yk_path("%s/clean", w->dir);
    assert_int_equal(yk_mkdirs(folder, &err), YK_OK);
    assert_int_equal(yk_docwriter_open(&d, path, &err), YK_OK);
    assert_int_equal(yk_docwriter_add(d, &(yk_document){text, strlen(text), "test", lang}, &err), YK_OK);
    assert_int_equal(yk_docwriter_commit(d, &err), YK_OK);
    free(path);
    free(folder);
}

static yk_status perform(world *w, const char *questions, int threads, json_t *summary, yk_error *err)
{
    volatile sig_atomic_t stop = 0;
    yk_team team;
    bool finished = false;
    yk_buf recipe = {0};
    yk_buf_printf(&recipe, "stages: [questions]\ncorpus: [{domain: farm, paths: [x]}]\nquestions: {%s}\n", questions);
    write_file(w->recipe, recipe.data);
    yk_buf_free(&recipe);
    yk_recipe_free(&w->r);
    assert_int_equal(yk_recipe_load(&w->r, w->recipe, NULL, 0, err), YK_OK);
    assert_int_equal(yk_team_make(&team, threads, err), YK_OK);
    yk_job job = {.recipe = &w->r, .dir = w->dir, .team = &team, .stop = &stop, .summary = summary};
    yk_status st = yk_questions_stage(&job, &finished, err);
    assert_int_equal(finished, st == YK_OK);
    return st;
}

static const char *const names[] = {"train",       "heldout",        "pairs.train",
                                    "pairs.heldout", "problems.train", "problems.heldout"};

static json_t *read_rows(const world *w, const char *name)
{
    yk_error err;
    yk_buf text = {0};
    json_t *rows = json_array();
    char *path = yk_path("%s/questions/%s.jsonl", w->dir, name), *save;
    assert_int_equal(yk_file_read(path, &text, &err), YK_OK);
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *row = json_loads(line, 0, NULL);
        assert_non_null(row);
        json_array_append_new(rows, row);
    }
    yk_buf_free(&text);
    free(path);
    return rows;
}

static const char *member(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    assert_non_null(text);
    return text;
}

/* A problem, known by its kind and numbers, is in one group of files alone. */
static void note_problem(json_t *where, const json_t *row, int group)
{
    long long x[MOST_NUMBERS];
    const char *kind = member(row, "kind");
    if (strcmp(kind, "add") != 0 && strcmp(kind, "multiply") != 0) return;
    assert_int_equal(numbers_in(member(row, "prompt"), x), 2);
    char key[64];
    snprintf(key, sizeof key, "%s %lld %lld", kind, x[0], x[1]);
    json_t *had = json_object_get(where, key);
    if (had) assert_int_equal(json_integer_value(had), group);
    else json_object_set_new(where, key, json_integer(group));
}

static void files_share_nothing(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *summary = json_object(), *prompts = json_object(), *where = json_object(), *row;
    static const int group[] = {0, 1, 0, 1, 2, 3};
    size_t count[6], i;
    write_documents(w, false, prose, "en");
    write_documents(w, true, python, "code");
    assert_int_equal(perform(w, "problems: 600, pairs: 300, rl_problems: 200, heldout_problems: 64", 1, summary, &err),
                     YK_OK);
    for (int f = 0; f < 6; f++) {
        json_t *rows = read_rows(w, names[f]);
        count[f] = json_array_size(rows);
        json_array_foreach(rows, i, row) {
            const char *prompt = member(row, "prompt");
            bool steps = strstr(prompt, YK_PROBLEM_SUFFIX) != NULL;
            assert_null(json_object_get(prompts, prompt));
            json_object_set_new(prompts, prompt, json_true());
            note_problem(where, row, group[f]);
            if (f < 2 && json_object_get(row, "level"))
                assert_int_equal(steps, strstr(member(row, "completion"), "<think>") != NULL);
            if (f == 2 || f == 3) assert_string_not_equal(member(row, "chosen"), member(row, "rejected"));
            if (f > 3) assert_true(steps && member(row, "answer") && member(row, "verifier"));
        }
        json_decref(rows);
    }
    assert_int_equal(count[0], 600 + 4);
    assert_int_equal(count[2], 300);
    assert_int_equal(count[4], 200);
    assert_int_equal(count[5], 64);
    assert_true(count[1] > 30 && count[3] > 10);
    json_t *x = json_object_get(summary, "questions");
    assert_int_equal(json_integer_value(json_object_get(x, "train")), 604);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json_object_get(x, "by_kind"), "signature"), "heldout")), 1);
    json_decref(summary);
    json_decref(prompts);
    json_decref(where);
}

static void full_share_is_kept(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *summary = json_object(), *row;
    size_t i, full = 0, steps = 0;
    assert_int_equal(perform(w, "documents: 0, problems: 2000, kinds: [add, multiply], level_max: 3, full_share: 0.25",
                             1, summary, &err),
                     YK_OK);
    json_t *rows = read_rows(w, "train");
    json_array_foreach(rows, i, row) {
        steps += strstr(member(row, "completion"), "<think>") != NULL;
        full += strncmp(member(row, "completion"), "The ", 4) == 0;
    }
    assert_true(steps > 800 && steps < 1200);
    assert_true(full > 180 && full < 320);
    json_decref(rows);
    json_decref(summary);
}

/* Of no prompt it can be seen how it is to be answered. */
static void hints_are_left_out(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *summary = json_object(), *row;
    size_t i, steps = 0;
    assert_int_equal(perform(w, "documents: 0, problems: 400, rl_problems: 40, level_max: 3, hint: false", 1, summary,
                             &err), YK_OK);
    for (int f = 0; f < 6; f++) {
        json_t *rows = read_rows(w, names[f]);
        json_array_foreach(rows, i, row) {
            assert_null(strstr(member(row, "prompt"), YK_PROBLEM_SUFFIX));
            steps += f == 0 && strstr(member(row, "completion"), "<think>");
        }
        json_decref(rows);
    }
    assert_true(steps > 140 && steps < 260);
    json_decref(summary);
}

static void read_all(const world *w, yk_buf *out)
{
    yk_error err;
    for (int f = 0; f < 6; f++) {
        char *path = yk_path("%s/questions/%s.jsonl", w->dir, names[f]);
        assert_int_equal(yk_file_read(path, out, &err), YK_OK);
        free(path);
    }
}

static void threads_do_not_matter(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *summary = json_object();
    yk_buf one = {0}, two = {0};
    write_documents(w, false, prose, "en");
    write_documents(w, true, c_code, "code");
    assert_int_equal(perform(w, "problems: 300", 1, summary, &err), YK_OK);
    read_all(w, &one);
    assert_int_equal(perform(w, "problems: 300", 2, summary, &err), YK_OK);
    read_all(w, &two);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    yk_buf_free(&one);
    yk_buf_free(&two);
    json_decref(summary);
}

static void evaluation_sets_are_kept_out(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *summary = json_object(), *row;
    yk_buf text = {0};
    size_t i;
    write_documents(w, false, prose, "en");
    write_documents(w, true, python, "code");
    yk_buf_puts(&text, "{\"q\": {\"text\": [\"it joins two oxen at their necks\"]}}\n\n");
    for (int b = 0; b < 10; b++)
        yk_buf_printf(&text, "{\"prompt\": \"What is 7 + %d?%s\"}\n", b, b % 2 ? YK_PROBLEM_SUFFIX : "");
    write_file(w->against, text.data);
    yk_buf_free(&text);
    yk_buf_printf(&text, "kinds: [add], level_max: 1, overlap_words: 6, against: [\"%s\"]", w->against);
    assert_int_equal(perform(w, text.data, 1, summary, &err), YK_OK);
    for (int f = 0; f < 6; f++) {
        json_t *rows = read_rows(w, names[f]);
        json_array_foreach(rows, i, row) {
            assert_null(strstr(member(row, "prompt"), "What is 7 + "));
            assert_null(strstr(member(row, "prompt"), "What is a yoke"));
        }
        json_decref(rows);
    }
    write_file(w->against, "{\"prompt\": 1}\n{oops\n");
    assert_int_equal(perform(w, text.data, 1, summary, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "against.jsonl:2: not JSON"));
    yk_buf_free(&text);
    json_decref(summary);
}

static json_int_t drops(const world *w, const char *reason)
{
    json_error_t why;
    char *path = yk_path("%s/questions/report.json", w->dir);
    json_t *report = json_load_file(path, 0, &why);
    json_int_t n = json_integer_value(json_object_get(json_object_get(report, "dropped"), reason));
    json_decref(report);
    free(path);
    return n;
}

static const char long_code[] = "int open_shop(void); /* x */\n\n/* %s the front door of the little shop by the river "
                                "after the noon bell rings %d times. */\nint %s(int shop, int door);\n";
static const char no_problems[] = "problems: 0, pairs: 0, rl_problems: 0, heldout_problems: 0, per_document: 100";

/* Of near duplicates the held-out one stays; other numbers make other questions. */
static void near_duplicates_are_dropped(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *summary = json_object();
    yk_buf train = {0}, heldout = {0};
    yk_buf_printf(&heldout, long_code, "Open", 3, "first");
    yk_buf_printf(&train, long_code, "Opens", 3, "second"); /* leaks */
    yk_buf_printf(&train, long_code, "Open", 4, "third");
    yk_buf_printf(&train, long_code, "Opened", 4, "fourth"); /* like the third */
    yk_buf_printf(&train, long_code, "Open", 5, "fifth");
    write_documents(w, true, heldout.data, "code");
    write_documents(w, false, train.data, "code");
    assert_int_equal(perform(w, no_problems, 1, summary, &err), YK_OK);
    assert_int_equal(drops(w, "near-duplicate of a held-out question"), 1);
    assert_int_equal(drops(w, "near-duplicate question"), 1);
    json_t *rows = read_rows(w, "train");
    const size_t kept = json_array_size(rows);
    json_decref(rows);
    yk_buf_clear(&train);
    yk_buf_printf(&train, "%s, similarity: 1", no_problems);
    assert_int_equal(perform(w, train.data, 1, summary, &err), YK_OK);
    rows = read_rows(w, "train");
    assert_int_equal(json_array_size(rows), kept + 2);
    assert_int_equal(drops(w, "near-duplicate question"), 0);
    json_decref(rows);
    yk_buf_free(&train);
    yk_buf_free(&heldout);
    json_decref(summary);
}

static void bad_input_is_told(void **state)
{
    world *w = *state;
    yk_error err;
    json_t *summary = json_object();
    assert_int_equal(perform(w, "problems: 10", 1, summary, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "farm.heldout.jsonl.zst is missing"));
    assert_non_null(strstr(err.text, "`clean`"));
    assert_int_equal(perform(w, "documents: 0, kinds: [add, divide]", 1, summary, &err), YK_ERR_CONFIG);
    assert_non_null(strstr(err.text, "`divide`"));
    assert_int_equal(perform(w, "documents: 0, kinds: [add, add]", 1, summary, &err), YK_ERR_CONFIG);
    assert_int_equal(perform(w, "documents: 0, against: [nowhere.jsonl]", 1, summary, &err), YK_ERR_INPUT);
    assert_non_null(strstr(err.text, "nowhere.jsonl"));
    json_decref(summary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_right),
        cmocka_unit_test(prompts_ask_for_what_the_key_says),
        cmocka_unit_test(easy_problems_are_short_and_varied),
        cmocka_unit_test(problems_are_pure),
        cmocka_unit_test(prose_is_asked_about),
        cmocka_unit_test(code_is_asked_about),
        cmocka_unit_test(cut_documents_do_no_harm),
        cmocka_unit_test_setup_teardown(files_share_nothing, make_world, remove_world),
        cmocka_unit_test_setup_teardown(full_share_is_kept, make_world, remove_world),
        cmocka_unit_test_setup_teardown(hints_are_left_out, make_world, remove_world),
        cmocka_unit_test_setup_teardown(threads_do_not_matter, make_world, remove_world),
        cmocka_unit_test_setup_teardown(evaluation_sets_are_kept_out, make_world, remove_world),
        cmocka_unit_test_setup_teardown(near_duplicates_are_dropped, make_world, remove_world),
        cmocka_unit_test_setup_teardown(bad_input_is_told, make_world, remove_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
