/* The commands of `yoke`: one table, one file a command. */
#ifndef YK_CLI_CLI_H
#define YK_CLI_CLI_H

#include "base/status.h"

#include <argp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct yk_command {
    const char *name, *arguments, *summary, *text; /* text: what it does, and an example */
    const struct argp_option *options;
    yk_status (*perform)(int argc, char **argv, yk_error *err);
} yk_command;

extern const yk_command yk_command_run, yk_command_plan, yk_command_generate, yk_command_chat, yk_command_eval,
    yk_command_inspect, yk_command_diff, yk_command_tokenizer, yk_command_export, yk_command_import,
    yk_command_config, yk_command_report, yk_command_bench, yk_command_doctor,
    yk_command_coordcheck, yk_command_grow, yk_command_compare;
extern const yk_command *const yk_commands[]; /* NULL at the end */

/* Parses the arguments of a command: `each` gets every option's key and text and every plain argument (key 0);
 * it returns false for what it does not want. At least `least` plain arguments must come. */
typedef bool (*yk_option_fn)(void *context, int key, const char *text);
yk_status yk_parse(const yk_command *c, int argc, char **argv, int least, yk_option_fn each, void *context,
                   yk_error *err);

/* Set when SIGTERM, SIGINT or SIGUSR1 came. */
extern volatile sig_atomic_t yk_stop_asked;

/* The instruction sets built in, which are the values of YOKE_ISA. */
void yk_print_sets(FILE *out, const char *between);

/* The man page of the program, from the commands and the recipe's keys. */
void yk_print_manual(void);

#endif
