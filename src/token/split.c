#include "token/split.h"

#include "base/file.h"
#include "token/unicode.h"

#include <stdlib.h>
#include <string.h>

const char yk_pattern_qwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char yk_pattern_llama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char yk_pattern_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const char yk_pattern_o200k[] = "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{"
                                "M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
                                "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{"
                                "M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
                                "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

yk_status yk_stages_add(yk_stages *s, const char *pattern, bool literal, yk_behaviour behaviour, bool invert,
                        yk_error *err)
{
    yk_status st = YK_OK;
    yk_stage stage = {.behaviour = behaviour, .invert = invert};
    if (s->n == YK_STAGES) YK_FAIL(YK_ERR_INPUT, "more than %d pre-tokenizers are not supported", YK_STAGES);
    if (!s->kinds) YK_TRY(yk_unicode_kinds(&s->kinds, err));
    if (pattern) YK_TRY(yk_pattern_new(&stage.pattern, pattern, literal, s->kinds, err));
    if (pattern && !literal && !(stage.text = yk_path("%s", pattern))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    s->stage[s->n++] = stage;
    return YK_OK;
done:
    yk_pattern_free(stage.pattern);
    return st;
}

void yk_stages_free(yk_stages *s)
{
    for (int i = 0; i < s->n; i++) {
        yk_pattern_free(s->stage[i].pattern);
        free(s->stage[i].text);
    }
    free(s->kinds);
    *s = (yk_stages){0};
}

/* Stages that isolate what these match, one after another. */
static const struct {
    const char *name, *pattern[YK_STAGES];
} known[] = {
    {"gpt2", {yk_pattern_gpt2}},
    {"qwen2", {yk_pattern_qwen2}},
    {"llama3", {yk_pattern_llama3}},
    {"o200k", {yk_pattern_o200k}},
    {"smollm", {"\\p{N}", yk_pattern_gpt2}},
    {"deepseek-coder",
     {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", "\\p{N}"}},
    {"deepseek-v3",
     {"\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
      " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
};

const char *yk_stages_name(const yk_stages *s)
{
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        int i = 0;
        while (i < s->n && known[k].pattern[i] && s->stage[i].text && s->stage[i].behaviour == YK_ISOLATED &&
               !s->stage[i].invert && strcmp(s->stage[i].text, known[k].pattern[i]) == 0)
            i++;
        if (i == s->n && !known[k].pattern[i]) return known[k].name;
    }
    return NULL;
}

void yk_splitter_free(yk_splitter *s)
{
    free(s->matcher.frame);
    yk_buf_free(&s->with_blank);
    yk_buf_free(&s->composed);
    *s = (yk_splitter){0};
}

typedef struct splitting {
    yk_splitter *s;
    yk_piece_fn each;
    void *context;
    yk_error *err;
} splitting;

static yk_status run_stage(const splitting *w, int stage, const char *text, size_t n);

/* A piece that more may join. */
typedef struct pending {
    size_t from, to;
    bool any, match; /* match: what was added last */
} pending;

static yk_status pass_on(const splitting *w, int stage, const char *text, const pending *p)
{
    if (!p->any || (p->match && w->s->stages->stage[stage].behaviour == YK_REMOVED)) return YK_OK;
    return run_stage(w, stage + 1, text + p->from, p->to - p->from);
}

/* The text from..to, a match or what lies between matches. */
static yk_status add_part(const splitting *w, int stage, const char *text, pending *p, size_t from, size_t to,
                          bool match)
{
    yk_status st = YK_OK;
    const yk_stage *s = &w->s->stages->stage[stage];
    if (from == to) return YK_OK;
    match ^= s->invert;
    bool join = p->any && (s->behaviour == YK_MERGED_WITH_PREVIOUS ? match && !p->match
                           : s->behaviour == YK_MERGED_WITH_NEXT   ? !match && p->match
                                                                 : s->behaviour == YK_CONTIGUOUS && match == p->match);
    if (!join) {
        YK_TRY(pass_on(w, stage, text, p));
        p->from = from;
    }
    p->to = to;
    p->any = true;
    p->match = match;
done:
    return st;
}

static yk_status put_blank(const splitting *w, int stage, const char *text, size_t n)
{
    yk_buf *b = &w->s->with_blank;
    if (n && text[0] == ' ') return run_stage(w, stage + 1, text, n);
    yk_buf_clear(b);
    yk_buf_puts(b, " ");
    yk_buf_add(b, text, n);
    return run_stage(w, stage + 1, b->data, b->len);
}

static yk_status run_stage(const splitting *w, int stage, const char *text, size_t n)
{
    yk_status st = YK_OK;
    const yk_stages *all = w->s->stages;
    pending p = {0};
    if (stage == all->n) return w->each(w->context, text, n, w->err);
    const yk_pattern *pattern = all->stage[stage].pattern;
    if (!pattern) return put_blank(w, stage, text, n);
    for (size_t at = 0, begin, end; at < n; at = end) {
        YK_TRY(yk_pattern_find(pattern, all->kinds, &w->s->matcher, text, at, n, &begin, &end, w->err));
        YK_TRY(add_part(w, stage, text, &p, at, begin, false));
        YK_TRY(add_part(w, stage, text, &p, begin, end, true));
    }
    st = pass_on(w, stage, text, &p);
done:
    return st;
}

yk_status yk_split(yk_splitter *s, const char *text, size_t n, yk_piece_fn each, void *context, yk_error *err)
{
    splitting w = {s, each, context, err};
    s->matcher.steps = 0;
    s->matcher.limit = 10000000 + 1000 * (uint64_t)n;
    return n ? run_stage(&w, 0, text, n) : YK_OK;
}
