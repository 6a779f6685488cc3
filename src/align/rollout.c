#include "align/rollout.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* The rollout of an answered request; takes the text. */
static yk_status take_answer(yk_rollout *x, yk_course *c, yk_request *r, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_chat_generated(c->chat, r->answer.id, r->answer.n, &x->sequence, err));
    YK_NEW(x->logp, x->sequence.ids.n);
    if (r->answer.n) memcpy(x->logp + r->length, r->logp, r->answer.n * sizeof *r->logp);
    x->length = (int64_t)r->answer.n;
    x->ended = r->finish == YK_FINISH_END || r->finish == YK_FINISH_STOP;
    x->text = r->text;
    r->text = (yk_buf){0};
done:
    return st;
}

yk_status yk_rollouts_make(yk_rollouts *x, yk_course *c, yk_decoder *d, const yk_example *const *prompt, int64_t n,
                           int64_t group, const yk_sampling *how, uint64_t number, yk_error *err)
{
    yk_status st = YK_OK;
    yk_request *request = NULL;
    const double began = yk_now();
    *x = (yk_rollouts){0};
    YK_NEW(x->item, n * group);
    x->n = n * group;
    YK_NEW(request, x->n);
    for (int64_t i = 0; i < x->n; i++) {
        yk_rollout *o = &x->item[i];
        o->example = prompt[i / group];
        YK_TRY(yk_chat_encode(c->chat, o->example->turn, o->example->turns, &o->sequence, err));
        YK_TRY(yk_chat_open(c->chat, &o->sequence, err));
        request[i] = (yk_request){.prompt = o->sequence.ids.id, .length = (int64_t)o->sequence.ids.n,
                                  .number = number + (uint64_t)i};
    }
    YK_TRY(yk_decoder_run(d, request, (size_t)x->n, how, NULL, NULL, err));
    for (int64_t i = 0; i < x->n; i++) {
        YK_TRY(take_answer(&x->item[i], c, &request[i], err));
        x->tokens += (double)x->item[i].length;
    }
    x->seconds = yk_now() - began;
done:
    for (int64_t i = 0; request && i < x->n; i++) yk_request_free(&request[i]);
    free(request);
    if (st != YK_OK) yk_rollouts_free(x);
    return st;
}

void yk_rollouts_free(yk_rollouts *x)
{
    for (int64_t i = 0; x->item && i < x->n; i++) {
        yk_sequence_free(&x->item[i].sequence);
        free(x->item[i].logp);
        yk_buf_free(&x->item[i].text);
    }
    free(x->item);
    *x = (yk_rollouts){0};
}

int64_t yk_rollout_add(const yk_rollout *x, yk_session *s)
{
    return yk_session_add(s, x->sequence.ids.id, x->sequence.weight, (int64_t)x->sequence.ids.n);
}

/* One pass over the rollouts first to last, whose rows the session holds. */
typedef void (*pass_fn)(const yk_rollouts *x, yk_session *s, int64_t first, int64_t last, float **out);

static yk_status each_pass(const yk_rollouts *x, yk_session *s, pass_fn pass, float **out, yk_error *err)
{
    int64_t first = 0;
    yk_session_clear(s);
    for (int64_t i = 0; i < x->n; i++) {
        if (yk_rollout_add(&x->item[i], s) >= 0) continue;
        if (i > first) pass(x, s, first, i, out);
        yk_session_clear(s);
        first = i;
        if (yk_rollout_add(&x->item[i], s) < 0)
            return yk_fail(err, YK_ERR_INTERNAL, "a rollout is longer than %lld rows", (long long)s->max_rows);
    }
    if (x->n > first) pass(x, s, first, x->n, out);
    yk_session_clear(s);
    return YK_OK;
}

/* Row i of a sequence predicts its id i + 1. */
static void pass_logp(const yk_rollouts *x, yk_session *s, int64_t first, int64_t last, float **out)
{
    const yk_batch b = yk_session_batch(s);
    yk_model_evaluate(s->model, &b, s->loss, NULL, NULL);
    for (int64_t i = first, row = 0; i < last; i++) {
        int64_t n = (int64_t)x->item[i].sequence.ids.n;
        out[i][0] = 0;
        for (int64_t j = 0; j + 1 < n; j++) out[i][j + 1] = s->weight[row + j] != 0.0f ? -s->loss[row + j] : 0.0f;
        row += n + n % 2;
    }
}

static void pass_score(const yk_rollouts *x, yk_session *s, int64_t first, int64_t last, float **out)
{
    const yk_batch b = yk_session_batch(s);
    yk_model_score(s->model, &b, s->loss);
    for (int64_t i = first, row = 0; i < last; i++) {
        int64_t n = (int64_t)x->item[i].sequence.ids.n;
        memcpy(out[i], s->loss + row, (size_t)n * sizeof **out);
        row += n + n % 2;
    }
}

yk_status yk_rollouts_logp(const yk_rollouts *x, yk_session *s, float **logp, yk_error *err)
{
    return each_pass(x, s, pass_logp, logp, err);
}

yk_status yk_rollouts_score(const yk_rollouts *x, yk_session *s, float **score, yk_error *err)
{
    return each_pass(x, s, pass_score, score, err);
}
