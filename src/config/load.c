/* YAML into the recipe: the file, and the value of each --set. */
#include "config/schema.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

enum { MOST_BYTES = 16 << 20, MOST_VALUES = 200000, MOST_ENTRIES = 4096, DEEPEST = 8 };

typedef struct source {
    const char *name; /* the path, or "--set key=value" */
    bool option;      /* of --set: lines and columns mean nothing */
    yaml_document_t *doc;
    yk_recipe *r;
} source;

/* What the keys of a mapping set. */
typedef struct target {
    const char *group;
    void *base;        /* of the fields: the recipe or an entry of one of its lists */
    const yk_key *keys; /* the table, and of each row the origin */
    yk_origin *origin;
} target;

static void place_of(const source *s, yaml_mark_t mark, yk_buf *out)
{
    yk_print_harmless(s->name, out);
    if (!s->option) yk_buf_printf(out, ":%zu:%zu", mark.line + 1, mark.column + 1);
}

/* Puts the place before a message of YK_ERR_CONFIG. */
static yk_status at(const source *s, yaml_mark_t mark, yk_status st, yk_error *err)
{
    yk_buf place = {0};
    if (st == YK_OK) return st;
    place_of(s, mark, &place);
    st = yk_at_place(err, st, place.data);
    yk_buf_free(&place);
    return st;
}

static const yaml_node_t *node(const source *s, int id)
{
    return yaml_document_get_node(s->doc, id);
}

static const char *kind_of(const yaml_node_t *n)
{
    return n->type == YAML_SEQUENCE_NODE  ? "a list"
           : n->type == YAML_MAPPING_NODE ? "a mapping"
                                          : "a value";
}

static bool is_plain(const yaml_node_t *n, const char *text)
{
    return n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)n->data.scalar.value, text) == 0;
}

/* Sets the key from one scalar node; a list gains an item. */
static yk_status set_scalar(const source *s, const yk_key *k, void *base, const yaml_node_t *n,
                            yk_error *err)
{
    const char *found = NULL;
    if (n->type != YAML_SCALAR_NODE)
        found = kind_of(n);
    else if (strlen((const char *)n->data.scalar.value) != n->data.scalar.length)
        found = "a NUL character";
    else if (is_plain(n, "~") || is_plain(n, "null"))
        found = "null (leave the key out, or write \"\" for an empty text)";
    yk_status st = found ? yk_fail_type(k, found, err)
                         : yk_key_set(k, base, (const char *)n->data.scalar.value, err);
    return at(s, n->start_mark, st, err);
}

static yk_status set_value(const source *s, const yk_key *k, void *base, const yaml_node_t *n,
                           yk_error *err)
{
    yk_status st = YK_OK;
    yk_key_clear(k, base);
    if (k->type != YK_KEY_LIST || n->type != YAML_SEQUENCE_NODE) {
        if (k->type == YK_KEY_LIST && n->type == YAML_SCALAR_NODE && !n->data.scalar.length)
            return YK_OK;
        return set_scalar(s, k, base, n, err);
    }
    for (const yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top;
         i++)
        YK_TRY(set_scalar(s, k, base, node(s, *i), err));
done:
    return st;
}

static yk_status mark_origin(const source *s, const target *t, const yk_key *k, size_t line,
                             yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    if (s->option)
        yk_buf_puts(&text, "--set");
    else {
        yk_print_harmless(s->name, &text);
        yk_buf_printf(&text, ":%zu", line + 1);
    }
    st = yk_origin_set(&t->origin[k - t->keys], s->option ? YK_FROM_SET : YK_FROM_FILE, text.data, err);
    yk_buf_free(&text);
    return st;
}

static yk_status unknown_key(const char *group, const char *name, yk_error *err)
{
    yk_buf remedy = {0};
    char shown[YK_SHOWN_ROOM];
    yk_suggest(group, name, &remedy);
    yk_status st = yk_fail(err, YK_ERR_CONFIG, "unknown key `%s%s%s`%s", group, group[0] ? "." : "",
                           yk_shown(name, shown), remedy.data);
    yk_buf_free(&remedy);
    return st;
}

/* The name of a key that is a word and has not come before in this mapping. Such keys are few: an
 * unknown one ends the reading. */
static yk_status key_name(const source *s, const target *t, const yaml_node_t *map,
                          const yaml_node_pair_t *pair, const char **name, yk_error *err)
{
    const yaml_node_t *key = node(s, pair->key);
    char shown[YK_SHOWN_ROOM];
    if (key->type != YAML_SCALAR_NODE ||
        strlen((const char *)key->data.scalar.value) != key->data.scalar.length)
        return at(s, key->start_mark,
                  yk_fail(err, YK_ERR_CONFIG, "a key must be a word, found %s",
                          key->type == YAML_SCALAR_NODE ? "a NUL character" : kind_of(key)),
                  err);
    *name = (const char *)key->data.scalar.value;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
        const yaml_node_t *earlier = node(s, p->key);
        if (strcmp((const char *)earlier->data.scalar.value, *name) != 0) continue;
        yk_buf first = {0};
        place_of(s, earlier->start_mark, &first);
        yk_status st = yk_fail(
            err, YK_ERR_CONFIG, "`%s%s%s` is given twice, the first time at %s; remove one",
            t->group, t->group[0] ? "." : "", yk_shown(*name, shown), first.data);
        yk_buf_free(&first);
        return at(s, key->start_mark, st, err);
    }
    return YK_OK;
}

static yk_status read_mapping(const source *s, const target *t, const yaml_node_t *map,
                              yk_error *err);

static void free_origins(yk_origin *o, size_t n)
{
    for (size_t i = 0; o && i < n; i++) free(o[i].text);
    free(o);
}

static void free_entries(const yk_entries *l, yk_recipe *r)
{
    void **entries = (void **)((char *)r + l->entries);
    for (size_t i = 0; i < yk_entry_count(l, r); i++) {
        void *entry = yk_entry(l, r, i);
        yk_keys_free(l->keys, l->key_count, entry);
        free_origins(*yk_entry_origin(l, entry), l->key_count);
    }
    free(*entries);
    *entries = NULL;
    *(size_t *)((char *)r + l->count) = 0;
}

static target whole(yk_recipe *r, const char *group)
{
    return (target){group, r, yk_keys, r->origin};
}

static target entry_of(const yk_entries *l, yk_recipe *r, size_t i)
{
    void *entry = yk_entry(l, r, i);
    return (target){l->group->name, entry, l->keys, *yk_entry_origin(l, entry)};
}

/* A zeroed entry beside its origins, then its values: free_entries takes whatever came about. */
static yk_status read_entry(const source *s, const yk_entries *l, size_t i, const yaml_node_t *map, yk_error *err)
{
    yk_status st = YK_OK;
    void *entry = yk_entry(l, s->r, i);
    YK_NEW(*yk_entry_origin(l, entry), l->key_count);
    target t = entry_of(l, s->r, i);
    YK_TRY(yk_keys_default(l->keys, l->key_count, entry, err));
    YK_TRY(read_mapping(s, &t, map, err));
done:
    return st;
}

/* The whole list; it takes the place of an earlier one. */
static yk_status read_entries(const source *s, const yk_entries *l, const yaml_node_t *list, yk_error *err)
{
    yk_status st = YK_OK;
    const char *name = l->group->name;
    free_entries(l, s->r);
    if (list->type == YAML_SCALAR_NODE && !list->data.scalar.length) return YK_OK;
    if (list->type != YAML_SEQUENCE_NODE)
        return at(s, list->start_mark,
                  yk_fail(err, YK_ERR_CONFIG, "`%s`: expected a list of entries (- %s: ...), found %s", name,
                          l->keys[0].name, kind_of(list)),
                  err);
    size_t n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
    if (n > MOST_ENTRIES)
        return at(s, list->start_mark,
                  yk_fail(err, YK_ERR_CONFIG, "`%s`: %zu entries are more than the %d allowed", name, n, MOST_ENTRIES),
                  err);
    void *entries = yk_calloc(n, l->size, err);
    if (!entries) return YK_ERR_MEMORY;
    *(void **)((char *)s->r + l->entries) = entries;
    *(size_t *)((char *)s->r + l->count) = n;
    for (size_t i = 0; i < n; i++) YK_TRY(read_entry(s, l, i, node(s, list->data.sequence.items.start[i]), err));
done:
    return st;
}

static yk_status wrong_shape(const source *s, const target *t, const yaml_node_t *found,
                             yk_error *err)
{
    yk_status st = t->group[0]
                       ? yk_fail(err, YK_ERR_CONFIG,
                                 "%s`%s`: expected a mapping (key: value), found %s",
                                 t->base == s->r ? "" : "an entry of ", t->group, kind_of(found))
                       : yk_fail(err, YK_ERR_CONFIG, "a recipe is a mapping (key: value), found %s",
                                 kind_of(found));
    return at(s, found->start_mark, st, err);
}

static yk_status read_mapping(const source *s, const target *t, const yaml_node_t *map,
                              yk_error *err)
{
    yk_status st = YK_OK;
    bool top = !t->group[0];
    if (map->type == YAML_SCALAR_NODE && !map->data.scalar.length && t->base == s->r)
        return YK_OK; /* an empty file, or `model:` with nothing below */
    if (map->type != YAML_MAPPING_NODE) return wrong_shape(s, t, map, err);
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = node(s, p->key), *value = node(s, p->value);
        const char *name = "";
        YK_TRY(key_name(s, t, map, p, &name, err));
        const yk_key *k = yk_key_find(t->group, name);
        if (top && yk_is_group(name)) {
            target group = whole(s->r, name);
            YK_TRY(read_mapping(s, &group, value, err));
        } else if (top && yk_entries_find(name)) {
            YK_TRY(read_entries(s, yk_entries_find(name), value, err));
        } else if (k) {
            YK_TRY(set_value(s, k, t->base, value, err));
            YK_TRY(mark_origin(s, t, k, key->start_mark.line, err));
        } else {
            YK_TRY(at(s, key->start_mark, unknown_key(t->group, name, err), err));
        }
    }
done:
    return st;
}

/* What the parser complains of, and where. Reader errors come with a byte offset only. */
static yk_status not_yaml(const source *s, const yaml_parser_t *p, const char *text, yk_error *err)
{
    yaml_mark_t mark = p->problem_mark;
    if (p->error == YAML_MEMORY_ERROR) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    if (p->error == YAML_READER_ERROR) {
        mark.line = mark.column = 0;
        for (size_t i = 0; i < p->problem_offset; i++) {
            mark.column = text[i] == '\n' ? 0 : mark.column + ((text[i] & 0xc0) != 0x80);
            mark.line += text[i] == '\n';
        }
    }
    bool tab = p->error == YAML_SCANNER_ERROR && mark.index < strlen(text) && text[mark.index] == '\t';
    yk_status st = yk_fail(err, YK_ERR_CONFIG, "not valid YAML: %s%s%s%s", p->context ? p->context : "",
                           p->context ? ": " : "", p->problem ? p->problem : "unreadable",
                           tab ? "; indent with spaces, not tabs" : "");
    return at(s, mark, st, err);
}

typedef struct census {
    int documents, depth, values;
} census;

/* Why this event has no place in a recipe, NULL when it has. */
static const char *objection(const yaml_event_t *e, census *c)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return "aliases (*name) are not supported; write the value out";
    case YAML_DOCUMENT_START_EVENT:
        if (++c->documents > 1) return "a second document begins here; a recipe is one document";
        break;
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
        c->depth++;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
        c->depth++;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        c->depth--;
        break;
    default:
        break;
    }
    if (anchor) return "anchors (&name) are not supported; write the value out";
    if (tag) return "tags (!name) are not supported; remove it";
    if (c->depth > DEEPEST) return "nested too deeply for a recipe";
    if (++c->values > MOST_VALUES) return "too many values for a recipe";
    return NULL;
}

/* UTF-8 only; guessing would take two stray bytes for the mark of UTF-16. */
static yk_status start_parser(yaml_parser_t *p, const char *text, size_t n, yk_error *err)
{
    if (!yaml_parser_initialize(p)) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    yaml_parser_set_encoding(p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(p, (const unsigned char *)text, n);
    return YK_OK;
}

/* Walks the events before a document is built from them: what a recipe has no use for is refused
 * here, so that a small file cannot unfold into a large one. */
static yk_status survey(const source *s, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yaml_parser_t parser;
    yaml_event_t event;
    census c = {0};
    YK_TRY(start_parser(&parser, text, n, err));
    for (bool more = true; more && st == YK_OK;) {
        if (!yaml_parser_parse(&parser, &event)) {
            st = not_yaml(s, &parser, text, err);
            break;
        }
        const char *why = objection(&event, &c);
        if (why) st = at(s, event.start_mark, yk_fail(err, YK_ERR_CONFIG, "%s", why), err);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
done:
    return st;
}

typedef yk_status (*use_fn)(const source *s, const void *what, const yaml_node_t *root,
                            yk_error *err);

/* Parses the text and hands its root to `use`. Nothing at all counts as an empty scalar. */
static yk_status with_yaml(source *s, const char *text, size_t n, use_fn use, const void *what,
                           yk_error *err)
{
    yk_status st = YK_OK;
    yaml_parser_t parser;
    yaml_document_t doc;
    yaml_node_t empty = {.type = YAML_SCALAR_NODE, .data.scalar = {.value = (yaml_char_t *)""}};
    YK_TRY(survey(s, text, n, err));
    YK_TRY(start_parser(&parser, text, n, err));
    if (!yaml_parser_load(&parser, &doc))
        st = not_yaml(s, &parser, text, err);
    else {
        const yaml_node_t *root = yaml_document_get_root_node(&doc);
        s->doc = &doc;
        st = use(s, what, root ? root : &empty, err);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
done:
    return st;
}

static yk_status use_mapping(const source *s, const void *what, const yaml_node_t *root,
                             yk_error *err)
{
    return read_mapping(s, what, root, err);
}

static yk_status use_entries(const source *s, const void *what, const yaml_node_t *root,
                             yk_error *err)
{
    return read_entries(s, what, root, err);
}

typedef struct setting {
    const yk_key *key;
    target to;
} setting;

static yk_status use_value(const source *s, const void *what, const yaml_node_t *root,
                           yk_error *err)
{
    yk_status st = YK_OK;
    const setting *w = what;
    YK_TRY(set_value(s, w->key, w->to.base, root, err));
    YK_TRY(mark_origin(s, &w->to, w->key, 0, err));
done:
    return st;
}

yk_status yk_recipe_read_file(yk_recipe *r, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    struct stat info;
    source s = {.name = path, .r = r};
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode) &&
        !S_ISFIFO(info.st_mode))
        YK_FAIL(YK_ERR_CONFIG, "%s: is not a file with a recipe", path);
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > MOST_BYTES)
        YK_FAIL(YK_ERR_CONFIG, "%s: %lld bytes are too many for a recipe; the limit is %d", path,
                (long long)info.st_size, MOST_BYTES);
    st = yk_file_read(path, &text, err);
    if (st == YK_ERR_IO) st = YK_ERR_CONFIG;
    if (st != YK_OK) goto done;
    if (text.len > MOST_BYTES)
        YK_FAIL(YK_ERR_CONFIG, "%s: %zu bytes are too many for a recipe; the limit is %d", path,
                text.len, MOST_BYTES);
    target top = whole(r, "");
    size_t mark = text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    YK_TRY(with_yaml(&s, text.data + mark, text.len - mark, use_mapping, &top, err));
done:
    yk_buf_free(&text);
    return st;
}

/* The entry that "corpus.2.weight" names, and the rest of the text, "weight". */
static yk_status find_entry(const yk_entries *l, yk_recipe *r, const char *p, target *t, const char **rest,
                            yk_error *err)
{
    const char *name = l->group->name;
    size_t digits = strspn(p, "0123456789"), i = 0;
    if (!digits || p[digits] != '.')
        return yk_fail(err, YK_ERR_CONFIG, "an entry of `%s` is named by its number, such as %s.0.%s", name, name,
                       l->keys[0].name);
    for (size_t d = 0; d < digits && i <= MOST_ENTRIES; d++) i = 10 * i + (size_t)(p[d] - '0');
    if (i >= yk_entry_count(l, r))
        return yk_fail(err, YK_ERR_CONFIG, "there is no %s.%.*s; the recipe has %zu %s entries, from 0 on", name,
                       digits < 12 ? (int)digits : 12, p, yk_entry_count(l, r), name);
    *t = entry_of(l, r, i);
    *rest = p + digits + 1;
    return YK_OK;
}

static yk_status set_key(source *s, char *key, const char *value, yk_error *err)
{
    yk_status st = YK_OK;
    size_t n = strlen(value);
    target t = whole(s->r, "");
    const char *name = key;
    char *dot = strchr(key, '.');
    if (dot) {
        *dot = 0;
        t.group = key;
        name = dot + 1;
    }
    const yk_entries *list = yk_entries_find(key);
    if (list && !dot) return with_yaml(s, value, n, use_entries, list, err);
    if (yk_is_group(key) && !dot) {
        t.group = key;
        return with_yaml(s, value, n, use_mapping, &t, err);
    }
    if (list) YK_TRY(at(s, (yaml_mark_t){0}, find_entry(list, s->r, name, &t, &name, err), err));
    const yk_key *k = yk_key_find(t.group, name);
    YK_TRY(k ? with_yaml(s, value, n, use_value, &(setting){k, t}, err)
             : at(s, (yaml_mark_t){0}, unknown_key(t.group, name, err), err));
done:
    return st;
}

yk_status yk_recipe_read_set(yk_recipe *r, const char *text, yk_error *err)
{
    yk_status st = YK_OK;
    char shown[YK_SHOWN_ROOM], name[YK_SHOWN_ROOM + 8];
    const char *equals = strchr(text, '=');
    char *key = strndup(text, equals ? (size_t)(equals - text) : 0);
    source s = {.name = name, .option = true, .r = r};
    snprintf(name, sizeof name, "--set %s", yk_shown(text, shown));
    if (!key) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!key[0]) YK_FAIL(YK_ERR_CONFIG, "%s: expected key=value, such as pretrain.steps=100", name);
    if (strlen(equals) > MOST_BYTES) YK_FAIL(YK_ERR_CONFIG, "%s: too long", name);
    YK_TRY(set_key(&s, key, equals + 1, err));
done:
    free(key);
    return st;
}

yk_status yk_recipe_load(yk_recipe *r, const char *path, const char *const *sets, size_t nsets,
                         yk_error *err)
{
    yk_status st = YK_OK;
    *r = (yk_recipe){0};
    YK_NEW(r->origin, yk_key_count);
    YK_TRY(yk_keys_default(yk_keys, yk_key_count, r, err));
    if (path) YK_TRY(yk_recipe_read_file(r, path, err));
    for (size_t i = 0; i < nsets; i++) YK_TRY(yk_recipe_read_set(r, sets[i], err));
    YK_TRY(yk_recipe_check_given(r, path, err));
    YK_TRY(yk_recipe_derive(r, err));
    YK_TRY(yk_recipe_check_whole(r, err));
done:
    if (st != YK_OK) yk_recipe_free(r);
    return st;
}

void yk_recipe_free(yk_recipe *r)
{
    for (size_t i = 0; i < YK_LISTS; i++) free_entries(&yk_lists[i], r);
    yk_keys_free(yk_keys, yk_key_count, r);
    free_origins(r->origin, yk_key_count);
    *r = (yk_recipe){0};
}
