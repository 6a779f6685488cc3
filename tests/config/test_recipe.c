/* Recipes that are right: every key, the dial, printing, the canonical text, the reference. */
#include "recipe_file.h"

#include "base/rng.h"

#include <locale.h>
#include <math.h>

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},           {"-7", -7},
                {"4k", 4000},       {"4Ki", 4096},
                {"2M", 2000000},    {"1.5M", 1500000},
                {"1G", 1000000000}, {"3T", 3000000000000},
                {"1Gi", 1 << 30},   {"2Ti", INT64_C(2) << 40},
                {"0.25Ki", 256},    {"9223372036854775807", INT64_MAX},
                {"007", 7}};
    static const char *const bad[] = {"",
                                      "-",
                                      "k",
                                      "1.5",
                                      "1.0005k",
                                      "4K",
                                      "4kB",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1e3",
                                      "0x10",
                                      "9223372036854775808",
                                      "10000000T",
                                      "1_000",
                                      "1.k",
                                      ".5k",
                                      "--1",
                                      "1k2"};
    int64_t n = 0;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(yk_parse_int(good[i].text, &n));
        assert_int_equal(n, good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (yk_parse_int(bad[i], &n)) fail_msg("`%s` was taken for an integer", bad[i]);
}

static void reals(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "inf", "nan", "-inf", "1e999",    "0x1p3",
                                      "1,5", "1.",  ".5",  "1e",   "1e+",      "1.5.2",
                                      "1 ",  " 1",  "1f",  "--1",  "infinity", "1e-400"};
    static const struct {
        double x;
        const char *text;
    } shown[] = {
        {0, "0"},           {1, "1"},           {0.1, "0.1"},
        {0.02, "0.02"},     {1e-5, "1e-5"},     {6e-3, "6e-3"},
        {10000, "1e4"},     {100, "100"},       {0.95, "0.95"},
        {1234.5, "1234.5"}, {0.0012, "0.0012"}, {1e9, "1e9"},
        {-2.5, "-2.5"},     {123456, "123456"}, {0.30000000000000004, "0.30000000000000004"},
        {-0.05, "-0.05"},   {1e300, "1e300"}};
    double x;
    char text[YK_NUMBER_ROOM];
    for (size_t i = 0; i < COUNT(bad); i++)
        if (yk_parse_real(bad[i], &x)) fail_msg("`%s` was taken for a number", bad[i]);
    for (size_t i = 0; i < COUNT(shown); i++) {
        yk_print_real(shown[i].x, text);
        assert_string_equal(text, shown[i].text);
    }
    assert_true(yk_parse_real("-0", &x) && !signbit(x));
    assert_true(yk_parse_real("-0.0", &x) && !signbit(x));
    assert_true(yk_parse_real("2k", &x) && x == 2000);
    yk_rng rng = yk_rng_make(1, YK_STREAM_TEST, 0);
    for (uint64_t i = 0; i < 20000; i++) {
        double y = ldexp(yk_rng_uniform(&rng, 2 * i) - 0.5,
                         (int)yk_rng_below(&rng, 2 * i + 1, 400) - 200);
        yk_print_real(y, text);
        if (!yk_parse_real(text, &x) || x != y) fail_msg("%.17g printed as %s", y, text);
    }
    assert_true(yk_to_digits(0.0060123, 2) == 6e-3);
    assert_true(yk_to_digits(0.00123, 2) == 1.2e-3);
}

/* A comma for the decimal point, where such a locale is installed, changes nothing. */
static void foreign_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "de_AT.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < COUNT(names) && !found; i++) found = setlocale(LC_ALL, names[i]);
    if (!found) skip();
    double x = 0;
    char text[YK_NUMBER_ROOM];
    bool ok = yk_parse_real("0.25", &x) && x == 0.25;
    yk_print_real(0.25, text);
    setlocale(LC_ALL, "C");
    assert_true(ok);
    assert_string_equal(text, "0.25");
}

static void defaults(void **state)
{
    (void)state;
    yk_recipe r;
    yk_error err;
    assert_int_equal(yk_recipe_load(&r, NULL, NULL, 0, &err), YK_OK);
    assert_int_equal(r.seed, 1);
    assert_int_equal(r.clean_max_document_bytes, 1 << 20);
    assert_int_equal(r.tokenizer_vocab, 4096);
    assert_true(r.model_qk_norm && r.model_tied && r.clean_quality);
    assert_true(r.model_norm_eps == 1e-5 && r.pretrain_beta2 == 0.95);
    assert_int_equal(r.stages.n, 4);
    assert_string_equal(r.stages.item[3], "evaluate");
    assert_string_equal(r.pretrain_schedule, "cosine");
    assert_string_equal(r.run_dir, "");
    assert_int_equal(r.corpora, 0);
    assert_int_equal(r.pretrain_micro_batch, 0);
    assert_int_equal(r.pretrain_checkpoint_every, 0);
    assert_true(fabs(yk_recipe_parameters(&r) / 2e6 - 1) < 0.05);
    yk_recipe_free(&r);
    yk_recipe_free(&r); /* harmless */
}

static const char nasty[] = "a: \\\"b\\\" #c\\\\ [é] {%} \\u2028 \\x07 \\t";

/* A value that the key may have, unlike its default, and how it is printed. */
static void other_value(const yk_key *k, char value[256], char printed[256])
{
    static const struct {
        const char *path, *value, *printed;
    } special[] = {{"size", "3M", "\"3M\""},
                   {"recompute", "every-3", "\"every-3\""},
                   {"stages", "[clean, evaluate]", "[\"clean\", \"evaluate\"]"},
                   {"clean.max_words", "64k", "64000"},
                   {"clean.max_document_bytes", "2Mi", "2097152"},
                   {"tokenizer.vocab", "0.5k", "500"},
                   {"tokenizer.sample_bytes", "2Ki", "2048"},
                   {"tokenizer.tune", "[1k, 2k]", "[\"1k\", \"2k\"]"},
                   {"model.kv_heads", "2", "2"},
                   {"model.full_every", "2", "2"},
                   {"zero", "2", "2"},
                   {"pretrain.tokens", "40960", "40960"},
                   {"corpus.domain", "other-1_X", "\"other-1_X\""}};
    static const char *const numbers[] = {"32", "0.125", "0.0625", "2"};
    char path[YK_PATH_ROOM];
    yk_key_path(k, path);
    for (size_t i = 0; i < COUNT(special); i++)
        if (strcmp(path, special[i].path) == 0) {
            snprintf(value, 256, "%s", special[i].value);
            snprintf(printed, 256, "%s", special[i].printed);
            return;
        }
    double low, high, x;
    switch (k->type) {
    case YK_KEY_INT:
    case YK_KEY_REAL:
        assert_true(yk_parse_real(k->low, &low) && yk_parse_real(k->high, &high));
        for (size_t i = k->type == YK_KEY_REAL; i < COUNT(numbers); i++)
            if (yk_parse_real(numbers[i], &x) && x >= low && x <= high) {
                snprintf(value, 256, "%s", numbers[i]);
                break;
            }
        snprintf(printed, 256, "%s", value);
        return;
    case YK_KEY_FLAG:
        snprintf(value, 256, "%s", k->def[0] == 't' ? "false" : "true");
        snprintf(printed, 256, "%s", value);
        return;
    case YK_KEY_PICK:
        snprintf(value, 256, "%s", strrchr(k->words, '|') + 1);
        snprintf(printed, 256, "%s", value);
        return;
    case YK_KEY_TEXT:
        snprintf(value, 256, "\"%s\"", nasty);
        snprintf(printed, 256, "\"%s\"", "a: \\\"b\\\" #c\\\\ [é] {%} \\u2028 \\u0007 \\u0009");
        return;
    case YK_KEY_LIST:
        snprintf(value, 256, "[\"%s\", 'it''s', plain]", nasty);
        snprintf(printed, 256, "[\"%s\", \"it's\", \"plain\"]",
                 "a: \\\"b\\\" #c\\\\ [é] {%} \\u2028 \\u0007 \\u0009");
        return;
    }
}

static void has(const yk_buf *text, const char *fragment)
{
    if (!text->data || !strstr(text->data, fragment))
        fail_msg("no \"%s\" in\n%s", fragment, text->data);
}

/* That the resolved recipe prints the key so, whatever blanks stand before the origin. */
static void has_origin(const yk_recipe *r, const yk_key *k, const char *printed, const char *origin)
{
    yk_buf out = {0};
    char begin[400], end[200];
    snprintf(begin, sizeof begin, "%s: %s", k->name, printed);
    snprintf(end, sizeof end, " # %s\n", origin);
    yk_recipe_print(r, &out);
    char *at = out.data;
    while ((at = strstr(at, begin)) != NULL) {
        char *close = strstr(at, end);
        if (close && close < strchr(at, '\n')) break;
        at++;
    }
    if (!at) fail_msg("no %s ... %s in\n%s", begin, end, out.data);
    yk_buf_free(&out);
}

/* The lines of its group without which a key has no meaning. */
static const char *beside(const char *path)
{
    static const char *const lines[][2] = {
        {"model.attention", "  selected_blocks: 4\n"},
        {"model.window", "  attention: window\n"},
        {"model.global_tokens", "  attention: global\n  window: 8\n"},
        {"model.attention_stride", "  attention: strided\n  window: 8\n"},
        {"model.selected_blocks", "  attention: selected\n"},
        {"model.full_every", "  attention: window\n  window: 8\n"}};
    for (size_t i = 0; i < COUNT(lines); i++)
        if (strcmp(path, lines[i][0]) == 0) return lines[i][1];
    return "";
}

static void every_key(void **state)
{
    const place *p = *state;
    char value[256], printed[256], path[YK_PATH_ROOM], text[800], set[400], origin[160];
    for (size_t i = 0; i < yk_key_count; i++) {
        const yk_key *k = &yk_keys[i];
        yk_recipe r;
        other_value(k, value, printed);
        yk_key_path(k, path);
        const char *more = beside(path);
        snprintf(text, sizeof text, "%s%s%s%s: %s\n%s%s", k->group, k->group[0] ? ":\n" : "# top\n",
                 k->group[0] ? "  " : "", k->name, value, more, small_corpus);
        load(&r, p, text, NULL);
        same_field(k, &r, printed);
        snprintf(origin, sizeof origin, "%s:2", p->file);
        has_origin(&r, k, printed, origin);
        round_trip(p, &r);
        yk_recipe_free(&r);
        snprintf(set, sizeof set, "%s=%s", path, value);
        snprintf(text, sizeof text, "%s%s%s", more[0] ? "model:\n" : "", more, small_corpus);
        load(&r, p, text, set);
        same_field(k, &r, printed);
        has_origin(&r, k, printed, "--set");
        round_trip(p, &r);
        yk_recipe_free(&r);
    }
}

static void every_corpus_key(void **state)
{
    const place *p = *state;
    char value[256], printed[256], text[800], set[400], origin[160];
    for (size_t i = 0; i < yk_lists[YK_CORPUS].key_count; i++) {
        const yk_key *k = &yk_lists[YK_CORPUS].keys[i];
        yk_recipe r;
        bool generate = strcmp(k->name, "generate") == 0, domain = strcmp(k->name, "domain") == 0;
        bool paths = strcmp(k->name, "paths") == 0;
        const char *source = generate || paths ? "" : ", paths: here";
        const char *own = domain ? "" : "    domain: second\n";
        other_value(k, value, printed);
        snprintf(text, sizeof text, "corpus:\n  - {domain: first, paths: a}\n  - %s: %s\n%s%s",
                 k->name, value, own, source[0] ? "    paths: here\n" : "");
        load(&r, p, text, NULL);
        same_field(k, &r.corpus[1], printed);
        snprintf(origin, sizeof origin, "%s:3", p->file);
        has_origin(&r, k, printed, origin);
        round_trip(p, &r);
        yk_recipe_free(&r);
        snprintf(text, sizeof text, "corpus:\n- {domain: first%s}\n- {domain: second, paths: b}\n",
                 source[0] || paths ? ", paths: here" : "");
        snprintf(set, sizeof set, "corpus.0.%s=%s", k->name, value);
        load(&r, p, text, set);
        same_field(k, &r.corpus[0], printed);
        has_origin(&r, k, printed, "--set");
        round_trip(p, &r);
        yk_recipe_free(&r);
    }
}

/* The value at a coordinate, and the coordinate of that value. */
static void same_value(const yk_tuned *t, double at, const char *value)
{
    yk_buf text = {0};
    double width = yk_range_choices(t) ? 0 : 1e-3;
    yk_range_value(t, at, &text);
    assert_string_equal(text.data, value);
    assert_true(fabs(yk_range_place(t, text.data) - at) <= width);
    yk_buf_free(&text);
}

static void ranges(void **state)
{
    const place *p = *state;
    yk_recipe r;
    load(&r, p, "corpus: [{domain: d, generate: 9}]\ntune:\n- {key: pretrain.lr, scale: log, low: 1e-4, high: 1e-2}\n"
         "- {key: model.ffn, low: 100.5, high: 4k}\n- {key: pretrain.schedule, scale: choice, values: [wsd, cosine]}\n",
         "tune.0.high=1");
    assert_int_equal(r.tuned, 3);
    same_value(&r.tune[0], 0, "1e-4");
    same_value(&r.tune[0], 0.5, "0.01");
    same_value(&r.tune[0], 1, "1");
    same_value(&r.tune[0], 0.4, "0.003981");
    r.tune[1].high = 1000.5;
    same_value(&r.tune[1], 0, "101");
    same_value(&r.tune[1], 0.999, "1000");
    same_value(&r.tune[1], 1, "1000");
    same_value(&r.tune[2], 0, "wsd");
    same_value(&r.tune[2], 1, "cosine");
    assert_true(yk_range_place(&r.tune[2], "constant") == -1);
    assert_true(yk_range_place(&r.tune[0], "2") == -1 && yk_range_place(&r.tune[0], "x") == -1);
    round_trip(p, &r);
    yk_recipe_free(&r);
}

static void accepted_forms(void **state)
{
    const place *p = *state;
    static const char *const empty[] = {"",   "# nothing\n", "---\n...\n",
                                        "{}", "\n\n",        "stages: [pretrain]\nmodel:\n"};
    yk_recipe r;
    for (size_t i = 0; i < COUNT(empty); i++) {
        load(&r, p, empty[i], "stages=[pretrain]");
        assert_int_equal(r.tokenizer_vocab, 4096);
        yk_recipe_free(&r);
    }
    load(&r, p, "corpus:\n- domain: a\n  paths: one/path, with comma\n", "corpus.0.weight=2");
    assert_int_equal(r.corpus[0].paths.n, 1);
    assert_string_equal(r.corpus[0].paths.item[0], "one/path, with comma");
    assert_true(r.corpus[0].weight == 2);
    yk_recipe_free(&r);
    load(&r, p, small_corpus, "corpus.0.paths=");
    assert_int_equal(r.corpus[0].paths.n, 0);
    yk_recipe_free(&r);
    load(&r, p, small_corpus, "model={width: 64, layers: 1}");
    assert_int_equal(r.model_width, 64);
    assert_int_equal(r.model_layers, 1);
    yk_recipe_free(&r);
    load(&r, p, "", "corpus=[{domain: x, paths: [p, q]}, {domain: y, generate: 1}]");
    assert_int_equal(r.corpora, 2);
    assert_string_equal(r.corpus[0].paths.item[1], "q");
    yk_recipe_free(&r);
    load(&r, p, "run_dir: some/where\ncorpus: [{domain: x, generate: 1}]", "run_dir=");
    assert_string_equal(r.run_dir, "");
    yk_recipe_free(&r);
    const char *sets[] = {"seed=2", "seed=3"};
    yk_error err;
    assert_int_equal(yk_recipe_load(&r, NULL, sets, 2, &err), YK_OK);
    assert_int_equal(r.seed, 3);
    yk_recipe_free(&r);
}

static void dial(void **state)
{
    (void)state;
    static const char *const sizes[] = {"500k", "1M",   "2M",   "3M",   "5M", "10M", "30M",
                                        "60M",  "124M", "350M", "1.5G", "7G", "70G", "100G"};
    double rate = 1;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        yk_recipe r;
        yk_error err;
        char set[64];
        int64_t size;
        const char *vocab = i < 6 ? "tokenizer.vocab=2k" : "tokenizer.vocab=32k",
                   *sets[] = {set, vocab, "lanes=4"};
        snprintf(set, sizeof set, "size=%s", sizes[i]);
        assert_int_equal(yk_recipe_load(&r, NULL, sets, 3, &err), YK_OK);
        assert_true(yk_parse_int(sizes[i], &size));
        double n = yk_recipe_parameters(&r);
        if (fabs(n / (double)size - 1) > (i ? 0.08 : 0.3))
            fail_msg("size %s: %.0f parameters, width %ld layers %ld", sizes[i], n, r.model_width,
                     r.model_layers);
        assert_int_equal(r.model_width % 64, 0);
        assert_int_equal(r.model_heads * r.model_head_size, r.model_width);
        assert_int_equal(r.model_head_size, r.model_width < 256 ? 32 : 64);
        assert_int_equal(r.model_ffn, (8 * r.model_width + 95) / 96 * 32);
        assert_int_equal(r.pretrain_batch % r.lanes, 0);
        assert_true(r.pretrain_lr > 0 && r.pretrain_lr <= rate);
        assert_int_equal(r.pretrain_tokens, r.pretrain_steps * r.pretrain_batch * r.pretrain_seq);
        assert_true((double)r.pretrain_tokens >= 20 * n - 1);
        rate = r.pretrain_lr;
        has_origin(&r, yk_key_find("model", "width"), "", "size");
        has_origin(&r, yk_key_find("pretrain", "lr"), "", "size");
        has_origin(&r, yk_key_find("pretrain", "steps"), "", "derived");
        yk_recipe_free(&r);
    }
}

static void horizon(void **state)
{
    const place *p = *state;
    static const struct {
        const char *file, *set;
        int64_t steps, tokens;
    } c[] = {
        {"steps: 10", "", 10, 40960},
        {"tokens: 40961", "", 11, 45056},
        {"tokens: 40960", "pretrain.steps=3", 3, 12288},
        {"steps: 10", "pretrain.tokens=4097", 2, 8192},
        {"{steps: 10, tokens: 5}", "", 10, 40960},
        {"{steps: 10, tokens: 40960}", "pretrain.seq=512", 10, 81920},
    };
    for (size_t i = 0; i < COUNT(c); i++) {
        yk_recipe r;
        char text[200];
        snprintf(text, sizeof text, "%spretrain: %s%s%s\n", small_corpus,
                 c[i].file[0] == '{' ? "" : "{", c[i].file, c[i].file[0] == '{' ? "" : "}");
        load(&r, p, text, c[i].set[0] ? c[i].set : NULL);
        assert_int_equal(r.pretrain_steps, c[i].steps);
        assert_int_equal(r.pretrain_tokens, c[i].tokens);
        assert_int_equal(r.pretrain_eval_every, c[i].steps / 8 > 0 ? c[i].steps / 8 : 1);
        assert_int_equal(r.evaluate_stride, r.pretrain_seq / 2);
        round_trip(p, &r);
        yk_recipe_free(&r);
    }
}

/* Given keys stay as they are, and the others fit around them. */
static void around_given(void **state)
{
    const place *p = *state;
    static const struct {
        const char *set;
        int64_t C, L, H, K, D, F;
    } c[] = {
        {"model={width: 64}", 64, 2, 2, 2, 32, 192},
        {"model={width: 48, layers: 1}", 48, 1, 3, 3, 16, 128},
        {"model={width: 512}", 512, 10, 8, 4, 64, 1376},
        {"model={width: 128, heads: 8, layers: 3}", 128, 3, 8, 4, 16, 352},
        {"model={width: 128, head_size: 64, ffn: 16}", 128, 2, 2, 2, 64, 16},
        {"model={width: 16, layers: 1, heads: 4, kv_heads: 1, head_size: 32}", 16, 1, 4, 1, 32, 64},
    };
    for (size_t i = 0; i < COUNT(c); i++) {
        yk_recipe r;
        load(&r, p, small_corpus, c[i].set);
        assert_int_equal(r.model_width, c[i].C);
        assert_int_equal(r.model_layers, c[i].L);
        assert_int_equal(r.model_heads, c[i].H);
        assert_int_equal(r.model_kv_heads, c[i].K);
        assert_int_equal(r.model_head_size, c[i].D);
        assert_int_equal(r.model_ffn, c[i].F);
        yk_recipe_free(&r);
    }
}

static void canonical_text(void **state)
{
    const place *p = *state;
    static const char *const some[] = {"seed",      "threads", "clean.min",
                                       "pretrain.", "corpus.", NULL};
    static const char *const idle[] = {"threads=3",       "run_dir=x",
                                       "max_hours=2",     "pretrain.micro_batch=2",
                                       "pretrain.keep=9", "pretrain.checkpoint_every=7"};
    yk_recipe r;
    yk_buf one = {0}, two = {0};
    load(&r, p, small_corpus, NULL);
    yk_recipe_canonical(&r, some, &one);
    static const char begin[] = "seed = 1\nclean.minhash_bands = 14\nclean.minhash_rows = 8\n"
                                "clean.min_words = 50\npretrain.seq = 256\npretrain.batch = 16\n"
                                "pretrain.steps = ";
    assert_int_equal(strncmp(one.data, begin, sizeof begin - 1), 0);
    has(&one, "clean.minhash_bands = 14\n");
    has(&one, "\ncorpus.0.domain = \"d\"\ncorpus.0.paths = []\ncorpus.0.weight = 0\ncorpus.0.kind "
              "= auto\n"
              "corpus.0.generate = 9\n");
    assert_null(strstr(one.data, "threads"));
    assert_null(strstr(one.data, "micro_batch"));
    yk_recipe_free(&r);
    for (size_t i = 0; i < COUNT(idle); i++) {
        load(&r, p, small_corpus, idle[i]);
        yk_buf_clear(&two);
        yk_recipe_canonical(&r, some, &two);
        assert_string_equal(one.data, two.data);
        yk_recipe_free(&r);
    }
    yk_buf_free(&one);
    yk_buf_free(&two);
}

static void reference(void **state)
{
    (void)state;
    char path[YK_PATH_ROOM];
    for (int style = YK_DOC_TEXT; style <= YK_DOC_ROFF; style++) {
        yk_buf out = {0};
        yk_recipe_reference((yk_doc_style)style, &out);
        for (size_t i = 0; i < yk_key_count; i++) {
            yk_key_path(&yk_keys[i], path);
            has(&out, path);
        }
        for (const yk_entries *l = yk_lists; l < yk_lists + YK_LISTS; l++)
            for (size_t i = 0; i < l->key_count; i++) {
                yk_key_path(&l->keys[i], path);
                has(&out, path);
            }
        has(&out, style == YK_DOC_ROFF ? ".SS pretrain\n" : "pretrain");
        if (style == YK_DOC_MARKDOWN)
            has(&out, "| `pretrain.warmup` | number | `0.02` | 0 to 1 | share of the steps spent "
                      "in linear warm-up |\n");
        if (style == YK_DOC_TEXT) has(&out, "  pretrain.schedule\n      after the warm-up");
        if (style == YK_DOC_TEXT)
            has(&out, "      (one of cosine, wsd, multistep, constant; default cosine)\n");
        if (style == YK_DOC_ROFF) has(&out, ".TP\n.B pretrain.seq\n");
        for (char *line = out.data; line && style == YK_DOC_TEXT; line = strchr(line, '\n')) {
            line += *line == '\n';
            assert_true(strcspn(line, "\n") <= 100);
            if (!*line) break;
        }
        yk_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(reals),
        cmocka_unit_test(foreign_locale),
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_key),
        cmocka_unit_test(every_corpus_key),
        cmocka_unit_test(ranges),
        cmocka_unit_test(accepted_forms),
        cmocka_unit_test(dial),
        cmocka_unit_test(horizon),
        cmocka_unit_test(around_given),
        cmocka_unit_test(canonical_text),
        cmocka_unit_test(reference),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
