/* Commands on files: inspect, diff, report, compare. */
#include "cli/cli.h"
#include "report/report.h"
#include "store/checkpoint.h"
#include "store/gguf.h"

#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *file[2];
    int files;
    bool json;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 'j') o->json = true;
    else if (key == 0 && o->files < 2) o->file[o->files++] = text;
    else return false;
    return true;
}

static yk_status inspect(int argc, char **argv, yk_error *err)
{
    options o = {0};
    yk_status st = yk_parse(&yk_command_inspect, argc, argv, 1, take, &o, err);
    if (st != YK_OK) return st;
    return yk_gguf_is(o.file[0]) ? yk_gguf_inspect(o.file[0], o.json, err)
                                 : yk_checkpoint_inspect(o.file[0], o.json, err);
}

static yk_status diff(int argc, char **argv, yk_error *err)
{
    options o = {0};
    int differ = 0;
    yk_status st = yk_parse(&yk_command_diff, argc, argv, 2, take, &o, err);
    if (st == YK_OK) st = yk_checkpoint_diff(o.file[0], o.file[1], &differ, err);
    return st == YK_OK && differ ? yk_fail(err, 1, "the checkpoints differ") : st;
}

static yk_status report(int argc, char **argv, yk_error *err)
{
    options o = {0};
    yk_status st = yk_parse(&yk_command_report, argc, argv, 1, take, &o, err);
    if (st == YK_OK) st = yk_report_write(o.file[0], err);
    if (st == YK_OK) printf("%s/report.html\n", o.file[0]);
    return st;
}

enum { MOST_RUNS = 16 };

typedef struct compared {
    const char *run[MOST_RUNS], *to;
    size_t runs;
} compared;

static bool take_run(void *context, int key, const char *text)
{
    compared *o = context;
    if (key == 'o') o->to = text;
    else if (key == 0 && o->runs < MOST_RUNS) o->run[o->runs++] = text;
    else return false;
    return true;
}

static yk_status compare(int argc, char **argv, yk_error *err)
{
    compared o = {.to = "compare.html"};
    yk_status st = yk_parse(&yk_command_compare, argc, argv, 2, take_run, &o, err);
    if (st == YK_OK) st = yk_compare_write(o.run, o.runs, o.to, err);
    if (st == YK_OK) puts(o.to);
    return st;
}

static const struct argp_option json_option[] = {{"json", 'j', NULL, 0, "print JSON", 0}, {0}};

const yk_command yk_command_inspect = {
    "inspect", "FILE", "what is in a checkpoint or a GGUF file",
    "Shows the tensors of a checkpoint with shape, range and hash, and how it was made; keys and tensors of a GGUF "
    "file.\v"
    "Example:\n  yoke inspect runs/quickstart/checkpoints/best.h5",
    json_option, inspect};

const yk_command yk_command_diff = {
    "diff", "CHECKPOINT CHECKPOINT", "the first tensor in which two checkpoints differ",
    "Compares two checkpoints bit by bit. The exit code is 1 when they differ.\v"
    "Example:\n  yoke diff runs/a/checkpoints/best.h5 runs/b/checkpoints/best.h5",
    NULL, diff};

const yk_command yk_command_report = {
    "report", "RUN_DIR", "make a run's report.html again",
    "Makes report.html from the files of a run directory.\v"
    "Example:\n  yoke report runs/quickstart",
    NULL, report};

static const struct argp_option compare_option[] = {
    {"output", 'o', "FILE", 0, "where to (compare.html)", 0}, {0}};

const yk_command yk_command_compare = {
    "compare", "RUN_DIR RUN_DIR...", "one page about several runs: what differs, and what came of it",
    "Writes one HTML page about up to 16 runs: the keys of their recipes that differ, their held-out loss over tokens and "
    "over FLOPs of training, and the scores of their searches.\v"
    "Example:\n  yoke compare runs/a runs/b --output a-or-b.html",
    compare_option, compare};
