/* A run: the stages of a recipe in order, each keyed by a hash of its inputs, skipped when done. */
#ifndef YK_RUN_RUN_H
#define YK_RUN_RUN_H

#include "base/status.h"
#include "comm/comm.h"
#include "config/recipe.h"

#include <signal.h>

/* Performs the recipe in `dir`. Takes the directory's lock, writes recipe.yaml, stages.json, summary.json and
 * report.html, prints the table of where the time went and last the line "digest <hex>". `*stop` not 0 ends it early,
 * with a checkpoint; running the same again goes on. Of several ranks (NULL: none) all call it, and rank 0 alone
 * writes and prints; stages that are not dealt out yet it performs while the others wait. */
yk_status yk_run(const yk_recipe *r, const char *name, const char *dir, yk_comm *comm,
                 const volatile sig_atomic_t *stop, yk_error *err);

#endif
