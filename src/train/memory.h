/* The memory that pretraining takes, before it takes it. */
#ifndef YK_TRAIN_MEMORY_H
#define YK_TRAIN_MEMORY_H

#include "base/room.h"
#include "comm/comm.h"
#include "config/recipe.h"
#include "model/model.h"

/* What changes memory and time of a step but no bit of its result: three keys of the recipe. */
typedef struct yk_setting {
    const char *recompute;
    int64_t micro; /* sequences at once */
    int64_t zero;
} yk_setting;
yk_setting yk_setting_of(const yk_recipe *r);

/* The policies of the key `recompute` that are worth a try, from most memory to least work done twice; and the highest
 * `zero`. */
extern const char *const yk_recompute_policies[]; /* NULL at the end */
enum { YK_MOST_ZERO = 3 };

/* The ranks that share the run, and how many of them a node's memory. */
typedef struct yk_ranks {
    int64_t size, node;
} yk_ranks;
yk_ranks yk_ranks_of(const yk_comm *c);

/* Bytes of a rank, by what they are for; of rank 0, whose slice is the largest. gradients: with the sums that wait. */
typedef struct yk_needs {
    /* optimiser: with pretrain.local_steps the weights and moments of each of the rank's lanes, the outer velocity */
    int64_t weights, gradients, optimiser, activations, packed, scratch, total;
    int64_t checkpoint; /* besides: the copy that one is written from, and at the end all moments, on rank 0, to digest */
} yk_needs;

/* What yk_pretrain_stage allocates for this recipe with a setting, on each of so many ranks (a power of two that
 * divides `lanes`). YK_ERR_MEMORY when that is more than any machine has. */
yk_status yk_needs_of(yk_needs *n, const yk_recipe *r, int64_t vocab, const yk_setting *with, yk_ranks ranks,
                      const yk_kernels *k, const yk_team *team, yk_error *err);

/* Whether the ranks of a node fit into `room` together, or each into its own. YK_ERR_MEMORY says what is needed, what
 * is there, and what would fit: a higher `zero` (of several ranks), a policy of `recompute`, else a smaller
 * micro-batch, else no setting but a smaller model. */
yk_status yk_needs_fit(const yk_recipe *r, int64_t vocab, yk_ranks ranks, const yk_room *room, const yk_kernels *k,
                       const yk_team *team, yk_error *err);

#endif
