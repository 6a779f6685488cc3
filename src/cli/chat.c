/* A conversation with a trained model. */
#include "align/chat.h"
#include "base/json.h"
#include "cli/cli.h"
#include "train/opened.h"
#include "train/decoder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

typedef struct options {
    const char *run, *checkpoint;
    double temperature, top_p, penalty;
    long top_k, tokens, seed, threads;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    switch (key) {
    case 0: return o->run ? false : (o->run = text, true);
    case 'c': o->checkpoint = text; return true;
    case 't': o->temperature = atof(text); return true;
    case 'P': o->top_p = atof(text); return true;
    case 'k': o->top_k = atol(text); return true;
    case 'r': o->penalty = atof(text); return true;
    case 'n': o->tokens = atol(text); return true;
    case 's': o->seed = atol(text); return true;
    case 'T': o->threads = atol(text); return true;
    default: return false;
    }
}

typedef struct talk {
    yk_opened run;
    yk_chat *chat;
    yk_decoder *decoder;
    yk_sampling how;
    yk_turn *turn; /* contents are owned */
    size_t turns, room;
    bool terminal, dropped, ended;
    uint64_t answers; /* number of the next, for its random numbers */
    yk_buf held;      /* bytes of a character that is not whole yet */
} talk;

static const char help[] = "/reset       forget the conversation\n"
                           "/system TEXT begin anew with this instruction\n"
                           "/save FILE   append the conversation to a file, as a line of {\"messages\"}\n"
                           "/quit        end (so does Ctrl-D); Ctrl-C stops an answer\n";

static void interrupt(int signal)
{
    (void)signal;
    yk_stop_asked = 1;
}

static void forget(talk *t, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) free((char *)t->turn[i].content);
    memmove(t->turn + first, t->turn + first + n, (t->turns - first - n) * sizeof *t->turn);
    t->turns -= n;
}

static yk_status say(talk *t, yk_role role, const char *content, yk_error *err)
{
    yk_status st = YK_OK;
    YK_ROOM(t->turn, t->turns, t->room);
    char *copy = strdup(content);
    if (!copy) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    t->turn[t->turns++] = (yk_turn){role, copy};
done:
    return st;
}

/* Prints what is whole of the text so far; control characters, and bytes that never become a character, are shown as
 * U+FFFD. */
static void print_whole(talk *t, bool all)
{
    size_t at = 0;
    while (at < t->held.len) {
        utf8proc_int32_t c;
        const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)t->held.data + at;
        size_t left = t->held.len - at;
        utf8proc_ssize_t n = utf8proc_iterate(p, (utf8proc_ssize_t)left, &c);
        if (n <= 0 && !all && left < 4 && p[0] >= 0xC0) break;
        if (n > 0 && ((c >= ' ' && c < 0x7F) || c > 0x9F || c == '\n' || c == '\t'))
            fwrite(p, 1, (size_t)n, stdout);
        else
            fputs("\xEF\xBF\xBD", stdout);
        at += n > 0 ? (size_t)n : 1;
    }
    memmove(t->held.data, t->held.data + at, t->held.len - at);
    t->held.len -= at;
    fflush(stdout);
}

static bool hear(void *context, const char *bytes, size_t n)
{
    talk *t = context;
    yk_buf_add(&t->held, bytes, n);
    print_whole(t, false);
    return !yk_stop_asked;
}

/* The conversation as a prompt that leaves room for an answer; the oldest turns go where it does not. */
static yk_status make_prompt(talk *t, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t context = t->run.r.pretrain_seq;
    const size_t kept = t->turns > 0 && t->turn[0].role == YK_SYSTEM;
    for (;;) {
        yk_sequence_clear(q);
        YK_TRY(yk_chat_encode(t->chat, t->turn, t->turns, q, err));
        YK_TRY(yk_chat_open(t->chat, q, err));
        if ((int64_t)q->ids.n + context / 8 <= context || t->turns <= kept + 1) break;
        forget(t, kept, t->turns > kept + 2 ? 2 : 1);
        if (!t->dropped && t->terminal)
            fprintf(stderr, "(the context of %lld tokens is full: from here on the oldest turns are forgotten)\n",
                    (long long)context);
        t->dropped = true;
    }
done:
    return st;
}

static yk_status answer(talk *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_sequence q = {0};
    yk_request r = {0};
    YK_TRY(make_prompt(t, &q, err));
    if ((int64_t)q.ids.n >= t->run.r.pretrain_seq) {
        fprintf(stderr, "(that is %zu tokens, the context has %lld: say it in fewer words)\n", q.ids.n,
                (long long)t->run.r.pretrain_seq);
        forget(t, t->turns - 1, 1);
        goto done;
    }
    r = (yk_request){.prompt = q.ids.id, .length = (int64_t)q.ids.n, .number = t->answers++};
    yk_stop_asked = 0;
    yk_buf_reserve(&t->held, 1);
    YK_TRY(yk_decoder_run(t->decoder, &r, 1, &t->how, hear, t, err));
    print_whole(t, true);
    putchar('\n');
    if (r.finish == YK_FINISH_CONTEXT && t->terminal)
        fprintf(stderr, "(the answer is cut: the context of %lld tokens is full)\n", (long long)t->run.r.pretrain_seq);
    YK_TRY(say(t, YK_ASSISTANT, r.text.data, err));
done:
    yk_stop_asked = 0;
    yk_request_free(&r);
    yk_sequence_free(&q);
    return st;
}

static yk_status save(const talk *t, const char *path, yk_error *err)
{
    FILE *f = fopen(path, "ab");
    if (!f) return yk_fail(err, YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    json_t *messages = json_array();
    for (size_t i = 0; i < t->turns; i++) {
        const yk_turn *x = &t->turn[i];
        json_array_append_new(messages, json_pack("{s:s, s:o}", "role", yk_role_name[x->role], "content",
                                                  yk_json_of_bytes(x->content, strlen(x->content))));
    }
    yk_status st = yk_json_add_line(f, path, json_pack("{s:o}", "messages", messages), err);
    if (fclose(f) != 0 && st == YK_OK) st = yk_fail(err, YK_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    return st;
}

static void begin_anew(talk *t)
{
    forget(t, 0, t->turns);
    t->dropped = false;
    if (t->terminal) fputs("(a new conversation)\n", stderr);
}

/* A command, which begins with a slash. What is wrong with it is said, and the conversation goes on. */
static yk_status obey(talk *t, char *line, yk_error *err)
{
    char *argument = line + strcspn(line, " ");
    if (*argument) *argument++ = 0;
    argument += strspn(argument, " ");
    yk_error why;
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0) {
        t->ended = true;
    } else if (strcmp(line, "/reset") == 0) {
        begin_anew(t);
    } else if (strcmp(line, "/system") == 0) {
        begin_anew(t);
        if (*argument) return say(t, YK_SYSTEM, argument, err);
    } else if (strcmp(line, "/save") == 0 && *argument) {
        if (save(t, argument, &why) != YK_OK)
            fprintf(stderr, "%s\n", why.text);
        else
            fprintf(stderr, "(%zu turns appended to %s)\n", t->turns, argument);
    } else if (strcmp(line, "/save") == 0) {
        fputs("/save needs the name of a file\n", stderr);
    } else if (strcmp(line, "/help") == 0) {
        fputs(help, stderr);
    } else {
        fprintf(stderr, "there is no %s; there are\n%s", line, help);
    }
    return YK_OK;
}

/* The next line without its end; NULL at the end of the input. */
static char *next_line(talk *t, char **line, size_t *room)
{
    for (;;) {
        if (t->terminal) fputs("\033[1m> \033[0m", stdout), fflush(stdout);
        errno = 0;
        ssize_t n = getline(line, room, stdin);
        if (n >= 0) {
            (*line)[strcspn(*line, "\r\n")] = 0;
            return *line;
        }
        if (errno != EINTR) return NULL;
        clearerr(stdin);
        yk_stop_asked = 0;
        if (t->terminal) fputs("\n(/quit or Ctrl-D ends)\n", stdout);
    }
}

static yk_status converse(talk *t, yk_error *err)
{
    yk_status st = YK_OK;
    char *line = NULL;
    size_t room = 0;
    const struct sigaction stop = {.sa_handler = interrupt}; /* without restart: an interrupted getline returns */
    sigaction(SIGINT, &stop, NULL);
    signal(SIGTERM, SIG_DFL); /* ends the program, which has nothing to save */
    signal(SIGUSR1, SIG_DFL);
    if (t->terminal) fprintf(stderr, "%s: type a message, or /help\n", t->run.r.run_dir[0] ? t->run.r.run_dir : "chat");
    while (!t->ended && next_line(t, &line, &room)) {
        if (line[strspn(line, " \t")] == 0) continue;
        if (line[0] == '/') {
            YK_TRY(obey(t, line, err));
            continue;
        }
        YK_TRY(say(t, YK_USER, line, err));
        YK_TRY(answer(t, err));
    }
    if (t->terminal && !t->ended) putchar('\n');
done:
    free(line);
    return st;
}

static yk_status chat(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    talk t = {.terminal = isatty(0) && isatty(1)};
    options o = {.temperature = 0.7, .top_p = 1, .top_k = 50, .tokens = 512, .seed = 1, .penalty = 1};
    YK_TRY(yk_parse(&yk_command_chat, argc, argv, 1, take, &o, err));
    if (o.temperature < 0 || o.top_p <= 0 || o.top_p > 1 || o.tokens < 1 || o.top_k < 0 || o.penalty <= 0)
        YK_FAIL(YK_ERR_USAGE, "temperature >= 0, 0 < top-p <= 1, top-k >= 0, penalty > 0 and tokens >= 1 are needed");
    YK_TRY(yk_open_run(&t.run, &(yk_open_options){.run = o.run, .checkpoint = o.checkpoint, .threads = o.threads},
                       err));
    YK_TRY(yk_chat_new(&t.chat, t.run.r.sft_template, t.run.s.tokenizer, err));
    YK_TRY(yk_decoder_new(&t.decoder, &t.run.s, 1, t.run.r.pretrain_seq, err));
    t.how = yk_sampling_of(&t.run.s);
    t.how.temperature = o.temperature, t.how.top_p = o.top_p, t.how.top_k = o.top_k, t.how.tokens = o.tokens;
    t.how.repetition_penalty = o.penalty, t.how.seed = (uint64_t)o.seed;
    yk_chat_ends(t.chat, &t.how);
    YK_TRY(converse(&t, err));
done:
    forget(&t, 0, t.turns);
    free(t.turn);
    yk_buf_free(&t.held);
    yk_decoder_free(t.decoder);
    yk_chat_free(t.chat);
    yk_opened_close(&t.run);
    return st;
}

static const struct argp_option option[] = {
    {"temperature", 't', "X", 0, "0 is greedy (0.7)", 0},
    {"top-k", 'k', "K", 0, "sample among the K likeliest; 0: all (50)", 0},
    {"top-p", 'P', "P", 0, "sample among the fewest that hold probability P (1)", 0},
    {"repetition-penalty", 'r', "X", 0, "above 1 makes what was said less likely (1)", 0},
    {"tokens", 'n', "N", 0, "most tokens of an answer (512)", 0},
    {"seed", 's', "N", 0, "the same seed gives the same answers everywhere (1)", 0},
    {"checkpoint", 'c', "FILE", 0, "instead of the model that the run's last stage left", 0},
    {"threads", 'T', "N", 0, "threads; 0: all", 0},
    {0},
};

const yk_command yk_command_chat = {
    "chat", "RUN_DIR", "talk with a fine-tuned model",
    "Answers what is typed, with the whole conversation as context. Lines that begin with a slash are commands; /help "
    "lists them. From a pipe, each line is a message.\v"
    "Example:\n  yoke chat runs/quickstart\n  echo 'What is 3 + 4?' | yoke chat runs/quickstart -t 0",
    option, chat};
