/* The gate of the stage propose: which of a model's questions and answers are worth learning from. Pure functions of
 * texts and likelihoods. */
#ifndef YK_ALIGN_GATE_H
#define YK_ALIGN_GATE_H

#include "config/recipe.h"

#include <stdbool.h>

/* In the order in which they are asked; a proposal is dropped for the first that holds. */
typedef enum yk_gate_reason {
    YK_GATE_KEPT,
    YK_GATE_NO_ROOM,    /* passage and examples leave no room in the context */
    YK_GATE_QUESTION,   /* no end in its line, too short or long, not UTF-8, a mark of the prompt in it */
    YK_GATE_ANSWER,     /* the same of the answer: empty, without an end, ... */
    YK_GATE_REPETITION, /* what it wrote of the question, or the answer, says word pairs again and again */
    YK_GATE_COPIED,     /* from the examples that were shown, or the answer from its own question */
    YK_GATE_ABOUT,      /* what it wrote of the question is not in the passage */
    YK_GATE_COMMON,     /* or in many passages */
    YK_GATE_OVERLAP,    /* words of the answer are not in the passage */
    YK_GATE_UNLIKELY,   /* nats a token above propose.nats_max */
    YK_GATE_TOO_LIKELY, /* below propose.nats_min */
    YK_GATE_GAIN,       /* the passage does not make the answer likelier */
    YK_GATE_ASKED,      /* nor does the question */
    YK_GATE_NEAR,       /* like a question that is there already */
    YK_GATE_EVALUATION, /* shares words with an evaluation set */
    YK_GATE_REASONS
} yk_gate_reason;

extern const char *const yk_gate_name[YK_GATE_REASONS]; /* for people and reports */

typedef struct yk_proposal {
    const char *passage, *question, *answer; /* NUL-terminated, at the ends no white space */
    size_t question_bytes, answer_bytes;     /* their lengths, which a NUL inside falls short of */
    size_t written, written_bytes;           /* what of the question the model wrote: from which byte on, how many */
    double rarest;                           /* of what it wrote: yk_passages_rarest */
    bool asked, answered;                    /* question and answer came to their ends */
} yk_proposal;

/* Question and answer, by themselves and against each other and the passage: YK_GATE_QUESTION to YK_GATE_OVERLAP, or
 * YK_GATE_KEPT. *overlap is the answer's, NAN when it was not asked for. */
yk_status yk_gate_texts(const yk_recipe *r, const yk_proposal *p, yk_gate_reason *reason, double *overlap,
                        yk_error *err);

/* Whether question or answer is that of an example, or nearly (yk_near_similarity from propose.similarity on). */
yk_status yk_gate_copied(const yk_recipe *r, const yk_proposal *p, const char *question, const char *answer,
                         bool *copied, yk_error *err);

/* Share of a text's word pairs that were in it before: 1 - distinct / all; 0 of fewer than two words. As the repetition
 * rules of Rae et al. 2021 (Gopher), at the size of a line. */
yk_status yk_gate_repetition(const char *text, size_t n, double *share, yk_error *err);

/* Share of a text's n-grams of `words` words (of all its words as one, where it has fewer) that are in the passage,
 * each counted as often as it comes in the text: the precision of ROUGE-n without clipping (Lin 2004). 0 of a text
 * without words. */
yk_status yk_gate_overlap(const char *text, size_t n, const char *passage, size_t words, double *share, yk_error *err);

/* Nats a token of the answer: -1/n log p(a_1 .. a_n | examples, ...). */
typedef struct yk_gate_nats {
    double all;         /* after passage and question */
    double no_passage;  /* after the question alone */
    double no_question; /* after passage and template: the question without what the model wrote */
} yk_gate_nats;

/* By likelihood, of the answer a given passage c and question q (t: its template):
 *   all                      in [nats_min, nats_max]: filtering by the generator's own likelihood, as in Shakeri et al.
 *                            2020 (arXiv 2010.06028)
 *   no_passage - all         = 1/n log p(a | c, q) / p(a | q) >= margin
 *   no_question - all        = 1/n log p(a | c, q) / p(a | c, t) >= question_margin
 * The last two are pointwise mutual informations, a token: of answer and passage, given the question, and of answer and
 * what was asked about, given the passage. It is the score of Holtzman et al. 2021 (arXiv 2104.08315) with passage or
 * question as what is conditioned on, and the difference of the two losses of whose ratio Li et al. 2023 (arXiv
 * 2308.12032) make an instruction's difficulty. */
yk_gate_reason yk_gate_likelihood(const yk_recipe *r, const yk_gate_nats *nats);

#endif
