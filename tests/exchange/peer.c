/* What tests/peers/exchange_transformers.py asks of a run:
 *
 *     peer logits RUN TOKENS.json OUT   logits of each position of sequences [[id, ...], ...]: raw fp32 [positions,V]
 *     peer greedy RUN TOKENS.json N     the N likeliest ids after each sequence, through the cache, as JSON
 *     peer chat RUN CONVERSATIONS.jsonl the ids of each conversation, as JSON */
#include "align/chat.h"
#include "base/file.h"
#include "train/decoder.h"
#include "train/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct peer {
    yk_recipe r;
    yk_session s;
    json_t *sequences, *out;
    int32_t *id;
    float *logits;
    char *path;
    FILE *file;
} peer;

static yk_status open_run(peer *p, const char *run, yk_error *err)
{
    yk_status st = YK_OK;
    yk_team team;
    YK_TRY(yk_run_recipe(&p->r, run, err));
    YK_TRY(yk_team_make(&team, 0, err));
    YK_TRY(yk_session_open(&p->s, &p->r, run, &team, &(yk_session_options){.rows = p->r.pretrain_seq + 1}, err));
    YK_TRY(yk_run_model(&p->r, run, &p->path, err));
    YK_TRY(yk_session_load(&p->s, p->path, false, err));
    YK_NEW(p->id, p->r.pretrain_seq);
    YK_NEW(p->logits, p->r.pretrain_seq * yk_model_get_shape(p->s.model)->vocab);
done:
    return st;
}

static yk_status read_sequences(peer *p, const char *path, yk_error *err)
{
    p->sequences = json_load_file(path, 0, NULL);
    return json_is_array(p->sequences) ? YK_OK : yk_fail(err, YK_ERR_INPUT, "%s: no list", path);
}

/* How many ids the i-th sequence has, which are put into p->id. */
static yk_status take(peer *p, size_t i, int64_t *n, yk_error *err)
{
    const json_t *x = json_array_get(p->sequences, i);
    *n = (int64_t)json_array_size(x);
    if (*n < 1 || *n > p->r.pretrain_seq)
        return yk_fail(err, YK_ERR_INPUT, "sequence %zu has %lld ids", i, (long long)*n);
    for (int64_t k = 0; k < *n; k++) p->id[k] = (int32_t)json_integer_value(json_array_get(x, (size_t)k));
    return YK_OK;
}

static yk_status logits(peer *p, const char *out, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t n;
    const int64_t vocab = yk_model_get_shape(p->s.model)->vocab;
    if (!(p->file = fopen(out, "wb"))) YK_FAIL(YK_ERR_IO, "%s: cannot create", out);
    for (size_t i = 0; i < json_array_size(p->sequences); i++) {
        YK_TRY(take(p, i, &n, err));
        yk_session_clear(&p->s);
        yk_session_add(&p->s, p->id, NULL, n);
        yk_batch b = yk_session_batch(&p->s);
        yk_model_forward(p->s.model, &b);
        for (int64_t r = 0; r < n; r++) yk_model_logits(p->s.model, &b, r, 1, p->logits + r * vocab);
        fwrite(p->logits, sizeof *p->logits, (size_t)(n * vocab), p->file);
    }
    if (fclose(p->file) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot write", out);
done:
    return st;
}

static yk_status greedy(peer *p, int64_t tokens, yk_error *err)
{
    yk_status st = YK_OK;
    yk_decoder *d = NULL;
    const yk_sampling how = {.banned = -1, .tokens = tokens};
    p->out = json_array();
    YK_TRY(yk_decoder_new(&d, &p->s, 1, p->r.pretrain_seq, err));
    for (size_t i = 0; i < json_array_size(p->sequences) && st == YK_OK; i++) {
        yk_request r = {.prompt = p->id};
        YK_TRY(take(p, i, &r.length, err));
        st = yk_decoder_run(d, &r, 1, &how, NULL, NULL, err);
        json_t *answer = json_array();
        for (size_t k = 0; k < r.answer.n; k++) json_array_append_new(answer, json_integer(r.answer.id[k]));
        json_array_append_new(p->out, answer);
        yk_request_free(&r);
    }
done:
    yk_decoder_free(d);
    return st;
}

static yk_status chat(peer *p, char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_chat *c = NULL;
    yk_examples e = {0};
    yk_sequence q = {0};
    p->out = json_array();
    YK_TRY(yk_examples_read(&e, &(yk_list){&path, 1}, YK_CONVERSATION, 0, err));
    YK_TRY(yk_chat_new(&c, p->r.sft_template, p->s.tokenizer, err));
    for (size_t i = 0; i < e.n; i++) {
        json_t *ids = json_array();
        yk_sequence_clear(&q);
        YK_TRY(yk_chat_encode(c, e.item[i].turn, e.item[i].turns, &q, err));
        for (size_t k = 0; k < q.ids.n; k++) json_array_append_new(ids, json_integer(q.ids.id[k]));
        json_array_append_new(p->out, ids);
    }
done:
    yk_sequence_free(&q);
    yk_chat_free(c);
    yk_examples_free(&e);
    return st;
}

int main(int argc, char **argv)
{
    yk_error err = {""};
    peer p = {0};
    bool of_tokens = argc == 5, known = of_tokens || (argc == 4 && strcmp(argv[1], "chat") == 0);
    yk_status st = known ? open_run(&p, argv[2], &err)
                         : yk_fail(&err, YK_ERR_USAGE, "peer logits|greedy|chat RUN FILE ...");
    if (st == YK_OK && of_tokens) st = read_sequences(&p, argv[3], &err);
    if (st == YK_OK)
        st = !of_tokens                          ? chat(&p, argv[3], &err)
             : strcmp(argv[1], "greedy") == 0 ? greedy(&p, atoll(argv[4]), &err)
                                                 : logits(&p, argv[4], &err);
    if (st != YK_OK) fprintf(stderr, "peer: %s\n", err.text);
    if (st == YK_OK && p.out) json_dumpf(p.out, stdout, JSON_COMPACT);
    json_decref(p.sequences);
    json_decref(p.out);
    free(p.id);
    free(p.logits);
    free(p.path);
    yk_session_close(&p.s);
    yk_recipe_free(&p.r);
    return st;
}
