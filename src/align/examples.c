#include "align/examples.h"

#include "base/hash.h"
#include "base/log.h"
#include "text/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_LIMIT = 16 << 20, MOST_TURNS = 1000, MOST_CHOICES = 100, WARNINGS = 5 };

const char *const yk_role_name[YK_ROLES] = {"system", "user", "assistant"};

/* What the texts of examples lie in: the parsed lines, and the turns made of them. */
struct yk_examples_text {
    struct {
        json_t *json;
        yk_turn *turn;
        const char **choice;
    } *line; /* of each example */
    size_t cap;
};

/* One line in the making, and why it will not do. */
typedef struct parse {
    yk_example e;
    yk_turn *turn;
    const char **choice;
    bool rewritten;
    const char *why;
} parse;

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

/* A text member; NULL and a reason when it is missing, no text or blank. */
static const char *text_of(const json_t *o, const char *name, parse *x)
{
    static const char *const members[][2] = {
        {"completion", "`completion` is missing, no text or empty"},
        {"chosen", "`chosen` is missing, no text or empty"},
        {"rejected", "`rejected` is missing, no text or empty"},
        {"answer", "`answer` is missing, no text or empty"},
        {"target", "`target` is missing, no text or empty"},
        {"content", "a message without a text `content`"},
        {"role", "a message without a text `role`"},
    };
    const char *text = json_string_value(json_object_get(o, name));
    if (text && (!is_blank(text) || strcmp(name, "content") == 0)) return text;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i][0], name) == 0) x->why = members[i][1];
    return NULL;
}

/* A text member that may be missing or null. */
static const char *other_text(const json_t *o, const char *name, const char *why, parse *x)
{
    const json_t *text = json_object_get(o, name);
    if (text && !json_is_string(text) && !json_is_null(text)) x->why = why;
    return json_string_value(text);
}

static bool take_message(const json_t *message, yk_turn *turn, parse *x)
{
    const char *role = text_of(message, "role", x), *content = role ? text_of(message, "content", x) : NULL;
    if (!content) return false;
    for (int r = 0; r < YK_ROLES; r++)
        if (strcmp(role, yk_role_name[r]) == 0) {
            *turn = (yk_turn){r, content};
            return true;
        }
    x->why = "a role that is none of system, user, assistant";
    return false;
}

/* Turns of a list of messages or, where a text will do, of one user's turn; with room for one more. */
static bool take_turns(const json_t *from, bool text, parse *x)
{
    size_t n = json_is_array(from) ? json_array_size(from) : 1;
    if (n < 1 || n > MOST_TURNS || !(json_is_array(from) || (text && json_is_string(from)))) {
        x->why = text ? "`prompt` is missing, or neither a text nor a list of messages"
                      : "neither `messages` (a list) nor `prompt` and `completion`";
        return false;
    }
    x->turn = calloc(n + 1, sizeof *x->turn);
    if (!x->turn) {
        x->why = "there is no memory for its messages";
        return false;
    }
    x->e.turn = x->turn;
    x->e.turns = n;
    if (json_is_string(from)) {
        x->turn[0] = (yk_turn){YK_USER, json_string_value(from)};
        if (is_blank(x->turn[0].content)) x->why = "`prompt` is empty";
        return !x->why;
    }
    for (size_t i = 0; i < n; i++)
        if (!take_message(json_array_get(from, i), &x->turn[i], x)) return false;
    return true;
}

static void take_conversation(const json_t *o, parse *x)
{
    const json_t *prompt = json_object_get(o, "prompt");
    if (!take_turns(prompt ? prompt : json_object_get(o, "messages"), prompt != NULL, x)) return;
    const char *completion = prompt ? text_of(o, "completion", x) : NULL;
    if (completion) x->turn[x->e.turns++] = (yk_turn){YK_ASSISTANT, completion};
    if (x->why) return;
    const yk_turn *last = &x->turn[x->e.turns - 1];
    if (last->role != YK_ASSISTANT) x->why = "the last message is not an assistant's";
    if (is_blank(last->content)) x->why = "the assistant's answer is empty";
}

static void take_prompt(const json_t *o, parse *x)
{
    const json_t *prompt = json_object_get(o, "prompt");
    if (!take_turns(prompt ? prompt : json_object_get(o, "messages"), prompt != NULL, x)) return;
    if (x->turn[x->e.turns - 1].role == YK_ASSISTANT) x->e.turns--;
    if (x->e.turns == 0) x->why = "nothing is asked before the assistant's answer";
}

static void take_preference(const json_t *o, parse *x)
{
    if (!take_turns(json_object_get(o, "prompt"), true, x)) return;
    x->e.chosen = text_of(o, "chosen", x);
    x->e.rejected = x->e.chosen ? text_of(o, "rejected", x) : NULL;
    if (x->why) return;
    if (strcmp(x->e.chosen, x->e.rejected) == 0) x->why = "`chosen` and `rejected` are equal";
    const json_t *margin = json_object_get(o, "margin");
    if (margin && (!json_is_number(margin) || !isfinite(json_number_value(margin)) || json_number_value(margin) < 0))
        x->why = "`margin` is no number from 0 on";
    x->e.margin = json_number_value(margin);
}

static void take_problem(const json_t *o, parse *x)
{
    if (!take_turns(json_object_get(o, "prompt"), true, x)) return;
    x->e.answer = text_of(o, "answer", x);
    x->e.verifier = other_text(o, "verifier", "`verifier` is no text", x);
}

static const char *first_text(const json_t *o, const char *name, const char *other)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text ? text : json_string_value(json_object_get(o, other));
}

static bool room_for_choices(parse *x, size_t n)
{
    x->choice = calloc(n, sizeof *x->choice);
    x->e.choice = x->choice;
    x->e.choices = n;
    if (!x->choice) x->why = "there is no memory for its choices";
    return x->choice;
}

static void take_minimal_pair(const json_t *o, parse *x)
{
    if (!room_for_choices(x, 2)) return;
    x->choice[0] = first_text(o, "good", "sentence_good");
    x->choice[1] = first_text(o, "bad", "sentence_bad");
    if (!x->choice[0] || !x->choice[1] || is_blank(x->choice[0]) || is_blank(x->choice[1]))
        x->why = "`good` or `bad` is missing, no text or empty";
    else if (strcmp(x->choice[0], x->choice[1]) == 0)
        x->why = "`good` and `bad` are equal";
}

/* The prompt of choices. A rewritten one may be empty, as it is where choices are whole sentences. */
static bool take_question(const json_t *o, parse *x)
{
    const json_t *prompt = json_object_get(o, "prompt");
    x->e.delimiter = other_text(o, "target_delimiter", "`target_delimiter` is no text", x);
    if (x->rewritten && json_string_length(prompt) == 0) return !x->why;
    return !x->why && take_turns(prompt ? prompt : json_object_get(o, "question"), true, x);
}

static void take_target(const json_t *o, parse *x)
{
    if (!take_question(o, x) || !room_for_choices(x, 1)) return;
    x->choice[0] = text_of(o, "target", x);
}

static void take_choices(const json_t *o, parse *x)
{
    const json_t *choices = json_object_get(o, "choices"), *label = json_object_get(o, "label");
    const size_t n = json_array_size(choices);
    if (!take_question(o, x)) return;
    if (n < 2 || n > MOST_CHOICES) x->why = "`choices` is no list of 2 to 100 texts";
    if (!json_is_integer(label) || json_integer_value(label) < 0 || (size_t)json_integer_value(label) >= n)
        x->why = "`label` is no index into `choices`";
    if (x->why || !room_for_choices(x, n)) return;
    for (size_t i = 0; i < n; i++) {
        x->choice[i] = json_string_value(json_array_get(choices, i));
        if (!x->choice[i] || is_blank(x->choice[i])) x->why = "`choices` has an entry that is no text or empty";
    }
    x->e.label = (size_t)json_integer_value(label);
}

/* Whatever has one right side: a question, what continues a text, a minimal pair, or a preference. */
static void take_choice(const json_t *o, parse *x)
{
    if (json_object_get(o, "choices")) {
        take_choices(o, x);
    } else if (json_object_get(o, "target")) {
        take_target(o, x);
    } else if (!json_object_get(o, "chosen")) {
        take_minimal_pair(o, x);
    } else {
        take_preference(o, x);
        if (x->why || !room_for_choices(x, 2)) return;
        x->choice[0] = x->e.chosen;
        x->choice[1] = x->e.rejected;
    }
}

static void (*const take_form[])(const json_t *, parse *) = {take_conversation, take_preference, take_problem,
                                                             take_choice, take_prompt};

static yk_status keep(yk_examples *e, json_t *line, parse *x, yk_error *err)
{
    yk_status st = YK_OK;
    size_t room = e->cap;
    YK_ROOM(e->item, e->n, e->cap);
    if (e->cap != room && !(e->text->line = yk_regrow(e->text->line, e->cap, sizeof *e->text->line, err))) {
        st = YK_ERR_MEMORY;
        goto done;
    }
    e->text->line[e->n].json = json_incref(line);
    e->text->line[e->n].turn = x->turn;
    e->text->line[e->n].choice = x->choice;
    x->turn = NULL;
    x->choice = NULL;
    e->item[e->n++] = x->e;
done:
    return st;
}

typedef struct place {
    const char *path;
    size_t file, line;
} place;

/* How lines become examples. */
typedef struct taking {
    yk_form form;
    size_t most_bad;
    yk_rewrite_fn rewrite; /* NULL: they are in the form already */
    void *context;
} taking;

static yk_status complain(yk_examples *e, const taking *t, const place *at, const char *why, yk_error *err)
{
    if (++e->bad > t->most_bad && t->most_bad == 0)
        return yk_fail(err, YK_ERR_INPUT, "%s:%zu: %s", at->path, at->line, why);
    if (e->bad > t->most_bad)
        return yk_fail(err, YK_ERR_INPUT, "%s:%zu: %s; that is one bad line more than the %zu that are allowed",
                       at->path, at->line, why, t->most_bad);
    if (e->bad <= WARNINGS) yk_warn("%s:%zu: %s; the line is left out", at->path, at->line, why);
    return YK_OK;
}

/* The object of a line; NULL and a reason when there is none. */
static json_t *object_of(const yk_buf *text, const taking *t, yk_error *why)
{
    json_error_t not_json;
    json_t *line = json_loadb(text->data, text->len, 0, &not_json), *own = NULL;
    if (!line)
        yk_fail(why, YK_ERR_INPUT, "%s", not_json.text);
    else if (!json_is_object(line))
        yk_fail(why, YK_ERR_INPUT, "is no JSON object");
    else
        own = t->rewrite ? t->rewrite(t->context, line, why) : json_incref(line);
    json_decref(line);
    return own;
}

static yk_status take_line(yk_examples *e, const yk_buf *text, const taking *t, const place *at, yk_error *err)
{
    yk_status st = YK_OK;
    parse x = {.e = {.file = at->file, .line = at->line}, .rewritten = t->rewrite != NULL};
    yk_error why;
    json_t *line = object_of(text, t, &why);
    if (!line) {
        x.why = why.text;
    } else {
        take_form[t->form](line, &x);
    }
    if (!x.why) {
        const char *kind = other_text(line, "kind", "`kind` is no text", &x);
        x.e.kind = kind ? kind : "";
    }
    st = x.why ? complain(e, t, at, x.why, err) : keep(e, line, &x, err);
    free(x.turn);
    free(x.choice);
    json_decref(line);
    return st;
}

static yk_status read_file(yk_examples *e, const yk_list *paths, size_t file, const taking *t, yk_digest *hash,
                           yk_error *err)
{
    yk_status st = YK_OK;
    yk_stream_in *in = NULL;
    yk_buf line = {0};
    const char *path = paths->item[file];
    place at = {path, file, 0};
    YK_TRY(yk_stream_open(&in, path, err));
    for (bool end = false;;) {
        at.line++;
        YK_TRY(yk_context(err, yk_stream_line(in, &line, LINE_LIMIT, &end, err), "%s:%zu", path, at.line));
        if (end) break;
        yk_digest_add(hash, line.data, line.len);
        yk_digest_add(hash, "\n", 1);
        if (line.len > 0 && !is_blank(line.data)) YK_TRY(take_line(e, &line, t, &at, err));
    }
done:
    yk_stream_close(in);
    yk_buf_free(&line);
    return st;
}

static yk_status read_all(yk_examples *e, const yk_list *paths, const taking *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_digest *hash = yk_digest_new();
    *e = (yk_examples){0};
    YK_NEW(e->text, 1);
    if (!hash) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < paths->n; i++) YK_TRY(read_file(e, paths, i, t, hash, err));
    if (e->bad > WARNINGS) yk_warn("%zu bad lines were left out in all", e->bad);
    if (e->n == 0) YK_FAIL(YK_ERR_INPUT, "%s: holds no example", paths->n ? paths->item[0] : "(no file)");
    yk_digest_hex(hash, e->hash);
done:
    yk_digest_free(hash);
    if (st != YK_OK) yk_examples_free(e);
    return st;
}

yk_status yk_examples_read(yk_examples *e, const yk_list *paths, yk_form form, size_t most_bad, yk_error *err)
{
    return read_all(e, paths, &(taking){.form = form, .most_bad = most_bad}, err);
}

yk_status yk_examples_rewrite(yk_examples *e, const yk_list *paths, yk_form form, size_t most_bad,
                              yk_rewrite_fn rewrite, void *context, yk_error *err)
{
    return read_all(e, paths, &(taking){form, most_bad, rewrite, context}, err);
}

void yk_examples_free(yk_examples *e)
{
    for (size_t i = 0; e->text && i < e->n; i++) {
        json_decref(e->text->line[i].json);
        free(e->text->line[i].turn);
        free(e->text->line[i].choice);
    }
    if (e->text) free(e->text->line);
    free(e->text);
    free(e->item);
    *e = (yk_examples){0};
}

yk_status yk_examples_form(const char *path, yk_form *form, yk_error *err)
{
    static const struct {
        const char *member;
        yk_form form;
    } forms[] = {{"choices", YK_CHOICE}, {"target", YK_CHOICE}, {"good", YK_CHOICE}, {"sentence_good", YK_CHOICE},
                 {"chosen", YK_CHOICE},
                 {"answer", YK_PROBLEM}};
    yk_status st = YK_OK;
    yk_stream_in *in = NULL;
    yk_buf text = {0};
    json_t *line = NULL;
    bool end = false;
    YK_TRY(yk_stream_open(&in, path, err));
    do YK_TRY(yk_context(err, yk_stream_line(in, &text, LINE_LIMIT, &end, err), "%s", path));
    while (!end && (text.len == 0 || is_blank(text.data)));
    line = end ? NULL : json_loadb(text.data, text.len, 0, NULL);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (json_object_get(line, forms[i].member)) {
            *form = forms[i].form;
            goto done;
        }
    YK_FAIL(YK_ERR_INPUT, "%s: is no task: its first line is no JSON object with `choices` and `label`, with `target`, "
            "with `good` and `bad`, with `chosen` and `rejected`, or with `answer`", path);
done:
    json_decref(line);
    yk_buf_free(&text);
    yk_stream_close(in);
    return st;
}
