#include "cli/cli.h"
#include "config/recipe.h"

#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *recipe, *set[256];
    size_t sets;
    bool keys, markdown, man;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 0 && !o->recipe) o->recipe = text;
    else if (key == 's' && o->sets < 256) o->set[o->sets++] = text;
    else if (key == 'k') o->keys = true;
    else if (key == 'm') o->markdown = true;
    else if (key == 'M') o->man = true;
    else return false;
    return true;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {0};
    yk_recipe r = {0};
    yk_buf out = {0};
    YK_TRY(yk_parse(&yk_command_config, argc, argv, 0, take, &o, err));
    if (o.man) {
        yk_print_manual();
        goto done;
    }
    if (o.keys || o.markdown) {
        yk_recipe_reference(o.markdown ? YK_DOC_MARKDOWN : YK_DOC_TEXT, &out);
    } else {
        YK_TRY(yk_recipe_load(&r, o.recipe, o.set, o.sets, err));
        yk_recipe_print(&r, &out);
    }
    fputs(out.data, stdout);
done:
    yk_buf_free(&out);
    yk_recipe_free(&r);
    return st;
}

static const struct argp_option option[] = {
    {"set", 's', "KEY=VALUE", 0, "override a key; may be repeated", 0},
    {"keys", 'k', NULL, 0, "list all keys with meaning, range and default", 0},
    {"markdown", 'm', NULL, 0, "the same as Markdown", 0},
    {"man", 'M', NULL, 0, "the manual page of the program", 0},
    {0},
};

const yk_command yk_command_config = {
    "config", "[RECIPE.yaml]", "check a recipe and show it resolved",
    "Checks a recipe and prints it with every default filled in and where each value came from.\v"
    "Example:\n  yoke config conf/quickstart.yaml --set size=10M",
    option, perform};

static void escape(const char *text)
{
    for (const char *p = text; *p; p++) {
        if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n')) fputs("\\&", stdout);
        if (*p == '-') fputs("\\-", stdout);
        else if (*p == '\\') fputs("\\\\", stdout);
        else putchar(*p);
    }
}

static void print_command(const yk_command *c)
{
    const char *example = strchr(c->text, '\v');
    printf(".SS yoke %s ", c->name);
    escape(c->arguments);
    printf("\n%.*s\n", (int)(example - c->text), c->text);
    for (const struct argp_option *o = c->options; o && o->name; o++) {
        printf(".TP\n.B \\-\\-%s%s%s\n", o->name, o->arg ? "=" : "", o->arg ? o->arg : "");
        escape(o->doc);
        putchar('\n');
    }
    puts(".PP\n.nf");
    escape(example + 1);
    puts("\n.fi");
}

void yk_print_manual(void)
{
    yk_buf keys = {0};
    puts(".TH YOKE 1\n.SH NAME\nyoke \\- train language models on CPUs with reproducible bits\n.SH SYNOPSIS\n"
         ".B yoke\n.I COMMAND\n[OPTION...] [ARGUMENT...]\n.SH COMMANDS");
    for (const yk_command *const *c = yk_commands; *c; c++) print_command(*c);
    puts(".SH RECIPE");
    yk_recipe_reference(YK_DOC_ROFF, &keys);
    fputs(keys.data, stdout);
    fputs(".SH ENVIRONMENT\n.TP\n.B YOKE_ISA\nForces an instruction set: ", stdout);
    yk_print_sets(stdout, ", ");
    puts(".\n.SH EXIT STATUS\n0 success, 1 internal error, a difference or something bad found, 2 usage, 3 recipe, 4 input, "
         "5 input/output, 6 damaged file, 7 run directory in use, 8 memory, 9 shape mismatch, 10 numbers not finite, "
         "11 a rank hangs, 12 ranks disagree.");
    yk_buf_free(&keys);
}
