/* YAML as recipes and evaluation tasks have it: one document without anchors, aliases and tags, of bounded size and
 * depth. libyaml parses; what is refused is refused before a document is built, so that a small file cannot unfold
 * into a large one. */
#ifndef YK_CONFIG_YAML_H
#define YK_CONFIG_YAML_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <yaml.h>

enum { YK_YAML_BYTES = 16 << 20 }; /* the most of a file */

/* Zero-initialise but for the first three. */
typedef struct yk_yaml {
    const char *name; /* the path, or "--set key=value" */
    const char *noun; /* what it is, in messages: "a recipe" */
    bool option;      /* of --set: lines and columns mean nothing */
    const yaml_node_t *root; /* nothing at all is an empty scalar */
    yaml_document_t doc;     /* private */
    yaml_node_t empty;
    bool loaded;
} yk_yaml;

/* Parses n bytes of UTF-8; the text may go afterwards. YK_ERR_CONFIG with "file:line:column: ...". */
yk_status yk_yaml_load(yk_yaml *y, const char *text, size_t n, yk_error *err);

/* The same of the file y->name, less the mark that it may begin with. */
yk_status yk_yaml_read(yk_yaml *y, yk_error *err);
void yk_yaml_free(yk_yaml *y); /* also after an error */

const yaml_node_t *yk_yaml_node(const yk_yaml *y, int id);
const char *yk_yaml_kind(const yaml_node_t *n); /* "a list", "a mapping", "a value" */

/* The text of a scalar without a NUL character, else NULL. */
const char *yk_yaml_text(const yaml_node_t *n);

/* Whether it is a scalar that means nothing: ~ or null, not quoted. */
bool yk_yaml_is_null(const yaml_node_t *n);

/* Appends "file:line:column". */
void yk_yaml_place(const yk_yaml *y, yaml_mark_t mark, yk_buf *out);

/* Puts the place before a message of YK_ERR_CONFIG; returns the status. */
yk_status yk_yaml_at(const yk_yaml *y, yaml_mark_t mark, yk_status st, yk_error *err);

#endif
