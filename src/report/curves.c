/* Held-out loss by domain, and the course of training. */
#include "report/html.h"
#include "report/page.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POINTS = 400, MAX_TOGETHER = 8, MAX_PANELS = 24 };

static const char tokens_label[] = "tokens seen";

/* Held-out bits per byte as curves: the first over all domains, then one a domain. */
typedef struct heldout {
    yk_curve *curves;
    double *points; /* storage of all curves */
    size_t domains;
    double low, high; /* over domains and their compressors */
} heldout;

/* The finite (x, y) of a column, thinned. */
static size_t gather(const yk_record *r, const char *domain, double *x, double *y)
{
    size_t n = 0;
    for (size_t i = 0; i < r->eval_count; i++) {
        double v = r->evals[i].bpb;
        if (domain) {
            json_t *at = json_object_get(r->evals[i].by_domain, domain);
            v = json_is_number(at) ? json_number_value(at) : NAN;
        }
        if (!(fabs(v) < 1e30)) continue;
        x[n] = r->evals[i].tokens;
        y[n++] = v;
    }
    return yk_thin(x, y, n, MAX_POINTS);
}

static double compressor(const yk_record *r, const char *domain, const char *which)
{
    json_t *at = yk_json_at(r->summary, "baseline");
    if (domain) at = json_object_get(json_object_get(at, "by_domain"), domain);
    return yk_json_number(at, which);
}

static yk_status make_heldout(heldout *h, const yk_record *r, yk_error *err)
{
    yk_status st = YK_OK;
    size_t n = r->eval_count;
    YK_NEW(h->curves, r->domain_count + 1);
    YK_NEW(h->points, 2 * n * (r->domain_count + 1));
    h->domains = r->domain_count;
    h->low = INFINITY;
    h->high = -INFINITY;
    for (size_t k = 0; k <= h->domains; k++) {
        const char *domain = k ? r->domains[k - 1] : NULL;
        double *x = h->points + 2 * n * k, *y = x + n;
        yk_curve *c = &h->curves[k];
        *c = (yk_curve){.name = k ? domain : "all",
                        .label = k ? domain : "all",
                        .x = x,
                        .y = y,
                        .n = gather(r, domain, x, y),
                        .colour = k ? (int)k - 1 : YK_INK,
                        .bold = !k};
        c->dots = c->n <= 40;
        if (!k || !c->n) continue;
        for (size_t i = 0; i < c->n; i++) {
            h->low = fmin(h->low, y[i]);
            h->high = fmax(h->high, y[i]);
        }
        h->low = fmin(h->low,
                      fmin(compressor(r, domain, "gzip_bpb"), compressor(r, domain, "xz_bpb")));
        h->high = fmax(h->high,
                       fmax(compressor(r, domain, "gzip_bpb"), compressor(r, domain, "xz_bpb")));
    }
done:
    return st;
}

static void together(yk_buf *out, const yk_record *r, const heldout *h)
{
    yk_level level[2] = {{"gzip", compressor(r, NULL, "gzip_bpb"), YK_SOFT},
                         {"xz", compressor(r, NULL, "xz_bpb"), YK_SOFT}};
    yk_chart chart = {.title = "Held-out bits per byte by domain over tokens seen",
                      .x_label = tokens_label,
                      .y_label = "bits per byte, held-out",
                      .x_unit = "tokens",
                      .digits = 2,
                      .curves = h->curves,
                      .levels = level,
                      .level_count = 2,
                      .curve_count = 1 + (h->domains < MAX_TOGETHER ? h->domains : MAX_TOGETHER)};
    for (int narrow = 0; narrow < 2; narrow++) {
        chart.width = narrow ? 480 : 1080;
        chart.height = narrow ? 360 : 400;
        yk_buf_printf(out, "<div class=\"%s\">", narrow ? "narrow" : "wide");
        yk_svg_chart(out, &chart);
        yk_buf_puts(out, "</div>\n");
    }
}

static void panel(yk_buf *out, const yk_record *r, const heldout *h, size_t domain)
{
    const char *name = r->domains[domain];
    double gzip = compressor(r, name, "gzip_bpb"), xz = compressor(r, name, "xz_bpb");
    double pad = 0.05 * (h->high - h->low);
    yk_curve curve = h->curves[domain + 1];
    yk_level level[2] = {{"gzip", gzip, YK_SOFT}, {"xz", xz, YK_SOFT}};
    if (curve.n < 2) return;
    curve.label = "";
    curve.bold = true;
    curve.dots = false;
    yk_chart chart = {.title = name,
                      .x_label = tokens_label,
                      .y_label = "bits per byte",
                      .digits = 2,
                      .x_unit = "tokens",
                      .width = 350,
                      .height = 230,
                      .y_low = h->low - pad,
                      .y_high = h->high + pad,
                      .curves = &curve,
                      .curve_count = 1,
                      .levels = level,
                      .level_count = 2};
    yk_buf_printf(out, "<figure><figcaption class=\"%s\">", yk_colour_class((int)domain));
    yk_html_add(out, "%s</figcaption>", name);
    yk_svg_chart(out, &chart);
    yk_buf_puts(out, "</figure>\n");
}

yk_status yk_page_heldout(yk_buf *out, const yk_record *r, yk_error *err)
{
    yk_status st = YK_OK;
    heldout h = {0};
    if (r->eval_count < 2) return YK_OK;
    YK_TRY(make_heldout(&h, r, err));
    yk_page_heading(
        out, "heldout", "Held-out loss",
        "Bits needed for each byte of documents the model never trained on; lower is better. "
        "Dashed: what gzip\u00A0-9 and xz\u00A0-9e need for the same documents, each compressed "
        "alone.");
    together(out, r, &h);
    if (h.domains > 1) {
        size_t n = h.domains < MAX_PANELS ? h.domains : MAX_PANELS;
        yk_buf_puts(out, "<div class=\"panels\">\n");
        for (size_t d = 0; d < n; d++) panel(out, r, &h, d);
        yk_buf_puts(out, "</div>\n");
        if (n < h.domains)
            yk_buf_printf(out, "<p class=\"note\">%zu of %zu domains.</p>", n, h.domains);
    }
    yk_buf_puts(out, "</section>\n");
done:
    free(h.curves);
    free(h.points);
    return st;
}

/* One column of the steps. */
typedef struct column {
    const char *title, *label, *name;
    size_t offset; /* in yk_step_row */
    int colour;
    bool smooth, from_zero, log_if_wide;
} column;

/* A column as it is (thinned) and smoothed over 4% of the steps. */
typedef struct trace {
    double *x, *y, *smooth_x, *smooth_y;
    size_t n, smooth_n;
    double low, high;
} trace;

static void free_trace(trace *t)
{
    free(t->x);
    free(t->y);
    free(t->smooth_x);
    free(t->smooth_y);
}

static yk_status make_trace(trace *t, const yk_record *r, size_t offset, yk_error *err)
{
    yk_status st = YK_OK;
    size_t n = 0, count = r->step_count;
    YK_NEW(t->x, count);
    YK_NEW(t->y, count);
    YK_NEW(t->smooth_x, count);
    YK_NEW(t->smooth_y, count);
    t->low = INFINITY;
    t->high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        double v;
        memcpy(&v, (const char *)&r->steps[i] + offset, sizeof v);
        if (!isfinite(v)) continue;
        t->x[n] = t->smooth_x[n] = r->steps[i].tokens;
        t->y[n++] = v;
        t->low = fmin(t->low, v);
        t->high = fmax(t->high, v);
    }
    yk_smooth(t->y, t->smooth_y, n, n / 50);
    t->n = yk_thin(t->x, t->y, n, MAX_POINTS);
    t->smooth_n = yk_thin(t->smooth_x, t->smooth_y, n, MAX_POINTS / 2);
done:
    return st;
}

/* The curves of a trace, at most two; returns their number. */
static size_t trace_curves(const trace *t, const column *c, const char *label, yk_curve out[2])
{
    yk_curve line = {.name = c->name,
                     .label = label,
                     .x = t->x,
                     .y = t->y,
                     .n = t->n,
                     .colour = c->colour,
                     .bold = true};
    if (t->n < 2) return 0;
    out[0] = line;
    if (!c->smooth) return 1;
    out[0].faint = true;
    out[0].bold = false;
    out[0].name = out[0].label = NULL;
    out[1] = line;
    out[1].x = t->smooth_x;
    out[1].y = t->smooth_y;
    out[1].n = t->smooth_n;
    return 2;
}

static yk_status training_figure(yk_buf *out, const yk_record *r, const column *c, size_t columns,
                                 const yk_mark *marks, size_t mark_count, yk_error *err)
{
    yk_status st = YK_OK;
    trace t[2] = {{0}};
    yk_curve curve[4];
    size_t curves = 0;
    double low = INFINITY, high = -INFINITY;
    for (size_t k = 0; k < columns; k++) {
        YK_TRY(make_trace(&t[k], r, c[k].offset, err));
        const char *label = columns > 1 ? c[k].name : NULL;
        curves += trace_curves(&t[k], &c[k], label, curve + curves);
        low = fmin(low, t[k].low);
        high = fmax(high, t[k].high);
    }
    if (curves == 0) goto done;
    yk_chart chart = {.title = c->title,
                      .x_label = tokens_label,
                      .y_label = c->label,
                      .x_unit = "tokens",
                      .width = 530,
                      .height = 270,
                      .from_zero = c->from_zero,
                      .digits = -1,
                      .log_y = c->log_if_wide && low > 0 && high > 12 * low,
                      .curves = curve,
                      .curve_count = curves,
                      .marks = marks,
                      .mark_count = mark_count};
    yk_html_add(out, "<figure><figcaption>%s</figcaption>", c->title);
    yk_svg_chart(out, &chart);
    yk_buf_puts(out, "</figure>\n");
done:
    for (size_t k = 0; k < 2; k++) free_trace(&t[k]);
    return st;
}

static yk_status skipped_marks(const yk_record *r, yk_mark **marks, size_t *count, yk_error *err)
{
    yk_status st = YK_OK;
    size_t cap = 0;
    for (size_t i = 0; i < r->step_count; i++) {
        if (!r->steps[i].skipped) continue;
        YK_ROOM(*marks, *count, cap);
        (*marks)[(*count)++] = (yk_mark){r->steps[i].tokens,
                                         "step skipped: loss or gradient not finite"};
    }
done:
    return st;
}

yk_status yk_page_training(yk_buf *out, const yk_record *r, yk_error *err)
{
    static const column figure[][2] = {
        {{"Training loss", "nats per token", "all", offsetof(yk_step_row, loss), 0, true, false,
          false},
         {NULL, NULL, "masked", offsetof(yk_step_row, masked_loss), 1, true, false, false}},
        {{"Learning rate", "learning rate", "rate", offsetof(yk_step_row, lr), 2, false, true,
          false}},
        {{"Throughput", "tokens per second", "tokens/s", offsetof(yk_step_row, tokens_per_s), 4,
          true, true, false}},
        {{"Gradient norm", "norm before clipping", "norm", offsetof(yk_step_row, grad_norm), 3,
          true, false, true}}};
    yk_status st = YK_OK;
    yk_mark *marks = NULL;
    size_t count = 0;
    char note[128] = "";
    if (r->step_count < 2) return YK_OK;
    YK_TRY(skipped_marks(r, &marks, &count, err));
    if (count)
        snprintf(note, sizeof note,
                 " Triangles: %zu step%s skipped because a value was not finite.", count,
                 count == 1 ? "" : "s");
    char text[256];
    snprintf(text, sizeof text,
             "%s steps. Faint: as measured; bold: running mean over 4%% of the steps.%s",
             yk_count(r->steps[r->step_count - 1].step).text, note);
    yk_page_heading(out, "training", "Training", text);
    yk_buf_puts(out, "<div class=\"pairs\">\n");
    for (size_t k = 0; k < sizeof figure / sizeof figure[0]; k++)
        YK_TRY(training_figure(out, r, figure[k], figure[k][1].name ? 2 : 1, k ? NULL : marks,
                               k ? 0 : count, err));
    yk_buf_puts(out, "</div></section>\n");
done:
    free(marks);
    return st;
}
