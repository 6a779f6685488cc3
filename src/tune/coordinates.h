/* The coordinate check of the maximal-update parametrisation (Yang, Hu et al. 2022, "Tensor Programs V", appendix D). */
#ifndef YK_TUNE_COORDINATES_H
#define YK_TUNE_COORDINATES_H

#include "base/status.h"
#include "base/team.h"
#include "config/recipe.h"

#include <stdint.h>

enum { YK_COORDINATES = 4 };
extern const char *const yk_coordinate_names[YK_COORDINATES]; /* embedding, last attention, last mlp, logits */

/* How much the vectors of a model move in `steps` AdamW steps at the recipe's pretrain.lr, without warm-up, on one
 * sequence of random tokens: the root mean square, over a vector's elements and rows, of the difference to what they
 * were before the first step; of the residual stream behind each of the three kinds of nodes, and of the logits. A
 * rate is right for all widths when these figures do not depend on width. */
yk_status yk_coordinates_of(const yk_recipe *r, int64_t steps, const yk_team *team, double moved[YK_COORDINATES],
                            yk_error *err);

/* The slope of log y over log x, by least squares. */
double yk_exponent(const double *x, const double *y, int64_t n);

#endif
