/* The command generate. */
#include "cli/cli.h"
#include "train/opened.h"
#include "train/decoder.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct options {
    const char *run, *prompt, *checkpoint;
    double temperature, top_p;
    long tokens, top_k, seed, threads;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    switch (key) {
    case 0:
        if (o->run) return false;
        o->run = text;
        return true;
    case 'p': o->prompt = text; return true;
    case 'c': o->checkpoint = text; return true;
    case 't': o->temperature = atof(text); return true;
    case 'P': o->top_p = atof(text); return true;
    case 'n': o->tokens = atol(text); return true;
    case 'k': o->top_k = atol(text); return true;
    case 's': o->seed = atol(text); return true;
    case 'T': o->threads = atol(text); return true;
    default: return false;
    }
}

static bool print(void *context, const char *bytes, size_t n)
{
    (void)context;
    fwrite(bytes, 1, n, stdout);
    fflush(stdout);
    return !yk_stop_asked;
}

static yk_status generate(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    yk_opened x = {0};
    options o = {.prompt = "", .temperature = 0.8, .top_p = 1, .top_k = 50, .tokens = 128, .seed = 1};
    YK_TRY(yk_parse(&yk_command_generate, argc, argv, 1, take, &o, err));
    if (o.temperature < 0 || o.top_p <= 0 || o.top_p > 1 || o.tokens < 0 || o.top_k < 0)
        YK_FAIL(YK_ERR_USAGE, "temperature >= 0, 0 < top-p <= 1, top-k >= 0 and tokens >= 0 are needed");
    YK_TRY(yk_open_run(&x, &(yk_open_options){.run = o.run, .checkpoint = o.checkpoint, .threads = o.threads}, err));
    yk_sampling how = yk_sampling_of(&x.s);
    how.temperature = o.temperature, how.top_p = o.top_p, how.top_k = o.top_k;
    how.tokens = o.tokens, how.seed = (uint64_t)o.seed;
    fputs(o.prompt, stdout);
    YK_TRY(yk_generate(&x.s, o.prompt, &how, print, NULL, err));
    putchar('\n');
done:
    yk_opened_close(&x);
    return st;
}

static const struct argp_option generate_option[] = {
    {"prompt", 'p', "TEXT", 0, "text to continue (default: none)", 0},
    {"tokens", 'n', "N", 0, "most tokens to make (128)", 0},
    {"temperature", 't', "X", 0, "0 is greedy (0.8)", 0},
    {"top-k", 'k', "K", 0, "sample among the K likeliest; 0: all (50)", 0},
    {"top-p", 'P', "P", 0, "sample among the fewest that hold probability P (1)", 0},
    {"seed", 's', "N", 0, "the same seed gives the same text everywhere (1)", 0},
    {"checkpoint", 'c', "FILE", 0, "instead of the model that the run's last stage left", 0},
    {"threads", 'T', "N", 0, "threads; 0: all", 0},
    {0},
};

const yk_command yk_command_generate = {
    "generate", "RUN_DIR", "continue a prompt with a trained model",
    "Continues a prompt with the model that a run's last stage left.\v"
    "Example:\n  yoke generate runs/quickstart --prompt 'The kernel' --tokens 60 --temperature 0.7",
    generate_option, generate};
