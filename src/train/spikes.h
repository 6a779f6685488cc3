/* What to do about a step that went wrong: one of a loss or gradient that is not finite, or of a spike, which is more
 * than `factor` times the median of the last `window` steps that were applied. Such a step is not applied; perhaps the
 * run also goes back to a checkpoint from before the trouble and on with the data behind it (Chowdhery et al., "PaLM",
 * 2022, section 5.1). What is judged is known to all ranks bit for bit, and what was seen belongs to the checkpoint: so
 * ranks, and runs that were cut, decide alike. */
#ifndef YK_TRAIN_SPIKES_H
#define YK_TRAIN_SPIKES_H

#include "base/status.h"
#include "config/recipe.h"

#include <jansson.h>
#include <stdbool.h>

typedef struct yk_spikes_options {
    double factor;     /* 0: only what is not finite is wrong */
    int64_t window;    /* steps; before there were so many no step is a spike */
    bool rolls_back;
    int64_t give_up_after; /* wrong steps in a row, or ways back in all */
} yk_spikes_options;

/* pretrain.spike_factor, spike_window, on_spike and give_up_after; for what does not judge spikes the last alone. */
yk_spikes_options yk_spikes_of(const yk_recipe *r, bool judges);

typedef struct yk_spikes {
    yk_spikes_options o;
    int64_t seen;          /* steps applied so far; the last `window` of them stand in */
    double *loss, *norm;   /* [window], step i at i % window, */
    double *sorted;        /* [window] */
    double loss_limit, norm_limit; /* of the next step: factor x median, INFINITY while there is none */
    int64_t in_a_row, rollbacks;
} yk_spikes;

yk_status yk_spikes_new(yk_spikes *s, const yk_spikes_options *o, yk_error *err);
void yk_spikes_free(yk_spikes *s);

/* The norm above which a step of this loss is a spike; -1: whatever its norm. */
static inline double yk_spikes_most_norm(const yk_spikes *s, double loss)
{
    return loss > s->loss_limit ? -1 : s->norm_limit;
}

/* A step was applied. */
void yk_spikes_good(yk_spikes *s, double loss, double norm);

/* A step was not applied. */
typedef enum yk_remedy { YK_REMEDY_NONE, YK_REMEDY_SKIP, YK_REMEDY_ROLL_BACK, YK_REMEDY_GIVE_UP } yk_remedy;
yk_remedy yk_spikes_bad(yk_spikes *s);

/* {"in_a_row", "rollbacks", "seen", "loss": [...], "norm": [...]}: for a checkpoint. NULL: no memory. Taking one that
 * has nothing of it (NULL) begins anew; YK_ERR_DAMAGED when it does not fit the window. */
json_t *yk_spikes_json(const yk_spikes *s);
yk_status yk_spikes_take(yk_spikes *s, const json_t *state, yk_error *err);

/* The checkpoint to go back to from a step that went wrong: of those at multiples of `every` the newest one that is at
 * least `back` steps older; 0 when there is none. */
int64_t yk_spikes_target(int64_t step, int64_t back, int64_t every);

#endif
