#include "align/rollout.h"

#include "align/passes.h"
#include "base/json.h"
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

/* The sequence that an answer continues, in place of what `q` held. */
static yk_status prompt_of(const yk_course *c, const yk_example *e, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    yk_sequence_clear(q);
    if (c->plain) return yk_chat_plain(c->chat, e->turn, e->turns, NULL, NULL, q, err);
    YK_TRY(yk_chat_encode(c->chat, e->turn, e->turns, q, err));
    YK_TRY(yk_chat_open(c->chat, q, err));
done:
    return st;
}

yk_status yk_rollout_prompts(const yk_course *c, const yk_examples *e, int64_t most, const yk_example **item,
                             int64_t *kept, int64_t *left_out, yk_error *err)
{
    yk_status st = YK_OK;
    yk_sequence q = {0};
    *kept = *left_out = 0;
    for (size_t i = 0; i < e->n && (most == 0 || *kept < most); i++) {
        YK_TRY(prompt_of(c, &e->item[i], &q, err));
        if ((int64_t)q.ids.n < c->context)
            item[(*kept)++] = &e->item[i];
        else
            ++*left_out;
    }
    if (*left_out)
        yk_warn("%s: %lld of %lld prompts fill the context of %lld tokens alone and are left out", c->name,
                (long long)*left_out, (long long)(*kept + *left_out), (long long)c->context);
done:
    yk_sequence_free(&q);
    return st;
}

yk_status yk_rollouts_make(yk_rollouts *x, yk_course *c, yk_decoder *d, const yk_example *const *prompt, int64_t n,
                           int64_t group, const yk_sampling *how, uint64_t number, yk_error *err)
{
    yk_status st = YK_OK;
    yk_request *request = NULL;
    const double began = yk_now();
    *x = (yk_rollouts){.comm = c->comm};
    YK_NEW(x->item, n * group);
    x->n = n * group;
    YK_NEW(request, x->n);
    for (int64_t i = 0; i < x->n; i++) {
        yk_rollout *o = &x->item[i];
        o->example = prompt[i / group];
        YK_TRY(prompt_of(c, o->example, &o->sequence, err));
        request[i] = (yk_request){.prompt = o->sequence.ids.id, .length = (int64_t)o->sequence.ids.n,
                                  .number = number + (uint64_t)i};
    }
    YK_TRY(yk_decoder_run_shared(d, x->comm, request, (size_t)x->n, how, err));
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

static json_t *message_of(yk_role role, const char *content, size_t n)
{
    return json_pack("{s:s, s:o}", "role", yk_role_name[role], "content", yk_json_of_bytes(content, n));
}

yk_status yk_rollout_write(const yk_rollout *x, FILE *f, const char *path, yk_error *err)
{
    if (!f) return YK_OK;
    json_t *messages = json_array();
    for (size_t i = 0; i < x->example->turns; i++) {
        const yk_turn *t = &x->example->turn[i];
        json_array_append_new(messages, message_of(t->role, t->content, strlen(t->content)));
    }
    json_array_append_new(messages, message_of(YK_ASSISTANT, x->text.data, x->text.len));
    json_t *line = json_pack("{s:o, s:s}", "messages", messages, "kind", x->example->kind);
    return yk_json_add_line(f, path, line, err);
}

int64_t yk_rollout_add(const yk_rollout *x, yk_session *s)
{
    return yk_session_add(s, x->sequence.ids.id, x->sequence.weight, (int64_t)x->sequence.ids.n);
}

typedef struct taken {
    const yk_rollouts *x;
    float **out;
} taken;

/* Row i of a sequence predicts its id i + 1. */
static void take_logp(void *context, int64_t i, const yk_session *s, int64_t row)
{
    const taken *t = context;
    int64_t n = (int64_t)t->x->item[i].sequence.ids.n;
    t->out[i][0] = 0;
    for (int64_t j = 0; j + 1 < n; j++) t->out[i][j + 1] = s->weight[row + j] != 0.0f ? -s->loss[row + j] : 0.0f;
}

static void take_score(void *context, int64_t i, const yk_session *s, int64_t row)
{
    const taken *t = context;
    memcpy(t->out[i], s->loss + row, t->x->item[i].sequence.ids.n * sizeof **t->out);
}

static yk_status take_all(const yk_rollouts *x, yk_session *s, yk_pass_kind kind, yk_each_fn each, float **out,
                          yk_error *err)
{
    taken t = {x, out};
    return yk_pass_each(s, x->comm, &x->item->sequence, sizeof *x->item, x->n, kind, each, &t, err);
}

yk_status yk_rollouts_logp(const yk_rollouts *x, yk_session *s, float **logp, yk_error *err)
{
    return take_all(x, s, YK_PASS_LOSS, take_logp, logp, err);
}

yk_status yk_rollouts_score(const yk_rollouts *x, yk_session *s, float **score, yk_error *err)
{
    return take_all(x, s, YK_PASS_SCORE, take_score, score, err);
}

yk_status yk_rollouts_rows(const yk_rollouts *x, float ***rows, yk_error *err)
{
    size_t floats = 0, pointers = (size_t)x->n * sizeof(float *);
    for (int64_t i = 0; i < x->n; i++) floats += x->item[i].sequence.ids.n;
    *rows = yk_calloc(1, pointers + floats * sizeof(float), err);
    if (!*rows) return YK_ERR_MEMORY;
    float *at = (float *)(void *)((char *)*rows + pointers);
    for (int64_t i = 0; i < x->n; i++) {
        (*rows)[i] = at;
        at += x->item[i].sequence.ids.n;
    }
    return YK_OK;
}
