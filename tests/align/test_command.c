/* External verifiers: what they may do, and what they may not do to us. The commands are lines of shell. */
#include "tests/align/items.h"

#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

#define LIMIT 0.3

/* Shell: for each question, its id as $id, its answer as $answer. */
#define EACH(body)                                                                                                  \
    "while IFS= read -r line; do id=${line#*:}; id=${id%%,*}; "                                                     \
    "answer=${line#*\\\"answer\\\":\\\"}; answer=${answer%%\\\"*}; " body "; done"
#define REPLY(score) "echo \"{\\\"id\\\":$id,\\\"score\\\":" score "}\""

enum { N = 12 };

typedef struct trial {
    yk_status status;
    double score[N];
    yk_verifier_counts counts;
    double seconds;
    yk_error err;
} trial;

/* Asks a command about `n` responses with the answers 0, 1, 2 ..., `batches` times. */
static trial ask(const char *command, size_t n, int batches, int64_t max_failures)
{
    static const char *const response[N] = {
        "<answer>0</answer>", "<answer>1</answer>", "<answer>2</answer>", "<answer>3</answer>",
        "<answer>4</answer>", "<answer>5</answer>", "<answer>6</answer>", "<answer>7</answer>",
        "<answer>8</answer>", "<answer>9</answer>", "<answer>10</answer>", "<answer>11</answer>"};
    yk_verifier *v = verifier_of((yk_verifier_options){
        .kind = "command", .command = command, .time_limit = LIMIT, .max_failures = max_failures});
    yk_reward_item it[N];
    trial t = {.status = YK_OK};
    double start = yk_now();
    for (size_t i = 0; i < n; i++) it[i] = item_of(response[i], NULL, NULL);
    for (int b = 0; b < batches && t.status == YK_OK; b++) t.status = yk_verify_batch(v, it, n, t.score, &t.err);
    t.counts = yk_verifier_counts_of(v);
    yk_verifier_free(v);
    t.seconds = yk_now() - start;
    return t;
}

static void says(const trial *t, const char *words)
{
    if (!strstr(t->err.text, words)) fail_msg("\"%s\" should say \"%s\"", t->err.text, words);
}

/* All scores are 1 but that of item `but` (-1: none). */
static void all_but(const trial *t, size_t n, int but)
{
    if (t->status != YK_OK) fail_msg("%s", t->err.text);
    for (size_t i = 0; i < n; i++)
        if (t->score[i] != ((int)i != but)) fail_msg("item %zu scored %g", i, t->score[i]);
}

static void answers(void **state)
{
    (void)state;
    trial t = ask(EACH("case $answer in [02468]) " REPLY("1") ";; 3) " REPLY("0.25") ";; *) " REPLY("0") ";; esac"),
                  8, 3, 0);
    static const double want[] = {1, 0, 1, 0.25, 1, 0, 1, 0};
    assert_int_equal(t.status, YK_OK);
    for (int i = 0; i < 8; i++) assert_true(t.score[i] == want[i]);
    assert_int_equal(t.counts.starts, 1);
    assert_int_equal(t.counts.asked, 24);
    assert_int_equal(t.counts.timeouts + t.counts.crashes + t.counts.rubbish, 0);
}

static void replies_in_any_order(void **state)
{
    (void)state;
    trial t = ask("i=0; while [ $i -lt 4 ]; do read -r line; i=$((i + 1)); done; "
                  "for id in 3 1 0 2; do echo; printf ' { \"score\" : %s.0, \"id\" : %s, \"note\" : [{}] } \\r\\n' "
                  "$((id == 3)) $id; done; cat >&2",
                  4, 1, 0);
    static const double want[] = {0, 0, 0, 1};
    assert_int_equal(t.status, YK_OK);
    for (int i = 0; i < 4; i++) assert_true(t.score[i] == want[i]);
}

static void hangs(void **state)
{
    (void)state;
    trial t = ask(EACH("[ $answer != 3 ] || sleep 100; " REPLY("1")), 6, 1, 0);
    all_but(&t, 6, 3);
    assert_int_equal(t.counts.timeouts, 1);
    assert_int_equal(t.counts.starts, 2);
    t = ask("trap '' TERM INT HUP; sleep 100", 6, 1, 3);
    assert_int_equal(t.status, YK_ERR_INPUT);
    assert_int_equal(t.counts.timeouts, 3);
    says(&t, "3 failures in a row");
    says(&t, "time limit");
    assert_true(t.seconds > 3 * LIMIT && t.seconds < 3 * LIMIT + 2);
}

static void crashes(void **state)
{
    (void)state;
    trial t = ask(EACH("[ $answer != 3 ] || kill -SEGV $$; " REPLY("1")), 6, 1, 0);
    all_but(&t, 6, 3);
    assert_int_equal(t.counts.crashes, 1);
    t = ask("echo first >&2; echo 'no such file: x' >&2; echo >&2; exit 7", 4, 5, 10);
    assert_int_equal(t.status, YK_ERR_INPUT);
    assert_int_equal(t.counts.crashes, 10);
    says(&t, "10 failures in a row");
    says(&t, "exited with status 7");
    says(&t, "\"no such file: x\"");
    says(&t, "exit 7\"");
    t = ask("kill -ABRT $$", 4, 1, 1);
    says(&t, "signal 6");
    t = ask("/no/such/verifier", 4, 1, 2);
    says(&t, "status 127");
    says(&t, "/no/such/verifier");
}

static void rubbish(void **state)
{
    (void)state;
    static const char *const line[] = {"echo hello",
                                       "echo '[]'",
                                       "echo '{}'",
                                       "echo '{\"id\":-1,\"score\":1}'",
                                       "echo '{\"id\":6,\"score\":1}'",
                                       "echo '{\"id\":2.5,\"score\":1}'",
                                       "echo '{\"id\":99999999999999999999,\"score\":1}'",
                                       "echo '{\"id\":1,\"score\":1}'", /* a second time */
                                       "printf '\\0\\n'",
                                       "head -c 70000 /dev/zero",
                                       "head -c 60000 /dev/zero | tr '\\0' '['; echo",
                                       REPLY("1.01"), REPLY("-1"), REPLY("true"), REPLY("1e400"), REPLY("NaN"),
                                       REPLY("1,\\\"score\\\":0")};
    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        yk_buf command = {0};
        yk_buf_puts(&command, "act() { ");
        yk_buf_puts(&command, line[i]);
        yk_buf_puts(&command, "; }; " EACH("if [ $answer = 3 ]; then act; else " REPLY("1") "; fi"));
        trial t = ask(command.data, 6, 1, 0);
        yk_buf_free(&command);
        all_but(&t, 6, 3);
        assert_int_equal(t.counts.rubbish, 1);
    }
    trial t = ask("echo 'Loading\033[2J the model'; cat >&2", 6, 1, 3);
    assert_int_equal(t.status, YK_ERR_INPUT);
    says(&t, "\"Loading?[2J the model\" is no reply");
}

static void closes_its_input(void **state)
{
    (void)state;
    trial t = ask("exec <&-; sleep 100", 3, 1, 2);
    assert_int_equal(t.status, YK_ERR_INPUT);
    t = ask("read -r line; echo '{\"id\":0,\"score\":1}'; exec <&-; sleep 100", 1, 1, 0);
    all_but(&t, 1, -1);
    assert_true(t.seconds < 3);
    t = ask("read -r line; id=${line#*:}; id=${id%%,*}; " REPLY("1"), 1, 5, 0); /* exits after each */
    all_but(&t, 1, -1);
    assert_int_equal(t.counts.starts, 5);
    assert_int_equal(t.counts.crashes, 0);
}

static void floods(void **state)
{
    (void)state;
    trial t = ask(EACH("head -c 300000 /dev/zero >&2; " REPLY("1")), 6, 1, 0);
    all_but(&t, 6, -1);
    t = ask("yes x >&2", 6, 1, 2);
    assert_int_equal(t.counts.timeouts, 2);
    assert_true(t.seconds < 2 * LIMIT + 2);
    t = ask("yes ''", 6, 1, 2);
    assert_int_equal(t.counts.timeouts, 2);
    t = ask("cat /dev/zero", 6, 1, 2);
    assert_int_equal(t.counts.rubbish, 2);
    t = ask("yes '{\"id\":0,\"score\":1}'", 2, 1, 2);
    assert_true(t.score[0] == 1 && t.score[1] == 0);
}

/* Questions and replies that are both larger than the pipes, and a command that writes before it reads. */
static void pipes_that_fill(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20, MANY = 40 };
    char *text = malloc(LARGE);
    assert_non_null(text);
    memset(text, '\n', LARGE);
    memcpy(text, "<answer>\xFF\0\"</answer>", 20);
    yk_reward_item it[MANY];
    double score[MANY];
    yk_error err = {""};
    for (int i = 0; i < MANY; i++) it[i] = (yk_reward_item){"\xC3", text, i ? 30000 : LARGE, 0, "e", NULL};
    yk_verifier *v = verifier_of((yk_verifier_options){
        .kind = "command",
        .time_limit = 20,
        .command = "i=0; while [ $i -lt 40 ]; do printf '%60000s{\"id\":%d,\"score\":1}\\n' ' ' $i; "
                   "i=$((i + 1)); done; cat | tr -d -c '\\n' | wc -c >&2"});
    if (yk_verify_batch(v, it, MANY, score, &err) != YK_OK) fail_msg("%s", err.text);
    for (int i = 0; i < MANY; i++) assert_true(score[i] == 1);
    yk_verifier_free(v);
    free(text);
}

/* The question as the protocol says it, of bytes that are no text. */
static void questions_are_json(void **state)
{
    (void)state;
    char folder[] = "/tmp/yoke-verify-XXXXXX", command[512], seen[512] = "";
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command,
             "read -r line; printf '%%s\\n' \"$line\" >%s/seen; echo '{\"id\":0,\"score\":0.5}'", folder);
    yk_verifier *v = verifier_of((yk_verifier_options){.kind = "command", .command = command, .time_limit = 5});
    static const char bytes[] = "<think>\n\"</think><answer>a\xFF\0\tb</answer>";
    yk_reward_item it = {"2 + 2?", bytes, sizeof bytes - 1, 0, NULL, NULL};
    double score;
    yk_error err;
    assert_int_equal(yk_verify_batch(v, &it, 1, &score, &err), YK_OK);
    assert_true(score == 0.5);
    yk_verifier_free(v);
    snprintf(command, sizeof command, "%s/seen", folder);
    FILE *f = fopen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(seen, sizeof seen, f));
    fclose(f);
    unlink(command);
    rmdir(folder);
    assert_string_equal(seen, "{\"id\":0,\"prompt\":\"2 + 2?\","
                              "\"response\":\"<think>\\n\\\"</think><answer>a\xEF\xBF\xBD\\u0000\\tb</answer>\","
                              "\"answer\":\"a\xEF\xBF\xBD\\u0000\\tb\",\"expected\":null}\n");
}

/* Kinds mix in a batch, and the command sees its own items only. */
static void kinds_mix(void **state)
{
    (void)state;
    yk_verifier *v = verifier_of((yk_verifier_options){.command = EACH(REPLY("0.75")), .time_limit = 5});
    yk_reward_item it[] = {item_of("<answer>a</answer>", "a", NULL), item_of("<answer>b</answer>", "", "command"),
                           item_of("<answer>7</answer>", "8", "number"), item_of("none", "x", "command")};
    double score[4];
    yk_error err;
    assert_int_equal(yk_verify_batch(v, it, 4, score, &err), YK_OK);
    assert_true(score[0] == 1 && score[1] == 0.75 && score[2] == 0 && score[3] == 0.75);
    assert_int_equal(yk_verifier_counts_of(v).asked, 2);
    yk_verifier_free(v);
}

/* What a killed command started dies with it, and a command that ignores its end does not hold us up. */
static void leaves_nothing_behind(void **state)
{
    (void)state;
    char folder[] = "/tmp/yoke-verify-XXXXXX", path[64], command[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pid", folder);
    snprintf(command, sizeof command, "sleep 100 & echo $! >%s; wait", path);
    trial t = ask(command, 1, 1, 0);
    assert_int_equal(t.counts.timeouts, 1);
    FILE *f = fopen(path, "r");
    int pid = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    fclose(f);
    unlink(path);
    rmdir(folder);
    bool gone = false;
    for (int i = 0; i < 200 && !gone; i++) {
        char stat[64], line[256] = "";
        snprintf(stat, sizeof stat, "/proc/%d/stat", pid);
        f = fopen(stat, "r");
        gone = !f || !fgets(line, sizeof line, f) || strstr(line, ") Z ");
        if (f) fclose(f);
        usleep(10000);
    }
    assert_true(gone);
    t = ask("read -r line; echo '{\"id\":0,\"score\":1}'; trap '' TERM PIPE; exec sleep 100", 1, 1, 0);
    all_but(&t, 1, -1);
    assert_true(t.seconds < 3);
}

/* The command is slow, its time limit long, and the job's time over soon. */
static void does_not_hold_up_a_stop(void **state)
{
    (void)state;
    volatile sig_atomic_t stop = 0;
    yk_job job = {.stop = &stop};
    const yk_reward_item it[2] = {item_of("<answer>1</answer>", NULL, NULL), item_of("<answer>2</answer>", NULL, NULL)};
    for (int way = 0; way < 2; way++) {
        yk_verifier *v = verifier_of((yk_verifier_options){
            .kind = "command", .command = EACH(REPLY("1") "; sleep 20"), .time_limit = 60, .job = &job});
        double score[2], start = yk_now();
        yk_error err;
        job.deadline = way ? yk_now() + 0.2 : 0;
        stop = !way;
        assert_int_equal(yk_verify_batch(v, it, 2, score, &err), YK_OK);
        assert_true(yk_verifier_was_cut(v));
        assert_int_equal(yk_verifier_counts_of(v).starts, way);
        yk_verifier_free(v);
        assert_true(yk_now() - start < 1.5);
    }
    stop = 0;
    job.deadline = 0;
    yk_verifier *v = verifier_of((yk_verifier_options){.kind = "command", .command = EACH(REPLY("1")), .job = &job});
    double score[2];
    yk_error err;
    assert_int_equal(yk_verify_batch(v, it, 2, score, &err), YK_OK);
    assert_true(score[0] == 1 && score[1] == 1 && !yk_verifier_was_cut(v));
    yk_verifier_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(replies_in_any_order),
        cmocka_unit_test(hangs),
        cmocka_unit_test(crashes),
        cmocka_unit_test(rubbish),
        cmocka_unit_test(closes_its_input),
        cmocka_unit_test(floods),
        cmocka_unit_test(pipes_that_fill),
        cmocka_unit_test(questions_are_json),
        cmocka_unit_test(kinds_mix),
        cmocka_unit_test(leaves_nothing_behind),
        cmocka_unit_test(does_not_hold_up_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
