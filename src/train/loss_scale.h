/* The factor S of the loss in mixed precision (Micikevicius et al., "Mixed precision training", 2018).
 *
 * A row's weight in the loss is S instead of 1, so that the small gradients of its activations are halves that are not
 * zero; what comes out is divided by S. S is a power of two: without overflow or underflow no bit depends on it.
 *
 * Gradients of rows are operands of products, sums over rows are fp32. A row has weight 1 here, not 1 / rows as in a
 * mean, so S is smaller than elsewhere: 2^16 over a mean of 1,024 rows is 2^6, the start. The gradient of a logit is at
 * most S, so 2^15 is the most at which it is a finite half. That of the residual stream is larger: every norm divides
 * it by the size of what it was given, and the first blocks are given embeddings of 0.02. In the spikes of a quick
 * warm-up it reaches some 70 S there; a skipped step does not end a spike, so the start leaves it room. */
#ifndef YK_TRAIN_LOSS_SCALE_H
#define YK_TRAIN_LOSS_SCALE_H

#include "config/recipe.h"

#include <stdbool.h>

enum { YK_LOSS_SCALE_START = 1 << 6, YK_LOSS_SCALE_MOST = 1 << 15 };

typedef struct yk_loss_scale {
    double value;
    int64_t good;  /* steps since the value changed or a step overflowed */
    int64_t every; /* doubled after so many good steps; 0: the value is fixed */
} yk_loss_scale;

/* What the recipe asks for: pretrain.loss_scale, or for 0 a dynamic one in fp16 and 1 otherwise. */
yk_loss_scale yk_loss_scale_of(const yk_recipe *r);

/* After a step whose gradient was finite: doubles the value, up to the most, when enough were good. */
void yk_loss_scale_good(yk_loss_scale *s);

/* After a step of finite loss whose gradient was not: halves the value. False when it is fixed or 1 already, so that
 * the scale is not to blame. */
bool yk_loss_scale_overflow(yk_loss_scale *s);

#endif
