#include "train/replicas.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEX = 32, HOST = 64, PARTS = 3 };

/* What a rank says: a hash of each tensor, then the name of its machine. */
typedef struct replicas {
    const yk_learner *l;
    const yk_param *param;
    int params, parts; /* tensors are params x parts: of weights, first moments, second moments */
    int64_t bytes;
    char *own, *all; /* [bytes], [ranks][bytes] */
} replicas;

static const float *tensor_at(const replicas *x, int64_t i)
{
    const yk_learner *l = x->l;
    const float *const part[PARTS] = {l->weights.weight, l->optimiser.m, l->optimiser.v};
    return part[i / x->params] + x->param[i % x->params].offset;
}

static void hash_tensors(const void *args, int64_t begin, int64_t end, int thread)
{
    const replicas *x = args;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        char hex[HEX + 1];
        yk_hash128_hex(tensor_at(x, i), (size_t)x->param[i % x->params].count * sizeof(float), hex);
        memcpy(x->own + i * HEX, hex, HEX);
    }
}

static const char *hash_of(const replicas *x, int rank, int64_t tensor)
{
    return x->all + rank * x->bytes + tensor * HEX;
}

/* How many ranks have the same hash as this one. */
static int agreeing(const replicas *x, int rank, int64_t tensor)
{
    int n = 0;
    for (int r = 0; r < yk_comm_size(x->l->job->comm); r++)
        n += memcmp(hash_of(x, r, tensor), hash_of(x, rank, tensor), HEX) == 0;
    return n;
}

/* The first in which ranks differ, or -1. */
static int64_t first_difference(const replicas *x)
{
    const int ranks = yk_comm_size(x->l->job->comm);
    for (int64_t i = 0; i < x->params * x->parts; i++)
        if (agreeing(x, 0, i) < ranks) return i;
    return -1;
}

static yk_status differ(const replicas *x, int64_t tensor, yk_error *err)
{
    static const char *const prefix[PARTS] = {"", "optimizer.m.", "optimizer.v."};
    const int ranks = yk_comm_size(x->l->job->comm);
    int most = 0;
    yk_buf text = {0};
    for (int r = 0; r < ranks; r++)
        if (agreeing(x, r, tensor) > agreeing(x, most, tensor)) most = r;
    const bool half = 2 * agreeing(x, most, tensor) <= ranks; /* none can be said to be right */
    for (int r = 0; r < ranks; r++) {
        if (!half && memcmp(hash_of(x, r, tensor), hash_of(x, most, tensor), HEX) == 0) continue;
        yk_buf_printf(&text, "%srank %d (%s)", text.len ? ", " : "", r, x->all + (r + 1) * x->bytes - HOST);
    }
    yk_status st = yk_fail(err, YK_ERR_REPLICA, "step %lld: %s%s differs %s %.1000s: memory or a processor went wrong "
                           "silently. Nothing of it was saved: run again, it goes on from the last checkpoint; before "
                           "that test the memory of %s, or leave it out", (long long)x->l->step,
                           prefix[tensor / x->params], x->param[tensor % x->params].name,
                           half ? "between" : "from that of the other ranks on",
                           text.data ? text.data : "", half ? "these machines" : "the machine");
    yk_buf_free(&text);
    return st;
}

yk_status yk_replicas_check(const yk_learner *l, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    replicas x = {.l = l, .parts = l->optimiser.comm || yk_local_parted(l) ? 1 : PARTS};
    if (!comm || !l->job->recipe->check_replicas || l->job->recipe->zero > 2) return YK_OK;
    x.param = yk_model_params(l->s->model, &x.params);
    x.bytes = (int64_t)x.params * x.parts * HEX + HOST;
    x.own = yk_calloc(1, (size_t)x.bytes, err);
    x.all = x.own ? yk_calloc((size_t)yk_comm_size(comm), (size_t)x.bytes, err) : NULL;
    YK_TRY(yk_comm_agree(comm, x.all ? YK_OK : YK_ERR_MEMORY, err));
    gethostname(x.own + x.bytes - HOST, HOST - 1);
    yk_team_rows(&l->s->team, (int64_t)x.params * x.parts, 1, hash_tensors, &x);
    yk_comm_gather(comm, x.own, x.all, x.bytes);
    const int64_t tensor = first_difference(&x);
    if (tensor >= 0) st = differ(&x, tensor, err);
done:
    free(x.own);
    free(x.all);
    return st;
}

static void flip_for_tests(yk_learner *l)
{
    const char *text = getenv("YOKE_FLIP_BIT");
    int rank;
    long long step;
    if (!text || sscanf(text, "%d:%lld", &rank, &step) != 2) return;
    if (rank != yk_comm_rank(l->job->comm) || step != l->step) return;
    unsigned char *byte = (unsigned char *)(l->weights.weight + yk_model_floats(l->s->model) / 2);
    byte[2] ^= 1 << 5; /* of the fraction: the lowest ones may be rounded away by the next update */
}

yk_status yk_replicas_step(yk_learner *l, yk_error *err)
{
    const int64_t every = l->job->recipe->check_replicas;
    flip_for_tests(l);
    return every && l->step % every == 0 ? yk_replicas_check(l, err) : YK_OK;
}
