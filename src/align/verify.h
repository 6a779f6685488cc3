/* Checked rewards: what a response earns by the answer it gives, its format, its length and its language.
 *
 *     total = accuracy x score of the verifier          0 .. 1
 *           + format   x well-formed                    0 or 1: yk_reasoning_of
 *           + length   x penalty                        0 up to length_target tokens, falling linearly to -1 at
 *                                                       length_max, -1 beyond (the soft overlong punishment of DAPO,
 *                                                       Yu et al. 2025)
 *           + language x share of the thought in the language asked for     0 .. 1 (DeepSeek-R1, 2025)
 *
 * A verifier is a kind (a row of a table in verify.c) and the options of all kinds. doc/verifiers.md is for users. */
#ifndef YK_ALIGN_VERIFY_H
#define YK_ALIGN_VERIFY_H

#include "align/reasoning.h"
#include "base/mem.h"
#include "base/status.h"
#include "config/job.h"

#include <stdbool.h>
#include <stdint.h>

/* All zero: the defaults. */
typedef struct yk_verifier_options {
    const char *kind;           /* of items that name none; NULL: "text" */
    const char *command;        /* run by /bin/sh; needed by the kind "command" alone */
    const yk_job *job;          /* once it is to stop, the command is not waited for; NULL: there is none */
    double time_limit;          /* of the command, seconds a reply; 0: 5 */
    int64_t max_failures;       /* of the command, in a row; 0: 10 */
    double absolute, relative;  /* yk_tolerance */
    bool lenient;               /* a response without <answer>: its last line is the answer, for "number" all of it */
    bool ignore_case, ignore_punctuation, strip; /* yk_check, of the kind "exact" */
    const char *language;       /* asked of thoughts, a code of yk_languages_of; NULL: that of the prompt */
} yk_verifier_options;

typedef struct yk_verifier yk_verifier; /* one a thread */
yk_status yk_verifier_new(yk_verifier **v, const yk_verifier_options *o, yk_error *err);
void yk_verifier_free(yk_verifier *v); /* the command gets the end of its input, and a second to exit */

/* Appends the kinds, a line each: name and what passes. */
void yk_verifier_list(yk_buf *out);

/* Is there such a kind (NULL: the default), and can `expected` be checked by it? To be asked where problems are read,
 * so that a bad one is named with its file and line: YK_ERR_INPUT says what is wrong. */
yk_status yk_verifier_accepts(yk_verifier *v, const char *kind, const char *expected, yk_error *err);

typedef struct yk_reward_item {
    const char *prompt;   /* the user's turn */
    const char *response; /* without the end-of-turn token; any bytes */
    size_t length;        /* of the response, bytes */
    int64_t tokens;       /* of the response */
    const char *expected; /* NULL: none, which "command" alone allows */
    const char *kind;     /* NULL: the default of the verifier */
} yk_reward_item;

/* score[i] in 0 .. 1: does the answer of item[i] pass? An item without an answer scores 0, but "command" is asked. */
yk_status yk_verify_batch(yk_verifier *v, const yk_reward_item *item, size_t n, double *score, yk_error *err);

typedef struct yk_reward_weights {
    double accuracy, format, length, language;
    int64_t length_target, length_max; /* tokens, 0 <= target < max; ignored where the weight of length is 0 */
} yk_reward_weights;

/* The parts before their weights; language is 1 where its weight is 0, for it is not looked at then. */
typedef struct yk_reward_parts {
    double accuracy, format, length, language, total;
} yk_reward_parts;

/* The rewards of n responses. The language of a thought is looked at in pieces of some 256 bytes; one counts as in the
 * language asked for when it may be in it, or in an unknown one. Without a thought, or where the response is not
 * well-formed, the part is 0. The same bits for any n. YK_ERR_CONFIG for weights, YK_ERR_INPUT for items at fault. */
yk_status yk_reward_batch(yk_verifier *v, const yk_reward_item *item, size_t n, const yk_reward_weights *w,
                          yk_reward_parts *out, yk_error *err);

/* Was a batch not finished, because the job was to stop? Its scores are of no use. */
bool yk_verifier_was_cut(const yk_verifier *v);

/* What went wrong so far and scored 0: for the report. */
typedef struct yk_verifier_counts {
    int64_t regex_limits;                        /* matches given up at a limit of PCRE2 */
    int64_t asked, timeouts, crashes, rubbish, starts; /* of the command */
} yk_verifier_counts;
yk_verifier_counts yk_verifier_counts_of(const yk_verifier *v);

#endif
