#include "align/gate.h"

#include "text/near.h"
#include "text/words.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

const char *const yk_gate_name[YK_GATE_REASONS] = {
    "kept",
    "no room in the context",
    "malformed question",
    "no or malformed answer",
    "repetition",
    "copied",
    "question not of the passage's words",
    "question of common words",
    "answer not of the passage's words",
    "unlikely answer",
    "answer too likely",
    "the passage does not help",
    "the question does not help",
    "near-duplicate question",
    "overlaps an evaluation set",
};

/* One line of valid UTF-8 without control characters and without the template's marks. */
static bool is_line(const char *text, size_t n)
{
    json_t *valid = json_stringn(text, n);
    bool line = valid && n > 0 && strlen(text) == n;
    json_decref(valid);
    for (size_t i = 0; i < n && line; i++) line = (unsigned char)text[i] >= ' ' && text[i] != 0x7F;
    return line && !strstr(text, "Question:") && !strstr(text, "Answer:") && !strstr(text, "<|");
}

static yk_status count_words(const char *text, size_t n, int64_t *words, yk_error *err)
{
    yk_words w = {0};
    yk_status st = yk_words_split(&w, text, n, err);
    *words = (int64_t)w.n;
    yk_words_free(&w);
    return st;
}

static bool ends_in(const char *text, size_t n, char c)
{
    return n > 0 && text[n - 1] == c;
}

static yk_status judge_form(const yk_recipe *r, const yk_proposal *p, yk_gate_reason *reason, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t words;
    *reason = YK_GATE_QUESTION;
    YK_TRY(count_words(p->question, p->question_bytes, &words, err));
    if (!p->asked || p->written_bytes == 0 || !is_line(p->question, p->question_bytes)) goto done;
    if (words < r->propose_question_words_min || words > r->propose_question_words_max) goto done;
    *reason = YK_GATE_ANSWER;
    YK_TRY(count_words(p->answer, p->answer_bytes, &words, err));
    if (!p->answered || ends_in(p->answer, p->answer_bytes, '?') || !is_line(p->answer, p->answer_bytes)) goto done;
    if (words < r->propose_answer_words_min || words > r->propose_answer_words_max) goto done;
    *reason = YK_GATE_KEPT;
done:
    return st;
}

yk_status yk_gate_texts(const yk_recipe *r, const yk_proposal *p, yk_gate_reason *reason, double *overlap,
                        yk_error *err)
{
    yk_status st = YK_OK;
    const char *written = p->question + p->written;
    double question, answer, same, about;
    *overlap = NAN;
    YK_TRY(judge_form(r, p, reason, err));
    if (*reason != YK_GATE_KEPT) goto done;
    YK_TRY(yk_gate_repetition(written, p->written_bytes, &question, err));
    YK_TRY(yk_gate_repetition(p->answer, p->answer_bytes, &answer, err));
    YK_TRY(yk_near_similarity(p->question, p->answer, &same, err));
    YK_TRY(yk_gate_overlap(written, p->written_bytes, p->passage, 2, &about, err));
    YK_TRY(yk_gate_overlap(p->answer, p->answer_bytes, p->passage, 1, overlap, err));
    if (question > r->propose_repetition || answer > r->propose_repetition) *reason = YK_GATE_REPETITION;
    else if (same >= r->propose_similarity) *reason = YK_GATE_COPIED;
    else if (about < r->propose_question_overlap) *reason = YK_GATE_ABOUT;
    else if (p->rarest > r->propose_common) *reason = YK_GATE_COMMON;
    else if (*overlap < r->propose_answer_overlap) *reason = YK_GATE_OVERLAP;
done:
    return st;
}

yk_status yk_gate_copied(const yk_recipe *r, const yk_proposal *p, const char *question, const char *answer,
                         bool *copied, yk_error *err)
{
    yk_status st = YK_OK;
    double questions, answers;
    YK_TRY(yk_near_similarity(p->question, question, &questions, err));
    YK_TRY(yk_near_similarity(p->answer, answer, &answers, err));
    *copied = questions >= r->propose_similarity || answers >= r->propose_similarity;
done:
    return st;
}

/* Whether the n words at `word` are in a row in [in, in + of). */
static bool holds(const uint64_t *in, size_t of, const uint64_t *word, size_t n)
{
    for (size_t i = 0; i + n <= of; i++)
        if (memcmp(in + i, word, n * sizeof *word) == 0) return true;
    return false;
}

yk_status yk_gate_repetition(const char *text, size_t n, double *share, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words w = {0};
    size_t again = 0;
    *share = 0;
    YK_TRY(yk_words_split(&w, text, n, err));
    for (size_t i = 1; i + 1 < w.n; i++) again += holds(w.word, i + 1, w.word + i, 2);
    if (w.n > 1) *share = (double)again / (double)(w.n - 1);
done:
    yk_words_free(&w);
    return st;
}

yk_status yk_gate_overlap(const char *text, size_t n, const char *passage, size_t words, double *share, yk_error *err)
{
    yk_status st = YK_OK;
    yk_words t = {0}, p = {0};
    size_t there = 0, grams = 0;
    *share = 0;
    YK_TRY(yk_words_split(&t, text, n, err));
    YK_TRY(yk_words_split(&p, passage, strlen(passage), err));
    if (t.n < words) words = t.n;
    for (; words > 0 && grams + words <= t.n; grams++) there += holds(p.word, p.n, t.word + grams, words);
    if (grams > 0) *share = (double)there / (double)grams;
done:
    yk_words_free(&t);
    yk_words_free(&p);
    return st;
}

yk_gate_reason yk_gate_likelihood(const yk_recipe *r, const yk_gate_nats *nats)
{
    if (!(nats->all <= r->propose_nats_max)) return YK_GATE_UNLIKELY;
    if (nats->all < r->propose_nats_min) return YK_GATE_TOO_LIKELY;
    if (!(nats->no_passage - nats->all >= r->propose_margin)) return YK_GATE_GAIN;
    return nats->no_question - nats->all >= r->propose_question_margin ? YK_GATE_KEPT : YK_GATE_ASKED;
}
