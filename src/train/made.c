#include "train/made.h"

#include "base/file.h"
#include "store/checkpoint.h"

#include <stdlib.h>
#include <string.h>

yk_status yk_run_recipe(yk_recipe *r, const char *dir, yk_error *err)
{
    char *path = yk_path("%s/recipe.yaml", dir);
    yk_status st = path ? yk_recipe_load(r, path, NULL, 0, err) : yk_fail(err, YK_ERR_MEMORY, "out of memory");
    free(path);
    return st;
}

yk_status yk_run_model(const yk_recipe *r, const char *dir, char **path, yk_error *err)
{
    for (size_t i = r->stages.n; i-- > 0;) {
        if (strcmp(r->stages.item[i], "reward") == 0) continue; /* its model judges, and is no model of the stages */
        *path = yk_path("%s/%s/model.h5", dir, r->stages.item[i]);
        if (!*path) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
        if (yk_exists(*path)) return YK_OK;
        free(*path);
    }
    return yk_run_checkpoint(dir, path, err);
}

bool yk_run_converses(const yk_recipe *r)
{
    static const char *const stages[] = {"sft", "distill", "ppo", "dpo", "grpo", "refine"};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (yk_recipe_has_stage(r, stages[i])) return true;
    return false;
}

/* <dir>/<name>, if it exists, else NULL. */
static yk_status existing(const char *dir, const char *name, char **path, yk_error *err)
{
    *path = yk_path("%s/%s", dir, name);
    if (!*path) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
    if (yk_exists(*path)) return YK_OK;
    free(*path);
    *path = NULL;
    return YK_OK;
}

yk_status yk_run_imported(const char *dir, char **path, yk_error *err)
{
    return existing(dir, "import/model.h5", path, err);
}

yk_status yk_run_newest(const char *dir, char **path, yk_error *err)
{
    yk_status st = YK_OK;
    char *folder = yk_path("%s/checkpoints", dir);
    if (!folder) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_checkpoint_latest(folder, path, err));
    if (!*path) YK_TRY(yk_run_imported(dir, path, err));
    if (!*path) YK_FAIL(YK_ERR_INPUT, "%s: holds no checkpoint; run the pretrain stage first", folder);
done:
    free(folder);
    return st;
}

yk_status yk_run_checkpoint(const char *dir, char **path, yk_error *err)
{
    yk_status st = existing(dir, "checkpoints/best.h5", path, err);
    return st == YK_OK && !*path ? yk_run_newest(dir, path, err) : st;
}
