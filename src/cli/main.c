#include "config.h"

#include "base/log.h"
#include "cli/cli.h"
#include "simd/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A signal handler can reach nothing but a global. */
volatile sig_atomic_t yk_stop_asked;

const yk_command *const yk_commands[] = {
    &yk_command_run,     &yk_command_plan, &yk_command_generate,  &yk_command_chat,   &yk_command_eval,
    &yk_command_inspect, &yk_command_diff, &yk_command_tokenizer, &yk_command_export, &yk_command_import,
    &yk_command_config,  &yk_command_report, &yk_command_bench,
    &yk_command_doctor,  &yk_command_coordcheck, &yk_command_grow, &yk_command_compare, NULL};

static void stop(int signal)
{
    (void)signal;
    yk_stop_asked = 1;
}

void yk_print_sets(FILE *out, const char *between)
{
    const yk_kernels *k;
    for (int i = 0; (k = yk_kernels_at(i, YK_FP32)); i++) fprintf(out, "%s%s", i ? between : "", k->name);
}

static void usage(FILE *out)
{
    fputs("usage: yoke COMMAND [OPTION...] [ARGUMENT...]\n\n"
          "Trains language models on CPUs, from raw text to an evaluated model.\n\n", out);
    for (const yk_command *const *c = yk_commands; *c; c++) fprintf(out, "  %-10s %s\n", (*c)->name, (*c)->summary);
    fputs("\n`yoke COMMAND --help` shows options and an example.\n"
          "`yoke --version` prints the version. YOKE_ISA=", out);
    yk_print_sets(out, "|");
    fputs(" forces an instruction set.\n", out);
}

int main(int argc, char **argv)
{
    struct sigaction ask = {.sa_handler = stop, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &ask, NULL);
    sigaction(SIGUSR1, &ask, NULL);
    ask.sa_flags |= SA_RESETHAND; /* a second Ctrl-C ends at once */
    sigaction(SIGINT, &ask, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is then an error like a full disk */
    if (argc < 2) {
        usage(stderr);
        return YK_ERR_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("yoke " PACKAGE_VERSION);
        return 0;
    }
    for (const yk_command *const *c = yk_commands; *c; c++) {
        if (strcmp((*c)->name, argv[1]) != 0) continue;
        yk_error err = {""};
        yk_status st = (*c)->perform(argc - 1, argv + 1, &err);
        yk_progress_end();
        if (st != YK_OK && !err.text[0]) return YK_OK; /* help was shown */
        if (st != YK_OK && !yk_log_is_quiet()) fprintf(stderr, "yoke %s: %s\n", (*c)->name, err.text);
        return st;
    }
    fprintf(stderr, "yoke: unknown command `%s`; `yoke --help` lists them\n", argv[1]);
    return YK_ERR_USAGE;
}
