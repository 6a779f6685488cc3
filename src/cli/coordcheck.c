/* The coordinate check of the maximal-update parametrisation. */
#include "cli/cli.h"
#include "config/schema.h"
#include "tune/coordinates.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { MOST_WIDTHS = 16, MOST_SETS = 256, ALIKE = 3 /* keys that are to be the same at all widths */ };

typedef struct options {
    const char *recipe, *widths, *steps, *set[MOST_SETS + ALIKE + 1]; /* the last: the width */
    size_t sets;
    bool json;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 0 && !o->recipe) o->recipe = text;
    else if (key == 's' && o->sets < MOST_SETS) o->set[o->sets++] = text;
    else if (key == 'w') o->widths = text;
    else if (key == 'n') o->steps = text;
    else if (key == 'j') o->json = true;
    else return false;
    return true;
}

typedef struct table {
    int64_t n;
    double width[MOST_WIDTHS], moved[YK_COORDINATES][MOST_WIDTHS], exponent[YK_COORDINATES];
} table;

static yk_status read_widths(const char *text, table *t, yk_error *err)
{
    char one[32];
    int64_t width;
    for (size_t length; *text; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        snprintf(one, sizeof one, "%.*s", (int)length, text);
        if (length >= sizeof one || !yk_parse_int(one, &width) || width < 1 || t->n == MOST_WIDTHS)
            return yk_fail(err, YK_ERR_USAGE, "--widths: takes up to %d widths, such as 128,256,512; found `%.80s`",
                           MOST_WIDTHS, text);
        t->width[t->n++] = (double)width;
    }
    return t->n >= 2 ? YK_OK : yk_fail(err, YK_ERR_USAGE, "--widths: two widths at least are needed");
}

/* Depth and rate are those of the recipe as it is, also where they follow from its `size`. */
static yk_status set_alike(options *o, char text[ALIKE][40], yk_error *err)
{
    yk_status st = YK_OK;
    yk_recipe r = {0};
    YK_TRY(yk_recipe_load(&r, o->recipe, o->set, o->sets, err));
    snprintf(text[0], sizeof text[0], "size=");
    snprintf(text[1], sizeof text[1], "model.layers=%lld", (long long)r.model_layers);
    snprintf(text[2], sizeof text[2], "pretrain.lr=%.17g", r.pretrain_lr);
    for (int i = 0; i < ALIKE; i++) o->set[o->sets++] = text[i];
done:
    yk_recipe_free(&r);
    return st;
}

static yk_status measure(options *o, int64_t steps, table *t, int64_t i, yk_error *err)
{
    yk_status st = YK_OK;
    yk_recipe r = {0};
    yk_team team;
    char width[40];
    double moved[YK_COORDINATES];
    snprintf(width, sizeof width, "model.width=%.0f", t->width[i]);
    o->set[o->sets] = width;
    YK_TRY(yk_recipe_load(&r, o->recipe, o->set, o->sets + 1, err));
    YK_TRY(yk_team_make(&team, (int)r.threads, err));
    YK_TRY(yk_coordinates_of(&r, steps, &team, moved, err));
    for (int c = 0; c < YK_COORDINATES; c++) t->moved[c][i] = moved[c];
done:
    yk_recipe_free(&r);
    return st;
}

static void print_table(const table *t, int64_t steps)
{
    printf("root mean square of what %lld steps change\n\n%-12s", (long long)steps, "width");
    for (int64_t i = 0; i < t->n; i++) printf(" %10.0f", t->width[i]);
    printf(" %10s\n", "exponent");
    for (int c = 0; c < YK_COORDINATES; c++) {
        printf("%-12s", yk_coordinate_names[c]);
        for (int64_t i = 0; i < t->n; i++) printf(" %10.4g", t->moved[c][i]);
        printf(" %+10.2f\n", t->exponent[c]);
    }
    puts("\nAn exponent near 0: a learning rate does the same at all widths.");
}

static void print_json(const table *t, int64_t steps)
{
    json_t *widths = json_array(), *rows = json_object(), *all;
    for (int64_t i = 0; i < t->n; i++) json_array_append_new(widths, json_real(t->width[i]));
    for (int c = 0; c < YK_COORDINATES; c++) {
        json_t *moved = json_array();
        for (int64_t i = 0; i < t->n; i++) json_array_append_new(moved, json_real(t->moved[c][i]));
        json_object_set_new(rows, yk_coordinate_names[c],
                            json_pack("{s:o, s:f}", "moved", moved, "exponent", t->exponent[c]));
    }
    all = json_pack("{s:I, s:o, s:o}", "steps", (json_int_t)steps, "widths", widths, "coordinates", rows);
    json_dumpf(all, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(all);
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {.widths = "64,128,256,512", .steps = "10"};
    table t = {0};
    int64_t steps;
    char alike[ALIKE][40];
    YK_TRY(yk_parse(&yk_command_coordcheck, argc, argv, 1, take, &o, err));
    YK_TRY(read_widths(o.widths, &t, err));
    if (!yk_parse_int(o.steps, &steps) || steps < 1)
        YK_FAIL(YK_ERR_USAGE, "--steps: is a number of steps; found `%s`", o.steps);
    YK_TRY(set_alike(&o, alike, err));
    for (int64_t i = 0; i < t.n; i++) YK_TRY(measure(&o, steps, &t, i, err));
    for (int c = 0; c < YK_COORDINATES; c++) t.exponent[c] = yk_exponent(t.width, t.moved[c], t.n);
    if (o.json) print_json(&t, steps);
    else print_table(&t, steps);
done:
    return st;
}

static const struct argp_option option[] = {
    {"widths", 'w', "LIST", 0, "widths to compare (64,128,256,512)", 0},
    {"steps", 'n', "N", 0, "steps to take (10)", 0},
    {"set", 's', "KEY=VALUE", 0, "override a key of the recipe; may be repeated", 0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {0},
};

const yk_command yk_command_coordcheck = {
    "coordcheck", "RECIPE.yaml", "whether a learning rate does the same at all widths",
    "Takes a few steps with the recipe's model at several widths and shows how far they move its vectors: the "
    "coordinate check of the maximal-update parametrisation, which the key model.base_width turns on.\v"
    "Example:\n  yoke coordcheck conf/quickstart.yaml --set model.base_width=64 --set pretrain.lr=0.004",
    option, perform};
