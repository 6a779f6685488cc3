/* Plots as inline SVG. Colours are classes that the page's stylesheet resolves for light and dark:
 * c0..c7 the palette, ink and soft the text's own. Numbers are written with fixed digits, so that
 * the same data gives the same bytes. */
#ifndef YK_REPORT_SVG_H
#define YK_REPORT_SVG_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { YK_COLOURS = 8, YK_INK = -1, YK_SOFT = -2 };

/* Palette index i modulo YK_COLOURS as a class name, or the class of YK_INK or YK_SOFT. */
const char *yk_colour_class(int colour);

typedef struct yk_curve {
    const char *name;    /* in hover texts; NULL: not there                                 */
    const char *label;   /* at its right end, followed by the last value; NULL: no label    */
    const double *x, *y; /* x ascending; points that are not finite in y break the line     */
    size_t n;
    int colour;
    bool bold, faint, dots;
    bool scatter; /* dots without a line */
} yk_curve;

typedef struct yk_level { /* a dashed horizontal line to compare with */
    const char *name;
    double y;
    int colour;
} yk_level;

typedef struct yk_mark { /* a triangle on the x axis */
    double x;
    const char *what;
} yk_mark;

typedef struct yk_chart {
    const char *title;             /* for who cannot see it                            */
    const char *x_label, *y_label; /* with units; a power of ten is added as needed */
    const char *x_unit;            /* after x in hover texts: "tokens"                 */
    int digits;                    /* of values in labels; -1: four significant ones   */
    int width, height;             /* user units; text is 12 units high                */
    bool from_zero;                /* y starts at 0                                    */
    bool log_y;                    /* every y shown must be > 0                        */
    bool log_x;                    /* the same of x                                    */
    double y_low, y_high;          /* both 0: from the data                            */
    const yk_curve *curves;
    size_t curve_count;
    const yk_level *levels;
    size_t level_count;
    const yk_mark *marks;
    size_t mark_count;
} yk_chart;

/* A line chart with axes, units, labels at the lines' ends and a hover strip with the values at up
 * to 80 places (no script: <title>). Nothing is written when no curve has two finite points. */
void yk_svg_chart(yk_buf *out, const yk_chart *chart);

/* Averages runs of neighbours down to at most `limit` points, in place; returns their number.
 * Points with a y that is not finite count in no average. The first and the last are kept. */
size_t yk_thin(double *x, double *y, size_t n, size_t limit);

/* out[i] = mean of the finite y within `reach` on both sides of i. out must not alias y. */
void yk_smooth(const double *y, double *out, size_t n, size_t reach);

/* A bar that fills its container: `share` of the width in `colour`, and, if `wanted` >= 0, a mark
 * at that share. Shares are clamped to [0, 1]. */
void yk_svg_bar(yk_buf *out, double share, double wanted, int colour, const char *title);

/* One bar of segments that follow each other; shares should sum to 1. */
typedef struct yk_segment {
    double share;
    int colour;
    const char *title;
} yk_segment;
void yk_svg_stack(yk_buf *out, const yk_segment *segments, size_t n);

#endif
