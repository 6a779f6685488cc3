/* What an unknown key was meant to be. */
#include "config/schema.h"

#include <string.h>

enum { LONGEST = 40, FAR = 1000 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap neighbours) that turn one word into the other. */
static size_t distance(const char *a, const char *b)
{
    size_t d[LONGEST + 1][LONGEST + 1], n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return FAR;
    for (size_t i = 0; i <= n; i++) d[i][0] = i;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                            least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

/* How far a key of group `there` is from what was written, in quarters of an edit. A key of another
 * group must be nearer: its very name beats two edits in the same group, and loses to one. */
static size_t score(const char *group, const char *name, const char *there, const char *other)
{
    size_t edits = distance(name, other), length = least(strlen(name), strlen(other));
    bool same = strcmp(group, there) == 0;
    if (edits > (same ? (length + 2) / 3 : length / 5)) return FAR;
    return 4 * edits + (same ? 0 : 6);
}

static void consider(const char *group, const char *name, const yk_key *k, size_t *best,
                     char near[YK_PATH_ROOM])
{
    size_t s = score(group, name, k->group, k->name);
    if (s >= *best) return;
    *best = s;
    yk_key_path(k, near);
}

static void consider_group(const char *group, const char *name, const char *other, size_t *best,
                           char near[YK_PATH_ROOM])
{
    size_t s = score(group, name, "", other);
    if (s >= *best) return;
    *best = s;
    memcpy(near, other, strlen(other) + 1);
}

/* `model.width: 64` at the top level names a key, but does not nest it. */
static bool is_dotted(const char *group, const char *name, yk_buf *out)
{
    const char *dot = strchr(name, '.');
    char head[YK_PATH_ROOM];
    if (group[0] || !dot || dot - name >= YK_PATH_ROOM) return false;
    memcpy(head, name, (size_t)(dot - name));
    head[dot - name] = 0;
    if (!yk_is_group(head) || !yk_key_find(head, dot + 1)) return false;
    yk_buf_printf(out, "; in a recipe keys are nested: write `%s:` and `%s:` indented below it",
                  head, dot + 1);
    return true;
}

void yk_suggest(const char *group, const char *name, yk_buf *out)
{
    char near[YK_PATH_ROOM];
    size_t best = FAR;
    if (is_dotted(group, name, out)) return;
    for (size_t i = 0; i < yk_key_count; i++) consider(group, name, &yk_keys[i], &best, near);
    for (const yk_entries *l = yk_lists; l < yk_lists + YK_LISTS; l++) {
        for (size_t i = 0; i < l->key_count; i++) consider(group, name, &l->keys[i], &best, near);
        consider_group(group, name, l->group->name, &best, near);
    }
    for (size_t g = 1; g < yk_group_count; g++)
        consider_group(group, name, yk_groups[g].name, &best, near);
    if (best < FAR)
        yk_buf_printf(out, "; did you mean `%s`?", near);
    else
        yk_buf_puts(out, "; `yoke config --keys` lists all keys");
}
