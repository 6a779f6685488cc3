/* What stands behind yk_comm: the few calls that move bytes between ranks. */
#ifndef YK_COMM_WORLD_H
#define YK_COMM_WORLD_H

#include "comm/comm.h"

/* All but send and receive are collective. */
typedef struct yk_world_calls {
    void (*close)(yk_comm *c);
    void (*share)(yk_comm *c, void *data, int64_t bytes); /* of rank 0 */
    /* Every rank's piece of `bytes`, at all[rank * bytes]. False when `patience` seconds passed (0: for ever). */
    bool (*gather)(yk_comm *c, const void *piece, void *all, int64_t bytes, double patience);
    void (*send)(yk_comm *c, int to, const void *data, int64_t bytes);
    void (*receive)(yk_comm *c, int from, void *data, int64_t bytes);
    /* Begins to send to `other` and to receive from it; `wait` ends the exchange of this slot, 0 or 1. */
    void (*exchange)(yk_comm *c, int slot, int other, const void *out, int64_t out_bytes, void *in, int64_t in_bytes);
    void (*wait)(yk_comm *c, int slot);
    void (*abort)(yk_comm *c, yk_status st); /* ends all ranks; does not return */
} yk_world_calls;

/* The memory that the ranks of a node share: a window of each, one after another rank's. */
typedef struct yk_window {
    int ranks, rank; /* of the node: a power of two, aligned; 1: there is no window */
    int first;       /* rank of the world that is the node's rank 0 */
    char **base;     /* [ranks] */
    uint64_t rounds; /* so far; see node.c */
    float *scratch;  /* [YK_STAGE_FLOATS] */
    const float **source; /* [ranks] */
    yk_slice *part;       /* [ranks] */
} yk_window;
enum { YK_STAGE_FLOATS = 1 << 16 };
int64_t yk_window_bytes(void);

typedef struct yk_worker yk_worker;

struct yk_comm {
    const yk_world_calls *calls;
    int rank, size;
    yk_status failed; /* of an agreement: all ranks know */
    int ranks_here; /* that share this node's memory */
    _Atomic int64_t sent;   /* bytes, to other ranks */
    yk_window node;
    float *message[2]; /* [YK_MESSAGE_FLOATS], for what comes from other nodes */
    uint16_t *rounded[2]; /* [YK_MESSAGE_FLOATS], for what goes there in bf16 */
    yk_worker *worker; /* of ranks on several nodes; see worker.c */
    yk_comm_times times;
    void *mpi;
};

/* Of this process, or NULL; comm_mpi.c or comm_self.c. */
yk_status yk_world_open(yk_comm **c, yk_error *err);

/* The calls of these names, with what is sent counted. */
bool yk_world_gather(yk_comm *c, const void *piece, void *all, int64_t bytes, double patience);
void yk_world_send(yk_comm *c, int to, const void *data, int64_t bytes);

/* memcpy by the team. */
void yk_copy_bytes(const yk_team *team, void *to, const void *from, int64_t bytes);

/* Among the ranks of a node, of which the i-th (not this rank's number in the world) has part[i] of x: afterwards this
 * rank's part of x is the sum over all by the tree; or all have every part. part: in floats, in bytes. */
void yk_node_begin(yk_window *w);
void yk_node_sum(yk_window *w, const yk_team *team, const yk_sum *s, const yk_slice *part);
void yk_node_gather(yk_window *w, const yk_team *team, char *x, const yk_slice *part);

#endif
