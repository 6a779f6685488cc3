/* Checkpoints that are written aside while training goes on. */
#include "small.h"

#include "train/saving.h"

#include <sys/stat.h>

typedef struct trained {
    small x;
    yk_job job;
    volatile sig_atomic_t stop;
    yk_learner l;
} trained;

static void open_learner(trained *t, yk_learner *l)
{
    yk_error err;
    static const char *const keys[] = {"seed", NULL};
    t->job = (yk_job){.recipe = &t->x.r, .dir = t->x.dir, .team = &t->x.team, .stop = &t->stop};
    const yk_learner_options o = {.kind = "test", .folder = t->x.dir, .keys = keys, .data = "", .keep = 2,
                                  .schedule = {"constant", 1e-2, 1, 0, 0, 10}, .adamw = yk_adamw_of(&t->x.r)};
    must(yk_learner_open(l, &t->job, &t->x.s, NULL, &o, &err), &err);
}

static int set_up(void **state)
{
    trained *t = calloc(1, sizeof *t);
    *state = t;
    small_open(&t->x, &(yk_session_options){.rows = 256, .training = true}, 2, NULL);
    open_learner(t, &t->l);
    return 0;
}

static int tear_down(void **state)
{
    trained *t = *state;
    yk_learner_close(&t->l);
    small_close(&t->x);
    free(t);
    return 0;
}

static bool add_item(void *context, int64_t item, yk_session *s)
{
    int32_t id[16];
    const trained *t = context;
    for (int i = 0; i < 16; i++) id[i] = (int32_t)(20 + (7 * i + item + t->l.step) % 200);
    return yk_session_add(s, id, NULL, 16) >= 0;
}

static yk_status step(trained *t, yk_error *err)
{
    return yk_learner_step(&t->l, &(yk_work){.items = 4, .add = add_item, .context = t}, err);
}

/* A second learner goes on from the newest checkpoint: its step and digest. The session's weights stay. */
static int64_t resumed(trained *t, char hex[33])
{
    yk_error err;
    yk_learner other;
    json_t *document;
    const int64_t floats = yk_model_floats(t->x.s.model);
    float *weights = yk_model_weights(t->x.s.model), *keep = malloc((size_t)floats * sizeof *keep);
    open_learner(t, &other);
    memcpy(other.began_with, t->l.began_with, sizeof other.began_with);
    memcpy(keep, weights, (size_t)floats * sizeof *keep);
    must(yk_learner_resume(&other, &document, &err), &err);
    assert_non_null(document);
    json_decref(document);
    must(yk_learner_digest(&other, hex, &err), &err);
    const int64_t at = other.step;
    yk_learner_close(&other);
    memcpy(weights, keep, (size_t)floats * sizeof *keep);
    yk_model_weights_changed(t->x.s.model);
    free(keep);
    return at;
}

static void training_goes_on_meanwhile(void **state)
{
    trained *t = *state;
    yk_error err = {""};
    char then[33], found[33];
    for (int i = 0; i < 3; i++) must(step(t, &err), &err);
    must(yk_learner_digest(&t->l, then, &err), &err);
    must(yk_learner_save_step(&t->l, NULL, &err), &err);
    assert_non_null(t->l.saving);
    for (int i = 0; i < 3; i++) must(step(t, &err), &err); /* what is written does not see these */
    must(yk_learner_finish_save(&t->l, &err), &err);
    assert_null(t->l.saving);
    assert_int_equal(resumed(t, found), 3);
    assert_string_equal(then, found);
}

static void the_last_save_is_waited_for(void **state)
{
    trained *t = *state;
    yk_error err = {""};
    char digest[33];
    must(step(t, &err), &err);
    t->stop = 1;
    must(yk_learner_save_step(&t->l, NULL, &err), &err);
    assert_null(t->l.saving);
    assert_int_equal(resumed(t, digest), 1);
    t->stop = 0;
    while (t->l.step < t->l.o.schedule.steps) must(step(t, &err), &err);
    must(yk_learner_save_step(&t->l, NULL, &err), &err);
    assert_null(t->l.saving);
    assert_int_equal(resumed(t, digest), 10);
}

/* What cannot be written is told by the next step, and the checkpoint before it stays. */
static void failures_are_told(void **state)
{
    trained *t = *state;
    yk_error err = {""};
    yk_status st = YK_OK;
    char digest[33], *obstacle = yk_path("%s/step-000000002.h5.part", t->x.dir);
    must(step(t, &err), &err);
    must(yk_learner_save_step(&t->l, NULL, &err), &err);
    must(step(t, &err), &err);
    must(yk_learner_finish_save(&t->l, &err), &err);
    assert_int_equal(mkdir(obstacle, 0700), 0);
    must(yk_learner_save_step(&t->l, NULL, &err), &err);
    for (int i = 0; i < 1000 && st == YK_OK && t->l.saving; i++) {
        t->l.step = 2;
        st = step(t, &err);
    }
    assert_int_equal(st, YK_ERR_IO);
    assert_non_null(strstr(err.text, obstacle));
    assert_int_equal(resumed(t, digest), 1);
    free(obstacle);
}

/* Without memory for a copy it is written at once. */
static void no_copy_no_thread(void **state)
{
    trained *t = *state;
    yk_error err = {""};
    char then[33], found[33];
    t->l.says_waits = true;
    must(step(t, &err), &err);
    must(yk_learner_digest(&t->l, then, &err), &err);
    must(yk_learner_save_step(&t->l, NULL, &err), &err);
    assert_null(t->l.copy);
    must(step(t, &err), &err);
    assert_null(t->l.saving);
    assert_int_equal(resumed(t, found), 1);
    assert_string_equal(then, found);
}

static void a_model_is_weights_alone(void **state)
{
    trained *t = *state;
    yk_error err = {""};
    char *path = yk_path("%s/best.h5", t->x.dir);
    int params;
    yk_model_params(t->x.s.model, &params);
    must(step(t, &err), &err);
    const float first = yk_model_weights(t->x.s.model)[0];
    must(yk_learner_save_model(&t->l, path, NULL, &err), &err);
    must(step(t, &err), &err);
    must(yk_learner_finish_save(&t->l, &err), &err);
    must(yk_session_load(&t->x.s, path, false, &err), &err);
    assert_true(yk_model_weights(t->x.s.model)[0] == first);
    free(path);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(training_goes_on_meanwhile), TEST(the_last_save_is_waited_for),
                                       TEST(failures_are_told), TEST(no_copy_no_thread),
                                       TEST(a_model_is_weights_alone)};
    return cmocka_run_group_tests_name("saving", tests, NULL, NULL);
}
