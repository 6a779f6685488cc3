/* Commands that exchange models with other programs: export, import. */
#include "cli/cli.h"
#include "config/schema.h"
#include "exchange/exchange.h"
#include "exchange/gguf.h"

#include <string.h>

enum { SHARD_BYTES = 2000000000 };

typedef struct options {
    const char *place[2], *to, *checkpoint, *type, *shard_size, *precision, *seq;
    int places;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    switch (key) {
    case 0:
        if (o->places == 2) return false;
        o->place[o->places++] = text;
        return true;
    case 'f': o->to = text; return true;
    case 'c': o->checkpoint = text; return true;
    case 't': o->type = text; return true;
    case 's': o->shard_size = text; return true;
    case 'p': o->precision = text; return true;
    case 'n': o->seq = text; return true;
    default: return false;
    }
}

/* The place of a word in a list that NULL ends; -1: none. */
static int place_of(const char *word, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (strcmp(word, list[i]) == 0) return i;
    return -1;
}

static yk_status export_hf(const options *o, yk_error *err)
{
    static const char *const types[] = {[YK_SAFE_F32] = "f32", [YK_SAFE_BF16] = "bf16", [YK_SAFE_F16] = "f16", NULL};
    yk_status st = YK_OK;
    yk_export_options with = {.shard_bytes = SHARD_BYTES, .checkpoint = o->checkpoint};
    int type = place_of(o->type, types);
    if (type < 0) YK_FAIL(YK_ERR_USAGE, "--type: for hf there are f32, bf16 and f16, found `%s`", o->type);
    if (o->shard_size && (!yk_parse_int(o->shard_size, &with.shard_bytes) || with.shard_bytes < 1))
        YK_FAIL(YK_ERR_USAGE, "--shard-size: is a number of bytes, such as 2G; found `%s`", o->shard_size);
    with.type = (yk_safe_type)type;
    YK_TRY(yk_hf_export(o->place[0], o->place[1], &with, err));
done:
    return st;
}

static yk_status export_gguf(const options *o, yk_error *err)
{
    yk_gguf_type type;
    if (!yk_gguf_type_of(o->type, &type))
        return yk_fail(err, YK_ERR_USAGE, "--type: for gguf there are f32, bf16, f16 and q8_0, found `%s`", o->type);
    return yk_gguf_export(o->place[0], o->place[1], o->checkpoint, type, err);
}

static yk_status export(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {.to = "hf", .type = "f32"};
    YK_TRY(yk_parse(&yk_command_export, argc, argv, 2, take, &o, err));
    if (strcmp(o.to, "hf") == 0) YK_TRY(export_hf(&o, err));
    else if (strcmp(o.to, "gguf") == 0) YK_TRY(export_gguf(&o, err));
    else YK_FAIL(YK_ERR_USAGE, "--to: there are hf and gguf, found `%s`", o.to);
done:
    return st;
}

static yk_status import(int argc, char **argv, yk_error *err)
{
    static const char *const precisions[] = {"fp32", "bf16", "fp16", NULL};
    yk_status st = YK_OK;
    options o = {.precision = "fp32"};
    yk_import_options with = {0};
    YK_TRY(yk_parse(&yk_command_import, argc, argv, 2, take, &o, err));
    if (place_of(o.precision, precisions) < 0)
        YK_FAIL(YK_ERR_USAGE, "--precision: there are fp32, bf16 and fp16, found `%s`", o.precision);
    if (o.seq && (!yk_parse_int(o.seq, &with.seq) || with.seq < 16))
        YK_FAIL(YK_ERR_USAGE, "--seq: is a number of tokens, at least 16; found `%s`", o.seq);
    with.precision = o.precision;
    YK_TRY(yk_hf_import(o.place[0], o.place[1], &with, err));
done:
    return st;
}

static const struct argp_option export_option[] = {
    {"to", 'f', "FORMAT", 0, "hf: a directory for transformers (default); gguf: a file for llama.cpp", 0},
    {"type", 't', "TYPE", 0, "of the weights: f32, bf16 or f16 (f32); of gguf also q8_0", 0},
    {"shard-size", 's', "BYTES", 0, "hf: most bytes of weights in one file (2G)", 0},
    {"checkpoint", 'c', "FILE", 0, "instead of the model that the run's last stage left", 0},
    {0},
};

const yk_command yk_command_export = {
    "export", "RUN_DIR PATH", "write a model for other programs",
    "Writes the model that a run's last stage left, with its tokenizer and chat template, as a directory that "
    "transformers and what builds on it can load, or as a file for llama.cpp. Which models can be exported is in "
    "doc/exchange.md.\v"
    "Examples:\n  yoke export runs/quickstart /tmp/quickstart-hf --type bf16\n"
    "  yoke export runs/quickstart /tmp/quickstart.gguf --to gguf --type q8_0",
    export_option, export};

static const struct argp_option import_option[] = {
    {"precision", 'p', "P", 0, "of the run: fp32, bf16 or fp16 (fp32)", 0},
    {"seq", 'n', "N", 0, "pretrain.seq, the longest sequence (as many tokens as the model allows, at most 2048)", 0},
    {0},
};

const yk_command yk_command_import = {
    "import", "DIR RUN_DIR", "make a run directory of another program's model",
    "Makes a run directory of a model in the format of Hugging Face's transformers (config.json, safetensors, "
    "tokenizer.json), which generate, chat, export and the stages of a recipe can go on from.\v"
    "Example:\n  yoke import /tmp/quickstart-hf runs/again\n"
    "  yoke run runs/again/recipe.yaml --set 'stages=[sft]' --set sft.data=mine.jsonl",
    import_option, import};
