/* The recipe as text: resolved YAML, canonical lines for hashes, the reference of all keys. */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

void yk_recipe_print(const yk_recipe *r, yk_buf *out)
{
    for (size_t g = 0; g < yk_group_count; g++) {
        const char *group = yk_groups[g].name;
        if (group[0]) yk_buf_printf(out, "%s:\n", group);
        for (size_t i = 0; i < yk_key_count; i++) {
            if (strcmp(yk_keys[i].group, group) != 0) continue;
            size_t from = out->len;
            yk_buf_printf(out, "%s%s: ", group[0] ? "  " : "", yk_keys[i].name);
            yk_key_print(&yk_keys[i], r, out);
            int pad = 44 - (int)(out->len - from);
            yk_buf_printf(out, "%*s # %s\n", pad > 0 ? pad : 0, "", r->origin[i].text);
        }
    }
    if (r->corpora) yk_buf_puts(out, "corpus:\n");
    for (size_t c = 0; c < r->corpora; c++)
        for (size_t i = 0; i < yk_corpus_key_count; i++) {
            yk_buf_printf(out, "%s%s: ", i ? "    " : "  - ", yk_corpus_keys[i].name);
            yk_key_print(&yk_corpus_keys[i], &r->corpus[c], out);
            yk_buf_puts(out, "\n");
        }
}

/* What decides where and how fast, never what is computed. */
static bool is_runtime(const char *path)
{
    static const char *const runtime[] = {"threads", "run_dir", "max_hours", "stages", "pretrain.micro_batch",
                                          "pretrain.checkpoint_every", "pretrain.keep", "corpus_manifest", "size"};
    for (size_t i = 0; i < sizeof runtime / sizeof *runtime; i++)
        if (strcmp(path, runtime[i]) == 0) return true;
    return false;
}

static bool begins_with_one(const char *path, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (strncmp(path, *prefixes, strlen(*prefixes)) == 0) return true;
    return false;
}

void yk_recipe_canonical(const yk_recipe *r, const char *const *prefixes, yk_buf *out)
{
    char path[96];
    for (size_t i = 0; i < yk_key_count; i++) {
        yk_key_path(&yk_keys[i], path);
        if (is_runtime(path) || !begins_with_one(path, prefixes)) continue;
        yk_buf_printf(out, "%s = ", path);
        yk_key_print(&yk_keys[i], r, out);
        yk_buf_puts(out, "\n");
    }
    if (!begins_with_one("corpus.", prefixes)) return;
    for (size_t c = 0; c < r->corpora; c++)
        for (size_t i = 0; i < yk_corpus_key_count; i++) {
            yk_buf_printf(out, "corpus.%zu.%s = ", c, yk_corpus_keys[i].name);
            yk_key_print(&yk_corpus_keys[i], &r->corpus[c], out);
            yk_buf_puts(out, "\n");
        }
}

static void describe(const yk_key *k, char out[160])
{
    static const char *const type[] = {"integer", "number", "true or false", "text", "one of", "list of texts"};
    if (k->type == YK_KEY_INT || k->type == YK_KEY_REAL)
        snprintf(out, 160, "%s from %s to %s; default %s", type[k->type], k->low, k->high, k->def);
    else if (k->type == YK_KEY_PICK)
        snprintf(out, 160, "%s; default %s", k->words, k->def);
    else
        snprintf(out, 160, "%s; default %s", type[k->type], k->def[0] ? k->def : "empty");
}

static void print_key(const yk_key *k, yk_doc_style style, yk_buf *out)
{
    static const char *const format[] = {"  %-28s %s\n  %-28s   (%s)\n", "| `%s` | %s |%s %s |\n",
                                         ".TP\n.B %s\n%s.%s\n(%s)\n"};
    char path[96], kind[160];
    yk_key_path(k, path);
    describe(k, kind);
    yk_buf_printf(out, format[style], path, k->help, "", kind);
}

static void print_heading(const char *name, const char *help, yk_doc_style style, yk_buf *out)
{
    static const char *const format[] = {"\n%s: %s\n", "\n## %s\n\n%s.\n\n| key | meaning | value |\n|---|---|---|\n",
                                         ".SS %s\n%s.\n"};
    yk_buf_printf(out, format[style], name, help);
}

void yk_recipe_reference(yk_doc_style style, yk_buf *out)
{
    if (style == YK_DOC_MARKDOWN) yk_buf_puts(out, "# The keys of a recipe\n\nMade by `yoke config --keys --markdown`.\n");
    for (size_t g = 0; g < yk_group_count; g++) {
        print_heading(yk_groups[g].name[0] ? yk_groups[g].name : "top level", yk_groups[g].help, style, out);
        for (size_t i = 0; i < yk_key_count; i++)
            if (strcmp(yk_keys[i].group, yk_groups[g].name) == 0) print_key(&yk_keys[i], style, out);
    }
    print_heading("corpus", "A list; each entry is one domain", style, out);
    for (size_t i = 0; i < yk_corpus_key_count; i++) print_key(&yk_corpus_keys[i], style, out);
}
