/* Growth: a larger model that computes the same function as a smaller one.
 *
 *   deeper: old blocks keep their order; behind each come so many copies of it whose outputs (o_proj, down_proj) are
 *     zero, so that they add nothing yet (block expansion: Wu et al. 2024, "LLaMA Pro");
 *   wider: new elements of the residual stream are zero: embeddings have zeros there, and nothing writes to them. With
 *     a = sqrt(C' / C) all that writes to the stream is multiplied by a, so that its mean square, to which RMSNorm adds
 *     epsilon, stays; gains of norms are divided by a, that of the final norm by a^2 where the embedding, which then is
 *     the output projection too, is tied;
 *   more heads, of as many key heads too, and more inner units of the mlp: what they add is multiplied by zero.
 * All other new numbers are what the larger model was initialised with, so that gradients break the symmetry (Net2Net:
 * Chen, Goodfellow, Shlens 2016; zero-initialised outputs as there in section 2 of Shen et al. 2022, "Staged training").
 * Sums gain terms that are zero alone, so that in fp32 logits differ by the rounding of that factor, if at all. */
#ifndef YK_MODEL_GROW_H
#define YK_MODEL_GROW_H

#include "model/model.h"

/* YK_ERR_CONFIG naming the key when `to` is smaller than `from` somewhere, or of another kind. */
yk_status yk_grow_check(const yk_model_shape *from, const yk_model_shape *to, yk_error *err);

/* Which array of a model: its weights, or the moments of AdamW, whose new elements are zero. */
typedef enum yk_grown { YK_GROW_WEIGHTS, YK_GROW_FIRST_MOMENT, YK_GROW_SECOND_MOMENT } yk_grown;

/* y[floats of `to`] from x[floats of `from`]; y holds what new elements of weights may be. Shapes are checked. */
void yk_grow(const yk_model *from, const yk_model *to, yk_grown what, const float *x, float *y);

#endif
