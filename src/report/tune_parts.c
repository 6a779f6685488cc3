/* The trials of a search: a picture over the first key, and the best of them. */
#include "report/html.h"
#include "report/page.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNGS = 10, MAX_ROWS = 10, MAX_KEYS = 6, MAX_WORDS = 100 };

/* A result that has a score. */
typedef struct point {
    double x, y, step;
    int rung;
    json_t *line;
} point;

typedef struct picture {
    point *point; /* by rung, then x */
    size_t n, diverged, trials;
    const char *key;             /* on the x axis            */
    const char *word[MAX_WORDS]; /* its values if not numbers */
    size_t words;
    const point *best;
} picture;

/* A number, or which of the words a text is, from 1 on; NAN when it is neither. */
static double place_of(picture *p, json_t *value)
{
    const char *text = json_string_value(value);
    if (json_is_number(value)) return fabs(json_number_value(value)) < 1e-30 ? 0 : json_number_value(value);
    if (!text) return NAN;
    size_t i = 0;
    while (i < p->words && strcmp(p->word[i], text)) i++;
    if (i == MAX_WORDS) return NAN;
    if (i == p->words) p->word[p->words++] = text;
    return (double)i + 1;
}

static int by_rung(const void *a, const void *b)
{
    const point *p = a, *q = b;
    if (p->rung != q->rung) return p->rung < q->rung ? -1 : 1;
    return (p->x > q->x) - (p->x < q->x);
}

static int by_merit(const void *a, const void *b)
{
    const point *p = a, *q = b;
    if (p->step != q->step) return p->step > q->step ? -1 : 1;
    return (p->y > q->y) - (p->y < q->y);
}

static yk_status gather(picture *p, const yk_record *r, yk_error *err)
{
    yk_status st = YK_OK;
    p->key = json_object_iter_key(json_object_iter(json_object_get(r->trials[0], "values")));
    YK_NEW(p->point, r->trial_count);
    for (size_t i = 0; i < r->trial_count; i++) {
        json_t *line = r->trials[i];
        double rung = yk_json_number(line, "rung");
        point at = {.x = p->key ? place_of(p, json_object_get(json_object_get(line, "values"), p->key)) : NAN,
                    .y = yk_json_number(line, "score"), .step = yk_json_number(line, "step"), .line = line};
        p->trials += rung == 0;
        p->diverged += json_is_null(json_object_get(line, "score"));
        if (!(fabs(at.x) < 1e30) || isnan(at.y) || !(rung >= 0 && rung < MAX_RUNGS)) continue;
        at.rung = (int)rung;
        p->point[p->n++] = at;
    }
    qsort(p->point, p->n, sizeof *p->point, by_rung);
    for (size_t i = 0; i < p->n; i++)
        if (!p->best || by_merit(&p->point[i], p->best) < 0) p->best = &p->point[i];
done:
    return st;
}

/* The points of a rung as a curve over xy[2 n]; returns how many there are from `first` on. */
static size_t rung_curve(const picture *p, size_t first, double *xy, char name[48], yk_curve *c)
{
    size_t n = 0;
    double *x = xy + 2 * first;
    while (first + n < p->n && p->point[first + n].rung == p->point[first].rung) n++;
    for (size_t i = 0; i < n; i++) {
        x[i] = p->point[first + i].x;
        x[n + i] = p->point[first + i].y;
    }
    snprintf(name, 48, "step %.0f:", p->point[first].step);
    *c = (yk_curve){.name = name, .x = x, .y = x + n, .n = n, .colour = p->point[first].rung, .scatter = true};
    return n;
}

static bool is_wide(const picture *p, bool of_x, double ratio)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < p->n; i++) {
        double v = of_x ? p->point[i].x : p->point[i].y;
        low = fmin(low, v);
        high = fmax(high, v);
    }
    return low > 0 && high > ratio * low;
}

static yk_status draw(yk_buf *out, const picture *p, yk_error *err)
{
    yk_status st = YK_OK;
    double *xy = NULL;
    char name[MAX_RUNGS][48];
    yk_curve curve[MAX_RUNGS + 1];
    size_t curves = 0;
    YK_NEW(xy, 2 * p->n);
    for (size_t i = 0; i < p->n; curves++) i += rung_curve(p, i, xy, name[curves], &curve[curves]);
    curve[curves++] = (yk_curve){.label = "best", .x = &p->best->x, .y = &p->best->y, .n = 1, .colour = YK_INK,
                                 .bold = true,
                                 .scatter = true};
    yk_chart chart = {.title = "Held-out bits per byte of the trials", .x_label = p->key, .x_unit = "",
                      .y_label = "bits per byte, held-out", .digits = 3, .width = 1080, .height = 360,
                      .log_x = !p->words && is_wide(p, true, 20), .log_y = is_wide(p, false, 2.5), .curves = curve,
                      .curve_count = curves};
    yk_svg_chart(out, &chart);
    yk_buf_puts(out, "<p class=\"note\">");
    for (size_t i = 0; i + 1 < curves; i++)
        yk_html_add(out, "<i class=\"key %s\"></i>%s %s trials ", yk_colour_class(curve[i].colour), curve[i].name,
                    yk_count((double)curve[i].n).text);
    for (size_t i = 0; i < p->words; i++)
        yk_html_add(out, "%s: %s ", yk_count((double)i + 1).text, p->word[i]);
    yk_buf_puts(out, "</p>\n");
done:
    free(xy);
    return st;
}

static void trial_row(yk_buf *out, const point *p)
{
    const char *key;
    json_t *value;
    int keys = 0;
    yk_html_add(out, "<tr><th scope=\"row\">%s</th>", yk_count(yk_json_number(p->line, "trial")).text);
    json_object_foreach (json_object_get(p->line, "values"), key, value) {
        if (keys++ == MAX_KEYS) break;
        const char *text = json_string_value(value);
        yk_html_add(out, "<td class=\"num\">%s</td>", text ? text : yk_plain(json_number_value(value)).text);
    }
    yk_html_add(out, "<td class=\"num\">%s</td><td class=\"num\">%s</td></tr>\n", yk_count(p->step).text,
                yk_fixed(p->y, 4).text);
}

static void table(yk_buf *out, picture *p)
{
    const char *key;
    json_t *value;
    int keys = 0;
    json_t *values = json_object_get(p->best->line, "values");
    qsort(p->point, p->n, sizeof *p->point, by_merit);
    yk_buf_puts(out, "<div class=\"scroll slim\"><table><thead><tr><th>Trial</th>");
    json_object_foreach (values, key, value) {
        (void)value;
        if (keys++ < MAX_KEYS) yk_html_add(out, "<th class=\"num\">%s</th>", key);
    }
    yk_buf_puts(out, "<th class=\"num\">Step</th><th class=\"num\">Bits per byte</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < p->n && i < MAX_ROWS; i++) trial_row(out, &p->point[i]);
    yk_buf_puts(out, "</tbody></table></div>\n");
}

yk_status yk_page_tune(yk_buf *out, const yk_record *r, yk_error *err)
{
    yk_status st = YK_OK;
    picture p = {0};
    char text[256];
    if (!r->trial_count) return YK_OK;
    YK_TRY(gather(&p, r, err));
    if (!p.best) goto done;
    snprintf(text, sizeof text,
             "%zu trials, %zu results, %zu of them diverged. The colour is the step at which a trial was scored; the "
             "best go on to the next rung. Below, the results that got furthest.",
             p.trials, r->trial_count, p.diverged);
    yk_page_heading(out, "tune", "Tuning", text);
    YK_TRY(draw(out, &p, err));
    table(out, &p);
    yk_buf_puts(out, "</section>\n");
done:
    free(p.point);
    return st;
}
