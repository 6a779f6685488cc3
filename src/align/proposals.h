/* What a pretrained model proposes about passages: few-shot, because it follows a text but no instruction.
 *
 *     Question: ... Answer: ...   (propose.shots examples, an empty line after each)
 *     the passage                 (an empty line after it)
 *     Question: What is           (a template up to _, which the model continues up to what follows _, here `?`)
 *     Answer:                     (which it continues up to the end of the line)
 *
 * With propose.answers: sentence, a model too small to write an answer chooses one: of those sentences of the passage
 * that have most of the words which it wrote into the question, the one that it finds likeliest there.
 * A proposal is a pure function of the weights, the recipe, the examples, and its passage and number: not of what else
 * is made with it. */
#ifndef YK_ALIGN_PROPOSALS_H
#define YK_ALIGN_PROPOSALS_H

#include "align/course.h"
#include "align/gate.h"
#include "text/passages.h"

typedef struct yk_proposer {
    yk_course *c;
    yk_decoder *decoder;
    yk_encoder *encoder;
    const yk_example **example; /* [examples] those that may be shown */
    size_t examples;
} yk_proposer;

typedef struct yk_proposed {
    yk_proposal p;
    yk_gate_reason reason;
    yk_gate_nats nats; /* NAN: not measured */
    double overlap;    /* the same */
    /* private */
    uint64_t name; /* of its random numbers */
    yk_buf examples, question, answer;
    yk_sequence sequence[3]; /* of the three measures */
} yk_proposed;

/* Room for proposals. YK_ERR_CONFIG when a template is none. Of `e` (may be empty) those examples are shown that have
 * one question in a line of its own that ends in a question mark, and an answer in a line, in propose.shot_bytes, and
 * are no generated problem. It keeps pointers to both. */
yk_status yk_proposer_open(yk_proposer *x, yk_course *c, const yk_examples *e, yk_error *err);
void yk_proposer_close(yk_proposer *x);

/* Makes proposals `first` to first + n - 1, of passage i / propose.per_passage each, in p[n], which was zero or made
 * before. Reason YK_GATE_NO_ROOM, or YK_GATE_KEPT for now. Passages must live as long. */
yk_status yk_proposals_make(yk_proposer *x, const yk_passages *passages, int64_t first, int64_t n, yk_proposed *p,
                            yk_error *err);

/* Example i < propose.shots that was shown with a proposal; NULL: there is none to show. */
const yk_example *yk_proposal_example(const yk_proposer *x, const yk_proposed *p, int64_t i);

/* Measures nats of those whose reason is YK_GATE_KEPT. */
yk_status yk_proposals_measure(yk_proposer *x, yk_proposed *p, int64_t n, yk_error *err);

void yk_proposals_free(yk_proposed *p, int64_t n);

#endif
