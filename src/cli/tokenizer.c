#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "data/measure.h"
#include "token/batch.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 8 << 20 };

typedef struct options {
    const char *verb, *tokenizer, *out, *pattern;
    const char *file[4096], *set[256], *special[4096];
    size_t files, sets, specials;
    long vocab;
    bool lines, count, parse;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 't') o->tokenizer = text;
    else if (key == 'o') o->out = text;
    else if (key == 'v') o->vocab = atol(text);
    else if (key == 'p') o->pattern = text;
    else if (key == 'x' && o->specials < 4096) o->special[o->specials++] = text;
    else if (key == 'l') o->lines = true;
    else if (key == 'c') o->count = true;
    else if (key == 'S') o->parse = true;
    else if (key == 's' && o->sets < 256) o->set[o->sets++] = text;
    else if (key == 0 && !o->verb) o->verb = text;
    else if (key == 0 && o->files < 4096) o->file[o->files++] = text;
    else return false;
    return true;
}

static yk_status read_all(const options *o, size_t i, yk_buf *text, yk_error *err)
{
    yk_buf_clear(text);
    yk_buf_reserve(text, 1);
    if (i < o->files) return yk_file_read(o->file[i], text, err);
    for (size_t n = 1; n;) {
        yk_buf_reserve(text, 1 << 16);
        n = fread(text->data + text->len, 1, 1 << 16, stdin);
        text->len += n;
    }
    text->data[text->len] = 0;
    return YK_OK;
}

typedef yk_status (*text_fn)(void *context, const char *text, size_t n, yk_error *err);

/* Every line is a JSON string, or an object whose `text` is one. */
static yk_status each_line(const char *name, const yk_buf *file, text_fn each, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *x = NULL;
    size_t number = 1;
    for (const char *at = file->data, *end = at + file->len, *stop; at < end; at = stop + 1, number++) {
        json_error_t why;
        stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        json_decref(x);
        x = json_loadb(at, (size_t)(stop - at), JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
        const json_t *text = json_is_object(x) ? json_object_get(x, "text") : x;
        if (!json_is_string(text))
            YK_FAIL(YK_ERR_INPUT, "%s:%zu: neither a JSON string nor an object with `text`", name, number);
        YK_TRY(each(context, json_string_value(text), json_string_length(text), err));
    }
done:
    json_decref(x);
    return st;
}

/* Of all files, or of the standard input. */
static yk_status each_text(const options *o, yk_buf *text, text_fn each, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i == 0 || i < o->files; i++) {
        YK_TRY(read_all(o, i, text, err));
        YK_TRY(o->lines ? each_line(i < o->files ? o->file[i] : "-", text, each, context, err)
                        : each(context, text->data, text->len, err));
    }
done:
    return st;
}

static yk_status add_to_trainer(void *trainer, const char *text, size_t n, yk_error *err)
{
    return yk_bpe_trainer_add(trainer, text, n, err);
}

static yk_status train(const options *o, yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    yk_team team;
    yk_bpe_trainer *trainer = NULL;
    yk_tokenizer *t = NULL;
    if (!o->out) YK_FAIL(YK_ERR_USAGE, "--output FILE says where tokenizer.json goes");
    YK_TRY(yk_team_make(&team, 0, err));
    YK_TRY(yk_bpe_trainer_new(&trainer, &team, err));
    YK_TRY(each_text(o, text, add_to_trainer, trainer, err));
    YK_TRY(yk_bpe_trainer_learn(trainer, (int32_t)o->vocab, &t, err));
    YK_TRY(yk_tokenizer_save(t, o->out, err));
done:
    yk_tokenizer_free(t);
    yk_bpe_trainer_free(trainer);
    return st;
}

static yk_status import(const options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    if (!o->out || o->files != 1)
        YK_FAIL(YK_ERR_USAGE,
                "import takes --output and one file: a tokenizer.json, or with --pattern a tiktoken file of ranks");
    YK_TRY(yk_tokenizer_import(&t, o->file[0], o->pattern, o->special, o->specials, err));
    YK_TRY(yk_tokenizer_save(t, o->out, err));
done:
    yk_tokenizer_free(t);
    return st;
}

typedef struct encoding {
    yk_batch batch;
    const options *o;
    double documents, bytes, tokens, seconds;
} encoding;

static yk_status flush(encoding *e, yk_error *err)
{
    yk_status st = YK_OK;
    double began = yk_now();
    YK_TRY(yk_batch_encode(&e->batch, err));
    e->seconds += yk_now() - began;
    e->documents += (double)e->batch.n;
    e->bytes += (double)e->batch.text.len;
    for (size_t i = 0; i < e->batch.n; i++) {
        const yk_ids *ids = &e->batch.ids[i];
        e->tokens += (double)ids->n;
        for (size_t j = 0; !e->o->count && j < ids->n; j++) printf("%s%d", j ? " " : "", ids->id[j]);
        if (!e->o->count) putchar('\n');
    }
    yk_batch_clear(&e->batch);
done:
    return st;
}

static yk_status add_text(void *context, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    encoding *e = context;
    YK_TRY(yk_batch_add(&e->batch, text, n, err));
    if (e->batch.text.len >= BATCH_BYTES) YK_TRY(flush(e, err));
done:
    return st;
}

static yk_status encode(const options *o, const yk_tokenizer *t, yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    yk_team team;
    encoding e = {.o = o};
    YK_TRY(yk_team_make(&team, 0, err));
    YK_TRY(yk_batch_start(&e.batch, &team, NULL, t, o->parse, err));
    YK_TRY(each_text(o, text, add_text, &e, err));
    YK_TRY(flush(&e, err));
    if (o->count)
        printf("%.0f documents, %.0f bytes, %.0f tokens, %.2f bytes a token, %.1f MB/s\n", e.documents, e.bytes,
               e.tokens, e.bytes / (e.tokens > 0 ? e.tokens : 1), e.bytes / 1e6 / (e.seconds + 1e-9));
done:
    yk_batch_free(&e.batch);
    return st;
}

static yk_status decode(const options *o, const yk_tokenizer *t, yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf bytes = {0};
    YK_TRY(read_all(o, 0, text, err));
    for (char *at = text->data, *end;; at = end) {
        long id = strtol(at, &end, 10);
        if (end == at) {
            if (at[strspn(at, " \t\r\n")])
                YK_FAIL(YK_ERR_INPUT, "`%.20s` is no token id; ids are numbers with blanks between", at);
            break;
        }
        if (id < 0 || id >= yk_tokenizer_vocab(t))
            YK_FAIL(YK_ERR_INPUT, "id %ld is outside 0 to %d", id, yk_tokenizer_vocab(t) - 1);
        int32_t one = (int32_t)id;
        yk_tokenizer_decode(t, &one, 1, &bytes);
    }
    fwrite(bytes.data, 1, bytes.len, stdout);
done:
    yk_buf_free(&bytes);
    return st;
}

static void print_ratios(const char *title, const char *member, json_t *list)
{
    const char *name;
    json_t *x, *first = json_object_get(json_array_get(list, 0), member);
    size_t i;
    json_t *row;
    json_object_foreach(first, name, x) {
        printf("%-12s %-12s", title, name);
        json_array_foreach(list, i, row)
            printf(" %8.2f", json_real_value(json_object_get(json_object_get(row, member), name)));
        putchar('\n');
    }
}

static void print_row(const char *title, const char *member, double unit, json_t *list)
{
    size_t i;
    json_t *row;
    printf("%-25s", title);
    json_array_foreach(list, i, row)
        printf(" %8.*f", unit == 1 ? 0 : 2, json_number_value(json_object_get(row, member)) / unit);
    putchar('\n');
}

static yk_status tune(const options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_recipe r = {0};
    yk_team team;
    json_t *list = NULL;
    char *path = NULL;
    if (o->files != 1) YK_FAIL(YK_ERR_USAGE, "tune takes one run directory, whose clean stage is done");
    if (!(path = yk_path("%s/recipe.yaml", o->file[0]))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_recipe_load(&r, path, o->set, o->sets, err));
    YK_TRY(yk_team_make(&team, (int)r.threads, err));
    YK_TRY(yk_tokenizer_tune(&r, o->file[0], &team, &list, err));
    yk_progress_end();
    print_row("vocabulary", "vocab", 1, list);
    print_row("bytes a token", "bytes_per_token", 1.0000001, list);
    print_ratios("  domain", "by_domain", list);
    print_ratios("  language", "by_language", list);
    print_row("embedding, M parameters", "embedding_parameters", 1e6, list);
    print_row("  % of the model", "embedding_share", 0.01, list);
    print_row("MFLOP a byte, training", "flops_per_byte", 1e6, list);
done:
    json_decref(list);
    yk_recipe_free(&r);
    free(path);
    return st;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {.vocab = 4096};
    yk_tokenizer *t = NULL;
    yk_buf text = {0};
    YK_TRY(yk_parse(&yk_command_tokenizer, argc, argv, 1, take, &o, err));
    if (strcmp(o.verb, "train") == 0) {
        YK_TRY(train(&o, &text, err));
        goto done;
    }
    if (strcmp(o.verb, "tune") == 0) {
        YK_TRY(tune(&o, err));
        goto done;
    }
    if (strcmp(o.verb, "import") == 0) {
        YK_TRY(import(&o, err));
        goto done;
    }
    if (strcmp(o.verb, "encode") != 0 && strcmp(o.verb, "decode") != 0)
        YK_FAIL(YK_ERR_USAGE, "`%s`: expected train, encode, decode, import or tune", o.verb);
    if (!o.tokenizer) YK_FAIL(YK_ERR_USAGE, "--tokenizer FILE names the tokenizer.json");
    YK_TRY(yk_tokenizer_load(&t, o.tokenizer, err));
    YK_TRY(o.verb[0] == 'e' ? encode(&o, t, &text, err) : decode(&o, t, &text, err));
done:
    yk_buf_free(&text);
    yk_tokenizer_free(t);
    return st;
}

static const struct argp_option option[] = {
    {"tokenizer", 't', "FILE", 0, "tokenizer.json to encode or decode with", 0},
    {"output", 'o', "FILE", 0, "train, import: where tokenizer.json goes", 0},
    {"vocab", 'v', "N", 0, "train: vocabulary size (4096)", 0},
    {"lines", 'l', NULL, 0, "train, encode: every line is a document, a JSON string or an object with `text`", 0},
    {"count", 'c', NULL, 0, "encode: print bytes, tokens and speed, not ids", 0},
    {"parse-special", 'S', NULL, 0, "encode: special tokens in the text become their ids", 0},
    {"pattern", 'p', "NAME", 0,
     "import: FILE is a tiktoken file of ranks, split as gpt2, llama3 (also cl100k), o200k, qwen2, or a regular "
     "expression",
     0},
    {"special", 'x', "TOKEN[=ID]", 0, "import: a special token to add; may be repeated", 0},
    {"set", 's', "KEY=VALUE", 0, "tune: override a key of the run's recipe; may be repeated", 0},
    {0},
};

const yk_command yk_command_tokenizer = {
    "tokenizer",
    "train|encode|decode|import|tune [FILE...]",
    "train or import a tokenizer; text to ids and back; compare vocabularies",
    "Trains a byte-level BPE tokenizer from text files, prints the ids of files (a line each; standard input without "
    "FILE), or the text of ids; reads a tokenizer.json or a tiktoken file of ranks and writes the tokenizer.json that "
    "Yoke uses; or compares the vocabulary sizes of tokenizer.tune on a run directory: bytes a token by "
    "domain and language against what the embedding costs.\v"
    "Example:\n  yoke tokenizer train --vocab 8000 --output tokenizer.json /usr/share/common-licenses/GPL-3\n"
    "  echo 'Hello there' | yoke tokenizer encode --tokenizer tokenizer.json\n"
    "  yoke tokenizer import qwen.tiktoken --pattern qwen2 --special '<|endoftext|>' --special '<|mask|>' --output "
    "qwen.json\n"
    "  yoke tokenizer tune runs/quickstart --set 'tokenizer.tune=[2k, 4k, 8k]'",
    option,
    perform};
