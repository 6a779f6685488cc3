#include "align/verify.h"

#include "align/checkers.h"
#include "align/command.h"
#include "text/language.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct yk_verifier {
    char *kind, *language;
    bool lenient;
    yk_check check;
    yk_command *command; /* NULL: none was named  */
    yk_language *speech; /* NULL: not needed yet  */
};

typedef struct kind {
    const char *name;
    yk_check_fn *check; /* NULL: the command is asked */
    enum { LAST_LINE, ALL, AS_IT_IS } answer; /* if lenient, of the response, or all of it; AS_IT_IS: always all */
    const char *help;
} kind;

static const kind kinds[] = {
    {"text", yk_check_text, LAST_LINE, "equal but for case, white space and a full stop at the end"},
    {"number", yk_check_number, ALL, "the last number is the expected one, exactly or to the tolerance"},
    {"regex", yk_check_regex, LAST_LINE, "the whole answer matches the expected pattern (PCRE2)"},
    {"contains", yk_check_contains, LAST_LINE, "the expected text is in the answer, as whole words"},
    {"exact", yk_check_exact, AS_IT_IS, "the whole response, tags or not, is the expected text byte for byte"},
    {"command", NULL, LAST_LINE, "an external command says so (doc/verifiers.md)"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

void yk_verifier_list(yk_buf *out)
{
    for (int i = 0; i < KINDS; i++) yk_buf_printf(out, "    %-9s %s\n", kinds[i].name, kinds[i].help);
}

static yk_status find(const yk_verifier *v, const char *name, const kind **out, yk_error *err)
{
    if (!name) name = v->kind;
    *out = NULL;
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0) *out = &kinds[i];
    if (!*out) {
        yk_buf list = {0};
        yk_verifier_list(&list);
        yk_fail(err, YK_ERR_INPUT, "there is no verifier \"%.80s\"; there are\n%s", name, list.data);
        yk_buf_free(&list);
        return YK_ERR_INPUT;
    }
    if (!(*out)->check && !v->command)
        return yk_fail(err, YK_ERR_INPUT, "verifier \"%s\": no command is named", name);
    return YK_OK;
}

static yk_status copy(char **to, const char *from, yk_error *err)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? yk_fail(err, YK_ERR_MEMORY, "out of memory") : YK_OK;
}

yk_status yk_verifier_new(yk_verifier **out, const yk_verifier_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_verifier *v = NULL;
    const kind *k;
    if (!(o->absolute >= 0 && o->absolute < INFINITY && o->relative >= 0 && o->relative < INFINITY))
        YK_FAIL(YK_ERR_CONFIG, "verifier: tolerances must be 0 or more");
    if (!(o->time_limit >= 0 && o->time_limit < INFINITY) || o->max_failures < 0)
        YK_FAIL(YK_ERR_CONFIG, "verifier: the time limit and the failures allowed must be 0 or more");
    YK_NEW(v, 1);
    v->lenient = o->lenient;
    v->check = (yk_check){.tolerance = {o->absolute, o->relative}, .ignore_case = o->ignore_case,
                          .ignore_punctuation = o->ignore_punctuation, .strip = o->strip};
    YK_TRY(copy(&v->kind, o->kind ? o->kind : "text", err));
    YK_TRY(copy(&v->language, o->language, err));
    if (o->command)
        YK_TRY(yk_command_new(&v->command, o->command, o->time_limit > 0 ? o->time_limit : 5,
                              o->max_failures ? o->max_failures : 10, o->job, err));
    YK_TRY(find(v, NULL, &k, err));
    *out = v;
    v = NULL;
done:
    yk_verifier_free(v);
    return st;
}

void yk_verifier_free(yk_verifier *v)
{
    if (!v) return;
    yk_command_free(v->command);
    yk_language_free(v->speech);
    free(v->kind);
    free(v->language);
    free(v);
}

bool yk_verifier_was_cut(const yk_verifier *v)
{
    return v->command && yk_command_was_cut(v->command);
}

yk_verifier_counts yk_verifier_counts_of(const yk_verifier *v)
{
    yk_verifier_counts all = {.regex_limits = v->check.regex_limits};
    if (!v->command) return all;
    const yk_command_counts *c = yk_command_counts_of(v->command);
    all.asked = c->asked;
    all.timeouts = c->timeouts;
    all.crashes = c->crashes;
    all.rubbish = c->rubbish;
    all.starts = c->starts;
    return all;
}

static yk_status check(yk_verifier *v, const kind *k, yk_span answer, const char *expected, bool *passed, yk_error *err)
{
    if (!expected) return yk_fail(err, YK_ERR_INPUT, "verifier \"%s\": there is no expected answer", k->name);
    yk_status st = k->check(&v->check, answer, (yk_span){expected, strlen(expected)}, passed, err);
    return yk_context(err, st, "verifier \"%s\"", k->name);
}

yk_status yk_verifier_accepts(yk_verifier *v, const char *name, const char *expected, yk_error *err)
{
    yk_status st = YK_OK;
    const kind *k;
    bool passed;
    YK_TRY(find(v, name, &k, err));
    if (k->check) st = check(v, k, (yk_span){"", 0}, expected, &passed, err);
done:
    return st;
}

static yk_span answer_of(const yk_verifier *v, const kind *k, const yk_reward_item *item)
{
    const yk_span whole = {item->response, item->length};
    if (k->answer == AS_IT_IS) return whole;
    yk_reasoning r = yk_reasoning_of(item->response, item->length);
    if (r.answer.length || !v->lenient) return r.answer;
    return k->answer == ALL ? yk_span_trim(whole) : yk_span_last_line(yk_span_trim(whole));
}

/* The questions for the command, in the order of the items, and the items they come from. */
typedef struct questions {
    yk_question *q;
    size_t *item, n;
} questions;

static yk_status ask(yk_verifier *v, const questions *qs, double *score, yk_error *err)
{
    yk_status st = qs->n ? yk_command_ask(v->command, qs->q, qs->n, err) : YK_OK;
    for (size_t i = 0; st == YK_OK && i < qs->n; i++) score[qs->item[i]] = qs->q[i].score;
    return st;
}

yk_status yk_verify_batch(yk_verifier *v, const yk_reward_item *item, size_t n, double *score, yk_error *err)
{
    yk_status st = YK_OK;
    questions qs = {0};
    YK_NEW(qs.q, n);
    YK_NEW(qs.item, n);
    for (size_t i = 0; i < n; i++) {
        const kind *k;
        bool passed = false;
        YK_TRY(find(v, item[i].kind, &k, err));
        yk_span answer = answer_of(v, k, &item[i]);
        if (k->check) {
            YK_TRY(check(v, k, answer, item[i].expected, &passed, err));
            score[i] = answer.length && passed;
            continue;
        }
        qs.q[qs.n] = (yk_question){.prompt = item[i].prompt, .expected = item[i].expected,
                                   .response = {item[i].response, item[i].length}, .answer = answer};
        qs.item[qs.n++] = i;
    }
    YK_TRY(ask(v, &qs, score, err));
done:
    free(qs.q);
    free(qs.item);
    return st;
}

static double length_penalty(int64_t tokens, const yk_reward_weights *w)
{
    if (w->length == 0 || tokens <= w->length_target) return 0;
    if (tokens >= w->length_max) return -1;
    return -(double)(tokens - w->length_target) / (double)(w->length_max - w->length_target);
}

static bool share_one(const yk_languages *a, const yk_languages *b)
{
    if (!a->n || !b->n) return true;
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++)
            if (strcmp(a->code[i], b->code[j]) == 0) return true;
    return false;
}

/* The languages of s; none where there are too few letters (bytes of them) to tell: "12 * 3 = 36" has n-grams too. */
static void languages_of(yk_verifier *v, yk_span s, yk_languages *out)
{
    enum { FEWEST_LETTERS = 16 };
    size_t letters = 0;
    for (size_t i = 0; i < s.length; i++)
        letters += (unsigned char)s.text[i] >= 0x80 || (unsigned)((s.text[i] | 32) - 'a') < 26;
    if (letters < FEWEST_LETTERS) out->n = 0;
    else yk_languages_of(v->speech, s.text, s.length, out);
}

/* The end of the piece of s that begins at `from`: at the first white space after `size` bytes, or the first character
 * after twice as many; the rest of s, where the next piece would be smaller than half. */
static size_t piece_end(yk_span s, size_t from, size_t size)
{
    size_t end = from + size;
    while (end < s.length && end < from + 2 * size && !strchr(" \t\r\n", s.text[end])) end++;
    while (end < s.length && ((unsigned char)s.text[end] & 0xC0) == 0x80) end++;
    return end + size / 2 < s.length ? end : s.length;
}

static double consistency(yk_verifier *v, const yk_reward_item *item)
{
    enum { PIECE = 256, MOST_PIECES = 64 };
    yk_span s = yk_reasoning_of(item->response, item->length).thought;
    yk_languages asked = {.n = 1}, used;
    if (!s.length) return 0;
    if (v->language) snprintf(asked.code[0], sizeof asked.code[0], "%s", v->language);
    else languages_of(v, (yk_span){item->prompt, strlen(item->prompt)}, &asked);
    size_t size = s.length / MOST_PIECES > PIECE ? s.length / MOST_PIECES : PIECE, same = 0;
    for (size_t from = 0, end; from < s.length; from = end) {
        end = piece_end(s, from, size);
        languages_of(v, (yk_span){s.text + from, end - from}, &used);
        if (share_one(&asked, &used)) same += end - from;
    }
    return (double)same / (double)s.length;
}

static yk_status check_weights(const yk_reward_weights *w, yk_error *err)
{
    const double all[] = {w->accuracy, w->format, w->length, w->language};
    for (int i = 0; i < 4; i++)
        if (!(all[i] >= 0 && all[i] < INFINITY))
            return yk_fail(err, YK_ERR_CONFIG, "the weights of rewards must be 0 or more");
    if (w->length > 0 && !(w->length_target >= 0 && w->length_target < w->length_max))
        return yk_fail(err, YK_ERR_CONFIG,
                       "the length reward needs 0 <= length_target (%lld tokens) < length_max (%lld)",
                       (long long)w->length_target, (long long)w->length_max);
    return YK_OK;
}

yk_status yk_reward_batch(yk_verifier *v, const yk_reward_item *item, size_t n, const yk_reward_weights *w,
                          yk_reward_parts *out, yk_error *err)
{
    yk_status st = YK_OK;
    double *score = NULL;
    YK_NEW(score, n);
    YK_TRY(check_weights(w, err));
    if (w->language > 0 && !v->speech) YK_TRY(yk_language_new(&v->speech, err));
    YK_TRY(yk_verify_batch(v, item, n, score, err));
    for (size_t i = 0; i < n; i++) {
        yk_reward_parts p = {.accuracy = score[i]};
        p.format = yk_reasoning_of(item[i].response, item[i].length).well_formed;
        p.length = length_penalty(item[i].tokens, w);
        p.language = w->language > 0 ? consistency(v, &item[i]) : 1;
        p.total = w->accuracy * p.accuracy + w->format * p.format + w->length * p.length + w->language * p.language;
        out[i] = p;
    }
done:
    free(score);
    return st;
}
