/* What a step of pretraining costs on a cluster that is described: arithmetic alone. Nothing here measures, allocates
 * or asks the machine, so that a login node can plan for other machines. doc/cluster.md has the formulas. */
#ifndef YK_TRAIN_COST_H
#define YK_TRAIN_COST_H

#include "train/memory.h"

/* Nodes alike, on each of them ranks alike. */
typedef struct yk_cluster {
    int64_t nodes, ranks;   /* ranks: of a node; their product is a power of two */
    double flops;           /* of a rank: peak of the recipe's precision, a multiply-add counted as two */
    double plain;           /* of a rank: that of fp32, by which kernels beside the products are measured */
    double memory, shared;  /* bytes a second that an update in place moves: by one rank alone, by all of a node */
    double network;         /* bytes a second that a node sends while it receives as many; 0: one node needs none */
    double latency;         /* seconds of a message between nodes */
    double pace;            /* seconds of a pass over those that these formulas say; 1: not measured */
} yk_cluster;

/* What a step does. FLOPs and numbers are of a token, forward and backward. */
typedef struct yk_load {
    double tokens, rows;    /* of a step, of all lanes; of a pass */
    double passes;          /* of a lane */
    double products, attention; /* FLOPs of matrix products and of attention, with what is computed again */
    double numbers;         /* that norms, activations, attention's softmax and the loss handle, as often */
    double floats, gradients; /* of the flat arrays */
    int64_t lanes, zero;
    int64_t outer;          /* steps between two exchanges of nodes: 1, or more where nodes learn by themselves */
} yk_load;

/* Of the model of a recipe (yk_model_outline, made with the setting). */
yk_load yk_load_of(const yk_model *m, const yk_recipe *r, const yk_setting *with, int64_t outer);

/* Seconds of a step by what they are for, and what a rank sends; all ranks do the same at the same time. */
typedef struct yk_cost {
    double passes;   /* forward and backward */
    double update;   /* norm and AdamW, packing weights, adding lanes that one rank computes */
    double node;     /* exchange through shared memory */
    double network;  /* exchange between nodes, and small messages of all ranks */
    double seconds;  /* the sum */
    double sent;     /* bytes, through shared memory or not */
} yk_cost;

/* The ranks are a power of two and divide the lanes.
 *   passes    t = (products / (0.92 or, where bf16 has a product of its own, 0.96) + attention / 0.5) / flops
 *               + 250 numbers / plain, for each token of a rank; and 8 bytes a weight and pass, for the gradient that
 *               a product adds to; all x pace;
 *   update    36 bytes a weight of the own slice, 4 a weight that is cleared; 16 a weight to pack it (steps of several
 *               passes); 24 a gradient for each lane but the first of a rank;
 *   node      of g ranks: a sum moves 5 (g - 1) / g of its bytes, gathering 2 (node.c);
 *   network   of n nodes: a sum or gathering is (n - 1) / n of its bytes by a node, at 0.94 of the line, and 3
 *               latencies a bucket of YK_BUCKET_FLOATS and level of halving; with 6 agreements of log2 n latencies.
 * Bytes move at min(memory, shared / g). A step sums one gradient a rank (of `zero` 2 and above one a lane), gathers
 * the gradient (`zero` 0) or the weights (1, 2) once, or the weights for forward and backward of every pass (3). */
yk_cost yk_cost_of(const yk_cluster *c, const yk_load *l);

#endif
