/* The recipe as text: resolved YAML with origins, and the canonical lines that stages hash. */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

/* "before name: value   # origin" */
static void print_line(const char *before, const yk_key *k, const void *base, const yk_origin *o,
                       yk_buf *out)
{
    size_t from = out->len;
    yk_buf_printf(out, "%s%s: ", before, k->name);
    yk_key_print(k, base, out);
    size_t width = out->len - from;
    yk_buf_printf(out, "%*s # %s\n", width < 40 ? (int)(40 - width) : 0, "",
                  o->text ? o->text : "default");
}

/* The values that came from `least` or a later layer; entries of lists whole. */
static void print_from(const yk_recipe *r, yk_layer least, yk_buf *out)
{
    for (size_t g = 0; g < yk_group_count; g++) {
        bool top = !yk_groups[g].name[0];
        if (!top) yk_buf_printf(out, "%s:\n", yk_groups[g].name);
        for (size_t i = 0; i < yk_key_count; i++)
            if (strcmp(yk_keys[i].group, yk_groups[g].name) == 0 && r->origin[i].layer >= least)
                print_line(top ? "" : "  ", &yk_keys[i], r, &r->origin[i], out);
    }
    for (const yk_entries *l = yk_lists; l < yk_lists + YK_LISTS; l++) {
        size_t n = yk_entry_count(l, r);
        if (n) yk_buf_printf(out, "%s:\n", l->group->name);
        for (size_t e = 0; e < n; e++) {
            void *entry = yk_entry(l, r, e);
            const yk_origin *o = *yk_entry_origin(l, entry);
            for (size_t i = 0; i < l->key_count; i++)
                print_line(i ? "    " : "  - ", &l->keys[i], entry, &o[i], out);
        }
    }
}

void yk_recipe_print(const yk_recipe *r, yk_buf *out)
{
    print_from(r, YK_FROM_DEFAULT, out);
}

void yk_recipe_print_given(const yk_recipe *r, yk_buf *out)
{
    print_from(r, YK_FROM_FILE, out);
}

/* Decides where, how fast or how far, never what is computed. */
static bool is_incidental(const char *path)
{
    static const char *const names[] = {"threads",
                                        "run_dir",
                                        "max_hours",
                                        "stages",
                                        "size",
                                        "pretrain.micro_batch",
                                        "pretrain.checkpoint_every",
                                        "pretrain.keep"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(path, names[i]) == 0) return true;
    return false;
}

static void canonical_line(const char *path, const yk_key *k, const void *base,
                           const char *const *prefixes, yk_buf *out)
{
    bool wanted = false;
    for (; *prefixes && !wanted; prefixes++)
        wanted = strncmp(path, *prefixes, strlen(*prefixes)) == 0;
    if (!wanted || is_incidental(path)) return;
    yk_buf_printf(out, "%s = ", path);
    yk_key_print(k, base, out);
    yk_buf_puts(out, "\n");
}

void yk_recipe_canonical(const yk_recipe *r, const char *const *prefixes, yk_buf *out)
{
    char path[YK_PATH_ROOM];
    for (size_t i = 0; i < yk_key_count; i++) {
        yk_key_path(&yk_keys[i], path);
        canonical_line(path, &yk_keys[i], r, prefixes, out);
    }
    for (const yk_entries *l = yk_lists; l < yk_lists + YK_LISTS; l++)
        for (size_t e = 0; e < yk_entry_count(l, r); e++)
            for (size_t i = 0; i < l->key_count; i++) {
                snprintf(path, sizeof path, "%s.%zu.%s", l->group->name, e, l->keys[i].name);
                canonical_line(path, &l->keys[i], yk_entry(l, r, e), prefixes, out);
            }
}

enum { LINE = 88 };

/* Appends words, broken at spaces into lines that begin with `indent` spaces. */
static void wrap(const char *text, int indent, yk_buf *out)
{
    int column = LINE;
    for (const char *p = text; *p;) {
        int n = (int)strcspn(p, " ");
        bool fresh = column + 1 + n > LINE;
        if (fresh && p != text) yk_buf_puts(out, "\n");
        yk_buf_printf(out, "%*s%.*s", fresh ? indent : 1, "", n, p);
        column = (fresh ? indent : column + 1) + n;
        p += n + (p[n] == ' ');
    }
    yk_buf_puts(out, "\n");
}

/* A cell of a Markdown table: "|" would end it, "<" begin a tag. */
static void cell(const char *text, yk_buf *out)
{
    for (; *text; text++) {
        if (strchr("|<\\", *text)) yk_buf_puts(out, "\\");
        yk_buf_add(out, text, 1);
    }
}

/* Running text of a man page: escapes, and `code` in bold. */
static void roff(const char *text, yk_buf *out)
{
    bool bold = false;
    if (*text == '.' || *text == '\'') yk_buf_puts(out, "\\&");
    for (; *text; text++) {
        if (*text == '`')
            yk_buf_puts(out, (bold = !bold) ? "\\fB" : "\\fR");
        else if (*text == '\\')
            yk_buf_puts(out, "\\e");
        else if (*text == '-')
            yk_buf_puts(out, "\\-");
        else
            yk_buf_add(out, text, 1);
    }
}

/* "integer", "one of auto, prose, code", ... */
static void type_of(const yk_key *k, yk_buf *out)
{
    static const char *const type[] = {
        [YK_KEY_INT] = "integer", [YK_KEY_REAL] = "number",  [YK_KEY_FLAG] = "true or false",
        [YK_KEY_TEXT] = "text",   [YK_KEY_PICK] = "one of ", [YK_KEY_LIST] = "list of texts"};
    yk_buf_puts(out, type[k->type]);
    yk_print_words(k->words, out);
}

static void default_of(const yk_key *k, yk_buf *out)
{
    const char *empty = k->type == YK_KEY_LIST ? "[]" : "\"\"";
    bool list = k->type == YK_KEY_LIST && k->def[0];
    yk_buf_printf(out, "%s%s%s", list ? "[" : "", k->def[0] ? k->def : empty, list ? "]" : "");
}

static void range_of(const yk_key *k, yk_buf *out)
{
    if (k->low) yk_buf_printf(out, "%s to %s", k->low, k->high);
}

static void print_key(const yk_key *k, yk_doc_style style, yk_buf *out)
{
    char path[YK_PATH_ROOM];
    yk_buf type = {0}, def = {0}, range = {0}, facts = {0};
    yk_key_path(k, path);
    type_of(k, &type);
    default_of(k, &def);
    range_of(k, &range);
    yk_buf_printf(&facts, "%s%s%s; default %s", type.data, range.len ? " from " : "",
                  range.len ? range.data : "", def.data);
    switch (style) {
    case YK_DOC_TEXT:
        yk_buf_printf(out, "  %s\n", path);
        wrap(k->help, 6, out);
        yk_buf_printf(out, "      (%s)\n", facts.data);
        break;
    case YK_DOC_MARKDOWN:
        yk_buf_printf(out, "| `%s` | ", path);
        cell(type.data, out);
        yk_buf_printf(out, " | `%s` | %s | ", def.data, range.len ? range.data : "");
        cell(k->help, out);
        yk_buf_puts(out, " |\n");
        break;
    case YK_DOC_ROFF:
        yk_buf_printf(out, ".TP\n.B %s\n", path);
        roff(k->help, out);
        yk_buf_puts(out, "\n(");
        roff(facts.data, out);
        yk_buf_puts(out, ")\n");
        break;
    }
    yk_buf_free(&type);
    yk_buf_free(&def);
    yk_buf_free(&range);
    yk_buf_free(&facts);
}

static void print_heading(const char *name, const char *help, yk_doc_style style, yk_buf *out)
{
    switch (style) {
    case YK_DOC_TEXT:
        yk_buf_printf(out, "\n%s: %s\n\n", name, help);
        break;
    case YK_DOC_MARKDOWN:
        yk_buf_printf(out, "\n## %s\n\n%s.\n\n", name, help);
        yk_buf_puts(out, "| key | type | default | range | meaning |\n|---|---|---|---|---|\n");
        break;
    case YK_DOC_ROFF:
        yk_buf_printf(out, ".SS %s\n", name);
        roff(help, out);
        yk_buf_puts(out, ".\n");
        break;
    }
}

void yk_recipe_reference(yk_doc_style style, yk_buf *out)
{
    if (style == YK_DOC_MARKDOWN) yk_buf_puts(out, "# The keys of a recipe\n");
    for (size_t g = 0; g < yk_group_count; g++) {
        print_heading(g ? yk_groups[g].name : "top level", yk_groups[g].help, style, out);
        for (size_t i = 0; i < yk_key_count; i++)
            if (strcmp(yk_keys[i].group, yk_groups[g].name) == 0)
                print_key(&yk_keys[i], style, out);
    }
    for (const yk_entries *l = yk_lists; l < yk_lists + YK_LISTS; l++) {
        print_heading(l->group->name, l->group->help, style, out);
        for (size_t i = 0; i < l->key_count; i++) print_key(&l->keys[i], style, out);
    }
}
