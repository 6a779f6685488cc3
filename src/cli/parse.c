/* argp, kept from exiting by itself. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

typedef struct parsing {
    yk_option_fn each;
    void *context;
    int plain;
    bool help;
} parsing;

static error_t take(int key, char *text, struct argp_state *state)
{
    parsing *p = state->input;
    if (key == '?') {
        argp_state_help(state, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC);
        p->help = true;
        return EINVAL;
    }
    if (key == ARGP_KEY_ARG) {
        p->plain++;
        return p->each(p->context, 0, text) ? 0 : EINVAL;
    }
    if (key < 256 && key > 0) return p->each(p->context, key, text) ? 0 : EINVAL;
    return ARGP_ERR_UNKNOWN;
}

yk_status yk_parse(const yk_command *c, int argc, char **argv, int least, yk_option_fn each, void *context,
                   yk_error *err)
{
    struct argp_option options[24] = {{0}};
    int n = 0;
    char name[64];
    parsing p = {each, context, 0, false};
    while (c->options && c->options[n].name && n < 22) {
        options[n] = c->options[n];
        n++;
    }
    options[n] = (struct argp_option){"help", '?', NULL, 0, "show this", -1};
    struct argp argp = {options, take, c->arguments, c->text, NULL, NULL, NULL};
    snprintf(name, sizeof name, "yoke %s", c->name);
    argv[0] = name;
    error_t why = argp_parse(&argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &p);
    if (p.help) {
        err->text[0] = 0;
        return YK_ERR_USAGE;
    }
    if (why || p.plain < least) {
        err->text[0] = 0;
        return yk_fail(err, YK_ERR_USAGE, "cannot use these arguments; `yoke %s --help` shows how", c->name);
    }
    return YK_OK;
}
