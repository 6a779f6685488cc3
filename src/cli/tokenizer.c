#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "data/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *verb, *tokenizer, *out;
    const char *file[4096], *set[256];
    size_t files, sets;
    long vocab;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 't') o->tokenizer = text;
    else if (key == 'o') o->out = text;
    else if (key == 'v') o->vocab = atol(text);
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

static yk_status train(const options *o, yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    yk_team team;
    yk_bpe_trainer *trainer = NULL;
    yk_tokenizer *t = NULL;
    if (!o->out) YK_FAIL(YK_ERR_USAGE, "--output FILE says where tokenizer.json goes");
    YK_TRY(yk_team_make(&team, 0, err));
    YK_TRY(yk_bpe_trainer_new(&trainer, &team, err));
    for (size_t i = 0; i == 0 || i < o->files; i++) {
        YK_TRY(read_all(o, i, text, err));
        YK_TRY(yk_bpe_trainer_add(trainer, text->data, text->len, err));
    }
    YK_TRY(yk_bpe_trainer_learn(trainer, (int32_t)o->vocab, &t, err));
    YK_TRY(yk_tokenizer_save(t, o->out, err));
done:
    yk_tokenizer_free(t);
    yk_bpe_trainer_free(trainer);
    return st;
}

static yk_status encode(const options *o, const yk_tokenizer *t, yk_buf *text, yk_error *err)
{
    yk_status st = YK_OK;
    yk_encoder *e = NULL;
    yk_ids ids = {0};
    YK_TRY(yk_encoder_new(&e, t, err));
    for (size_t i = 0; i == 0 || i < o->files; i++) {
        YK_TRY(read_all(o, i, text, err));
        ids.n = 0;
        YK_TRY(yk_encode(e, text->data, text->len, &ids, err));
        for (size_t j = 0; j < ids.n; j++) printf("%s%d", j ? " " : "", ids.id[j]);
        putchar('\n');
    }
done:
    yk_ids_free(&ids);
    yk_encoder_free(e);
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
    if (strcmp(o.verb, "encode") != 0 && strcmp(o.verb, "decode") != 0)
        YK_FAIL(YK_ERR_USAGE, "`%s`: expected train, encode, decode or tune", o.verb);
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
    {"output", 'o', "FILE", 0, "train: where tokenizer.json goes", 0},
    {"vocab", 'v', "N", 0, "train: vocabulary size (4096)", 0},
    {"set", 's', "KEY=VALUE", 0, "tune: override a key of the run's recipe; may be repeated", 0},
    {0},
};

const yk_command yk_command_tokenizer = {
    "tokenizer", "train|encode|decode|tune [FILE...]", "train a tokenizer; text to ids and back; compare vocabularies",
    "Trains a byte-level BPE tokenizer from text files, prints the ids of files (a line each; standard input without "
    "FILE), or the text of ids; or compares the vocabulary sizes of tokenizer.tune on a run directory: bytes a token "
    "by domain and language against what the embedding costs.\v"
    "Example:\n  yoke tokenizer train --vocab 8000 --output tokenizer.json /usr/share/common-licenses/GPL-3\n"
    "  echo 'Hello there' | yoke tokenizer encode --tokenizer tokenizer.json\n"
    "  yoke tokenizer tune runs/quickstart --set 'tokenizer.tune=[2k, 4k, 8k]'",
    option, perform};
