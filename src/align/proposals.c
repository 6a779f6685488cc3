#include "align/proposals.h"

#include "align/passes.h"
#include "base/hash.h"
#include "base/rng.h"
#include "text/problems.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Random numbers of a proposal: which template, then which examples. */
enum { TEMPLATE, FIRST_EXAMPLE };

/* --- what is shown --------------------------------------------------------------------------- */

static bool is_problem(const char *kind)
{
    for (size_t i = 0; i < YK_PROBLEM_KINDS; i++)
        if (strcmp(kind, yk_problem_kind(i)) == 0) return true;
    return false;
}

static bool is_example(const yk_recipe *r, const yk_example *e)
{
    if (e->turns != 2 || e->turn[0].role != YK_USER || is_problem(e->kind)) return false;
    const char *question = e->turn[0].content, *answer = e->turn[1].content;
    const size_t n = strlen(question), bytes = n + strlen(answer);
    return question[n - 1] == '?' && bytes <= (size_t)r->propose_shot_bytes && !strchr(question, '\n') &&
           !strchr(answer, '\n');
}

/* One line with one _ that something follows. */
static yk_status check_templates(const yk_list *templates, yk_error *err)
{
    for (size_t i = 0; i < templates->n; i++) {
        const char *text = templates->item[i], *gap = strchr(text, '_');
        if (!gap || !gap[1] || strchr(gap + 1, '_') || strchr(text, '\n'))
            return yk_fail(err, YK_ERR_CONFIG, "`propose.templates` has `%.60s`; a template is a question in one line "
                           "with one _, where the model writes, and something after it, such as `What is _?`", text);
    }
    if (templates->n) return YK_OK;
    return yk_fail(err, YK_ERR_CONFIG, "`propose.templates` has no template, such as `What is _?`");
}

yk_status yk_proposer_open(yk_proposer *x, yk_course *c, const yk_examples *e, yk_error *err)
{
    yk_status st = YK_OK;
    *x = (yk_proposer){.c = c};
    YK_TRY(check_templates(&c->r->propose_templates, err));
    YK_NEW(x->example, e->n);
    for (size_t i = 0; i < e->n; i++)
        if (is_example(c->r, &e->item[i])) x->example[x->examples++] = &e->item[i];
    YK_TRY(yk_encoder_new(&x->encoder, c->s.tokenizer, err));
    YK_TRY(yk_decoder_new(&x->decoder, &c->s, YK_COURSE_SLOTS, c->context, err));
done:
    if (st != YK_OK) yk_proposer_close(x);
    return st;
}

void yk_proposer_close(yk_proposer *x)
{
    yk_decoder_free(x->decoder);
    yk_encoder_free(x->encoder);
    free(x->example);
    *x = (yk_proposer){0};
}

static yk_rng choices_of(const yk_proposer *x, const yk_proposed *p)
{
    return yk_rng_make((uint64_t)x->c->r->seed, YK_STREAM_PROPOSE, p->name);
}

const yk_example *yk_proposal_example(const yk_proposer *x, const yk_proposed *p, int64_t i)
{
    const yk_rng rng = choices_of(x, p);
    return x->examples ? x->example[yk_rng_below(&rng, FIRST_EXAMPLE + (uint64_t)i, x->examples)] : NULL;
}

static const char *template_of(const yk_proposer *x, const yk_proposed *p)
{
    const yk_list *all = &x->c->r->propose_templates;
    const yk_rng rng = choices_of(x, p);
    return all->item[yk_rng_below(&rng, TEMPLATE, all->n)];
}

/* What ends that which the model writes into it. */
static char closing_of(const yk_proposer *x, const yk_proposed *p)
{
    return strchr(template_of(x, p), '_')[1];
}

static void begin(const yk_proposer *x, const yk_passage *passage, uint64_t number, yk_proposed *p)
{
    const uint64_t name[] = {passage->rank, number};
    p->p = (yk_proposal){.passage = passage->text};
    p->reason = YK_GATE_KEPT;
    p->nats = (yk_gate_nats){NAN, NAN, NAN};
    p->overlap = NAN;
    p->name = yk_hash64(name, sizeof name, 0);
    yk_buf_clear(&p->examples);
    yk_buf_clear(&p->question);
    yk_buf_clear(&p->answer);
    yk_buf_puts(&p->examples, "");
    yk_buf_puts(&p->question, "");
    yk_buf_puts(&p->answer, "");
    for (int64_t i = 0; i < x->c->r->propose_shots && x->examples; i++) {
        const yk_turn *turn = yk_proposal_example(x, p, i)->turn;
        yk_buf_printf(&p->examples, "Question: %s\nAnswer: %s\n\n", turn[0].content, turn[1].content);
    }
    const char *text = template_of(x, p);
    size_t opening = strcspn(text, "_");
    while (opening > 0 && text[opening - 1] == ' ') opening--; /* the model's first word has its own space */
    yk_buf_add(&p->question, text, opening);
}

/* Of what the model reads, after the examples: the passage; in the question what the model wrote; the answer's mark. */
typedef enum shown { PASSAGE = 1, WRITTEN = 2, ANSWER = 4 } shown;

/* Replaces *ids by what the model reads. */
static yk_status encode(yk_proposer *x, const yk_proposed *p, int what, yk_ids *ids, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    yk_buf_puts(&text, p->examples.data);
    if (what & PASSAGE) yk_buf_printf(&text, "%s\n\n", p->p.passage);
    const bool whole = what & WRITTEN;
    const size_t cut = whole ? p->question.len : p->p.written, on = whole ? cut : cut + p->p.written_bytes;
    yk_buf_puts(&text, p->question.len > 0 ? "Question: " : "Question:");
    yk_buf_add(&text, p->question.data, cut);
    yk_buf_add(&text, p->question.data + on, p->question.len - on);
    if (what & ANSWER) yk_buf_puts(&text, "\nAnswer:");
    ids->n = 0;
    YK_ROOM(ids->id, ids->n, ids->cap);
    ids->id[ids->n++] = x->c->s.begin;
    YK_TRY(yk_encode(x->encoder, text.data, text.len, ids, err));
done:
    yk_buf_free(&text);
    return st;
}

/* --- what the model says to it --------------------------------------------------------------- */

static void trim(const char **text, size_t *n)
{
    while (*n > 0 && strchr(" \t\r\n", (*text)[*n - 1])) --*n;
    while (*n > 0 && strchr(" \t\r\n", **text)) ++*text, --*n;
}

/* A question is asked when what the template has next ended it. */
static void take_question(const yk_proposer *x, yk_proposed *p, const yk_request *r)
{
    yk_buf all = {0};
    const char *template = template_of(x, p), *gap = strchr(template, '_'), *text = r->text.data;
    size_t n = r->text.len;
    yk_tokenizer_decode(x->c->s.tokenizer, r->answer.id, r->answer.n, &all);
    p->p.asked = r->finish == YK_FINISH_STOP && all.data[n] == gap[1];
    trim(&text, &n);
    yk_buf_add(&p->question, template + p->question.len, (size_t)(gap - template) - p->question.len);
    p->p.written = p->question.len;
    p->p.written_bytes = n;
    yk_buf_add(&p->question, text, n);
    if (p->p.asked) yk_buf_puts(&p->question, gap + 1);
    yk_buf_free(&all);
}

static void take_answer(const yk_proposer *x, yk_proposed *p, const yk_request *r)
{
    const char *text = r->text.data;
    size_t n = r->text.len;
    (void)x;
    trim(&text, &n);
    yk_buf_add(&p->answer, text, n);
    p->p.answered = r->finish == YK_FINISH_STOP || r->finish == YK_FINISH_END;
}

/* A part of the proposals: questions whose template goes on by `stop`, or the answers to those that were asked. */
typedef struct part {
    char stop[2]; /* a text of one character */
    int64_t tokens, room; /* to make; to leave in the context */
    double temperature, penalty;
    bool answers;
    void (*take)(const yk_proposer *x, yk_proposed *p, const yk_request *r);
} part;

static yk_status make_part(yk_proposer *x, yk_proposed *p, int64_t n, const part *o, yk_error *err)
{
    yk_status st = YK_OK;
    yk_request *request = NULL;
    const char *const stops[] = {"\n", o->stop};
    yk_sampling how = yk_sampling_of(&x->c->s);
    how.temperature = o->temperature, how.repetition_penalty = o->penalty, how.top_p = x->c->r->propose_top_p;
    how.tokens = o->tokens, how.stop = stops, how.stops = 2, how.seed = (uint64_t)x->c->r->seed;
    YK_NEW(request, n);
    for (int64_t i = 0; i < n; i++) {
        request[i].number = yk_hash64(&p[i].name, sizeof p[i].name, 1 + o->answers);
        if (p[i].reason != YK_GATE_KEPT || !(o->answers ? p[i].p.asked : closing_of(x, &p[i]) == o->stop[0])) continue;
        yk_ids *ids = &p[i].sequence[0].ids;
        YK_TRY(encode(x, &p[i], PASSAGE | WRITTEN | (o->answers ? ANSWER : 0), ids, err));
        if ((int64_t)ids->n + o->room > x->c->context) p[i].reason = YK_GATE_NO_ROOM;
        else request[i].prompt = ids->id, request[i].length = (int64_t)ids->n;
    }
    YK_TRY(yk_decoder_run_shared(x->decoder, x->c->comm, request, (size_t)n, &how, err));
    for (int64_t i = 0; i < n; i++)
        if (request[i].length > 0) o->take(x, &p[i], &request[i]);
done:
    for (int64_t i = 0; request && i < n; i++) yk_request_free(&request[i]);
    free(request);
    return st;
}

/* --- how likely it is ------------------------------------------------------------------------ */

/* An answer after what it answers: weight 1 of its ids. */
static yk_status sequence_of(yk_proposer *x, const yk_proposed *p, const char *answer, int after,
                             yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    YK_TRY(encode(x, p, after | ANSWER, &q->ids, err));
    q->prompt = (int64_t)q->ids.n;
    yk_buf_printf(&text, " %s", answer);
    YK_TRY(yk_encode(x->encoder, text.data, text.len, &q->ids, err));
    if (q->weights < q->ids.n) {
        float *grown = yk_regrow(q->weight, q->ids.n, sizeof *grown, err);
        if (!grown) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        q->weight = grown;
        q->weights = q->ids.n;
    }
    for (int64_t i = 0; i < (int64_t)q->ids.n; i++) q->weight[i] = i >= q->prompt ? 1.0f : 0.0f;
done:
    yk_buf_free(&text);
    return st;
}

typedef struct measured {
    const yk_sequence *first;
    size_t stride;
    double *nats;
} measured;

static void take_nats(void *context, int64_t i, const yk_session *s, int64_t row)
{
    const measured *m = context;
    const yk_sequence *q = (const void *)((const char *)m->first + (size_t)i * m->stride);
    double sum = 0;
    for (int64_t j = q->prompt; j < (int64_t)q->ids.n; j++) sum += (double)s->loss[row + j - 1];
    m->nats[i] = sum / (double)((int64_t)q->ids.n - q->prompt);
}

/* Nats a token of the answers of n sequences. */
static yk_status measure(yk_proposer *x, const yk_sequence *first, size_t stride, int64_t n, double *nats,
                         yk_error *err)
{
    measured m = {first, stride, nats};
    return yk_pass_each(&x->c->s, x->c->comm, first, stride, n, YK_PASS_LOSS, take_nats, &m, err);
}

yk_status yk_proposals_measure(yk_proposer *x, yk_proposed *p, int64_t n, yk_error *err)
{
    yk_status st = YK_OK;
    yk_sequence *q = NULL; /* borrowed */
    double *nats = NULL;
    int64_t count = 0;
    YK_NEW(q, 3 * n);
    YK_NEW(nats, 3 * n);
    for (int64_t i = 0; i < n; i++) {
        if (p[i].reason != YK_GATE_KEPT) continue;
        yk_sequence *own = p[i].sequence;
        YK_TRY(sequence_of(x, &p[i], p[i].p.answer, PASSAGE | WRITTEN, &own[0], err));
        YK_TRY(sequence_of(x, &p[i], p[i].p.answer, WRITTEN, &own[1], err));
        YK_TRY(sequence_of(x, &p[i], p[i].p.answer, PASSAGE, &own[2], err));
        if ((int64_t)own[0].ids.n > x->c->context) p[i].reason = YK_GATE_NO_ROOM;
        for (int k = 0; k < 3 && p[i].reason == YK_GATE_KEPT; k++) q[count++] = own[k];
    }
    YK_TRY(measure(x, q, sizeof *q, count, nats, err));
    for (int64_t i = 0, at = 0; i < n; i++) {
        if (p[i].reason != YK_GATE_KEPT) continue;
        p[i].nats.all = nats[at++];
        p[i].nats.no_passage = nats[at++];
        p[i].nats.no_question = nats[at++];
    }
done:
    free(q);
    free(nats);
    return st;
}

/* --- sentences as answers -------------------------------------------------------------------- */

/* Sentences that may answer proposals, and how likely they are. */
typedef struct candidate {
    int64_t proposal;
    char *text;
    yk_sequence sequence;
} candidate;

typedef struct candidates {
    yk_proposer *x;
    const yk_proposed *p;
    int64_t proposal; /* at hand */
    double most;      /* share of what it asks about that a sentence has */
    candidate *item;
    size_t n, room;
} candidates;

/* Takes a sentence that has more of the words asked about than those before it, in their place, or as many. */
static yk_status take_sentence(void *context, const char *text, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    candidates *c = context;
    const yk_proposed *p = &c->p[c->proposal];
    candidate new = {.proposal = c->proposal, .text = strndup(text, n)};
    double share;
    if (!new.text) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_gate_overlap(p->question.data + p->p.written, p->p.written_bytes, new.text, 1, &share, err));
    if (share == 0 || share < c->most) goto done;
    YK_TRY(sequence_of(c->x, p, new.text, PASSAGE | WRITTEN, &new.sequence, err));
    if ((int64_t)new.sequence.ids.n > c->x->c->context) goto done;
    while (share > c->most && c->n > 0 && c->item[c->n - 1].proposal == c->proposal) {
        free(c->item[--c->n].text);
        yk_sequence_free(&c->item[c->n].sequence);
    }
    c->most = share;
    YK_ROOM(c->item, c->n, c->room);
    c->item[c->n++] = new;
    return YK_OK;
done:
    yk_sequence_free(&new.sequence);
    free(new.text);
    return st;
}

/* Answers what was asked by the likeliest sentence; what no sentence can answer stays unanswered. */
static yk_status answer_by_sentences(yk_proposer *x, yk_proposed *p, int64_t n, yk_error *err)
{
    yk_status st = YK_OK;
    candidates c = {.x = x, .p = p};
    double *nats = NULL;
    for (int64_t i = 0; i < n; i++) {
        c.proposal = i;
        c.most = 0;
        if (p[i].reason != YK_GATE_KEPT || !p[i].p.asked) continue;
        YK_TRY(yk_sentences_of(p[i].p.passage, take_sentence, &c, err));
    }
    YK_NEW(nats, c.n);
    YK_TRY(measure(x, &c.item->sequence, sizeof *c.item, (int64_t)c.n, nats, err));
    for (size_t i = 0, best = 0; i < c.n; i++) {
        if (c.item[i].proposal != c.item[best].proposal || nats[i] < nats[best]) best = i;
        if (i + 1 < c.n && c.item[i + 1].proposal == c.item[i].proposal) continue;
        yk_proposed *of = &p[c.item[i].proposal];
        yk_buf_puts(&of->answer, c.item[best].text);
        of->p.answered = true;
    }
done:
    for (size_t i = 0; i < c.n; i++) {
        free(c.item[i].text);
        yk_sequence_free(&c.item[i].sequence);
    }
    free(c.item);
    free(nats);
    return st;
}
/* --- proposals ------------------------------------------------------------------------------- */

yk_status yk_proposals_make(yk_proposer *x, const yk_passages *passages, int64_t first, int64_t n, yk_proposed *p,
                            yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->c->r;
    const int64_t each = r->propose_per_passage;
    const yk_list *templates = &r->propose_templates;
    part questions = {.tokens = r->propose_question_tokens,
                      .room = r->propose_question_tokens + r->propose_answer_tokens,
                      .temperature = r->propose_temperature, .penalty = r->propose_repetition_penalty,
                      .take = take_question};
    const part answers = {.stop = "\n", .tokens = r->propose_answer_tokens, .room = r->propose_answer_tokens,
                          .temperature = r->propose_answer_temperature, .answers = true, .take = take_answer};
    for (int64_t i = 0, at = first; i < n; i++, at++)
        begin(x, &passages->item[at / each], (uint64_t)(at % each), &p[i]);
    for (size_t t = 0; t < templates->n; t++) {
        size_t before = 0;
        questions.stop[0] = strchr(templates->item[t], '_')[1];
        while (strchr(templates->item[before], '_')[1] != questions.stop[0]) before++;
        if (before == t) YK_TRY(make_part(x, p, n, &questions, err)); /* all templates with that closing at once */
    }
    if (strcmp(r->propose_answers, "sentence") == 0) YK_TRY(answer_by_sentences(x, p, n, err));
    else YK_TRY(make_part(x, p, n, &answers, err));
    for (int64_t i = 0; i < n; i++) {
        p[i].p.question = p[i].question.data, p[i].p.question_bytes = p[i].question.len;
        p[i].p.answer = p[i].answer.data, p[i].p.answer_bytes = p[i].answer.len;
    }
done:
    return st;
}

void yk_proposals_free(yk_proposed *p, int64_t n)
{
    for (int64_t i = 0; p && i < n; i++) {
        yk_buf_free(&p[i].examples);
        yk_buf_free(&p[i].question);
        yk_buf_free(&p[i].answer);
        for (int k = 0; k < 3; k++) yk_sequence_free(&p[i].sequence[k]);
    }
    free(p);
}
