/* YAML into the recipe: the file, and the value of each --set. */
#include "config/schema.h"

#include "config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ENTRIES = 4096 };

typedef struct source {
    yk_yaml yaml;
    yk_recipe *r;
} source;

/* What the keys of a mapping set. */
typedef struct target {
    const char *group;
    void *base;        /* of the fields: the recipe or an entry of one of its lists */
    const yk_key *keys; /* the table, and of each row the origin */
    yk_origin *origin;
} target;

/* Sets the key from one scalar node; a list gains an item. */
static yk_status set_scalar(const source *s, const yk_key *k, void *base, const yaml_node_t *n,
                            yk_error *err)
{
    const char *found = NULL;
    if (n->type != YAML_SCALAR_NODE)
        found = yk_yaml_kind(n);
    else if (strlen((const char *)n->data.scalar.value) != n->data.scalar.length)
        found = "a NUL character";
    else if (yk_yaml_is_null(n))
        found = "null (leave the key out, or write \"\" for an empty text)";
    yk_status st = found ? yk_fail_type(k, found, err)
                         : yk_key_set(k, base, (const char *)n->data.scalar.value, err);
    return yk_yaml_at(&s->yaml, n->start_mark, st, err);
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
        YK_TRY(set_scalar(s, k, base, yk_yaml_node(&s->yaml, *i), err));
done:
    return st;
}

static yk_status mark_origin(const source *s, const target *t, const yk_key *k, size_t line,
                             yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    if (s->yaml.option)
        yk_buf_puts(&text, "--set");
    else {
        yk_print_harmless(s->yaml.name, &text);
        yk_buf_printf(&text, ":%zu", line + 1);
    }
    st = yk_origin_set(&t->origin[k - t->keys], s->yaml.option ? YK_FROM_SET : YK_FROM_FILE, text.data, err);
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
    const yaml_node_t *key = yk_yaml_node(&s->yaml, pair->key);
    char shown[YK_SHOWN_ROOM];
    if (key->type != YAML_SCALAR_NODE ||
        strlen((const char *)key->data.scalar.value) != key->data.scalar.length)
        return yk_yaml_at(&s->yaml, key->start_mark,
                  yk_fail(err, YK_ERR_CONFIG, "a key must be a word, found %s",
                          key->type == YAML_SCALAR_NODE ? "a NUL character" : yk_yaml_kind(key)),
                  err);
    *name = (const char *)key->data.scalar.value;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
        const yaml_node_t *earlier = yk_yaml_node(&s->yaml, p->key);
        if (strcmp((const char *)earlier->data.scalar.value, *name) != 0) continue;
        yk_buf first = {0};
        yk_yaml_place(&s->yaml, earlier->start_mark, &first);
        yk_status st = yk_fail(
            err, YK_ERR_CONFIG, "`%s%s%s` is given twice, the first time at %s; remove one",
            t->group, t->group[0] ? "." : "", yk_shown(*name, shown), first.data);
        yk_buf_free(&first);
        return yk_yaml_at(&s->yaml, key->start_mark, st, err);
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
        return yk_yaml_at(&s->yaml, list->start_mark,
                  yk_fail(err, YK_ERR_CONFIG, "`%s`: expected a list of entries (- %s: ...), found %s", name,
                          l->keys[0].name, yk_yaml_kind(list)),
                  err);
    size_t n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
    if (n > MOST_ENTRIES)
        return yk_yaml_at(&s->yaml, list->start_mark,
                  yk_fail(err, YK_ERR_CONFIG, "`%s`: %zu entries are more than the %d allowed", name, n, MOST_ENTRIES),
                  err);
    void *entries = yk_calloc(n, l->size, err);
    if (!entries) return YK_ERR_MEMORY;
    *(void **)((char *)s->r + l->entries) = entries;
    *(size_t *)((char *)s->r + l->count) = n;
    for (size_t i = 0; i < n; i++)
        YK_TRY(read_entry(s, l, i, yk_yaml_node(&s->yaml, list->data.sequence.items.start[i]), err));
done:
    return st;
}

static yk_status wrong_shape(const source *s, const target *t, const yaml_node_t *found,
                             yk_error *err)
{
    yk_status st = t->group[0]
                       ? yk_fail(err, YK_ERR_CONFIG,
                                 "%s`%s`: expected a mapping (key: value), found %s",
                                 t->base == s->r ? "" : "an entry of ", t->group, yk_yaml_kind(found))
                       : yk_fail(err, YK_ERR_CONFIG, "a recipe is a mapping (key: value), found %s",
                                 yk_yaml_kind(found));
    return yk_yaml_at(&s->yaml, found->start_mark, st, err);
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
        const yaml_node_t *key = yk_yaml_node(&s->yaml, p->key), *value = yk_yaml_node(&s->yaml, p->value);
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
            YK_TRY(yk_yaml_at(&s->yaml, key->start_mark, unknown_key(t->group, name, err), err));
        }
    }
done:
    return st;
}

yk_status yk_recipe_read_file(yk_recipe *r, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    source s = {.yaml = {.name = path, .noun = "a recipe"}, .r = r};
    target top = whole(r, "");
    YK_TRY(yk_yaml_read(&s.yaml, err));
    YK_TRY(read_mapping(&s, &top, s.yaml.root, err));
done:
    yk_yaml_free(&s.yaml);
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
    target t = whole(s->r, "");
    const char *name = key;
    char *dot = strchr(key, '.');
    if (dot) {
        *dot = 0;
        t.group = key;
        name = dot + 1;
    }
    const yk_entries *list = yk_entries_find(key);
    const bool whole_group = !dot && yk_is_group(key), whole_list = !dot && list;
    const yk_key *k = NULL;
    if (list && dot) YK_TRY(yk_yaml_at(&s->yaml, (yaml_mark_t){0}, find_entry(list, s->r, name, &t, &name, err), err));
    if (!whole_group && !whole_list && !(k = yk_key_find(t.group, name)))
        YK_TRY(yk_yaml_at(&s->yaml, (yaml_mark_t){0}, unknown_key(t.group, name, err), err));
    YK_TRY(yk_yaml_load(&s->yaml, value, strlen(value), err));
    if (whole_group) {
        t.group = key;
        YK_TRY(read_mapping(s, &t, s->yaml.root, err));
    } else if (whole_list) {
        YK_TRY(read_entries(s, list, s->yaml.root, err));
    } else {
        YK_TRY(set_value(s, k, t.base, s->yaml.root, err));
        YK_TRY(mark_origin(s, &t, k, 0, err));
    }
done:
    return st;
}

yk_status yk_recipe_read_set(yk_recipe *r, const char *text, yk_error *err)
{
    yk_status st = YK_OK;
    char shown[YK_SHOWN_ROOM], name[YK_SHOWN_ROOM + 8];
    const char *equals = strchr(text, '=');
    char *key = strndup(text, equals ? (size_t)(equals - text) : 0);
    source s = {.yaml = {.name = name, .noun = "a recipe", .option = true}, .r = r};
    snprintf(name, sizeof name, "--set %s", yk_shown(text, shown));
    if (!key) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!key[0]) YK_FAIL(YK_ERR_CONFIG, "%s: expected key=value, such as pretrain.steps=100", name);
    if (strlen(equals) > YK_YAML_BYTES) YK_FAIL(YK_ERR_CONFIG, "%s: too long", name);
    YK_TRY(set_key(&s, key, equals + 1, err));
done:
    yk_yaml_free(&s.yaml);
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
