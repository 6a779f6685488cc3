/* Commands on files: inspect, diff, report. */
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
