#include "align/command.h"

#include "align/checkers.h"
#include "align/child.h"
#include "base/log.h"

#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_REPLY = 65536, CHUNK = 65536, MESSAGES = 4096 };

static const double longest_wait = 0.1; /* seconds until the job is asked again whether it is to stop */

struct yk_command {
    char *line;
    double time_limit;
    int64_t max_failures, in_row, next_id;
    yk_command_counts counts;
    const yk_job *job; /* NULL: none */
    bool cut;          /* a batch was not finished, because the job was to stop */
    yk_child child;
    yk_buf to, from, messages; /* to write, read and not yet understood, the end of its standard error */
    size_t written;            /* of `to` */
    double since;              /* of the last reply, or the start */
    bool fresh;                /* started for the batch at hand */
};

typedef struct batch {
    yk_question *q;
    size_t n, left;
    int64_t first; /* the id of q[0]; the others follow */
} batch;

yk_status yk_command_new(yk_command **out, const char *line, double time_limit, int64_t max_failures, const yk_job *job,
                         yk_error *err)
{
    yk_status st = YK_OK;
    yk_command *c = NULL;
    YK_NEW(c, 1);
    c->child = (yk_child){0, -1, -1, -1};
    c->time_limit = time_limit;
    c->max_failures = max_failures;
    c->job = job;
    c->line = strdup(line);
    if (!c->line) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    *out = c;
    c = NULL;
done:
    yk_command_free(c);
    return st;
}

void yk_command_free(yk_command *c)
{
    if (!c) return;
    char how[64];
    yk_child_close(&c->child);
    yk_child_end(&c->child, c->cut ? 0 : c->time_limit < 1 ? c->time_limit : 1, how);
    yk_buf_free(&c->to);
    yk_buf_free(&c->from);
    yk_buf_free(&c->messages);
    free(c->line);
    free(c);
}

const yk_command_counts *yk_command_counts_of(const yk_command *c)
{
    return &c->counts;
}

bool yk_command_was_cut(const yk_command *c)
{
    return c->cut;
}

/* Remembers it: what was asked is of no use then. */
static bool stops(yk_command *c)
{
    c->cut |= c->job && yk_job_stops(c->job);
    return c->cut;
}

static json_t *json_text(yk_span s)
{
    yk_buf valid = {0};
    yk_valid_utf8(s, &valid);
    json_t *j = json_stringn(valid.data ? valid.data : "", valid.len);
    yk_buf_free(&valid);
    return j;
}

static json_t *json_line(const char *text)
{
    return text ? json_text((yk_span){text, strlen(text)}) : json_null();
}

static int add_bytes(const char *bytes, size_t n, void *buf)
{
    yk_buf_add(buf, bytes, n);
    return 0;
}

static yk_status add_question(yk_buf *to, int64_t id, const yk_question *q, yk_error *err)
{
    json_t *j = json_pack("{s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)id, "prompt", json_line(q->prompt), "response",
                          json_text(q->response), "answer", json_text(q->answer), "expected", json_line(q->expected));
    int bad = !j || json_dump_callback(j, add_bytes, to, JSON_COMPACT) != 0;
    json_decref(j);
    yk_buf_puts(to, "\n");
    return bad ? yk_fail(err, YK_ERR_MEMORY, "out of memory while a verifier was asked") : YK_OK;
}

/* Starts the command if it does not run; what has no reply is to be asked. */
static yk_status begin(yk_command *c, const batch *b, yk_error *err)
{
    yk_status st = YK_OK;
    if (!c->child.pid) {
        yk_buf_clear(&c->from);
        yk_buf_clear(&c->messages);
        YK_TRY(yk_child_start(&c->child, c->line, err));
        c->counts.starts++;
        c->fresh = true;
    }
    yk_buf_clear(&c->to);
    c->written = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!b->q[i].done) YK_TRY(add_question(&c->to, b->first + (int64_t)i, &b->q[i], err));
    c->since = yk_now();
done:
    return st;
}

static void read_messages(yk_command *c)
{
    char chunk[MESSAGES];
    size_t n = yk_child_read(&c->child.err, chunk, sizeof chunk);
    if (!n) return;
    yk_buf_add(&c->messages, chunk, n);
    size_t over = c->messages.len > MESSAGES ? c->messages.len - MESSAGES : 0;
    if (!over) return;
    memmove(c->messages.data, c->messages.data + over, MESSAGES);
    c->messages.len = MESSAGES;
}

/* `s`, or its beginning, for a message of ours: one line without control characters. */
static void quote(yk_span s, char out[256])
{
    size_t n = s.length < 255 ? s.length : 255;
    for (size_t i = 0; i < n; i++) out[i] = (unsigned char)s.text[i] < 0x20 || s.text[i] == 0x7f ? '?' : s.text[i];
    out[n] = 0;
}

/* Counts one of *counter; too many in a row end the asking. */
static yk_status failed(yk_command *c, int64_t *counter, const char *why, yk_error *err)
{
    if (!(*counter)++) yk_warn("verifier command \"%.200s\": %s; the answer scores 0", c->line, why);
    if (++c->in_row < c->max_failures) return YK_OK;
    char said[256];
    quote(yk_span_last_line((yk_span){c->messages.data, c->messages.len}), said);
    return yk_fail(err, YK_ERR_INPUT,
                   "verifier command \"%.500s\": %lld failures in a row, the last: %s. The last line of its standard "
                   "error: \"%s\". Try it by hand on a line of the form doc/verifiers.md shows",
                   c->line, (long long)c->in_row, why, said);
}

static void end_child(yk_command *c, double patience, char how[64])
{
    yk_child_end(&c->child, patience, how);
    for (int i = 0; i < 64 && c->child.err >= 0; i++) read_messages(c);
    yk_child_close(&c->child);
}

/* Ends the process; the first question without a reply pays for it. */
static yk_status give_up(yk_command *c, batch *b, int64_t *counter, double patience, const char *why, yk_error *err)
{
    char how[64], text[512];
    size_t i = 0;
    end_child(c, patience, how);
    while (i < b->n && b->q[i].done) i++;
    if (i < b->n) b->q[i].done = true, b->left--;
    snprintf(text, sizeof text, "%s%s", why, counter == &c->counts.crashes ? how : "");
    return failed(c, counter, text, err);
}

/* One line of its output. *reply = false when it is none, or of no question that is open. */
static yk_status take_line(yk_command *c, batch *b, yk_span line, bool *reply, yk_error *err)
{
    json_t *j = json_loadb(line.text, line.length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *id = json_object_get(j, "id"), *score = json_object_get(j, "score");
    int64_t i = json_is_integer(id) ? json_integer_value(id) : -1;
    double value = json_is_number(score) ? json_number_value(score) : -1;
    json_decref(j);
    *reply = i >= b->first && i - b->first < (int64_t)b->n && !b->q[i - b->first].done;
    if (!*reply) return YK_OK;
    yk_question *q = &b->q[i - b->first];
    q->done = true;
    b->left--;
    c->since = yk_now();
    if (!(value >= 0 && value <= 1)) return failed(c, &c->counts.rubbish, "a reply has no score from 0 to 1", err);
    q->score = value;
    c->in_row = 0;
    return YK_OK;
}

/* All whole lines that were read. */
static yk_status take_lines(yk_command *c, batch *b, yk_error *err)
{
    yk_status st = YK_OK;
    size_t at = 0;
    bool reply = true;
    yk_span line = {0};
    while (reply && b->left && at < c->from.len) {
        const char *text = c->from.data + at, *stop = memchr(text, '\n', c->from.len - at);
        line = (yk_span){text, stop ? (size_t)(stop - text) : c->from.len - at};
        if (line.length > LONGEST_REPLY) reply = false;
        else if (!stop) break;
        else if (yk_span_trim(line).length) YK_TRY(take_line(c, b, line, &reply, err));
        at += line.length + 1;
    }
    if (!reply) {
        char text[256], why[512];
        quote(line, text);
        snprintf(why, sizeof why, "\"%s\" is no reply to a question", text);
        YK_TRY(give_up(c, b, &c->counts.rubbish, 0, why, err));
        at = c->from.len;
    }
    at = at < c->from.len ? at : c->from.len;
    c->from.len -= at;
    if (at && c->from.len) memmove(c->from.data, c->from.data + at, c->from.len);
done:
    return st;
}

/* Waits for one of the pipes and moves what can be moved. */
static yk_status exchange(yk_command *c, batch *b, yk_error *err)
{
    double wait = c->since + c->time_limit - yk_now();
    bool more = c->written < c->to.len;
    struct pollfd fd[3] = {{c->child.out, POLLIN, 0}, {c->child.err, POLLIN, 0}, {more ? c->child.in : -1, POLLOUT, 0}};
    if (wait <= 0) return give_up(c, b, &c->counts.timeouts, 0, "no reply within the time limit", err);
    if (poll(fd, 3, (int)ceil(1e3 * fmin(wait, longest_wait))) <= 0) return YK_OK;
    if (fd[1].revents) read_messages(c);
    if (fd[2].revents) {
        size_t rest = c->to.len - c->written;
        c->written += yk_child_write(&c->child, c->to.data + c->written, rest < CHUNK ? rest : CHUNK);
    }
    if (!fd[0].revents) return YK_OK;
    yk_buf_reserve(&c->from, CHUNK);
    c->from.len += yk_child_read(&c->child.out, c->from.data + c->from.len, CHUNK);
    yk_status st = take_lines(c, b, err);
    if (st != YK_OK || !c->child.pid || c->child.out >= 0 || !b->left) return st;
    if (c->fresh)
        return give_up(c, b, &c->counts.crashes, 0.2, "its output ended while questions were open; it ", err);
    end_child(c, 0, (char[64]){0}); /* it may have exited before this batch: no question pays */
    return YK_OK;
}

yk_status yk_command_ask(yk_command *c, yk_question *q, size_t n, yk_error *err)
{
    yk_status st = YK_OK;
    batch b = {q, n, n, c->next_id};
    c->next_id += (int64_t)n;
    c->counts.asked += (int64_t)n;
    for (size_t i = 0; i < n; i++) q[i].score = 0, q[i].done = false;
    c->fresh = false;
    if (c->child.in < 0 || c->child.out < 0) end_child(c, 0, (char[64]){0});
    while (b.left && !stops(c)) {
        YK_TRY(begin(c, &b, err));
        do YK_TRY(exchange(c, &b, err));
        while (c->child.pid && (b.left || (c->child.in >= 0 && c->written < c->to.len)) && !(b.left && stops(c)));
    }
done:
    return st;
}
