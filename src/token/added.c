/* Added tokens are found as `tokenizers` does it (added_vocabulary.rs, 0.23): a token that is passed over still hides
 * what it overlaps, and blanks that one takes may have been taken already. */
#include "token/added.h"

#include "token/unicode.h"
#include "token/vocabulary.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void yk_finder_free(yk_finder *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->list[i].text);
    free(f->list);
    *f = (yk_finder){0};
}

static int by_text(const void *x, const void *y)
{
    const yk_added *a = x, *b = y;
    int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

int32_t yk_finder_id(const yk_finder *f, const char *text)
{
    yk_added key = {.text = (char *)text, .length = strlen(text)};
    const yk_added *found = f->n ? bsearch(&key, f->list, f->n, sizeof key, by_text) : NULL;
    return found ? found->id : -1;
}

static bool flag(const json_t *x, const char *name)
{
    return json_is_true(json_object_get(x, name));
}

static yk_status add(yk_tokenizer *t, const json_t *x, const char *content, yk_error *err)
{
    yk_status st = YK_OK;
    yk_finder *f = flag(x, "normalized") ? &t->composed : &t->raw;
    yk_buf form = {0};
    const char *text = content;
    if (f == &t->composed && t->nfc && yk_nfc(t->stages.kinds, content, strlen(content), &form)) text = form.data;
    YK_ROOM(f->list, f->n, f->room);
    yk_added *a = &f->list[f->n];
    *a = (yk_added){.id = (int32_t)json_integer_value(json_object_get(x, "id")), .length = strlen(text),
                    .special = flag(x, "special"), .left = flag(x, "lstrip"), .right = flag(x, "rstrip"),
                    .single_word = flag(x, "single_word")};
    YK_NEW(a->text, a->length + 1);
    memcpy(a->text, text, a->length);
    f->n++;
    f->plain += !a->special;
    f->first[(uint8_t)text[0]] = true;
done:
    yk_buf_free(&form);
    return st;
}

/* The token of the id is the text as it stands, whether the vocabulary has it too or not. */
static yk_status give_token(yk_tokenizer *t, const json_t *x, size_t place, const char *content, yk_error *err)
{
    yk_status st = YK_OK;
    const json_t *id = json_object_get(x, "id");
    json_int_t i = json_integer_value(id);
    if (!json_is_integer(id) || i < 0 || i >= t->vocab)
        YK_FAIL(YK_ERR_INPUT, "added_tokens[%zu], `%.40s`, has no id that may be", place, content);
    yk_token *token = &t->token[i];
    if (token->bytes && (token->length != strlen(content) || memcmp(token->bytes, content, token->length) != 0))
        YK_FAIL(YK_ERR_INPUT, "id %lld is given to two tokens, the second `%.40s`", (long long)i, content);
    token->listed = true;
    token->special = flag(x, "special");
    if (token->bytes) return YK_OK;
    YK_TRY(yk_token_set(token, content, strlen(content), err));
    token->literal = token->added = true;
done:
    return st;
}

yk_status yk_added_read(yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *x, *list = json_object_get(t->settings, "added_tokens");
    size_t i;
    json_array_foreach(list, i, x) {
        const char *content = json_string_value(json_object_get(x, "content"));
        if (!content || !*content) YK_FAIL(YK_ERR_INPUT, "added_tokens[%zu] has no content", i);
        YK_TRY(give_token(t, x, i, content, err));
        YK_TRY(add(t, x, content, err));
    }
    for (int k = 0; k < 2; k++) {
        yk_finder *f = k ? &t->composed : &t->raw;
        if (f->n) qsort(f->list, f->n, sizeof *f->list, by_text);
        for (size_t j = 1; j < f->n; j++)
            if (by_text(&f->list[j - 1], &f->list[j]) == 0)
                YK_FAIL(YK_ERR_INPUT, "the added token `%.40s` is listed twice", f->list[j].text);
    }
done:
    return st;
}

/* The first in list[from..to) whose byte at `depth` is at least `least`; all have the bytes before in common. */
static size_t bound(const yk_finder *f, size_t from, size_t to, size_t depth, int least)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const yk_added *a = &f->list[middle];
        if (a->length > depth && (uint8_t)a->text[depth] >= least) to = middle;
        else from = middle + 1;
    }
    return from;
}

/* The longest that the text begins with, or NULL. */
static const yk_added *longest(const yk_finder *f, const char *text, size_t n)
{
    const yk_added *found = NULL;
    for (size_t from = 0, to = f->n, depth = 0; depth < n; depth++) {
        uint8_t b = (uint8_t)text[depth];
        from = bound(f, from, to, depth, b);
        to = bound(f, from, to, depth, b + 1);
        if (from == to) break;
        if (f->list[from].length == depth + 1) found = &f->list[from];
    }
    return found;
}

static uint32_t before(const char *text, size_t at, size_t *length)
{
    size_t from = at - 1;
    while (((uint8_t)text[from] & 0xC0) == 0x80) from--;
    return yk_utf8_at((const uint8_t *)text + from, length);
}

static bool stands_alone(const uint8_t *kinds, const char *text, size_t n, size_t begin, size_t end)
{
    size_t length;
    return (begin == 0 || !yk_is_word(kinds, before(text, begin, &length))) &&
           (end == n || !yk_is_word(kinds, yk_utf8_at((const uint8_t *)text + end, &length)));
}

yk_status yk_finder_parts(const yk_finder *f, const uint8_t *kinds, bool specials, const char *text, size_t n,
                          yk_part_fn each, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    size_t taken = 0, length;
    for (size_t at = 0; at < n && (specials ? f->n : f->plain);) {
        const yk_added *a = f->first[(uint8_t)text[at]] ? longest(f, text + at, n - at) : NULL;
        size_t begin = at, end = at += a ? a->length : 1;
        if (!a || (a->special && !specials) || (a->single_word && !stands_alone(kinds, text, n, begin, end))) continue;
        while (a->left && begin > taken && yk_is_blank(kinds, before(text, begin, &length))) begin -= length;
        while (a->right && end < n && yk_is_blank(kinds, yk_utf8_at((const uint8_t *)text + end, &length)))
            end += length;
        if (taken < begin) YK_TRY(each(context, text + taken, begin - taken, NULL, err));
        YK_TRY(each(context, text + begin, end - begin, a, err));
        taken = end;
    }
    if (taken < n) YK_TRY(each(context, text + taken, n - taken, NULL, err));
done:
    return st;
}
