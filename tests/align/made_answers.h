/* Answers of a small model to a few problems. */
#ifndef TESTS_ALIGN_MADE_ANSWERS_H
#define TESTS_ALIGN_MADE_ANSWERS_H

#include "../train/small.h"
#include "align/rollout.h"
#include "base/rng.h"

enum { PROBLEMS = 6, GROUP = 4, ANSWERS = PROBLEMS * GROUP, TOKENS = 12 };

typedef struct made_answers {
    small x;
    yk_course c;
    yk_job job;
    yk_rollouts r;
} made_answers;

static void made_answers_open(made_answers *a, const yk_session_options *o, int threads, const char *const *more)
{
    static const char *const prompt[PROBLEMS] = {"What is 3 + 4?", "The rain", "If you have 12 apples", "give 5", "7",
                                                 "Sum: 3"};
    static yk_turn turn[PROBLEMS];
    static yk_example example[PROBLEMS];
    const yk_example *problem[PROBLEMS];
    yk_error err;
    yk_decoder *d;
    small_open(&a->x, o, threads, more);
    a->c = (yk_course){.r = &a->x.r, .context = a->x.r.pretrain_seq};
    a->job = (yk_job){.recipe = &a->x.r, .dir = a->x.dir, .team = &a->x.team};
    must(yk_chat_new(&a->c.chat, "chatml", a->x.s.tokenizer, &err), &err);
    for (int i = 0; i < PROBLEMS; i++) {
        turn[i] = (yk_turn){YK_USER, prompt[i]};
        example[i] = (yk_example){.turn = &turn[i], .turns = 1};
        problem[i] = &example[i];
    }
    yk_sampling how = yk_sampling_of(&a->x.s);
    how.temperature = 1, how.tokens = TOKENS, how.seed = 8;
    must(yk_decoder_new(&d, &a->x.s, 5, a->c.context, &err), &err);
    must(yk_rollouts_make(&a->r, &a->c, d, problem, PROBLEMS, GROUP, &how, 0, &err), &err);
    yk_decoder_free(d);
}

static void made_answers_close(made_answers *a)
{
    yk_rollouts_free(&a->r);
    yk_chat_free(a->c.chat);
    small_close(&a->x);
}

/* A learner of the session's weights, or of a set of its own. */
static void made_learner_open(yk_learner *l, made_answers *a, const yk_weights *weights, double rate)
{
    yk_error err;
    static const char *const keys[] = {"seed", NULL};
    const yk_learner_options o = {.kind = "test", .folder = a->x.dir, .keys = keys, .data = "",
                                  .schedule = {"constant", rate, 1, 0, 0, 10}, .adamw = yk_adamw_of(&a->x.r)};
    must(yk_learner_open(l, &a->job, &a->x.s, weights, &o, &err), &err);
}

#endif
