/* The ranges of `tune:` as coordinates for a sampler. A range of numbers is the interval [0, 1], evenly along its
 * scale; a choice has its values numbered 0, 1, ... */
#ifndef YK_CONFIG_RANGE_H
#define YK_CONFIG_RANGE_H

#include "config/recipe.h"

/* How many values a choice has; 0 for a range of numbers. */
int64_t yk_range_choices(const yk_tuned *t);

/* Appends the value at a coordinate as --set takes it: of an integer key the nearest integer, else four significant
 * digits, never outside [low, high]. */
void yk_range_value(const yk_tuned *t, double at, yk_buf *out);

/* The coordinate of a value; -1 when it is no value of the range. */
double yk_range_place(const yk_tuned *t, const char *value);

#endif
