/* The watchdog: the rule, and processes that hang, work, or wait for one that is stopped. */
#include "base/watch.h"

#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = YK_WATCH_NOBODY, ANY = YK_WATCH_ANY };

/* At the time 100, with a patience of 10: of each rank when it was alive, its last sign, and for whom it waits. */
static void the_rule(void **state)
{
    (void)state;
    static const struct {
        int ranks, rank;
        struct {
            double alive, sign;
            int waits_for; /* -9: nothing is known of the rank */
        } x[4];
        double heard;
        yk_watch_verdict wanted;
        int whose;
    } row[] = {
        {1, 0, {{100, 91, NOBODY}}, 100, YK_WATCH_GOES_ON, 0},
        {1, 0, {{100, 89, NOBODY}}, 100, YK_WATCH_HANGS, 0},
        {2, 0, {{100, 10, 1}, {99, 95, NOBODY}}, 100, YK_WATCH_GOES_ON, 0},
        {2, 0, {{100, 10, 1}, {99, 10, NOBODY}}, 100, YK_WATCH_HANGS, 1},
        {2, 0, {{100, 10, 1}, {80, 80, NOBODY}}, 100, YK_WATCH_DEAD, 1},
        {2, 0, {{100, 99, NOBODY}, {80, 80, NOBODY}}, 100, YK_WATCH_DEAD, 1},
        {2, 0, {{100, 99, NOBODY}, {80, 80, NOBODY}}, 90, YK_WATCH_GOES_ON, 0}, /* it is this rank that hears nothing */
        {2, 0, {{100, 10, 1}, {99, 10, 0}}, 100, YK_WATCH_HANGS, -1},
        {2, 0, {{100, 10, 1}, {0, 0, -9}}, 100, YK_WATCH_HANGS, 1},
        {2, 0, {{100, 99, NOBODY}, {0, 0, -9}}, 100, YK_WATCH_GOES_ON, 0},
        {4, 2, {{99, 10, 1}, {99, 10, 3}, {100, 10, 0}, {99, 10, NOBODY}}, 100, YK_WATCH_HANGS, 3},
        {4, 2, {{99, 10, ANY}, {99, 10, ANY}, {100, 10, ANY}, {99, 10, NOBODY}}, 100, YK_WATCH_HANGS, 3},
        {4, 2, {{99, 10, ANY}, {99, 10, ANY}, {100, 10, ANY}, {99, 92, NOBODY}}, 100, YK_WATCH_GOES_ON, 0},
        {4, 2, {{99, 10, ANY}, {99, 10, ANY}, {100, 10, ANY}, {99, 10, ANY}}, 100, YK_WATCH_HANGS, -1},
        {4, 0, {{100, 10, 1}, {99, 10, 2}, {99, 10, 1}, {99, 99, NOBODY}}, 100, YK_WATCH_HANGS, -1},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        yk_watch_rank x[4] = {{0}};
        int whose = 0;
        for (int r = 0; r < row[i].ranks; r++)
            x[r] = (yk_watch_rank){.known = row[i].x[r].waits_for != -9, .alive = row[i].x[r].alive,
                                   .sign = row[i].x[r].sign, .waits_for = row[i].x[r].waits_for};
        yk_watch_verdict v = yk_watch_judge(x, row[i].ranks, row[i].rank, 100, row[i].heard, 10, &whose);
        if (v != row[i].wanted || (v != YK_WATCH_GOES_ON && whose != row[i].whose))
            fail_msg("row %zu: verdict %d, rank %d", i, v, whose);
    }
}

typedef struct place {
    char dir[64], errors[96];
} place;

static int set_up(void **state)
{
    place *p = calloc(1, sizeof *p);
    *state = p;
    snprintf(p->dir, sizeof p->dir, "/tmp/yoke-test-XXXXXX");
    if (!mkdtemp(p->dir)) return -1;
    snprintf(p->errors, sizeof p->errors, "%s/errors", p->dir);
    return 0;
}

static int tear_down(void **state)
{
    place *p = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", p->dir);
    int bad = system(command);
    free(p);
    return bad;
}

typedef void (*deed)(void);

static pid_t start(const place *p, int rank, int ranks, double seconds, deed what)
{
    yk_error err;
    fflush(NULL);
    pid_t child = fork();
    if (child != 0) return child;
    if (!freopen(p->errors, "a", stderr)) _exit(99);
    const yk_watch_options o = {.dir = p->dir, .rank = rank, .ranks = ranks, .run = 7, .seconds = seconds};
    if (yk_watch_open(&o, &err) != YK_OK) _exit(98);
    yk_watch_phase("step", 17);
    what();
    yk_watch_close();
    _exit(0);
}

static int code_of(pid_t child)
{
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void assert_says(const char *path, const char *words)
{
    char text[4096] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    if (!strstr(text, words)) fail_msg("%s is not in: %s", words, text);
}

static void rest(double seconds)
{
    for (double until = yk_now() + seconds; yk_now() < until;) usleep(20000);
}

static void sleep_long(void)
{
    sleep(30);
}

static void compute(void)
{
    for (double until = yk_now() + 3; yk_now() < until;) {}
}

static void show_progress(void)
{
    yk_log_quiet();
    for (int i = 0; i < 30; i++) {
        rest(0.1);
        yk_progress("still here");
    }
}

static void wait_in_vain(void) /* polling is no progress */
{
    yk_watch_wait(1);
    for (double until = yk_now() + 30; yk_now() < until;) {}
}

static void wait_for_any(void)
{
    yk_watch_wait(YK_WATCH_ANY);
    rest(3);
    yk_watch_waited();
}

static void who_sleeps_is_ended(void **state)
{
    place *p = *state;
    char log[96];
    snprintf(log, sizeof log, "%s/hangs.log", p->dir);
    assert_int_equal(code_of(start(p, 0, 1, 0.5, sleep_long)), YK_ERR_HANG);
    assert_says(p->errors, "in `step 17`, hangs since");
    assert_says(log, "in `step 17`, hangs since");
}

static void who_works_is_not(void **state)
{
    place *p = *state;
    pid_t a = start(p, 0, 1, 1, compute), b = start(p, 0, 1, 1, show_progress), c = start(p, 0, 1, 0, sleep_long);
    assert_int_equal(code_of(a), 0);
    assert_int_equal(code_of(b), 0);
    kill(c, SIGTERM); /* not watched */
    assert_int_equal(code_of(c), -SIGTERM);
}

static void who_waits_for_one_that_works_is_not(void **state)
{
    place *p = *state;
    pid_t a = start(p, 0, 2, 1, wait_for_any), b = start(p, 1, 2, 1, compute);
    assert_int_equal(code_of(a), 0);
    assert_int_equal(code_of(b), 0);
}

static void who_waits_for_one_that_is_stopped_is(void **state)
{
    place *p = *state;
    pid_t a = start(p, 0, 2, 2, wait_in_vain), b = start(p, 1, 2, 2, compute);
    sleep(1);
    kill(b, SIGSTOP);
    assert_int_equal(code_of(a), YK_ERR_HANG);
    assert_says(p->errors, "waits for rank 1; rank 1 on ");
    assert_says(p->errors, "shows no sign of life since ");
    kill(b, SIGKILL);
    assert_int_equal(code_of(b), -SIGKILL);
}

/* A queue may suspend a whole job. */
static void what_was_suspended_goes_on(void **state)
{
    place *p = *state;
    pid_t a = start(p, 0, 2, 1, wait_for_any), b = start(p, 1, 2, 1, compute);
    usleep(300000);
    kill(a, SIGSTOP);
    kill(b, SIGSTOP);
    sleep(3);
    kill(a, SIGCONT);
    kill(b, SIGCONT);
    assert_int_equal(code_of(a), 0);
    assert_int_equal(code_of(b), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule),
        TEST(who_sleeps_is_ended),
        TEST(who_works_is_not),
        TEST(who_waits_for_one_that_works_is_not),
        TEST(who_waits_for_one_that_is_stopped_is),
        TEST(what_was_suspended_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
