/* JSON documents as files and lines. */
#ifndef YK_BASE_JSON_H
#define YK_BASE_JSON_H

#include "base/status.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* Writes x, indented, as yk_file_write() does. NULL: its making has failed, YK_ERR_MEMORY. */
yk_status yk_json_write(const char *path, const json_t *x, yk_error *err);

/* Appends x (taken) to f as one line; `path` is for messages. NULL: its making has failed, YK_ERR_MEMORY. */
yk_status yk_json_add_line(FILE *f, const char *path, json_t *x, yk_error *err);

/* A string (new) of bytes that may be anything: NUL, which jansson does not read, and what is not UTF-8 are U+FFFD. */
json_t *yk_json_of_bytes(const char *bytes, size_t n);

/* A number (new), or null where it is not finite: JSON has no other. */
json_t *yk_json_number_or_null(double x);

#endif
