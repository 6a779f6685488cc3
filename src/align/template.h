/* The part of Jinja that evaluation tasks of lm-evaluation-harness use most: text in which {{...}} stands for members
 * of an object.
 *
 *   {{name}}  {{name.member}}  {{name[0]}}  {{name["member"]}}  {{names[label]}}   what lies there
 *   {{name.strip()}}, .lstrip(), .rstrip()                                         without blanks, line ends (ASCII)
 *   {{names.index(name)}}                                                          where it stands in a list
 *   {{[a, b]}}  {{"text"}}  {{3}}                                                  a list, a text, a number
 *
 * Everything else is refused. */
#ifndef YK_ALIGN_TEMPLATE_H
#define YK_ALIGN_TEMPLATE_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>

/* Whether there is nothing in it that is not supported. YK_ERR_CONFIG names what is, and what could stand there. */
yk_status yk_template_check(const char *text, yk_error *err);

/* Its value for an object: a text; of {{...}} alone what lies there, of any type. A new reference. YK_ERR_INPUT names
 * what is missing or of another type. */
yk_status yk_template_value(const char *text, const json_t *object, json_t **value, yk_error *err);

/* Whether it holds no {{...}} at all. */
bool yk_template_is_plain(const char *text);

#endif
