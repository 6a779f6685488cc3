/* Rank files of tiktoken. A pair of tokens merges there when its bytes together are a token, of lowest rank first; so
 * the merges are all such pairs, by the rank of what they make (of the same, by the ranks of the pair), as in the
 * converter of `transformers`. A piece that is a token is that token. */
#include "base/file.h"
#include "token/vocabulary.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 64 << 20, MAX_TOKEN = 1024, MAX_MERGES = 16 << 20 };

/* One line: base64, a blank, a number. */
typedef struct line {
    uint8_t bytes[MAX_TOKEN + 2];
    size_t n;
    int32_t rank;
} line;

static yk_status read_line(const char *text, size_t n, line *x, yk_error *err)
{
    const char *space = memchr(text, ' ', n);
    size_t coded = space ? (size_t)(space - text) : 0, digits = space ? n - coded - 1 : 0, padding = 0;
    long rank = 0;
    for (size_t i = 0; i < digits; i++)
        rank = space[1 + i] >= '0' && space[1 + i] <= '9' && rank < YK_MAX_VOCAB ? 10 * rank + space[1 + i] - '0'
                                                                                 : YK_MAX_VOCAB;
    while (padding < 2 && padding < coded && space[-1 - (int)padding] == '=') padding++;
    if (!digits || digits > 8 || rank >= YK_MAX_VOCAB)
        return yk_fail(err, YK_ERR_INPUT, "no rank from 0 to %d", YK_MAX_VOCAB - 1);
    if (coded == 0 || coded % 4 || coded / 4 * 3 > MAX_TOKEN)
        return yk_fail(err, YK_ERR_INPUT, "no token of 1 to %d bytes in base64", MAX_TOKEN);
    int got = EVP_DecodeBlock(x->bytes, (const unsigned char *)text, (int)coded);
    if (got < 0 || (size_t)got <= padding) return yk_fail(err, YK_ERR_INPUT, "not base64");
    x->n = (size_t)got - padding;
    x->rank = (int32_t)rank;
    return YK_OK;
}

typedef yk_status (*line_fn)(void *context, const line *x, yk_error *err);

static yk_status each_line(const yk_buf *file, line_fn each, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    size_t number = 1;
    line x;
    for (size_t at = 0; at < file->len; number++) {
        const char *stop = memchr(file->data + at, '\n', file->len - at);
        size_t end = stop ? (size_t)(stop - file->data) : file->len, n = end - at;
        if (n && file->data[end - 1] == '\r') n--;
        if (n) st = read_line(file->data + at, n, &x, err);
        if (n && st == YK_OK) st = each(context, &x, err);
        if (st != YK_OK) return yk_context(err, st, "line %zu", number);
        at = end + 1;
    }
    return st;
}

static yk_status highest(void *context, const line *x, yk_error *err)
{
    (void)err;
    int32_t *most = context;
    if (x->rank > *most) *most = x->rank;
    return YK_OK;
}

static yk_status put(void *context, const line *x, yk_error *err)
{
    yk_tokenizer *t = context;
    if (t->token[x->rank].bytes) return yk_fail(err, YK_ERR_INPUT, "the rank %d is given twice", x->rank);
    return yk_token_set(&t->token[x->rank], (const char *)x->bytes, x->n, err);
}

typedef struct ranked_pair {
    int32_t made, left, right;
} ranked_pair;

static int by_rank(const void *x, const void *y)
{
    const ranked_pair *a = x, *b = y;
    if (a->made != b->made) return a->made < b->made ? -1 : 1;
    if (a->left != b->left) return a->left < b->left ? -1 : 1;
    return (a->right > b->right) - (a->right < b->right);
}

/* All pairs of tokens whose bytes make a token. */
static yk_status find_pairs(const yk_tokenizer *t, ranked_pair **pairs, size_t *n, yk_error *err)
{
    yk_status st = YK_OK;
    size_t room = 0;
    for (int32_t i = 0; i < t->vocab; i++) {
        const yk_token *x = &t->token[i];
        const uint8_t *bytes = (const uint8_t *)x->bytes;
        int32_t first = x->bytes && !x->added ? yk_token_find(t, bytes, x->length) : i;
        if (first != i) YK_FAIL(YK_ERR_INPUT, "the ranks %d and %d are of the same bytes", first, i);
        for (uint32_t cut = 1; !x->added && cut < x->length; cut++) {
            int32_t left = yk_token_find(t, bytes, cut),
                    right = left < 0 ? -1 : yk_token_find(t, bytes + cut, x->length - cut);
            if (right < 0) continue;
            if (*n >= MAX_MERGES) YK_FAIL(YK_ERR_INPUT, "more than %d merges are not supported", MAX_MERGES);
            YK_ROOM(*pairs, *n, room);
            (*pairs)[(*n)++] = (ranked_pair){i, left, right};
        }
    }
    if (*n) qsort(*pairs, *n, sizeof **pairs, by_rank);
done:
    return st;
}

static yk_status derive_merges(yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    ranked_pair *pairs = NULL;
    size_t n = 0;
    YK_TRY(find_pairs(t, &pairs, &n, err));
    free(t->merge);
    YK_NEW(t->merge, n);
    t->merges = n;
    for (size_t r = 0; r < n; r++) {
        t->merge[r][0] = pairs[r].left;
        t->merge[r][1] = pairs[r].right;
        YK_TRY(yk_table_put(&t->rank, yk_pair(pairs[r].left, pairs[r].right),
                            (uint64_t)r << 32 | (uint32_t)pairs[r].made, err));
    }
done:
    free(pairs);
    return st;
}

static const struct known {
    const char *name, *pattern;
    bool nfc;
} known[] = {
    {"gpt2", NULL, false},
    {"llama3", yk_pattern_llama3, false},
    {"cl100k", yk_pattern_llama3, false},
    {"o200k", yk_pattern_o200k, false},
    {"qwen2", yk_pattern_qwen2, true},
};

static json_t *settings_for(const char *pattern)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, pattern) == 0) return yk_settings_new(known[i].pattern, known[i].nfc, true);
    return yk_settings_new(pattern, false, true);
}

static yk_status import(yk_tokenizer **out, const yk_buf *file, const char *pattern, const char *const *special,
                        size_t specials, yk_error *err)
{
    yk_status st = YK_OK;
    yk_tokenizer *t = NULL;
    int32_t next = -1;
    json_t *settings = settings_for(pattern);
    if (!settings) YK_FAIL(YK_ERR_USAGE, "--pattern %.40s: not UTF-8", pattern);
    YK_TRY(each_line(file, highest, &next, err));
    next++;
    YK_TRY(yk_settings_specials(settings, special, specials, &next, err));
    st = yk_tokenizer_new(&t, next, 0, settings, err);
    settings = NULL;
    if (st != YK_OK) goto done;
    YK_TRY(each_line(file, put, t, err));
    YK_TRY(yk_tokenizer_ready(t, NULL, err));
    YK_TRY(derive_merges(t, err));
    *out = t;
    t = NULL;
done:
    json_decref(settings);
    yk_tokenizer_free(t);
    return st;
}

yk_status yk_tokenizer_from_ranks(yk_tokenizer **t, const char *path, const char *pattern, const char *const *special,
                                  size_t specials, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf file = {0};
    YK_TRY(yk_file_read(path, &file, err));
    if (file.len > MAX_FILE) YK_FAIL(YK_ERR_INPUT, "%s: too large for a file of ranks", path);
    st = yk_context(err, import(t, &file, pattern, special, specials, err), "%s", path);
done:
    yk_buf_free(&file);
    return st;
}
