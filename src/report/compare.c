/* A page about several runs. */
#include "report/report.h"

#include "base/file.h"
#include "report/html.h"
#include "report/page.h"
#include "report/svg.h"
#include "train/made.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIFFERENCES = 12, LINE_ROOM = 160 };

typedef struct compared {
    size_t n;
    yk_record *run;
    char **name; /* of each its directory's, */
    char **keys; /* and its recipe, canonical */
} compared;

static yk_status read_run(compared *x, size_t i, const char *dir, yk_error *err)
{
    static const char *const all[] = {"", NULL};
    yk_status st = YK_OK;
    yk_recipe r = {0};
    yk_buf text = {0};
    if (!(x->name[i] = yk_record_directory(dir))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_record_read(&x->run[i], dir, err));
    YK_TRY(yk_run_recipe(&r, dir, err));
    yk_recipe_canonical(&r, all, &text);
    YK_NEW(x->keys[i], text.len + 1);
    memcpy(x->keys[i], text.data, text.len);
done:
    yk_buf_free(&text);
    yk_recipe_free(&r);
    return st;
}

static void free_runs(compared *x)
{
    for (size_t i = 0; i < x->n; i++) {
        if (x->run) yk_record_free(&x->run[i]);
        if (x->name) free(x->name[i]);
        if (x->keys) free(x->keys[i]);
    }
    free(x->run);
    free(x->name);
    free(x->keys);
}

/* --- what differs ---------------------------------------------------------------------------- */

/* The value of a key in a canonical recipe; "" when it has none. */
static void value_of(const char *keys, const char *key, size_t length, char out[LINE_ROOM])
{
    out[0] = 0;
    for (const char *at = keys; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        if (strncmp(at, key, length) != 0 || strncmp(at + length, " = ", 3) != 0) continue;
        const char *value = at + length + 3;
        snprintf(out, LINE_ROOM, "%.*s", (int)strcspn(value, "\n"), value);
        return;
    }
}

static bool differs(const compared *x, const char *key, size_t length)
{
    char first[LINE_ROOM], other[LINE_ROOM];
    value_of(x->keys[0], key, length, first);
    for (size_t i = 1; i < x->n; i++) {
        value_of(x->keys[i], key, length, other);
        if (strcmp(first, other) != 0) return true;
    }
    return false;
}

/* Of the first recipe's keys those that differ, at most so many. */
static size_t find_differences(const compared *x, const char *key[], size_t length[])
{
    size_t n = 0;
    for (const char *at = x->keys[0]; *at && n < MOST_DIFFERENCES; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *end = strstr(at, " = ");
        if (!end) break;
        key[n] = at, length[n] = (size_t)(end - at);
        if (differs(x, at, length[n])) n++;
    }
    return n;
}

static void number_cell(yk_buf *out, yk_num number)
{
    yk_html_add(out, "<td class=\"num\">%s</td>", number.text);
}

static const yk_eval_row *last_evaluation(const yk_record *r)
{
    return r->eval_count ? &r->evals[r->eval_count - 1] : NULL;
}

static void run_row(yk_buf *out, const compared *x, size_t i, const char *const key[], const size_t length[], size_t keys)
{
    char value[LINE_ROOM];
    const yk_record *r = &x->run[i];
    const yk_eval_row *last = last_evaluation(r);
    yk_html_add(out, "<tr><th scope=\"row\"><i class=\"key %s\"></i>%s</th>", yk_colour_class((int)i), x->name[i]);
    number_cell(out, yk_fixed(last ? last->bpb : NAN, 4));
    number_cell(out, yk_short(yk_json_number(r->summary, "model.parameters")));
    number_cell(out, yk_short(last ? last->tokens : NAN));
    number_cell(out, yk_plain(last ? last->flops : NAN));
    number_cell(out, yk_short(yk_json_number(r->summary, "pretrain.tokens_per_s")));
    for (size_t k = 0; k < keys; k++) {
        value_of(x->keys[i], key[k], length[k], value);
        yk_html_add(out, "<td class=\"num\">%s</td>", value);
    }
    yk_buf_puts(out, "</tr>\n");
}

static void differences(yk_buf *out, const compared *x)
{
    const char *key[MOST_DIFFERENCES + 1];
    size_t length[MOST_DIFFERENCES + 1], keys = find_differences(x, key, length);
    char name[LINE_ROOM];
    yk_page_heading(out, "runs", "Runs", keys == MOST_DIFFERENCES ? "The first keys that differ, and what came of them."
                                                                  : "The keys that differ, and what came of them.");
    yk_buf_puts(out, "<div class=\"scroll\"><table><thead><tr><th>Run</th><th class=\"num\">Bits per byte</th>"
                     "<th class=\"num\">Parameters</th><th class=\"num\">Tokens</th><th class=\"num\">FLOPs</th>"
                     "<th class=\"num\">Tokens/s</th>");
    for (size_t k = 0; k < keys; k++) {
        snprintf(name, sizeof name, "%.*s", (int)length[k], key[k]);
        yk_html_add(out, "<th class=\"num\">%s</th>", name);
    }
    yk_buf_puts(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < x->n; i++) run_row(out, x, i, key, length, keys);
    yk_buf_puts(out, "</tbody></table></div></section>\n");
}

/* --- curves ---------------------------------------------------------------------------------- */

typedef struct curves {
    yk_curve *curve;
    double *points;
    size_t n;
} curves;

static void free_curves(curves *c)
{
    free(c->curve);
    free(c->points);
}

static void add_curve(curves *c, const compared *x, size_t i, const double *at, size_t n)
{
    c->curve[c->n++] = (yk_curve){.name = x->name[i], .label = x->name[i], .x = at, .y = at + n, .n = n,
                                  .colour = (int)i, .bold = true, .dots = n <= 40};
}

/* Held-out bits per byte of all runs over a member of their evaluations. */
static yk_status loss_curves(curves *c, const compared *x, size_t member, yk_error *err)
{
    yk_status st = YK_OK;
    size_t room = 0, used = 0;
    for (size_t i = 0; i < x->n; i++) room += 2 * x->run[i].eval_count;
    YK_NEW(c->curve, x->n);
    YK_NEW(c->points, room + 1);
    for (size_t i = 0; i < x->n; i++) {
        const yk_record *r = &x->run[i];
        double *at = c->points + used;
        size_t n = 0;
        for (int pass = 0; pass < 2; pass++)
            for (size_t e = 0, k = 0; e < r->eval_count; e++) {
                double over;
                memcpy(&over, (const char *)&r->evals[e] + member, sizeof over);
                if (!isfinite(over) || !isfinite(r->evals[e].bpb)) continue;
                if (pass == 0) at[n++] = over;
                else at[n + k++] = r->evals[e].bpb;
            }
        used += 2 * n;
        if (n >= 2) add_curve(c, x, i, at, n);
    }
done:
    return st;
}

static void draw(yk_buf *out, const curves *c, const char *title, const char *label, const char *unit, bool log_x)
{
    yk_chart chart = {.title = title, .x_label = label, .x_unit = unit, .y_label = "bits per byte, held-out", .digits = 3,
                      .width = 1080, .height = 420, .log_x = log_x, .curves = c->curve, .curve_count = c->n};
    yk_html_add(out, "<figure><figcaption>%s</figcaption>", title);
    yk_svg_chart(out, &chart);
    yk_buf_puts(out, "</figure>\n");
}

static yk_status losses(yk_buf *out, const compared *x, yk_error *err)
{
    static const struct { size_t member; const char *title, *label, *unit; } figure[] = {
        {offsetof(yk_eval_row, tokens), "Held-out loss over tokens", "tokens seen", "tokens"},
        {offsetof(yk_eval_row, flops), "Held-out loss over FLOPs of training", "FLOPs", "FLOPs"}};
    yk_status st = YK_OK;
    bool any = false;
    for (size_t i = 0; i < x->n; i++) any = any || x->run[i].eval_count > 1;
    if (!any) return YK_OK;
    yk_page_heading(out, "losses", "Held-out loss", "Of documents that no run trained on; lower is better. A model that grew "
                    "begins with the FLOPs of the smaller one.");
    for (size_t i = 0; i < sizeof figure / sizeof *figure; i++) {
        curves c = {0};
        st = loss_curves(&c, x, figure[i].member, err);
        if (st == YK_OK && c.n) draw(out, &c, figure[i].title, figure[i].label, figure[i].unit, false);
        free_curves(&c);
        YK_TRY(st);
    }
    yk_buf_puts(out, "</section>\n");
done:
    return st;
}

/* --- searches -------------------------------------------------------------------------------- */

typedef struct result {
    double x, y;
} result;

static int by_x(const void *a, const void *b)
{
    const result *p = a, *q = b;
    return (p->x > q->x) - (p->x < q->x);
}

static const char *searched_key(const yk_record *r)
{
    return r->trial_count
               ? json_object_iter_key(json_object_iter(json_object_get(r->trials[0], "values")))
               : NULL;
}

/* Choices are recorded as texts. */
static double number_of(json_t *value)
{
    char *end;
    const char *text = json_string_value(value);
    if (!text) return json_is_number(value) ? json_number_value(value) : NAN;
    double number = strtod(text, &end);
    return end > text && !*end ? number : NAN;
}

/* Scores over the key, for trials that went as far as the furthest. */
static size_t gather(const yk_record *r, const char *key, result *to)
{
    size_t n = 0;
    double last = 0;
    for (size_t i = 0; i < r->trial_count; i++) last = fmax(last, yk_json_number(r->trials[i], "step"));
    for (size_t i = 0; i < r->trial_count; i++) {
        const double x = number_of(json_object_get(json_object_get(r->trials[i], "values"), key));
        const double y = yk_json_number(r->trials[i], "score");
        if (isfinite(x) && isfinite(y) && yk_json_number(r->trials[i], "step") == last) to[n++] = (result){x, y};
    }
    qsort(to, n, sizeof *to, by_x);
    return n;
}

static yk_status searches(yk_buf *out, const compared *x, yk_error *err)
{
    yk_status st = YK_OK;
    curves c = {0};
    result *results = NULL;
    const char *key = NULL;
    size_t room = 0, most = 0, used = 0;
    for (size_t i = 0; i < x->n; i++) {
        room += 2 * x->run[i].trial_count;
        if (x->run[i].trial_count > most) most = x->run[i].trial_count;
        if (!key) key = searched_key(&x->run[i]);
    }
    if (!key) return YK_OK;
    YK_NEW(c.curve, x->n);
    YK_NEW(c.points, room);
    YK_NEW(results, most);
    for (size_t i = 0; i < x->n; i++) {
        const size_t n = gather(&x->run[i], key, results);
        double *at = c.points + used;
        for (size_t k = 0; k < n; k++) at[k] = results[k].x, at[n + k] = results[k].y;
        used += 2 * n;
        if (n >= 2) add_curve(&c, x, i, at, n);
    }
    yk_page_heading(out, "searches", "Searches", "Held-out bits per byte of whole trials over the value that was searched.");
    draw(out, &c, "Scores of trials", key, "", true);
    yk_buf_puts(out, "</section>\n");
done:
    free_curves(&c);
    free(results);
    return st;
}

yk_status yk_compare_write(const char *const *run_dirs, size_t n, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    compared x = {.n = n};
    yk_buf out = {0};
    YK_NEW(x.run, n);
    YK_NEW(x.name, n);
    YK_NEW(x.keys, n);
    for (size_t i = 0; i < n; i++) YK_TRY(read_run(&x, i, run_dirs[i], err));
    yk_page_open(&out, "Runs compared", "comparison");
    yk_html_add(&out, "<header><p class=\"over\">Yoke</p><h1>Runs compared</h1></header>\n<main>\n");
    differences(&out, &x);
    YK_TRY(losses(&out, &x, err));
    YK_TRY(searches(&out, &x, err));
    yk_buf_puts(&out, "</main>\n</body></html>\n");
    YK_TRY(yk_file_write(path, out.data, out.len, err));
done:
    free_runs(&x);
    yk_buf_free(&out);
    return st;
}
