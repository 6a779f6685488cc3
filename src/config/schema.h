/* The tables of keys that recipe.def makes, and what works on one row. Private to src/config. */
#ifndef YK_CONFIG_SCHEMA_H
#define YK_CONFIG_SCHEMA_H

#include "config/recipe.h"

typedef enum yk_key_type {
    YK_KEY_INT,
    YK_KEY_REAL,
    YK_KEY_FLAG,
    YK_KEY_TEXT,
    YK_KEY_PICK,
    YK_KEY_LIST
} yk_key_type;

typedef struct yk_key {
    const char *group, *name; /* group "" at the top level, "corpus" or "tune" for the keys of an entry */
    yk_key_type type;
    size_t offset;                /* of the field in yk_recipe or the entry      */
    const char *def, *low, *high; /* low and high: of numbers, else NULL         */
    const char *words;            /* of YK_KEY_PICK: "a|b|c", else NULL          */
    const char *help;
} yk_key;

typedef struct yk_group {
    const char *name, *help;
} yk_group;

/* A list of entries at the top level of a recipe. */
typedef struct yk_entries {
    const yk_group *group;
    const yk_key *keys; /* an entry begins with the first, in messages */
    size_t key_count;
    size_t size, origin;   /* of an entry in memory; offset of its `origin`    */
    size_t entries, count; /* offsets in yk_recipe of the array and its number */
} yk_entries;

extern const yk_key yk_keys[];
extern const size_t yk_key_count;
extern const yk_group yk_groups[]; /* the first is the top level, "" */
extern const size_t yk_group_count;
enum { YK_CORPUS, YK_TUNE, YK_LISTS };
extern const yk_entries yk_lists[YK_LISTS];

enum { YK_PATH_ROOM = 96, YK_NUMBER_ROOM = 32, YK_SHOWN_ROOM = 96 };

/* Where a value came from. A later layer wins over an earlier one. */
typedef enum yk_layer { YK_FROM_DEFAULT, YK_FROM_RULE, YK_FROM_FILE, YK_FROM_SET } yk_layer;

/* yk_recipe.origin holds one for each row of yk_keys, an entry's one for each row of its keys. */
typedef struct yk_origin {
    yk_layer layer;
    char *text; /* "conf/x.yaml:12", "--set", "size", "derived"; NULL: "default" */
} yk_origin;

/* --- numbers.c: the notation of numbers, whatever the locale -------------------------------- */

/* Digits, perhaps with a fraction that the suffix makes whole, then k M G T (powers of 1000) or
 * Ki Mi Gi Ti (powers of 1024). False when the text is anything else or does not fit. */
bool yk_parse_int(const char *text, int64_t *value);

/* An integer in the notation above, or a decimal such as 0.1, -2.5 or 3e-4. False for anything
 * else, infinities, NaN, and what no double can hold. Never gives -0. */
bool yk_parse_real(const char *text, double *value);

/* The shortest decimal that yk_parse_real reads back as the same finite number. */
void yk_print_real(double x, char out[YK_NUMBER_ROOM]);

/* The double nearest to x in so many decimal digits. */
double yk_to_digits(double x, int digits);

/* --- schema.c: rows and fields -------------------------------------------------------------- */

/* The row of that group and name, NULL when there is none. */
const yk_key *yk_key_find(const char *group, const char *name);
bool yk_is_group(const char *name);

/* The list of that name, NULL when there is none. */
const yk_entries *yk_entries_find(const char *name);

/* An entry of a list of the recipe, the origins of its values, and how many entries there are. */
void *yk_entry(const yk_entries *l, const yk_recipe *r, size_t i);
yk_origin **yk_entry_origin(const yk_entries *l, void *entry);
size_t yk_entry_count(const yk_entries *l, const yk_recipe *r);

/* "group.name", or "name" at the top level. */
void yk_key_path(const yk_key *k, char out[YK_PATH_ROOM]);

/* Appends the words of "a|b|c" as "a, b, c"; NULL has none. */
void yk_print_words(const char *words, yk_buf *out);

/* "`pretrain.steps`: expected an integer, such as 4k, found <found>". YK_ERR_CONFIG. */
yk_status yk_fail_type(const yk_key *k, const char *found, yk_error *err);

/* Sets the field of *base from one scalar: YAML, --set and defaults all come here. A list gains one
 * item. Fails with YK_ERR_CONFIG for a wrong type, a number out of range, an unknown word. */
yk_status yk_key_set(const yk_key *k, void *base, const char *text, yk_error *err);

/* Empties the field if it is a list, for a new value. */
void yk_key_clear(const yk_key *k, void *base);

/* Fails when a number lies outside the bounds of its row. */
yk_status yk_key_check(const yk_key *k, const void *base, yk_error *err);

/* Sets every field from the defaults; *base must be zero. */
yk_status yk_keys_default(const yk_key *keys, size_t n, void *base, yk_error *err);
void yk_keys_free(const yk_key *keys, size_t n, void *base);

/* Appends the value as it may stand in YAML: numbers and words plain, texts quoted, lists in []. */
void yk_key_print(const yk_key *k, const void *base, yk_buf *out);

/* Appends the text with all control characters and invalid UTF-8 replaced by "?". */
void yk_print_harmless(const char *text, yk_buf *out);

/* The text for a message: cut to a reasonable length, harmless on a terminal. Returns `out`. */
const char *yk_shown(const char *text, char out[YK_SHOWN_ROOM]);

/* Records where a value came from. */
yk_status yk_origin_set(yk_origin *o, yk_layer layer, const char *text, yk_error *err);

/* The origin of a field of the recipe itself, such as &r->model_width. */
yk_origin *yk_origin_of(const yk_recipe *r, const void *field);

/* Puts "place: " before the message when the status is YK_ERR_CONFIG; returns the status. */
yk_status yk_at_place(yk_error *err, yk_status st, const char *place);

/* --- suggest.c ------------------------------------------------------------------------------ */

/* Appends "; did you mean `...`?" or another remedy for the unknown key `name` of `group`. */
void yk_suggest(const char *group, const char *name, yk_buf *out);

/* --- load.c --------------------------------------------------------------------------------- */

yk_status yk_recipe_read_file(yk_recipe *r, const char *path, yk_error *err);
yk_status yk_recipe_read_set(yk_recipe *r, const char *text, yk_error *err); /* "key=value" */

/* --- derive.c, check.c ---------------------------------------------------------------------- */

/* The parameters of the model of *r, norms included. */
double yk_recipe_parameters(const yk_recipe *r);

/* Fills what `size` and zeros leave open. Needs what yk_recipe_check_given has passed. */
yk_status yk_recipe_derive(yk_recipe *r, yk_error *err);

/* The rules that span keys: those of given values, and those of the finished recipe. `path` NULL:
 * no recipe was read, so that a corpus is not asked for. */
yk_status yk_recipe_check_given(const yk_recipe *r, const char *path, yk_error *err);
yk_status yk_recipe_check_whole(const yk_recipe *r, yk_error *err);

/* "place: `pretrain.batch` <printf>", where `field` is of the recipe itself. YK_ERR_CONFIG. */
yk_status yk_fail_key(const yk_recipe *r, const void *field, yk_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "place: `corpus.1.domain` <printf>" for an entry of a list; the place is that of the key, or, where it is not
 * given, of any key of the entry. YK_ERR_CONFIG. */
yk_status yk_fail_entry(const yk_recipe *r, int list, size_t i, const char *name, yk_error *err, const char *format,
                        ...)
    __attribute__((format(printf, 6, 7)));

/* --- range.c --------------------------------------------------------------------------------- */

/* Whether the entries of `tune:` name keys that may be searched and ranges that lie within their bounds. */
yk_status yk_ranges_check(const yk_recipe *r, yk_error *err);

#endif
