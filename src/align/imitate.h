/* Learning to say what answers of examples say: cross-entropy on answers alone. Fine-tuning, the second round after
 * rejection sampling, and distillation from sampled answers are this with different examples. */
#ifndef YK_ALIGN_IMITATE_H
#define YK_ALIGN_IMITATE_H

#include "align/course.h"
#include "base/hash.h"

typedef struct yk_sequences {
    yk_sequence *item;
    char **asked; /* [n] the last turn before the answer, for people */
    size_t n, cap;
    size_t left_out; /* their prompt alone filled the context */
    size_t cut;      /* their answer was cut at its end */
} yk_sequences;

/* Conversations as sequences of at most c->context tokens. */
yk_status yk_sequences_add(yk_sequences *q, const yk_course *c, const yk_examples *e, yk_error *err);
/* The same from files, as yk_examples_read() takes them; their hash becomes part of `hash`. */
yk_status yk_sequences_read(yk_sequences *q, const yk_course *c, const yk_list *paths, int64_t most_bad,
                            yk_digest *hash, yk_error *err);
void yk_sequences_free(yk_sequences *q);

typedef struct yk_imitation {
    const yk_sequences *train;
    const int64_t *order; /* [n] which sequences an epoch has: each once, more often or not at all */
    int64_t n;
    const yk_sequences *heldout; /* may be empty */
    const char *data;            /* hash of all of it */
    const char *const *keys;     /* of the recipe, as in yk_learner_options */
    yk_schedule schedule;
    int64_t batch, eval_every, checkpoint_every;
    int64_t samples;             /* held-out prompts that are answered for the report */
    uint64_t deal;               /* of yk_deal_new */
    const yk_teaching *teaching; /* distillation; NULL: the answers' cross-entropy alone */
} yk_imitation;

/* Trains, with progress, metrics, samples and checkpoints. *finished is false when the job was to stop; else model.h5
 * is there and the summary has the stage's member. */
yk_status yk_imitate(yk_course *c, const yk_imitation *o, bool *finished, yk_error *err);

/* What the weights in use make of sequences: nats an answer token, the share of these tokens that are the likeliest,
 * and the share of sequences all of whose are; NAN of no sequences. The ranks of `comm` share the work. */
typedef struct yk_fit {
    double loss, accuracy, exact;
} yk_fit;
yk_status yk_sequences_fit(yk_fit *fit, yk_session *s, yk_comm *comm, const yk_sequences *q, yk_error *err);

#endif
