/* YAML and --set into the recipe, every message with its place. */
#include "config/schema.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_FILE = 16 << 20, MAX_CORPORA = 10000 };

typedef struct source {
    yaml_document_t *doc;
    const char *name; /* of the file, or "--set text" */
    bool set;         /* positions mean nothing */
    yk_recipe *r;
    int *line;        /* [keys] line that set each key of this source, 0: not yet */
} source;

static void place(const source *s, const yaml_node_t *n, char out[256])
{
    if (s->set)
        snprintf(out, 256, "%s", s->name);
    else
        snprintf(out, 256, "%s:%zu:%zu", s->name, n->start_mark.line + 1, n->start_mark.column + 1);
}

static size_t distance(const char *a, const char *b)
{
    size_t row[64], la = strlen(a), lb = strlen(b);
    if (la > 63 || lb > 63) return 99;
    for (size_t j = 0; j <= lb; j++) row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

/* The key a user may have meant: the same group first, then the same name elsewhere, then the nearest. */
static void nearest_key(const char *group, const char *name, char out[96])
{
    size_t best = strlen(name) / 2 + 1;
    out[0] = 0;
    for (int table = 0; table < 2; table++) {
        const yk_key *keys = table ? yk_corpus_keys : yk_keys;
        for (size_t i = 0; i < (table ? yk_corpus_key_count : yk_key_count); i++) {
            bool same = strcmp(keys[i].group, group) == 0;
            size_t d = 2 * distance(name, keys[i].name) + !same;
            if (!same && d > 3) continue;
            if (d < 2 * best) {
                best = d / 2 + 1;
                yk_key_path(&keys[i], out);
                if (d == 0) return;
            }
        }
    }
    for (size_t g = 1; !out[0] && g < yk_group_count && !group[0]; g++)
        if (distance(name, yk_groups[g].name) <= 2) snprintf(out, 96, "%s", yk_groups[g].name);
}

static yk_status unknown_key(const source *s, const yaml_node_t *at, const char *group, const char *name,
                             yk_error *err)
{
    char where[256], near[96];
    place(s, at, where);
    nearest_key(group, name, near);
    return yk_fail(err, YK_ERR_CONFIG, "%s: unknown key `%s%s%s`%s%s%s", where, group, group[0] ? "." : "", name,
                   near[0] ? "; did you mean `" : "; `yoke config --keys` lists them all", near, near[0] ? "`?" : "");
}

static const char *scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static yk_status set_value(const source *s, const yk_key *k, void *base, const yaml_node_t *value, yk_error *err)
{
    yk_status st = YK_OK;
    char where[256];
    place(s, value, where);
    if (k->type == YK_KEY_LIST) yk_list_clear((yk_list *)((char *)base + k->offset));
    if (value->type == YAML_SEQUENCE_NODE && k->type == YK_KEY_LIST) {
        for (yaml_node_item_t *i = value->data.sequence.items.start; i < value->data.sequence.items.top; i++) {
            const yaml_node_t *item = yaml_document_get_node(s->doc, *i);
            place(s, item, where);
            if (!scalar(item)) YK_FAIL(YK_ERR_CONFIG, "%s: `%s` expects a list of texts", where, k->name);
            YK_TRY(yk_key_set(k, base, scalar(item), where, err));
        }
        return YK_OK;
    }
    const char *text = scalar(value);
    if (!text)
        YK_FAIL(YK_ERR_CONFIG, "%s: `%s` expects a %s, found a %s", where, k->name,
                k->type == YK_KEY_LIST ? "list" : "single value",
                value->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
    if (k->type == YK_KEY_LIST && !text[0]) return YK_OK;
    YK_TRY(yk_key_set(k, base, text, where, err));
done:
    return st;
}

static const yk_key *find_key(const yk_key *keys, size_t n, const char *group, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(keys[i].group, group) == 0 && strcmp(keys[i].name, name) == 0) return &keys[i];
    return NULL;
}

static yk_status duplicate(const source *s, const yaml_node_t *at, const char *name, int line, yk_error *err)
{
    char where[256];
    place(s, at, where);
    return yk_fail(err, YK_ERR_CONFIG, "%s: `%s` is given twice, the first time in line %d; remove one", where, name,
                   line);
}

static yk_status read_entry(source *s, yk_corpus *c, const yaml_node_t *map, yk_error *err)
{
    yk_status st = YK_OK;
    char where[256];
    int seen[32] = {0};
    place(s, map, where);
    if (map->type != YAML_MAPPING_NODE)
        YK_FAIL(YK_ERR_CONFIG, "%s: an entry of `corpus` is a mapping with `domain` and `paths`", where);
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(s->doc, p->key);
        const char *name = scalar(key);
        place(s, key, where);
        if (!name) YK_FAIL(YK_ERR_CONFIG, "%s: a key must be a word", where);
        const yk_key *k = find_key(yk_corpus_keys, yk_corpus_key_count, "corpus", name);
        if (!k) {
            st = unknown_key(s, key, "corpus", name, err);
            goto done;
        }
        int *line = &seen[k - yk_corpus_keys];
        if (*line) {
            st = duplicate(s, key, name, *line, err);
            goto done;
        }
        *line = (int)key->start_mark.line + 1;
        YK_TRY(set_value(s, k, c, yaml_document_get_node(s->doc, p->value), err));
    }
done:
    return st;
}

static yk_status set_defaults(const yk_key *keys, size_t n, void *base, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < n; i++) {
        const yk_key *k = &keys[i];
        if (k->type != YK_KEY_LIST) {
            YK_TRY(yk_key_set(k, base, k->def, "default", err));
            continue;
        }
        char *copy = strdup(k->def), *save = NULL;
        if (!copy) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        for (char *w = strtok_r(copy, ", ", &save); w && st == YK_OK; w = strtok_r(NULL, ", ", &save))
            st = yk_key_set(k, base, w, "default", err);
        free(copy);
        if (st != YK_OK) goto done;
    }
done:
    return st;
}

static void free_fields(const yk_key *keys, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++) {
        void *field = (char *)base + keys[i].offset;
        if (keys[i].type == YK_KEY_LIST) yk_list_clear(field);
        if (keys[i].type == YK_KEY_TEXT || keys[i].type == YK_KEY_PICK) free(*(char **)field);
    }
}

static yk_status read_corpus(source *s, const yaml_node_t *list, yk_error *err)
{
    yk_status st = YK_OK;
    char where[256];
    place(s, list, where);
    if (list->type != YAML_SEQUENCE_NODE) YK_FAIL(YK_ERR_CONFIG, "%s: `corpus` is a list of entries (- domain: ...)", where);
    size_t n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
    if (n > MAX_CORPORA) YK_FAIL(YK_ERR_CONFIG, "%s: more than %d corpus entries", where, MAX_CORPORA);
    for (size_t i = 0; i < s->r->corpora; i++) free_fields(yk_corpus_keys, yk_corpus_key_count, &s->r->corpus[i]);
    free(s->r->corpus);
    s->r->corpus = NULL;
    s->r->corpora = 0;
    YK_NEW(s->r->corpus, n);
    for (size_t i = 0; i < n; i++) {
        s->r->corpora = i + 1;
        YK_TRY(set_defaults(yk_corpus_keys, yk_corpus_key_count, &s->r->corpus[i], err));
        YK_TRY(read_entry(s, &s->r->corpus[i], yaml_document_get_node(s->doc, list->data.sequence.items.start[i]), err));
    }
done:
    return st;
}

static bool is_group(const char *name)
{
    for (size_t g = 1; g < yk_group_count; g++)
        if (strcmp(yk_groups[g].name, name) == 0) return true;
    return false;
}

static yk_status read_mapping(source *s, const yaml_node_t *map, const char *group, yk_error *err)
{
    yk_status st = YK_OK;
    char where[256], origin[sizeof(yk_origin)];
    place(s, map, where);
    if (map->type == YAML_SCALAR_NODE && !scalar(map)[0]) return YK_OK; /* "model:" with nothing below */
    if (map->type != YAML_MAPPING_NODE)
        YK_FAIL(YK_ERR_CONFIG, "%s: %s%s expects a mapping (key: value)", where, group[0] ? "" : "a recipe", group);
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(s->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(s->doc, p->value);
        const char *name = scalar(key);
        place(s, key, where);
        if (!name) YK_FAIL(YK_ERR_CONFIG, "%s: a key must be a word", where);
        for (yaml_node_pair_t *q = map->data.mapping.pairs.start; q < p; q++) {
            const yaml_node_t *earlier = yaml_document_get_node(s->doc, q->key);
            if (strcmp(scalar(earlier), name) == 0) {
                st = duplicate(s, key, name, (int)earlier->start_mark.line + 1, err);
                goto done;
            }
        }
        if (!group[0] && is_group(name)) {
            YK_TRY(read_mapping(s, value, name, err));
            continue;
        }
        if (!group[0] && strcmp(name, "corpus") == 0) {
            YK_TRY(read_corpus(s, value, err));
            continue;
        }
        const yk_key *k = find_key(yk_keys, yk_key_count, group, name);
        if (!k) {
            st = unknown_key(s, key, group, name, err);
            goto done;
        }
        YK_TRY(set_value(s, k, s->r, value, err));
        if (s->set)
            snprintf(origin, sizeof origin, "--set");
        else
            snprintf(origin, sizeof origin, "%.90s:%zu", s->name, key->start_mark.line + 1);
        yk_recipe_mark(s->r, (char *)s->r + k->offset, origin);
    }
done:
    return st;
}

void yk_recipe_mark(yk_recipe *r, const void *field, const char *origin)
{
    for (size_t i = 0; i < yk_key_count; i++)
        if ((const char *)field == (const char *)r + yk_keys[i].offset)
            snprintf(r->origin[i].text, sizeof r->origin[i].text, "%s", origin);
}

/* Anchors would let a small file unfold into a large one, and the same node under two parents; they are refused. */
static yk_status refuse_anchors(const char *text, size_t n, const char *name, yk_error *err)
{
    yk_status st = YK_OK;
    yaml_parser_t parser;
    yaml_event_t event;
    bool more = true;
    if (!yaml_parser_initialize(&parser)) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    for (int documents = 0, depth = 0; more && st == YK_OK;) {
        if (!yaml_parser_parse(&parser, &event)) {
            st = yk_fail(err, YK_ERR_CONFIG, "%s:%zu:%zu: not YAML: %s", name, parser.problem_mark.line + 1,
                         parser.problem_mark.column + 1, parser.problem ? parser.problem : "bad character encoding");
            break;
        }
        size_t line = event.start_mark.line + 1, column = event.start_mark.column + 1;
        bool anchor = (event.type == YAML_SCALAR_EVENT && event.data.scalar.anchor) ||
                      (event.type == YAML_MAPPING_START_EVENT && event.data.mapping_start.anchor) ||
                      (event.type == YAML_SEQUENCE_START_EVENT && event.data.sequence_start.anchor);
        if (anchor || event.type == YAML_ALIAS_EVENT)
            st = yk_fail(err, YK_ERR_CONFIG, "%s:%zu:%zu: anchors and aliases are not supported; write the value out",
                         name, line, column);
        if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            st = yk_fail(err, YK_ERR_CONFIG, "%s:%zu:%zu: a second document; a recipe is one", name, line, column);
        if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT) depth++;
        if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) depth--;
        if (depth > 8) st = yk_fail(err, YK_ERR_CONFIG, "%s:%zu:%zu: nested too deeply", name, line, column);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return st;
}

static yk_status read_yaml(yk_recipe *r, const char *text, size_t n, const char *name, const char *group, bool set,
                           yk_error *err)
{
    yk_status st = YK_OK;
    yaml_parser_t parser;
    yaml_document_t doc;
    YK_TRY(refuse_anchors(text, n, name, err));
    if (!yaml_parser_initialize(&parser)) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, &doc)) {
        st = yk_fail(err, YK_ERR_CONFIG, "%s:%zu:%zu: not YAML: %s", name, parser.problem_mark.line + 1,
                     parser.problem_mark.column + 1, parser.problem ? parser.problem : "?");
    } else {
        source s = {.doc = &doc, .name = name, .set = set, .r = r};
        yaml_node_t *root = yaml_document_get_root_node(&doc);
        if (root) st = read_mapping(&s, root, group, err);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
done:
    return st;
}

/* corpus.<n>.<key>=value */
static yk_status set_in_entry(yk_recipe *r, const char *rest, const char *value, const char *name, yk_error *err)
{
    char *dot;
    long long i = strtoll(rest, &dot, 10);
    if (dot == rest || *dot != '.' || i < 0 || (size_t)i >= r->corpora)
        return yk_fail(err, YK_ERR_CONFIG, "%s: expected corpus.<n>.<key> with n from 0 to %lld", name,
                       (long long)r->corpora - 1);
    const yk_key *k = find_key(yk_corpus_keys, yk_corpus_key_count, "corpus", dot + 1);
    if (!k) {
        source s = {.name = name, .set = true};
        return unknown_key(&s, NULL, "corpus", dot + 1, err);
    }
    if (k->type == YK_KEY_LIST) yk_list_clear((yk_list *)((char *)&r->corpus[i] + k->offset));
    return yk_key_set(k, &r->corpus[i], value, name, err);
}

static yk_status apply_set(yk_recipe *r, const char *text, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf yaml = {0}, name = {0};
    char group[64] = "";
    const char *equals = strchr(text, '='), *key = text, *dot = strchr(text, '.');
    yk_buf_printf(&name, "--set %s", text);
    if (!equals || equals == text) YK_FAIL(YK_ERR_CONFIG, "--set %s: expected key=value", text);
    if (strncmp(text, "corpus.", 7) == 0) {
        yk_buf_add(&yaml, text + 7, (size_t)(equals - text - 7));
        YK_TRY(set_in_entry(r, yaml.data, equals + 1, name.data, err));
        goto done;
    }
    if (dot && dot < equals && (size_t)(dot - text) < sizeof group) {
        memcpy(group, text, (size_t)(dot - text));
        key = dot + 1;
    }
    if (group[0] && !is_group(group))
        YK_FAIL(YK_ERR_CONFIG, "--set %s: unknown group `%s`; `yoke config --keys` lists all keys", text, group);
    yk_buf_printf(&yaml, "%.*s: %s\n", (int)(equals - key), key, equals + 1);
    YK_TRY(read_yaml(r, yaml.data, yaml.len, name.data, group, true, err));
done:
    yk_buf_free(&yaml);
    yk_buf_free(&name);
    return st;
}

yk_status yk_recipe_load(yk_recipe *r, const char *path, const char *const *sets, size_t nsets, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    *r = (yk_recipe){0};
    YK_NEW(r->origin, yk_key_count);
    r->origins = yk_key_count;
    for (size_t i = 0; i < yk_key_count; i++) strcpy(r->origin[i].text, "default");
    YK_TRY(set_defaults(yk_keys, yk_key_count, r, err));
    if (path) {
        if (yk_file_read(path, &text, err) != YK_OK) {
            st = YK_ERR_CONFIG;
            goto done;
        }
        if (text.len > MAX_FILE) YK_FAIL(YK_ERR_CONFIG, "%s: too large for a recipe", path);
        YK_TRY(read_yaml(r, text.data ? text.data : "", text.len, path, "", false, err));
    }
    for (size_t i = 0; i < nsets; i++) YK_TRY(apply_set(r, sets[i], err));
    YK_TRY(yk_recipe_derive(r, err));
    st = yk_recipe_check(r, err);
    if (path) yk_context(err, st, "%s", path);
done:
    yk_buf_free(&text);
    if (st != YK_OK) yk_recipe_free(r);
    return st;
}

void yk_recipe_free(yk_recipe *r)
{
    free_fields(yk_keys, yk_key_count, r);
    for (size_t i = 0; i < r->corpora; i++) free_fields(yk_corpus_keys, yk_corpus_key_count, &r->corpus[i]);
    free(r->corpus);
    free(r->origin);
    *r = (yk_recipe){0};
}
