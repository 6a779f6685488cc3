/* The table of keys that recipe.def makes. Private to src/config. */
#ifndef YK_CONFIG_SCHEMA_H
#define YK_CONFIG_SCHEMA_H

#include "config/recipe.h"

typedef enum yk_key_type { YK_KEY_INT, YK_KEY_REAL, YK_KEY_FLAG, YK_KEY_TEXT, YK_KEY_PICK, YK_KEY_LIST } yk_key_type;

typedef struct yk_key {
    const char *group, *name; /* "pretrain", "lr"; group "" at the top level, "corpus" for entries */
    yk_key_type type;
    size_t offset;
    const char *def, *low, *high, *words, *help;
} yk_key;

extern const yk_key yk_keys[], yk_corpus_keys[];
extern const size_t yk_key_count, yk_corpus_key_count;

typedef struct yk_group {
    const char *name, *help;
} yk_group;
extern const yk_group yk_groups[];
extern const size_t yk_group_count;

/* Where a value came from: "default", "--set ...", "derived", or "file:line". Parallel to the keys. */
typedef struct yk_origin {
    char text[112];
} yk_origin;

/* 4k, 2M, 1G, 1T; 4Ki, 2Mi, 1Gi. False when it is not an integer of that form that fits. */
bool yk_parse_int(const char *text, int64_t *value);
bool yk_parse_real(const char *text, double *value); /* finite */

/* Shortest decimal that reads back as the same number. */
void yk_print_real(double x, char out[32]);

/* Sets one field of *base from one scalar; `where` begins the message. Lists take one item. */
yk_status yk_key_set(const yk_key *k, void *base, const char *text, const char *where, yk_error *err);
yk_status yk_list_add(yk_list *l, const char *text, yk_error *err);
void yk_list_clear(yk_list *l);

/* "group.name", or "name" at the top level. */
void yk_key_path(const yk_key *k, char out[96]);

/* Appends the canonical text of the field ("[a, b]" for lists, quoted where YAML needs it). */
void yk_key_print(const yk_key *k, const void *base, yk_buf *out);

/* Fills what follows from `size` and from other keys; checks rules that span keys. */
yk_status yk_recipe_derive(yk_recipe *r, yk_error *err);
yk_status yk_recipe_check(const yk_recipe *r, yk_error *err);

/* Marks the origin of a key by its field. */
void yk_recipe_mark(yk_recipe *r, const void *field, const char *origin);

#endif
