/* How fast this machine is, for what plans with it. Each takes a fraction of a second. */
#ifndef YK_TRAIN_MEASURE_H
#define YK_TRAIN_MEASURE_H

#include "config/recipe.h"
#include "model/model.h"

double yk_median(double *x, int n); /* sorts x */

/* Bytes a second that the team moves when it updates x[floats], a multiple of 16 and larger than all caches, in place
 * (each float is read and written): the median of 5. */
double yk_measure_update(const yk_team *team, float *x, int64_t floats);

/* The same over memory of its own. YK_ERR_MEMORY when there are no 128 MB for it. */
yk_status yk_measure_memory(const yk_kernels *k, const yk_team *team, double *bytes_a_second, yk_error *err);

/* Seconds of forward and backward over `micro` sequences by a model as the recipe's but of at most two blocks, from
 * which those of all its blocks follow; random tokens. */
yk_status yk_measure_pass(const yk_recipe *r, int64_t vocab, int64_t micro, const yk_kernels *k, const yk_team *team,
                          double *seconds, yk_error *err);

#endif
