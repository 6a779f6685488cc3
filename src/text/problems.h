/* Generated problems: a question with one right answer, and worked steps that lead to it. */
#ifndef YK_TEXT_PROBLEMS_H
#define YK_TEXT_PROBLEMS_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

/* What the problems of a kind of file are for. A problem belongs to one of them by hash of what it is (kind and
 * operands in their order, not the phrasing), so that files of different uses share no problem however they
 * are made. */
typedef enum yk_problem_use {
    YK_PROBLEM_TUNE,         /* fine-tuning and preference pairs: 65 in 100   */
    YK_PROBLEM_TUNE_HELDOUT, /* held out of those: 5 in 100                   */
    YK_PROBLEM_RL,           /* reinforcement learning with a verifier: 20    */
    YK_PROBLEM_RL_HELDOUT    /* held out of that: the final evaluation's: 10  */
} yk_problem_use;

/* Texts are ASCII; integers are written plainly. Zero-initialise; yk_problem_make reuses the memory. */
typedef struct yk_problem {
    const char *kind;     /* "add", ...                                                    */
    const char *verifier; /* how an answer is compared: "number" or "text"                 */
    int level;            /* 1 to 9                                                        */
    yk_buf key;           /* kind and operands in order: what the problem is, however put  */
    yk_buf prompt;        /* without YK_PROBLEM_SUFFIX                                     */
    yk_buf answer, wrong; /* the right answer, and a near miss                             */
    yk_buf lead;          /* of a sentence that the answer ends                            */
    yk_buf work;          /* the steps                                                     */
} yk_problem;

/* What a prompt that asks for worked steps ends in. */
#define YK_PROBLEM_SUFFIX " Think step by step."

enum { YK_PROBLEM_KINDS = 9, YK_PROBLEM_LEVELS = 9 };

/* The name of kind i < YK_PROBLEM_KINDS. */
const char *yk_problem_kind(size_t i);

/* The problem of (kind, level, seed, index), a pure function of them: the same problem and phrasing may come again
 * at another index. At level 1 operands have one digit; operands, lists and steps grow with the level. */
void yk_problem_make(yk_problem *p, size_t kind, int level, uint64_t seed, uint64_t index);
void yk_problem_free(yk_problem *p);

yk_problem_use yk_problem_use_of(const yk_problem *p);

/* Appends a response that gives `answer` (the right one, or `wrong`):
 * bare "12"; full "The sum of 7 and 5 is 12."; steps "<think>...</think><answer>12</answer>". */
typedef enum yk_rendering { YK_BARE, YK_FULL, YK_STEPS } yk_rendering;
void yk_problem_respond(const yk_problem *p, yk_rendering how, const yk_buf *answer, yk_buf *out);

#endif
