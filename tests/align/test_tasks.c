/* Evaluation tasks: templates, hostile task files, and figures computed again from log-probabilities. */
#include "../train/small.h"
#include "align/harness.h"
#include "align/tasks.h"
#include "align/template.h"

#include <math.h>

static small x;
static yk_course c;

static int set_up(void **state)
{
    yk_error err;
    (void)state;
    small_open(&x, &(yk_session_options){.rows = 200}, 2, NULL);
    c = (yk_course){.r = &x.r, .s = x.s, .context = x.r.pretrain_seq, .plain = true};
    must(yk_chat_new(&c.chat, "chatml", x.s.tokenizer, &err), &err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    yk_chat_free(c.chat);
    small_close(&x);
    return 0;
}

static char *write_file(const char *name, const char *text, size_t n)
{
    char *path = yk_path("%s/%s", x.dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char line[] = "{\"q\": \" Why? \", \"n\": 3, \"t\": true, \"f\": 0.5, \"z\": null, "
                           "\"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", \"B\"]}, "
                           "\"key\": \"B\", \"i\": 1, \"deep\": [[1, [\"x\"]]], \"odd name\": \"o\"}";

static const struct {
    const char *template, *value; /* JSON */
} rendered[] = {
    {"plain { text } %}", "\"plain { text } %}\""},
    {"", "\"\""},
    {"Q: {{q}}\nA:", "\"Q:  Why? \\nA:\""},
    {"{{ q.strip() }}", "\"Why?\""},
    {"{{q.lstrip()}}|{{q.rstrip()}}|{{n}}{{t}}", "\"Why? | Why?|3True\""},
    {"{{n}}", "3"},
    {"{{f}}", "0.5"},
    {"{{choices.text}}", "[\"a\", \"b\"]"},
    {"{{choices['text'][1]}}", "\"b\""},
    {"{{choices.text[-1]}}", NULL}, /* no minus */
    {"{{choices.text[i]}}{{choices[\"label\"][0]}}", "\"bA\""},
    {"{{choices.label.index(key)}}", "1"},
    {"{{choices.label.index( key.strip() )}}", "1"},
    {"{{[q.strip(), choices.text[0], 'c', 7]}}", "[\"Why?\", \"a\", \"c\", 7]"},
    {"{{[]}}", "[]"},
    {"{{[choices.text[0]]}}", "[\"a\"]"},
    {"{{deep[0][1][0]}}", "\"x\""},
    {"{{choices}}", "{\"text\": [\"a\", \"b\"], \"label\": [\"A\", \"B\"]}"},
};

static void templates_are_rendered(void **state)
{
    (void)state;
    yk_error err;
    json_t *object = json_loads(line, 0, NULL);
    assert_non_null(object);
    for (size_t i = 0; i < sizeof rendered / sizeof *rendered; i++) {
        json_t *value = NULL;
        yk_status st = yk_template_value(rendered[i].template, object, &value, &err);
        if (!rendered[i].value) {
            assert_int_equal(st, YK_ERR_CONFIG);
            continue;
        }
        must(st, &err);
        must(yk_template_check(rendered[i].template, &err), &err);
        json_t *wanted = json_loads(rendered[i].value, JSON_DECODE_ANY, NULL);
        if (!json_equal(value, wanted)) fail_msg("%s", rendered[i].template);
        json_decref(wanted);
        json_decref(value);
    }
    json_decref(object);
}

static const struct {
    const char *template, *why;
    bool at_once; /* by its syntax, without an object */
} refused[] = {
    {"{{q|upper}}", "`|upper` in `{{q|upper}}` is not supported; supported are {{name}}", true},
    {"{{q.split(' ')[0]}}", "`.split(' ')[0]` in", true},
    {"{{q + q}}", "`+ q` in", true},
    {"{{q if t else n}}", "`if t else n` in", true},
    {"{{'a' ~ q}}", "`~ q` in", true},
    {"{{q[1:]}}", "`:]` in", true},
    {"{{-q-}}", "`-q-` in", true},
    {"{{q", "in `{{q` is not supported", true},
    {"{{}}", "`}}` in", true},
    {"{{q.}}", "`.` in", true},
    {"{{1.5}}", "`1.5` in", true},
    {"{{none}}", "`none` in", true},
    {"{{'a\\'}}", "is not supported", true},
    {"{{12345678901234567890}}", "is not supported", true},
    {"{{[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]}}", "is not supported", true},
    {"{% if q %}x{% endif %}", "Jinja statements such as `{% if q %}", true},
    {"{# note #}", "Jinja comments such as `{# note #}`", true},
    {"{{absent}}", "`absent` of `{{absent}}` is missing", false},
    {"{{choices.absent}}", "`absent` of `{{choices.absent}}` is missing", false},
    {"{{q.absent}}", "is missing", false},
    {"{{choices.text[2]}}", "there is no entry 2 in a list of 2", false},
    {"{{q[0]}}", "a number cannot be looked up in a text", false},
    {"{{choices.text[f]}}", "a fraction cannot be looked up in a list", false},
    {"{{q.index(key)}}", "a text has no index()", false},
    {"{{choices.label.index(q)}}", "\" Why? \" is not in the list", false},
    {"{{n.strip()}}", "a number is no text", false},
    {"a {{z}}", "`{{z}}` is null, which is no text", false},
    {"a {{choices.text}}", "is a list, which is no text", false},
    {"a {{f}}", "is a fraction, which is no text", false},
};

static void all_else_is_refused_by_name(void **state)
{
    (void)state;
    json_t *object = json_loads(line, 0, NULL);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        yk_error err = {""};
        json_t *value = NULL;
        yk_status st = yk_template_check(refused[i].template, &err);
        assert_int_equal(st, refused[i].at_once ? YK_ERR_CONFIG : YK_OK);
        if (!refused[i].at_once) st = yk_template_value(refused[i].template, object, &value, &err);
        if (st == YK_OK || !strstr(err.text, refused[i].why)) fail_msg("%s: %s", refused[i].template, err.text);
        assert_null(value);
    }
    json_decref(object);
}

static const char task[] =
    "task: t\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: data.jsonl\ntest_split: test\n"
    "output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_target: \"{{g}}\"\ndoc_to_choice: [\"{a}\", b, c]\n"
    "description: \"Say. \"\ntarget_delimiter: \"\"\nmetric_list:\n  - metric: acc\n    aggregation: mean\n";

/* Changed at random they are read or refused, nothing else; what is refused is named with the file. */
static void damaged_task_files_are_survived(void **state)
{
    (void)state;
    const yk_rng rng = yk_rng_make(5, YK_STREAM_TEST, 1);
    static const char odd[] = "{}[]:,-&*!|>%@`\"'#\n \t\\?~0a\x80\xff";
    uint64_t drawn = 0;
    char *data = write_file("data.jsonl", "{\"q\": \"a\", \"g\": \"1\"}\n", 21);
    for (int i = 0; i < 3000; i++) {
        char text[sizeof task];
        yk_error err = {""};
        yk_harness h;
        yk_examples e;
        memcpy(text, task, sizeof task);
        size_t n = sizeof task - 1;
        for (int k = i % 4; k >= 0; k--, drawn += 2)
            text[yk_rng_below(&rng, drawn, n)] = odd[yk_rng_below(&rng, drawn + 1, sizeof odd - 1)];
        if (i % 5 == 0) n = yk_rng_below(&rng, drawn++, n);
        char *path = write_file("damaged.yaml", text, n);
        yk_status st = yk_harness_read(&h, path, &err);
        if (st != YK_OK) {
            assert_int_equal(st, YK_ERR_INPUT);
            if (!strstr(err.text, "damaged.yaml")) fail_msg("%s", err.text);
        } else if (yk_examples_rewrite(&e, &h.files, h.form, 0, yk_harness_rewrite, &h, &err) == YK_OK) {
            yk_examples_free(&e);
        }
        yk_harness_free(&h);
        free(path);
    }
    free(data);
}

/* Of a prompt and what continues it, one forward pass of its own. */
static double logp_of(const char *prompt, const char *continuation, bool *greedy)
{
    yk_error err;
    yk_encoder *e;
    yk_ids before = {0}, all = {0};
    double logp = 0;
    char *whole = yk_path("%s%s", prompt, continuation);
    must(yk_encoder_new(&e, c.s.tokenizer, &err), &err);
    must(yk_encode(e, prompt, strlen(prompt), &before, &err), &err);
    must(yk_encode(e, whole, strlen(whole), &all, &err), &err);
    int32_t id[64] = {c.s.end};
    memcpy(id + 1, all.id, all.n * sizeof *all.id);
    yk_session_clear(&c.s);
    assert_int_equal(yk_session_add(&c.s, id, NULL, (int64_t)all.n + 1), 0);
    const yk_batch b = yk_session_batch(&c.s);
    yk_model_evaluate(c.s.model, &b, c.s.loss, c.s.best, NULL);
    *greedy = true;
    for (size_t i = before.n; i < all.n; i++) {
        logp -= (double)c.s.loss[i];
        *greedy = *greedy && c.s.best[i] == id[i + 1];
    }
    yk_session_clear(&c.s);
    yk_ids_free(&before);
    yk_ids_free(&all);
    yk_encoder_free(e);
    free(whole);
    return logp;
}

enum { ITEMS = 40, CHOICES = 3 };

static const char *const word[] = {"rain", "field", "12 apples", "the sum", "\xC3\xA9t\xC3\xA9", "away", "7",
                                   "farmer walks to the field"};

static double number(json_t *of, const char *name)
{
    return json_number_value(json_object_get(of, name));
}

/* acc, acc_norm and acc_bytes as lm-eval defines them. */
static void choices_are_measured_as_defined(void **state)
{
    (void)state;
    yk_error err;
    yk_buf data = {0};
    double right[3] = {0};
    const yk_rng rng = yk_rng_make(6, YK_STREAM_TEST, 1);
    for (uint64_t i = 0; i < ITEMS; i++) {
        char prompt[64];
        const char *choice[CHOICES];
        double best[3] = {-INFINITY, -INFINITY, -INFINITY};
        int chosen[3] = {0}, label = (int)(yk_rng_below(&rng, 1000 + i, CHOICES));
        snprintf(prompt, sizeof prompt, "Is it %d?", (int)(i * 7 % 11));
        for (uint64_t j = 0; j < CHOICES; j++) choice[j] = word[(yk_rng_bits(&rng, i) + 3 * j) % 8];
        yk_buf_printf(&data, "{\"q\": \"%s\", \"c\": [\"%s\", \"%s\", \"%s\"], \"g\": %d}\n", prompt, choice[0],
                      choice[1], choice[2], label);
        for (int j = 0; j < CHOICES; j++) {
            bool greedy;
            char delimited[64];
            snprintf(delimited, sizeof delimited, "\n%s", choice[j]);
            const double logp = logp_of(prompt, delimited, &greedy), bytes = (double)strlen(choice[j]);
            const double characters = strstr(choice[j], "\xC3") ? 3 : bytes;
            const double by[3] = {logp, logp / characters, logp / bytes};
            for (int k = 0; k < 3; k++)
                if (by[k] > best[k]) best[k] = by[k], chosen[k] = j;
        }
        for (int k = 0; k < 3; k++) right[k] += chosen[k] == label;
    }
    static const char yaml[] = "task: t\ndataset_path: json\ndataset_kwargs: {data_files: c.jsonl}\n"
                               "validation_split: train\n"
                               "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: g\ndoc_to_choice: c\n"
                               "target_delimiter: \"\\n\"\n";
    char *lines = write_file("c.jsonl", data.data, data.len), *path = write_file("c.yaml", yaml, sizeof yaml - 1);
    yk_task t;
    json_t *found;
    must(yk_task_read(&t, path, NULL, 0, &err), &err);
    assert_string_equal(t.name, "t");
    t.overlaps = calloc(ITEMS, sizeof *t.overlaps);
    must(yk_task_measure(&c, NULL, &t, &found, &err), &err);
    assert_int_equal(number(found, "n"), ITEMS);
    assert_true(fabs(number(found, "accuracy") - right[0] / ITEMS) < 1e-12);
    assert_true(fabs(number(found, "accuracy_norm") - right[1] / ITEMS) < 1e-12);
    assert_true(fabs(number(found, "accuracy_bytes") - right[2] / ITEMS) < 1e-12);
    const double p = right[0] / ITEMS;
    assert_true(fabs(number(found, "stderr") - sqrt(p * (1 - p) / (ITEMS - 1))) < 1e-12);
    assert_null(json_object_get(found, "accuracy_clean"));
    json_decref(found);
    for (int i = 10; i < ITEMS; i++) t.overlaps[i] = true;
    must(yk_task_measure(&c, NULL, &t, &found, &err), &err);
    assert_int_equal(number(found, "n_clean"), 10);
    json_decref(found);
    yk_task_free(&t);
    yk_buf_free(&data);
    free(lines);
    free(path);
}

/* acc and perplexity of output_type loglikelihood; white space at the prompt's end belongs to what is scored. */
static void continuations_are_measured_as_defined(void **state)
{
    (void)state;
    yk_error err;
    bool greedy[2];
    const double nats = -logp_of("The rain", " comes.", &greedy[0]) - logp_of("The farmer", "  walks", &greedy[1]);
    static const char data[] = "{\"q\": \"The rain\", \"g\": \" comes.\"}\n"
                               "{\"q\": \"The farmer \", \"g\": \" walks\"}\n";
    static const char yaml[] = "task: t\ndataset_path: json\ndataset_kwargs: {data_files: l.jsonl}\ntest_split: train\n"
                               "output_type: loglikelihood\ndoc_to_text: \"{{q}}\"\ndoc_to_target: \"{{g}}\"\n";
    char *lines = write_file("l.jsonl", data, sizeof data - 1), *path = write_file("l.yaml", yaml, sizeof yaml - 1);
    yk_task t;
    json_t *found;
    must(yk_task_read(&t, path, NULL, 0, &err), &err);
    must(yk_task_measure(&c, NULL, &t, &found, &err), &err);
    assert_true(fabs(number(found, "perplexity") / exp(nats / 2) - 1) < 1e-9);
    assert_true(number(found, "accuracy") == (greedy[0] + greedy[1]) / 2.0);
    json_decref(found);
    yk_task_free(&t);
    free(lines);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_rendered),
        cmocka_unit_test(all_else_is_refused_by_name),
        cmocka_unit_test(damaged_task_files_are_survived),
        cmocka_unit_test(choices_are_measured_as_defined),
        cmocka_unit_test(continuations_are_measured_as_defined),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
