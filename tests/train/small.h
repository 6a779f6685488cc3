/* A small session for tests: a tokenizer of some prose in a temporary directory, a recipe, a model with random weights
 * large enough that its tokens differ. */
#ifndef TESTS_TRAIN_SMALL_H
#define TESTS_TRAIN_SMALL_H

#include "base/file.h"
#include "train/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SMALL_SETS = 24 };

typedef struct small {
    char dir[128];
    yk_recipe r;
    yk_team team;
    yk_session s;
} small;

static void must(yk_status st, const yk_error *err)
{
    if (st != YK_OK) fail_msg("%s", err->text);
}

static void small_tokenizer(const char *dir)
{
    static const char prose[] =
        "The farmer walks to the field and the rain comes. What is 3 + 4? The sum of 3 and 4 is 7.\n"
        "If you have 12 apples and give 5 away, 7 are left. user assistant system answer think\n";
    yk_error err;
    yk_bpe_trainer *b = NULL;
    yk_tokenizer *t = NULL;
    char *folder = yk_path("%s/tokenizer", dir), *path = yk_path("%s/tokenizer/tokenizer.json", dir);
    must(yk_mkdirs(folder, &err), &err);
    must(yk_bpe_trainer_new(&b, &(yk_team){.threads = 1}, &err), &err);
    for (int i = 0; i < 20; i++) must(yk_bpe_trainer_add(b, prose, strlen(prose), &err), &err);
    must(yk_bpe_trainer_learn(b, 320, &t, &err), &err);
    must(yk_tokenizer_save(t, path, &err), &err);
    yk_bpe_trainer_free(b);
    yk_tokenizer_free(t);
    free(folder);
    free(path);
}

/* `more` of the recipe's keys, NULL at the end. */
static void small_open(small *x, const yk_session_options *o, int threads, const char *const *more)
{
    yk_error err;
    const char *set[SMALL_SETS] = {"tokenizer.vocab=320", "model.width=32", "model.layers=2", "model.heads=2",
                                   "model.kv_heads=1", "model.head_size=16", "model.ffn=48", "pretrain.seq=64",
                                   "model.init_std=0.5", "pretrain.batch=4"};
    size_t n = 10;
    while (more && *more) set[n++] = *more++;
    *x = (small){.team = {.threads = threads}};
    const char *tmp = getenv("TMPDIR");
    snprintf(x->dir, sizeof x->dir, "%.64s/yoke-small-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(x->dir));
    small_tokenizer(x->dir);
    must(yk_recipe_load(&x->r, NULL, set, n, &err), &err);
    must(yk_session_open(&x->s, &x->r, x->dir, &x->team, o, &err), &err);
}

static void small_close(small *x)
{
    char command[160];
    yk_session_close(&x->s);
    yk_recipe_free(&x->r);
    snprintf(command, sizeof command, "rm -rf '%s'", x->dir);
    if (system(command) != 0) fail_msg("%s", command);
}

#endif
