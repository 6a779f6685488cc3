#include "align/chat.h"

#include <stdlib.h>
#include <string.h>

/* What stands around a turn: texts, and special tokens by name (NULL: none). */
typedef struct template {
    const char *name;
    const char *role[YK_ROLES]; /* after `begin` */
    const char *begin, *end;    /* special tokens of every turn */
    const char *answer_end;     /* of an assistant's turn, instead of `end`; NULL: what ends a document */
    const char *after;          /* text */
} template;

static const template templates[] = {
    {"chatml", {"system\n", "user\n", "assistant\n"}, "<|im_start|>", "<|im_end|>", "<|im_end|>", "\n"},
    {"plain", {"System: ", "User: ", "Assistant: "}, NULL, NULL, NULL, "\n"},
};

static const char *const tags[] = {"<think>", "</think>", "<answer>", "</answer>"};
enum { TAGS = sizeof tags / sizeof *tags };

struct yk_chat {
    const template *t;
    yk_encoder *encoder;
    int32_t document, document_end;              /* ids: begins, ends a document */
    int32_t begin, end, answer_end, tag[TAGS]; /* ids; -1: none */
};

static yk_status special(const yk_tokenizer *t, const char *name, int32_t *id, yk_error *err)
{
    *id = name ? yk_tokenizer_special(t, name) : -1;
    if (!name || *id >= 0) return YK_OK;
    return yk_fail(err, YK_ERR_INPUT, "the tokenizer lacks the special token %s that the chat template needs; train it "
                   "anew, or set sft.template: plain", name);
}

static const template *find_template(const char *name)
{
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        if (strcmp(name, templates[i].name) == 0) return &templates[i];
    return NULL;
}

/* Texts one after another as a literal of Jinja's. */
static void literal(yk_buf *out, const char *a, const char *b)
{
    const char *const texts[] = {a ? a : "", b};
    yk_buf_puts(out, "'");
    for (int i = 0; i < 2; i++)
        for (const char *p = texts[i]; *p; p++) {
            if (*p == '\n') yk_buf_puts(out, "\\n");
            else yk_buf_printf(out, "%s%c", *p == '\'' || *p == '\\' ? "\\" : "", *p);
        }
    yk_buf_puts(out, "'");
}

yk_status yk_chat_jinja(const char *name, const yk_tokenizer *tokenizer, yk_buf *out, yk_error *err)
{
    yk_buf begin = {0}, end = {0};
    const template *t = find_template(name);
    if (!t) return yk_fail(err, YK_ERR_CONFIG, "there is no chat template `%s`", name);
    yk_tokenizer_text(tokenizer, yk_tokenizer_begin(tokenizer), &begin);
    yk_tokenizer_text(tokenizer, yk_tokenizer_end(tokenizer), &end);
    const char *answer_end = t->answer_end ? t->answer_end : end.data;
    yk_buf_puts(out, "{{ ");
    literal(out, NULL, begin.data);
    yk_buf_puts(out, " }}{% for message in messages %}");
    for (int r = 0; r < YK_ROLES; r++) {
        yk_buf_printf(out, "{%% %s message['role'] == '%s' %%}{{ ", r ? "elif" : "if", yk_role_name[r]);
        literal(out, t->begin, t->role[r]);
        yk_buf_puts(out, " + message['content'] + ");
        literal(out, r == YK_ASSISTANT ? answer_end : t->end, t->after);
        yk_buf_puts(out, " }}");
    }
    yk_buf_puts(out, "{% else %}{{ raise_exception('roles are system, user and assistant') }}{% endif %}{% endfor %}"
                     "{% if add_generation_prompt %}{{ ");
    literal(out, t->begin, t->role[YK_ASSISTANT]);
    yk_buf_puts(out, " }}{% endif %}");
    yk_buf_free(&begin);
    yk_buf_free(&end);
    return YK_OK;
}

yk_status yk_chat_new(yk_chat **out, const char *name, const yk_tokenizer *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_chat *c = NULL;
    YK_NEW(c, 1);
    c->t = find_template(name);
    if (!c->t) YK_FAIL(YK_ERR_CONFIG, "there is no chat template `%s`", name);
    c->document = yk_tokenizer_begin(t);
    c->document_end = yk_tokenizer_end(t);
    YK_TRY(special(t, c->t->begin, &c->begin, err));
    YK_TRY(special(t, c->t->end, &c->end, err));
    YK_TRY(special(t, c->t->answer_end, &c->answer_end, err));
    if (!c->t->answer_end) c->answer_end = c->document_end;
    for (int i = 0; i < TAGS; i++) c->tag[i] = yk_tokenizer_special(t, tags[i]);
    YK_TRY(yk_encoder_new(&c->encoder, t, err));
    *out = c;
    c = NULL;
done:
    yk_chat_free(c);
    return st;
}

void yk_chat_free(yk_chat *c)
{
    if (!c) return;
    yk_encoder_free(c->encoder);
    free(c);
}

void yk_sequence_clear(yk_sequence *q)
{
    q->ids.n = 0;
    q->prompt = 0;
}

void yk_sequence_free(yk_sequence *q)
{
    yk_ids_free(&q->ids);
    free(q->weight);
    *q = (yk_sequence){0};
}

/* Weights of the ids since `from`. */
static yk_status weigh(yk_sequence *q, size_t from, float weight, yk_error *err)
{
    yk_status st = YK_OK;
    while (q->weights < q->ids.n) YK_ROOM(q->weight, q->weights, q->weights);
    for (size_t i = from; i < q->ids.n; i++) q->weight[i] = weight;
done:
    return st;
}

static yk_status add_id(yk_sequence *q, int32_t id, yk_error *err)
{
    yk_status st = YK_OK;
    if (id < 0) goto done;
    YK_ROOM(q->ids.id, q->ids.n, q->ids.cap);
    q->ids.id[q->ids.n++] = id;
done:
    return st;
}

/* The first tag in the text, or its end. */
static const char *next_tag(const yk_chat *c, const char *text, int *which)
{
    for (const char *at = strchr(text, '<'); at; at = strchr(at + 1, '<'))
        for (*which = 0; *which < TAGS; ++*which)
            if (c->tag[*which] >= 0 && strncmp(at, tags[*which], strlen(tags[*which])) == 0) return at;
    *which = -1;
    return text + strlen(text);
}

static yk_status add_text(yk_chat *c, const char *text, bool tagged, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    if (!tagged) return yk_encode(c->encoder, text, strlen(text), &q->ids, err);
    for (int which = 0; *text && which >= 0;) {
        const char *at = next_tag(c, text, &which);
        YK_TRY(yk_encode(c->encoder, text, (size_t)(at - text), &q->ids, err));
        if (which < 0) break;
        YK_TRY(add_id(q, c->tag[which], err));
        text = at + strlen(tags[which]);
    }
done:
    return st;
}

static yk_status open_turn(yk_chat *c, yk_role role, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    size_t from = q->ids.n;
    if (from == 0) YK_TRY(add_id(q, c->document, err));
    YK_TRY(add_id(q, c->begin, err));
    YK_TRY(add_text(c, c->t->role[role], false, q, err));
    YK_TRY(weigh(q, from, 0.0f, err));
done:
    return st;
}

static yk_status close_turn(yk_chat *c, bool answer, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    size_t from = q->ids.n;
    YK_TRY(add_id(q, answer ? c->answer_end : c->end, err));
    YK_TRY(weigh(q, from, answer ? 1.0f : 0.0f, err));
    from = q->ids.n;
    YK_TRY(add_text(c, c->t->after, false, q, err));
    YK_TRY(weigh(q, from, 0.0f, err));
done:
    return st;
}

yk_status yk_chat_open(yk_chat *c, yk_sequence *q, yk_error *err)
{
    yk_status st = open_turn(c, YK_ASSISTANT, q, err);
    q->prompt = (int64_t)q->ids.n;
    return st;
}

yk_status yk_chat_answer(yk_chat *c, const char *content, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    size_t from;
    YK_TRY(yk_chat_open(c, q, err));
    from = q->ids.n;
    YK_TRY(add_text(c, content, true, q, err));
    YK_TRY(weigh(q, from, 1.0f, err));
    YK_TRY(close_turn(c, true, q, err));
done:
    return st;
}

yk_status yk_chat_generated(yk_chat *c, const int32_t *id, size_t n, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    size_t from = q->ids.n;
    (void)c;
    for (size_t i = 0; i < n; i++) YK_TRY(add_id(q, id[i], err));
    YK_TRY(weigh(q, from, 1.0f, err));
done:
    return st;
}

yk_status yk_chat_encode(yk_chat *c, const yk_turn *turn, size_t turns, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < turns; i++) {
        if (turn[i].role == YK_ASSISTANT) {
            YK_TRY(yk_chat_answer(c, turn[i].content, q, err));
            continue;
        }
        size_t from;
        YK_TRY(open_turn(c, turn[i].role, q, err));
        from = q->ids.n;
        YK_TRY(add_text(c, turn[i].content, false, q, err));
        YK_TRY(weigh(q, from, 0.0f, err));
        YK_TRY(close_turn(c, false, q, err));
    }
done:
    return st;
}

yk_status yk_chat_plain(yk_chat *c, const yk_turn *turn, size_t turns, const char *delimiter, const char *choice,
                        yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    yk_ids prompt = {0};
    yk_buf_puts(&text, "");
    for (size_t i = 0; i < turns; i++) {
        yk_buf_puts(&text, turn[i].content);
        if (i + 1 < turns) yk_buf_puts(&text, "\n");
    }
    size_t end = text.len;
    if (choice) {
        while (end > 0 && strchr(" \t\n\v\f\r", text.data[end - 1])) end--;
        yk_buf_puts(&text, delimiter ? delimiter : turns ? " " : "");
        yk_buf_puts(&text, choice);
    }
    YK_TRY(add_id(q, c->document, err));
    YK_TRY(yk_encode(c->encoder, text.data, end, &prompt, err));
    YK_TRY(yk_encode(c->encoder, text.data, text.len, &q->ids, err));
    q->prompt = (int64_t)(1 + prompt.n < q->ids.n ? 1 + prompt.n : q->ids.n);
    YK_TRY(weigh(q, 0, 0.0f, err));
    YK_TRY(weigh(q, (size_t)q->prompt, 1.0f, err));
done:
    yk_buf_free(&text);
    yk_ids_free(&prompt);
    return st;
}

void yk_chat_ends(const yk_chat *c, yk_sampling *how)
{
    how->ends = 0;
    how->end[how->ends++] = c->document_end;
    if (c->answer_end != c->document_end) how->end[how->ends++] = c->answer_end;
    if (c->begin >= 0) how->end[how->ends++] = c->begin;
}
