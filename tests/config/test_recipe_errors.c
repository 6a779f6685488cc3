/* Recipes that are wrong: each kind of error with its message, and random damage. */
#include "recipe_file.h"

#include "base/rng.h"

static void refuse(const place *p, const char *text, const char *set, const char *fragment)
{
    yk_recipe r;
    yk_error err = {""};
    if (text) write_text(p, text);
    yk_status st = yk_recipe_load(&r, text ? p->file : NULL, &set, set != NULL, &err);
    if (st == YK_OK) yk_recipe_free(&r);
    if (st != YK_ERR_CONFIG || !strstr(err.text, fragment))
        fail_msg("%s\n%s: status %d, wanted \"%s\", got \"%s\"", text ? text : "", set ? set : "",
                 st, fragment, err.text);
    assert_null(r.origin);
}

static void wrong_files(void **state)
{
    const place *p = *state;
    static const struct {
        const char *text, *message;
    } c[] = {
        {"seed: 1\npretrain:\n  stpes: 3\n",
         ".yaml:3:3: unknown key `pretrain.stpes`; did you mean `pretrain.steps`?"},
        {"steps: 3\n", ".yaml:1:1: unknown key `steps`; did you mean `pretrain.steps`?"},
        {"pretrain: {seed: 3}\n", ".yaml:1:12: unknown key `pretrain.seed`; did you mean `seed`?"},
        {"model: {lr: 3}\n", "unknown key `model.lr`; did you mean `pretrain.lr`?"},
        {"modle: {width: 64}\n", "unknown key `modle`; did you mean `model`?"},
        {"pretrain: {model: {width: 64}}\n", "unknown key `pretrain.model`; did you mean `model`?"},
        {"corups: []\n", "unknown key `corups`; did you mean `corpus`?"},
        {"model.width: 64\n", "keys are nested: write `model:` and `width:` indented below it"},
        {"xylophone: 1\n", "unknown key `xylophone`; `yoke config --keys` lists all keys"},
        {"corpus:\n  - domian: a\n",
         ".yaml:2:5: unknown key `corpus.domian`; did you mean `corpus.domain`?"},
        {"domain: a\n", "did you mean `corpus.domain`?"},
        {"seed: 1\nmodel: {}\nseed: 2\n", ".yaml:3:1: `seed` is given twice, the first time at "},
        {"seed: 1\nmodel: {}\nseed: 2\n", ".yaml:1:1; remove one"},
        {"model:\n  width: 64\n  layers: 2\n  width: 64\n",
         ".yaml:4:3: `model.width` is given twice, the first time at"},
        {"model: {}\nmodel: {}\n", "`model` is given twice"},
        {"corpus: []\ncorpus: []\n", "`corpus` is given twice"},
        {"corpus: [{domain: a, domain: b}]\n", "`corpus.domain` is given twice"},
        {"pretrain:\n  steps: abc\n",
         ".yaml:2:10: `pretrain.steps`: expected an integer, such as 4k, found `abc`"},
        {"pretrain: {steps: }\n",
         "`pretrain.steps`: expected an integer, such as 4k, found nothing"},
        {"pretrain: {steps: [1]}\n", "expected an integer, such as 4k, found a list"},
        {"pretrain: {steps: {a: 1}}\n", "expected an integer, such as 4k, found a mapping"},
        {"pretrain: {lr: fast}\n",
         "`pretrain.lr`: expected a number, such as 0.1 or 3e-4, found `fast`"},
        {"pretrain: {lr: .inf}\n", "expected a number, such as 0.1 or 3e-4, found `.inf`"},
        {"model: {tied: yes}\n", "`model.tied`: expected true or false, found `yes`"},
        {"run_dir: [a]\n", "`run_dir`: expected a text, found a list"},
        {"run_dir: ~\n", "found null (leave the key out"},
        {"run_dir: \"a\\0b\"\n", "found a NUL character"},
        {"stages: {a: b}\n", "`stages`: expected a list of texts, such as [a, b], found a mapping"},
        {"stages: [[clean]]\n", "expected a list of texts, such as [a, b], found a list"},
        {"pretrain: {warmup: 2}\n", "`pretrain.warmup`: 2 is out of range; it may be from 0 to 1"},
        {"pretrain: {seq: 2M}\n",
         "`pretrain.seq`: 2M is out of range; it may be from 16 to 1048576"},
        {"seed: -1\n", "`seed`: -1 is out of range; it may be from 0 to 9007199254740991"},
        {"pretrain: {schedule: linear}\n",
         "expected one of cosine, wsd, multistep, constant, found `linear`"},
        {"pretrain: {schedule: cos}\n", "expected one of cosine, wsd"},
        {"pretrain: {schedule: \"cosine|wsd\"}\n", "expected one of cosine, wsd"},
        {"pretrain: {schedule: \"\"}\n", "found nothing"},
        {"seed: [1\n", ".yaml:2:1: not valid YAML: "},
        {"a: b: c\n", ".yaml:1:5: not valid YAML: mapping values are not allowed"},
        {"\tseed: 1\n", "indent with spaces, not tabs"},
        {"corpus:\n  - path: [a]\n", "unknown key `corpus.path`; did you mean `corpus.paths`?"},
        {"seed: 1\nrun_dir: a\001b\n",
         ".yaml:2:11: not valid YAML: control characters are not allowed"},
        {"seed: 1\nrun_dir: \xff\n", ".yaml:2:10: not valid YAML: "},
        {"- seed\n", ".yaml:1:1: a recipe is a mapping (key: value), found a list"},
        {"seed\n", "a recipe is a mapping (key: value), found a value"},
        {"model: 3\n", ".yaml:1:8: `model`: expected a mapping (key: value), found a value"},
        {"corpus: {domain: a}\n",
         ".yaml:1:9: `corpus`: expected a list of entries (- domain: ...), found a mapping"},
        {"corpus: [a]\n", "an entry of `corpus`: expected a mapping (key: value), found a value"},
        {"? [a]\n: 1\n", "a key must be a word, found a list"},
        {"run_dir: &a x\ncorpus_manifest: *a\n", ".yaml:1:10: anchors (&name) are not supported"},
        {"run_dir: *a\n", "aliases (*name) are not supported"},
        {"run_dir: !x y\n", "tags (!name) are not supported"},
        {"seed: 1\n---\nseed: 2\n", ".yaml:2:1: a second document begins here"},
        {"a: [[[[[[[[[[1]]]]]]]]]]\n", "nested too deeply"},
    };
    for (size_t i = 0; i < COUNT(c); i++) refuse(p, c[i].text, NULL, c[i].message);
}

static void wrong_rules(void **state)
{
    const place *p = *state;
    static const struct {
        const char *text, *message;
    } c[] = {
        {"seed: 1\n", "`corpus` has no entry, but stage `clean` needs one"},
        {"precision: fp8\n", ".yaml:1:12: `precision`: expected one of fp32, bf16, fp16, found `fp8`"},
        {"corpus: [{domain: d, generate: 9}]\npretrain: {loss_scale: 96}\n",
         "`pretrain.loss_scale` is 96; it must be a power of two, or 0"},
        {"stages: [clean, bake]\n",
         ".yaml:1: `stages` has an unknown stage `bake`; there are [clean, tokenizer"},
        {"stages: [clean, clean]\n", "`stages` has `clean` twice or out of order"},
        {"stages: [pretrain, clean]\n", "`stages` has `clean` twice or out of order"},
        {"corpus: [{generate: 3}]\n", "`corpus.0.domain` is missing"},
        {"corpus: [{}]\n", "`corpus.0.domain` is missing"},
        {"corpus:\n- {domain: a, generate: 3}\n- {domain: a, generate: 3}\n",
         ".yaml:3: `corpus.1.domain` is `a`, as is "},
        {"corpus: [{domain: a b, generate: 3}]\n",
         "`corpus.0.domain` is `a b`; a domain is up to 64 letters"},
        {"corpus: [{domain: é, generate: 3}]\n", "`corpus.0.domain` is `é`"},
        {"corpus: [{domain: a}]\n", "`corpus.0.paths` is missing"},
        {"corpus: [{domain: a, paths: [\"\"]}]\n", "`corpus.0.paths` has an empty path"},
        {"corpus: [{domain: a, paths: b, generate: 3}]\n",
         "`corpus.0.generate` and `paths` exclude each other"},
    };
    static const struct {
        const char *set, *message;
    } s[] = {
        {"lanes=3", "--set: `lanes` is 3; it must be a power of two"},
        {"pretrain={batch: 6, steps: 1}", NULL},
        {"model.width=50", "--set: `model.width` is 50; it must be a multiple of 16"},
        {"model.head_size=40", "`model.head_size` is 40; it must be a multiple of 16"},
        {"model.ffn=100", "`model.ffn` is 100; it must be a multiple of 16"},
        {"model={width: 64, heads: 3}",
         "`model.heads` is 3, which does not divide model.width, 64"},
        {"model={width: 64, heads: 8}", "`model.heads` is 8, which makes heads of 8"},
        {"model={heads: 6, kv_heads: 4}", "`model.kv_heads` is 4; it must divide model.heads, 6"},
        {"model={width: 64, kv_heads: 5}", "`model.kv_heads` is 5; it must divide model.heads, 2"},
        {"model={experts: 4, experts_chosen: 5}",
         "`model.experts_chosen` is 5, more than the 4 of `model.experts`"},
        {"model={experts: 4, layers: 3, dense_layers: 3}",
         "`model.dense_layers` is 3, which leaves none of the 3 of `model.layers` for `model.experts`"},
        {"model={experts: 4, dense_layers: 50}", "`model.dense_layers` is 50, which leaves none"},
        {"model={experts: 4, mlp: gelu}", "`model.mlp` is gelu, but those of `model.experts` are swiglu"},
        {"model={experts: 4, bias: true}", "`model.bias` is true, but those of `model.experts` have no biases"},
        {"model={experts: 4, expert_ffn: 40}", "`model.expert_ffn` is 40; it must be a multiple of 16"},
        {"model={experts: 300}", "`model.experts`: 300 is out of range; it may be from 0 to 256"},
        {"model={attention: window}", "`model.window` is 0; model.attention: window needs at least 1"},
        {"model.window=5",
         "`model.window` is 5, which has a meaning where model.attention is window, global or strided; it is full"},
        {"model={attention: global, window: 5}", "`model.global_tokens` is 0; model.attention: global needs"},
        {"model={attention: window, window: 5, global_tokens: 2}",
         "`model.global_tokens` is 2, which has a meaning where model.attention is global or strided; it is window"},
        {"model={attention: strided, window: 5, attention_stride: 1}",
         "`model.attention_stride` is 1; model.attention: strided needs at least 2"},
        {"model={attention: selected, selected_blocks: 2}", "`model.selected_blocks` is 2; model.attention: selected"},
        {"model={attention: selected, selected_blocks: 4, window: 5}", "`model.window` is 5, which has"},
        {"model.full_every=2", "`model.full_every` is 2, which has a meaning where model.attention is not full"},
        {"model={attention: window, window: 5, full_every: 1}", "`model.full_every` is 1; model.attention: window"},
        {"model={attention: window, window: 5, layers: 3, full_every: 4}",
         "`model.full_every` is 4, more than model.layers, 3: no layer would be full"},
        {"model={attention: strided, window: 5, attention_stride: 2, global_tokens: 3, full_every: 2}", NULL},
        {"model={width: 65520}", "`model.width`: 65520 is out of range; it may be from 0 to 16384"},
        {"model.heads=1021",
         "`size` finds no width that goes with the given model.* keys; set model.width"},
        {"size=many",
         "`size` is a number of parameters from 100k to 100G, such as 2M; found `many`"},
        {"size=99k", "found `99k`"},
        {"size=101G", "found `101G`"},
        {"size=100k", "lower tokenizer.vocab or raise size"},
        {"tokenizer.tune=[1k, x]",
         "`tokenizer.tune` has `x`; expected vocabulary sizes from 264 to 1000000"},
        {"tokenizer.tune=1k", NULL},
        {"evaluate.stride=257", "`evaluate.stride` is 257; it must not exceed pretrain.seq, 256"},
        {"pretrain={local_steps: 20, eval_every: 30}",
         "`pretrain.eval_every` is 30; it must be a multiple of pretrain.local_steps, 20"},
        {"pretrain={local_steps: 20, spike_factor: 3}",
         "`pretrain.spike_factor` is 3, but steps of pretrain.local_steps are a lane's own"},
        {"pretrain={local_steps: 20}", NULL},
        {"questions={level_min: 9, level_max: 8}",
         "`questions.level_min` is 9; it must not exceed questions.level_max, 8"},
        {"clean={min_words: 9, max_words: 8}",
         "`clean.min_words` is 9; it must not exceed clean.max_words, 8"},
        {"pretrain={schedule: wsd, warmup: 0.9}",
         "`pretrain.decay_share` and pretrain.warmup together exceed"},
        {"pretrain={tokens: 9007199254740991}",
         "`pretrain.steps` is 2199023255552, which makes more"},
        {"pretrain={tokens: 9007199254740000, batch: 1, seq: 16}", "`pretrain.steps`: "},
        {"pretrain={steps: 1G, batch: 1Mi, seq: 1Mi}",
         "which makes more than 9007199254740991 tokens"},
        {"pretrain={batch: 6}", NULL},
        {"lanes=4", NULL},
    };
    for (size_t i = 0; i < COUNT(c); i++) refuse(p, c[i].text, NULL, c[i].message);
    for (size_t i = 0; i < COUNT(s); i++) {
        yk_recipe r;
        if (s[i].message) {
            refuse(p, NULL, s[i].set, s[i].message);
            continue;
        }
        load(&r, p, small_corpus, s[i].set);
        round_trip(p, &r);
        yk_recipe_free(&r);
    }
    refuse(p,
           "lanes: 4\npretrain:\n  batch: 6\n"
           "corpus: [{domain: a, generate: 1}]\n",
           NULL, ".yaml:3: `pretrain.batch` is 6; it must be a multiple of lanes, 4");
    refuse(p,
           "zero: 1\npretrain:\n  local_steps: 20\n"
           "corpus: [{domain: a, generate: 1}]\n",
           NULL, ".yaml:1: `zero` is 1, but with pretrain.local_steps every lane has moments of its own");
}

/* An entry of `tune:` beside what a recipe needs. */
static void wrong_ranges(void **state)
{
    const place *p = *state;
    static const struct {
        const char *entry, *message;
    } c[] = {
        {"scale: log", ".yaml:3: `tune.0.key` is missing; name a key, such as pretrain.lr"},
        {"key: pretrain.lrr", "`tune.0.key` names an unknown key, `pretrain.lrr`; did you mean `pretrain.lr`?"},
        {"key: lr", "names an unknown key, `lr`; did you mean `pretrain.lr`?"},
        {"key: corpus.weight", "names an unknown key, `corpus.weight`; did you mean"},
        {"kye: pretrain.lr", ".yaml:3:6: unknown key `tune.kye`; did you mean `tune.key`?"},
        {"key: seed, low: 1, high: 2", "names an unknown key, `seed`"},
        {"key: tokenizer.vocab, low: 300, high: 400",
         "`tune.0.key` is `tokenizer.vocab`, which must be the same in all"},
        {"key: pretrain.steps, low: 30, high: 40", "is `pretrain.steps`, which must be the same in all trials"},
        {"key: pretrain.prompts, scale: choice, values: [a, b]", "is `pretrain.prompts`, which must be the same"},
        {"key: pretrain.lr, low: -1, high: 1", ".yaml:3: `tune.0.low` is -1; `pretrain.lr` may be from 0 to 10"},
        {"key: pretrain.lr, low: 1, high: 11", "`tune.0.high` is 11; `pretrain.lr` may be from 0 to 10"},
        {"key: pretrain.lr, low: 1e-3, high: 1e-3", "`tune.0.high` is 0.001; it must be above `low`, 0.001"},
        {"key: pretrain.batch, low: 8.1, high: 9.9", "`tune.0.high` is 9.9; it must be above `low`, 8.1"},
        {"key: pretrain.lr", "`tune.0.high` is 0; it must be above `low`, 0"},
        {"key: pretrain.lr, scale: log, low: 0, high: 1", "`tune.0.low` is 0; on a log scale it must be above 0"},
        {"key: pretrain.lr, scale: logg", "`tune.scale`: expected one of linear, log, choice, found `logg`"},
        {"key: pretrain.lr, low: x", ".yaml:3:29: `tune.low`: expected a number, such as 0.1 or 3e-4, found `x`"},
        {"key: pretrain.schedule, low: 0, high: 1", "`tune.0.scale` is `linear`, but `pretrain.schedule` is no number"},
        {"key: pretrain.schedule, scale: choice, values: [wsd]",
         "`tune.0.values` has 1; a choice is between two values"},
        {"key: pretrain.schedule, scale: choice, values: [wsd, cos]",
         "has a value that does not fit: `pretrain.schedule`: expected one of cosine, wsd"},
        {"key: pretrain.lr, scale: choice, values: [1, 11]", "does not fit: `pretrain.lr`: 11 is out of range"},
        {"key: pretrain.lr, low: 0, high: 1, values: [1, 2]", "`tune.0.values` go with scale: choice"},
        {"key: pretrain.lr, low: 0, high: 1}\n  - {key: pretrain.lr, low: 0, high: 2",
         ".yaml:4: `tune.1.key` is `pretrain.lr`, as is `tune.0.key`; remove one"},
    };
    char text[512];
    for (size_t i = 0; i < COUNT(c); i++) {
        snprintf(text, sizeof text, "corpus: [{domain: a, generate: 1}]\ntune:\n  - {%s}\n", c[i].entry);
        refuse(p, text, NULL, c[i].message);
    }
    refuse(p, "corpus: [{domain: a, generate: 1}]\nstages: [clean, tune]\n", NULL,
           ".yaml:2: `stages` has `tune`, but `tune:` has no entry");
    refuse(p, "corpus: [{domain: a, generate: 1}]\nstages: [tune]\npretrain: {steps: 8}\n"
           "tune: [{key: pretrain.lr, low: 0, high: 1}]\n", NULL, "`tuning.rungs` is 3, too many for 8 steps");
    refuse(p, small_corpus, "tune.0.low=1", "there is no tune.0; the recipe has 0 tune entries");
}

static void wrong_sets(void **state)
{
    const place *p = *state;
    static const struct {
        const char *set, *message;
    } c[] = {
        {"pretrain.stpes=3",
         "--set pretrain.stpes=3: unknown key `pretrain.stpes`; did you mean `pretrain.steps`?"},
        {"steps=3", "--set steps=3: unknown key `steps`; did you mean `pretrain.steps`?"},
        {"modle.width=64", "did you mean `model.width`?"},
        {"corpus.0.wieght=2", "unknown key `corpus.wieght`; did you mean `corpus.weight`?"},
        {"corpus.1.weight=2", "there is no corpus.1; the recipe has 1 corpus entries, from 0 on"},
        {"corpus.99999999999999999999.weight=2", "there is no corpus.999999999999"},
        {"corpus.weight=2", "is named by its number, such as corpus.0.domain"},
        {"corpus.0.weight=-2",
         "--set corpus.0.weight=-2: `corpus.weight`: -2 is out of range; it may be from 0 to 1e9"},
        {"seed", "--set seed: expected key=value"},
        {"=3", "--set =3: expected key=value"},
        {"", "expected key=value"},
        {"seed=x", "--set seed=x: `seed`: expected an integer, such as 4k, found `x`"},
        {"seed=", "--set seed=: `seed`: expected an integer, such as 4k, found nothing"},
        {"seed=[1", "--set seed=[1: not valid YAML: "},
        {"seed=[1]", "found a list"},
        {"seed=1\n---\n2", "--set seed=1?---?2: a second document"},
        {"model=3", "--set model=3: `model`: expected a mapping"},
        {"corpus=3", "--set corpus=3: `corpus`: expected a list of entries"},
        {"a.b.c=3", "unknown key `a.b.c`"},
        {"run_dir=\xff\xfe", "not valid YAML"},
    };
    for (size_t i = 0; i < COUNT(c); i++) refuse(p, small_corpus, c[i].set, c[i].message);
}

static void unusable_files(void **state)
{
    const place *p = *state;
    static const struct {
        const char *path, *message;
    } c[] = {{"/nonexistent/r.yaml", "/nonexistent/r.yaml: cannot open: No such file"},
             {"/dev/zero", "/dev/zero: is not a file with a recipe"},
             {"/", "is a directory"}};
    yk_recipe r;
    yk_error err;
    for (size_t i = 0; i < COUNT(c); i++) {
        assert_int_equal(yk_recipe_load(&r, c[i].path, NULL, 0, &err), YK_ERR_CONFIG);
        if (!strstr(err.text, c[i].message)) fail_msg("%s", err.text);
    }
    write_text(p, "seed: 1\n");
    assert_int_equal(truncate(p->file, (16 << 20) + 1), 0);
    assert_int_equal(yk_recipe_load(&r, p->file, NULL, 0, &err), YK_ERR_CONFIG);
    assert_non_null(strstr(err.text, "16777217 bytes are too many for a recipe"));
    yk_buf many = {0};
    yk_buf_puts(&many, "stages: [");
    for (int i = 0; i < 300000; i++) yk_buf_puts(&many, "a,");
    yk_buf_puts(&many, "]\n");
    refuse(p, many.data, NULL, "too many values for a recipe");
    yk_buf_free(&many);
}

static const char sample[] =
    "# a recipe\n"
    "seed: 7\nsize: 1M\nlanes: 2\nstages: [clean, tokenizer, pretrain, evaluate]\n"
    "clean:\n  dedup: false\n  languages: [en, de]\n  heldout_fraction: 2e-2\n"
    "tokenizer:\n  vocab: 2k\n  tune: [1k, 2k, '4k']\n"
    "model: {layers: 2, tied: true}\n"
    "pretrain:\n  lr: 3e-3\n  schedule: wsd\n  prompts: [\"Once upon: a time\", 'x']\n"
    "corpus:\n  - domain: docs\n    paths: [a/b, \"c/*.txt\"]\n    weight: 1.5\n"
    "  - domain: code\n    generate: 100\n    kind: code\n";

/* Copies the sample with a few bytes changed, removed, doubled or swapped for YAML's own marks. */
static void mutate(const yk_rng *rng, yk_buf *text)
{
    static const char *const bits[] = {"[",       "]",     "{",
                                       "}",       ": ",    "- ",
                                       "\n",      "  ",    "&a",
                                       "*a",      "---\n", "!t",
                                       "\"",      "'",     "|",
                                       ">",       "%",     "\\",
                                       "\xc3",    "\0\0",  "99999999999999999999",
                                       "1e999",   "k",     "size",
                                       "corpus:", "~",     "#",
                                       "\t",      "?",     ",",
                                       "-",       "0",     "\xef\xbb\xbf",
                                       "\xff\xfe"};
    uint64_t i = 0, edits = 1 + yk_rng_below(rng, i++, 4) / 2;
    for (; edits > 0 && text->len > 0; edits--) {
        size_t where = yk_rng_below(rng, i++, text->len), span = yk_rng_below(rng, i++, 12);
        const char *bit = bits[yk_rng_below(rng, i++, COUNT(bits))];
        uint64_t kind = yk_rng_below(rng, i++, 5);
        yk_buf tail = {0};
        if (span > text->len - where) span = text->len - where;
        if (kind == 0) {
            bool any = yk_rng_below(rng, i++, 4) == 0;
            text->data[where] = (char)(any ? yk_rng_below(rng, i++, 256)
                                           : 33 + yk_rng_below(rng, i++, 94));
            continue;
        }
        yk_buf_add(&tail, text->data + where, text->len - where);
        text->len = where;
        if (kind == 1) yk_buf_puts(text, bit);
        if (kind == 2) yk_buf_add(text, tail.data, span);
        if (kind < 4)
            yk_buf_add(text, tail.data + (kind == 3 ? span : 0), tail.len - (kind == 3 ? span : 0));
        if (kind == 4) yk_buf_add(text, tail.data, span); /* cut off */
        yk_buf_free(&tail);
    }
}

static void mutations(void **state)
{
    const place *p = *state;
    static const char *const sets[] = {
        "corpus=[{domain: a, paths: [b, c], weight: 2}]",
        "model={width: 64, heads: 2, kv_heads: 1}", "corpus.1.weight=2.5",
        "pretrain.prompts=[\"a \\u00e9\", 'b', c d]", "pretrain.steps=4k"};
    yk_buf text = {0}, option = {0};
    int loaded = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        yk_rng file = yk_rng_make(2, YK_STREAM_TEST, i),
               sets_rng = yk_rng_make(3, YK_STREAM_TEST, i);
        yk_recipe r;
        yk_error err = {""};
        yk_buf_clear(&text);
        yk_buf_clear(&option);
        yk_buf_puts(&text, sample);
        yk_buf_puts(&option, sets[i % COUNT(sets)]);
        if (i % 3 != 0) mutate(&file, &text);
        if (i % 3 != 1) mutate(&sets_rng, &option);
        write_bytes(p, text.data, text.len);
        const char *set = option.data;
        yk_status st = yk_recipe_load(&r, p->file, &set, i % 3 != 1, &err);
        if (st == YK_OK) {
            loaded++;
            if (loaded % 4 == 0) round_trip(p, &r);
            yk_recipe_free(&r);
        } else if (st != YK_ERR_CONFIG || !err.text[0])
            fail_msg("mutation %d: status %d, %s", (int)i, st, err.text);
    }
    assert_in_range(loaded, 500, 18000);
    yk_buf_free(&text);
    yk_buf_free(&option);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_files),
        cmocka_unit_test(wrong_rules),
        cmocka_unit_test(wrong_ranges),
        cmocka_unit_test(wrong_sets),
        cmocka_unit_test(unusable_files),
        cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
