/* Which setting of a recipe to run with on a described cluster: all are priced by memory.h and cost.h. */
#ifndef YK_TRAIN_ADVICE_H
#define YK_TRAIN_ADVICE_H

#include "train/cost.h"

/* What is planned for. The recipe's lanes are at least the cluster's ranks. */
typedef struct yk_planning {
    const yk_recipe *r;
    int64_t vocab;
    yk_cluster cluster;
    int64_t room;  /* bytes of a node for all its ranks */
    int64_t outer; /* yk_load */
    const yk_kernels *k;
    yk_team team; /* of a rank */
} yk_planning;

typedef struct yk_option {
    yk_setting with;
    int64_t lanes;
    yk_needs needs;
    yk_cost cost;
    bool fits;
} yk_option;

/* needs, cost and fits of a setting with so many lanes, on the cluster of the planning or another one. */
yk_status yk_option_price(yk_option *o, const yk_planning *p, const yk_cluster *on, const yk_setting *with,
                          int64_t lanes, yk_error *err);

enum { YK_REASON = 200 };
typedef struct yk_advice {
    yk_option best; /* fits: false when nothing does; it is then what takes least memory */
    char zero[YK_REASON], recompute[YK_REASON], micro[YK_REASON], lanes[YK_REASON]; /* why, a line each */
} yk_advice;

/* Of all zero, recompute and micro-batches (the powers of two and a whole lane), with as many lanes as there are ranks:
 * the quickest that fits. A higher zero, more recomputation or a larger micro-batch must save one percent. The reasons
 * are what the neighbours would take, the rest as recommended. */
yk_status yk_advise(yk_advice *a, const yk_planning *p, yk_error *err);

#endif
