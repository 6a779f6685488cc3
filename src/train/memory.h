/* The memory that pretraining takes, before it takes it. */
#ifndef YK_TRAIN_MEMORY_H
#define YK_TRAIN_MEMORY_H

#include "base/room.h"
#include "config/recipe.h"
#include "model/model.h"

/* The policies of the key `recompute` that are worth a try, from most memory to least work done twice. */
extern const char *const yk_recompute_policies[]; /* NULL at the end */

/* Bytes by what they are for. */
typedef struct yk_needs {
    /* gradients: of all lanes; optimiser: with pretrain.local_steps a lane's weights and the outer velocity too */
    int64_t weights, gradients, optimiser, activations, packed, scratch, total;
} yk_needs;

/* What yk_pretrain_stage allocates for this recipe with `recompute` and so many sequences at once; with
 * pretrain.local_steps by a rank of one lane. YK_ERR_MEMORY when that is more than any machine has. */
yk_status yk_needs_of(yk_needs *n, const yk_recipe *r, int64_t vocab, const char *recompute, int64_t micro,
                      const yk_kernels *k, const yk_team *team, yk_error *err);

/* Whether the recipe fits into `room`. YK_ERR_MEMORY says what is needed, what is there, and what would fit: a policy
 * of `recompute`, else a smaller micro-batch, else no setting but a smaller model. */
yk_status yk_needs_fit(const yk_recipe *r, int64_t vocab, const yk_room *room, const yk_kernels *k, const yk_team *team,
                       yk_error *err);

#endif
