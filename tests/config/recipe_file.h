/* What the tests of recipes share: a folder with one file, loading it, the round trip. */
#ifndef YK_TESTS_CONFIG_RECIPE_FILE_H
#define YK_TESTS_CONFIG_RECIPE_FILE_H

#include "config/range.h"
#include "config/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

typedef struct place {
    char dir[64], file[96];
} place;

static const char *const everything[] = {"", NULL};

static inline int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);
    const char *tmp = getenv("TMPDIR");
    if (!p) return -1;
    snprintf(p->dir, sizeof p->dir, "%.40s/yoke-recipe-XXXXXX",
             tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    if (!mkdtemp(p->dir)) return -1;
    snprintf(p->file, sizeof p->file, "%s/r.yaml", p->dir);
    *state = p;
    return 0;
}

static inline int remove_place(void **state)
{
    place *p = *state;
    unlink(p->file);
    int bad = rmdir(p->dir);
    free(p);
    return bad;
}

static inline void write_bytes(const place *p, const void *bytes, size_t n)
{
    FILE *f = fopen(p->file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void write_text(const place *p, const char *text)
{
    write_bytes(p, text, strlen(text));
}

/* Loads the text as a file, with at most one --set; fails the test with the message. */
static inline void load(yk_recipe *r, const place *p, const char *text, const char *set)
{
    yk_error err = {""};
    write_text(p, text);
    yk_status st = yk_recipe_load(r, p->file, &set, set != NULL, &err);
    if (st != YK_OK) fail_msg("%s\n%s: %s", text, set ? set : "", err.text);
}

static inline void same_field(const yk_key *k, const void *base, const char *printed)
{
    yk_buf out = {0};
    yk_key_print(k, base, &out);
    if (strcmp(out.data, printed) != 0)
        fail_msg("%s.%s: %s instead of %s", k->group, k->name, out.data, printed);
    yk_buf_free(&out);
}

/* load(print(r)) has the canonical text of r, and prints the same but for the origins. */
static inline void round_trip(const place *p, const yk_recipe *r)
{
    yk_recipe again;
    yk_buf text = {0}, one = {0}, two = {0};
    yk_recipe_print(r, &text);
    load(&again, p, text.data, NULL);
    yk_recipe_canonical(r, everything, &one);
    yk_recipe_canonical(&again, everything, &two);
    assert_string_equal(one.data, two.data);
    for (size_t i = 0; i < yk_key_count; i++) {
        yk_buf_clear(&one);
        yk_key_print(&yk_keys[i], r, &one);
        same_field(&yk_keys[i], &again, one.data);
    }
    yk_recipe_free(&again);
    yk_buf_free(&text);
    yk_buf_free(&one);
    yk_buf_free(&two);
}

static const char small_corpus[] = "corpus: [{domain: d, generate: 9}]\n";

#endif
