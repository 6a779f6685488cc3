/* What a run has made, for those that use it. */
#ifndef YK_TRAIN_MADE_H
#define YK_TRAIN_MADE_H

#include "base/status.h"
#include "config/recipe.h"

/* Loads <dir>/recipe.yaml. */
yk_status yk_run_recipe(yk_recipe *r, const char *dir, yk_error *err);

/* The model that the last of the recipe's stages left, of those that are done. free() it. */
yk_status yk_run_model(const yk_recipe *r, const char *dir, char **path, yk_error *err);

/* The model that `yoke import` left in the directory, with which the stages begin; NULL: none. free() it. */
yk_status yk_run_imported(const char *dir, char **path, yk_error *err);

/* Whether a stage of the recipe learns from conversations, so that its model knows the chat template. */
bool yk_run_converses(const yk_recipe *r);

/* The newest checkpoint of pretraining, else the imported model. free() it. */
yk_status yk_run_newest(const char *dir, char **path, yk_error *err);

/* The pretrained model: best.h5 when there is one, else the newest. free() it. */
yk_status yk_run_checkpoint(const char *dir, char **path, yk_error *err);

#endif
