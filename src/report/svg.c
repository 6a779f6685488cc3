#include "report/svg.h"

#include "report/html.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the font at 12 units: an average glyph, a line. */
static const double glyph = 6.4, line_height = 14;

enum { MAX_LABELS = 64, MAX_TICKS = 32, MAX_STRIPS = 80, MAX_MARKS = 100 };

const char *yk_colour_class(int colour)
{
    static const char *const name[YK_COLOURS] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"};
    if (colour == YK_INK) return "ink";
    return colour < 0 ? "soft" : name[colour % YK_COLOURS];
}

/* One direction of the plot: values low..high lie at positions from..to. */
typedef struct axis {
    double low, high, from, to;
    bool log;
    int exponent; /* labels show value / 10^exponent */
    double tick[MAX_TICKS];
    size_t ticks;
    int digits; /* of tick labels */
} axis;

static double place(const axis *a, double v)
{
    double t = a->log ? log10(v / a->low) / log10(a->high / a->low)
                      : (v - a->low) / (a->high - a->low);
    return a->from + t * (a->to - a->from);
}

static void tick_text(const axis *a, size_t i, char text[48])
{
    yk_num n = a->log ? yk_plain(a->tick[i])
                      : yk_fixed(a->tick[i] / pow(10, a->exponent), a->digits);
    memcpy(text, n.text, sizeof n.text);
}

static void log_ticks(axis *a)
{
    bool fine = log10(a->high / a->low) < 2.5;
    for (int e = (int)floor(log10(a->low)); a->ticks < MAX_TICKS; e++) {
        double decade = pow(10, e);
        if (decade > a->high) break;
        for (int m = 1; m <= 5 && a->ticks < MAX_TICKS; m = m == 2 ? 5 : m + 1) {
            double v = m * decade;
            if (v >= a->low && v <= a->high && (fine || m == 1)) a->tick[a->ticks++] = v;
        }
    }
}

static void linear_ticks(axis *a, int about)
{
    double rough = (a->high - a->low) / about, decade = pow(10, floor(log10(rough)));
    double lead = rough / decade, step = (lead <= 1   ? 1
                                          : lead <= 2 ? 2
                                          : lead <= 5 ? 5
                                                      : 10) *
                                         decade;
    double top = fmax(fabs(a->low), fabs(a->high));
    a->exponent = top >= 1e4 || top < 1e-2 ? 3 * (int)floor(log10(top * 1.000001) / 3) : 0;
    int places = (int)ceil(-log10(step / pow(10, a->exponent)) - 1e-6);
    a->digits = places < 0 ? 0 : places > 9 ? 9 : places;
    double first = ceil(a->low / step - 1e-9);
    for (int i = 0; i < MAX_TICKS; i++) {
        double v = (first + i) * step;
        if (v > a->high + 1e-9 * step) break;
        a->tick[a->ticks++] = v;
    }
}

static void axis_name(yk_buf *out, const char *label, const axis *a)
{
    static const char *const power[] = {
        "10⁻³⁰",     "10⁻²⁷", "10⁻²⁴", "10⁻²¹", "10⁻¹⁸",     "10⁻¹⁵",    "10⁻¹²",
        "10⁻⁹",      "10⁻⁶",  "10⁻³",  "",      "thousands", "millions", "billions",
        "trillions", "10¹⁵",  "10¹⁸",  "10²¹",  "10²⁴",      "10²⁷",     "10³⁰"};
    int index = a->exponent / 3 + 10;
    yk_html_text(out, label, 100);
    if (a->log) yk_buf_puts(out, ", log scale");
    if (a->exponent && index >= 0 && index < 21) yk_html_add(out, " (%s)", power[index]);
}

static void widen(axis *a, double v)
{
    if (!isfinite(v) || (a->log && v <= 0)) return;
    a->low = fmin(a->low, v);
    a->high = fmax(a->high, v);
}

/* false: there is nothing to draw. */
static bool find_ranges(const yk_chart *c, axis *x, axis *y)
{
    size_t points = 0;
    x->low = y->low = INFINITY;
    x->high = y->high = -INFINITY;
    x->log = c->log_x;
    y->log = c->log_y;
    for (size_t k = 0; k < c->curve_count; k++)
        for (size_t i = 0; i < c->curves[k].n; i++) {
            if (!isfinite(c->curves[k].y[i]) || !isfinite(c->curves[k].x[i])) continue;
            widen(x, c->curves[k].x[i]);
            widen(y, c->curves[k].y[i]);
            points++;
        }
    for (size_t k = 0; k < c->level_count; k++) widen(y, c->levels[k].y);
    double x_size = fmax(fabs(x->low), fabs(x->high));
    if (points < 2 || !(x->high - x->low > 1e-9 * x_size) || !isfinite(y->low)) return false;
    if (!x->log && x->low > 0 && x->low < 0.05 * x->high) x->low = 0;
    if (c->y_low < c->y_high) {
        y->low = c->y_low;
        y->high = c->y_high;
        return true;
    }
    if (c->from_zero) y->low = fmin(0, y->low);
    if (y->log) {
        y->low /= 1.15;
        y->high *= 1.15;
        return true;
    }
    double pad = 0.05 * (y->high - y->low);
    if (!(pad > 1e-9 * fabs(y->high))) pad = y->high != 0 ? 0.1 * fabs(y->high) : 1;
    if (!c->from_zero || y->low < 0) y->low -= pad;
    y->high += pad;
    return true;
}

typedef struct end_label {
    char text[96];
    int colour;
    double y, from_x, from_y;
    bool bold;
} end_label;

static yk_num value_text(const yk_chart *c, double v)
{
    return c->digits < 0 ? yk_plain(v) : yk_fixed(v, c->digits);
}

static const double *last_finite(const yk_curve *k, double *x)
{
    for (size_t i = k->n; i-- > 0;)
        if (isfinite(k->y[i]) && isfinite(k->x[i])) {
            *x = k->x[i];
            return &k->y[i];
        }
    return NULL;
}

static void name_and_value(char out[96], const char *name, const char *value)
{
    size_t limit = 24, length = strlen(name);
    bool cut = length > limit;
    if (cut)
        while (limit > 0 && ((unsigned char)name[limit] & 0xC0) == 0x80) limit--;
    snprintf(out, 96, "%.*s%s%s%s", (int)(cut ? limit : length), name, cut ? "…" : "",
             *name ? " " : "", value);
}

static int by_height(const void *a, const void *b)
{
    const end_label *p = a, *q = b;
    if (p->from_y != q->from_y) return p->from_y < q->from_y ? -1 : 1;
    return strcmp(p->text, q->text);
}

/* Texts and values first: places follow when the axes are known. */
static size_t collect_labels(const yk_chart *c, end_label *label)
{
    size_t n = 0;
    for (size_t k = 0; k < c->curve_count && n < MAX_LABELS; k++) {
        const yk_curve *curve = &c->curves[k];
        double x;
        const double *y = last_finite(curve, &x);
        if (!curve->label || !y || (c->log_y && *y <= 0)) continue;
        label[n] = (end_label){
            .colour = curve->colour, .from_x = x, .from_y = *y, .bold = curve->bold};
        name_and_value(label[n++].text, curve->label, value_text(c, *y).text);
    }
    for (size_t k = 0; k < c->level_count && n < MAX_LABELS; k++) {
        if (!isfinite(c->levels[k].y)) continue;
        label[n] = (end_label){
            .colour = c->levels[k].colour, .from_x = INFINITY, .from_y = c->levels[k].y};
        name_and_value(label[n++].text, c->levels[k].name, value_text(c, c->levels[k].y).text);
    }
    return n;
}

/* Pushes labels apart that would overlap. */
static void spread_labels(end_label *label, size_t n, const axis *x, const axis *y)
{
    for (size_t i = 0; i < n; i++) {
        label[i].from_y = place(y, fmin(fmax(label[i].from_y, y->low), y->high));
        label[i].from_x = isfinite(label[i].from_x) ? place(x, label[i].from_x) : x->to;
    }
    qsort(label, n, sizeof *label, by_height);
    double gap = fmin(line_height, (y->from - y->to) / (double)(n ? n : 1)), floor_y = y->from;
    for (size_t i = 0; i < n; i++) {
        label[i].y = label[i].from_y;
        if (i && label[i].y < label[i - 1].y + gap) label[i].y = label[i - 1].y + gap;
    }
    for (size_t i = n; i-- > 0; floor_y -= gap) label[i].y = fmin(label[i].y, floor_y);
}

static void draw_labels(yk_buf *out, const end_label *label, size_t n, double x)
{
    for (size_t i = 0; i < n; i++) {
        const char *colour = yk_colour_class(label[i].colour);
        if (fabs(label[i].y - label[i].from_y) > 3)
            yk_buf_printf(out, "<path class=\"lead %s\" d=\"M%.1f %.1fL%.1f %.1f\"/>", colour,
                          label[i].from_x + 2, label[i].from_y, x + 8, label[i].y);
        yk_buf_printf(out, "<text class=\"%s%s\" x=\"%.1f\" y=\"%.1f\">", colour,
                      label[i].bold ? " b" : "", x + 10, label[i].y + 4);
        yk_html_add(out, "%s</text>", label[i].text);
    }
}

static void draw_axes(yk_buf *out, const yk_chart *c, const axis *x, const axis *y)
{
    char text[48];
    for (size_t i = 0; i < y->ticks; i++) {
        double at = place(y, y->tick[i]);
        tick_text(y, i, text);
        yk_buf_printf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", x->from, at, x->to);
        yk_buf_printf(out, "<text class=\"t e\" x=\"%.1f\" y=\"%.1f\">%s</text>", x->from - 6,
                      at + 4, text);
    }
    yk_buf_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>", x->from, y->from, x->to);
    for (size_t i = 0; i < x->ticks; i++) {
        double at = place(x, x->tick[i]);
        tick_text(x, i, text);
        yk_buf_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>", at, y->from);
        yk_buf_printf(out, "<text class=\"t m\" x=\"%.1f\" y=\"%.1f\">%s</text>", at, y->from + 17,
                      text);
    }
    yk_buf_printf(out, "<text class=\"t\" x=\"0\" y=\"11\">");
    axis_name(out, c->y_label, y);
    yk_buf_printf(out, "</text><text class=\"t e\" x=\"%.1f\" y=\"%.1f\">", x->to, y->from + 34);
    axis_name(out, c->x_label, x);
    yk_buf_puts(out, "</text>");
}

static bool can_be_drawn(const yk_curve *k, size_t i, const axis *x, const axis *y)
{
    return isfinite(k->x[i]) && isfinite(k->y[i]) && (!x->log || k->x[i] > 0) && (!y->log || k->y[i] > 0);
}

static void draw_line(yk_buf *out, const yk_curve *k, const axis *x, const axis *y)
{
    bool down = false;
    yk_buf_printf(out, "<path class=\"line %s%s%s\" d=\"", yk_colour_class(k->colour), k->bold ? " bold" : "",
                  k->faint ? " faint" : "");
    for (size_t i = 0; i < k->n; i++) {
        bool there = can_be_drawn(k, i, x, y);
        if (there)
            yk_buf_printf(out, "%s%.1f %.1f", down ? "L" : "M", place(x, k->x[i]),
                          place(y, k->y[i]));
        down = there;
    }
    yk_buf_puts(out, "\"/>");
}

static void draw_curve(yk_buf *out, const yk_curve *k, const axis *x, const axis *y)
{
    const char *colour = yk_colour_class(k->colour);
    if (!k->scatter) draw_line(out, k, x, y);
    for (size_t i = 0; (k->dots || k->scatter) && i < k->n; i++)
        if (can_be_drawn(k, i, x, y))
            yk_buf_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>", colour,
                          place(x, k->x[i]), place(y, k->y[i]), k->bold ? "3" : "2.2");
}

static const yk_curve *longest(const yk_chart *c)
{
    const yk_curve *best = &c->curves[0];
    for (size_t k = 1; k < c->curve_count; k++)
        if (c->curves[k].n > best->n) best = &c->curves[k];
    return best;
}

static size_t nearest(const yk_curve *k, double x)
{
    size_t low = 0, high = k->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (k->x[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == k->n) return k->n - 1;
    return low > 0 && x - k->x[low - 1] < k->x[low] - x ? low - 1 : low;
}

/* Full-height strips around chosen x, each with the curves' values there. */
static void draw_strips(yk_buf *out, const yk_chart *c, const axis *x, const axis *y)
{
    const yk_curve *guide = longest(c);
    size_t n = guide->n < MAX_STRIPS ? guide->n : MAX_STRIPS;
    double at[MAX_STRIPS];
    for (size_t i = 0; i < n; i++) at[i] = guide->x[n > 1 ? i * (guide->n - 1) / (n - 1) : 0];
    for (size_t i = 0; i < n; i++) {
        double left = i ? (at[i - 1] + at[i]) / 2 : x->low;
        double right = i + 1 < n ? (at[i] + at[i + 1]) / 2 : x->high;
        double from = place(x, left), width = place(x, right) - from;
        if (!(width > 0)) continue;
        yk_buf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
                      from, y->to, width, y->from - y->to);
        yk_html_add(out, "%s %s", (c->log_x ? yk_plain(at[i]) : yk_short(at[i])).text, c->x_unit);
        for (size_t k = 0; k < c->curve_count; k++) {
            const yk_curve *curve = &c->curves[k];
            if (!curve->name || curve->n == 0) continue;
            size_t j = nearest(curve, at[i]);
            if (curve->x[j] < left || curve->x[j] > right || !isfinite(curve->y[j])) continue;
            yk_html_add(out, "\n%s %s", curve->name, value_text(c, curve->y[j]).text);
        }
        yk_buf_puts(out, "</title></rect>");
    }
}

static void draw_levels(yk_buf *out, const yk_chart *c, const axis *x, const axis *y)
{
    for (size_t i = 0; i < c->level_count; i++)
        if (isfinite(c->levels[i].y))
            yk_buf_printf(out, "<path class=\"level %s\" d=\"M%.1f %.1fH%.1f\"/>",
                          yk_colour_class(c->levels[i].colour), x->from, place(y, c->levels[i].y),
                          x->to);
}

static void draw_marks(yk_buf *out, const yk_chart *c, const axis *x, const axis *y)
{
    size_t n = c->mark_count < MAX_MARKS ? c->mark_count : MAX_MARKS;
    for (size_t i = 0; i < n; i++) {
        if (!(c->marks[i].x >= x->low && c->marks[i].x <= x->high)) continue;
        yk_buf_printf(out, "<path class=\"mark\" d=\"M%.1f %.1fl4 -8h-8z\"><title>",
                      place(x, c->marks[i].x), y->from);
        yk_html_add(out, "%s</title></path>", c->marks[i].what);
    }
}

void yk_svg_chart(yk_buf *out, const yk_chart *c)
{
    axis x = {0}, y = {0};
    end_label label[MAX_LABELS];
    if (!find_ranges(c, &x, &y)) return;
    size_t labels = collect_labels(c, label);
    int right = 1, left = 1;
    for (size_t i = 0; i < labels; i++) {
        int columns = yk_text_columns(label[i].text);
        right = columns > right ? columns : right;
    }
    y.from = c->height - 40;
    y.to = 24;
    if (y.log)
        log_ticks(&y);
    else
        linear_ticks(&y, 1 + c->height / 70);
    for (size_t i = 0; i < y.ticks; i++) {
        char text[48];
        tick_text(&y, i, text);
        left = yk_text_columns(text) > left ? yk_text_columns(text) : left;
    }
    x.from = left * glyph + 10;
    x.to = c->width - (labels ? right * glyph + 12 : 8);
    if (x.log)
        log_ticks(&x);
    else
        linear_ticks(&x, 1 + c->width / 120);
    spread_labels(label, labels, &x, &y);
    yk_buf_printf(out, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\"", c->width,
                  c->height);
    yk_html_add(out, " aria-label=\"%s\">", c->title);
    draw_axes(out, c, &x, &y);
    draw_levels(out, c, &x, &y);
    for (size_t k = 0; k < c->curve_count; k++) draw_curve(out, &c->curves[k], &x, &y);
    draw_labels(out, label, labels, x.to);
    draw_marks(out, c, &x, &y);
    yk_buf_puts(out, "<g class=\"hover\">");
    draw_strips(out, c, &x, &y);
    yk_buf_puts(out, "</g></svg>\n");
}

static double share_of(double v)
{
    return v > 0 ? fmin(v, 1) : 0;
}

static void bar_open(yk_buf *out, const char *kind, const char *title)
{
    yk_html_add(
        out,
        "<svg class=\"%s\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" "
        "aria-label=\"%s\">",
        kind, title);
}

void yk_svg_bar(yk_buf *out, double share, double wanted, int colour, const char *title)
{
    bar_open(out, "bar", title);
    yk_html_add(out, "<title>%s</title>", title);
    yk_buf_puts(out, "<rect class=\"track\" x=\"0\" y=\"0\" width=\"1000\" height=\"10\"/>");
    yk_buf_printf(out, "<rect class=\"%s\" x=\"0\" y=\"0\" width=\"%.1f\" height=\"10\"/>",
                  yk_colour_class(colour), 1000 * share_of(share));
    if (wanted >= 0)
        yk_buf_printf(out, "<rect class=\"ink\" x=\"%.1f\" y=\"0\" width=\"5\" height=\"10\"/>",
                      995 * share_of(wanted));
    yk_buf_puts(out, "</svg>");
}

void yk_svg_stack(yk_buf *out, const yk_segment *segments, size_t n)
{
    double at = 0;
    bar_open(out, "stack", "shares, from left to right");
    for (size_t i = 0; i < n; i++) {
        double width = 1000 * share_of(segments[i].share);
        yk_buf_printf(out,
                      "<rect class=\"%s\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"10\"><title>",
                      yk_colour_class(segments[i].colour), at, fmax(width - 2, 0.5));
        yk_html_add(out, "%s</title></rect>", segments[i].title);
        at += width;
    }
    yk_buf_puts(out, "</svg>\n");
}
