/* The weights of all products, packed. */
#include "model/layer.h"

#include "base/log.h"

/* Of a weight w[n,k], or of a part of one, the operand of forward's product, or of backward's, which is its
 * transpose. */
static yk_pack pack_of(const yk_model *m, int param, int64_t part, bool backward)
{
    const yk_param *w = &m->param[param];
    const int64_t out = w->shape[0] / w->parts, in = w->shape[1];
    const float *x = m->weight ? m->weight + w->offset + part * out * in : NULL; /* a plan has none */
    return backward ? (yk_pack){.n = in, .k = out, .b = {x, YK_FLOAT, in, 1}}
                    : (yk_pack){.n = out, .k = in, .b = {x, YK_FLOAT, 1, in}};
}

int64_t yk_model_packed_bytes(const yk_model *m, int64_t *at, bool backward)
{
    int64_t bytes = 0;
    for (int i = 0; i < m->params; i++) {
        if (at) at[i] = bytes;
        if (!m->param[i].multiplies) continue;
        const yk_pack p = pack_of(m, i, 0, backward);
        bytes += m->param[i].parts * m->k->packed_bytes(p.n, p.k);
    }
    return bytes;
}

void yk_model_weights_changed(yk_model *m)
{
    for (int i = 0; i < YK_WAYS; i++) m->packed[i].is_current = false;
}

static yk_status take_packed(yk_model *m, yk_packed *to, bool backward, yk_error *err)
{
    yk_status st = YK_OK;
    char need[32];
    if (!to->at) YK_NEW(to->at, m->params);
    const int64_t bytes = yk_model_packed_bytes(m, to->at, backward);
    if (bytes > 0 && !(to->data = m->k->alloc(bytes)))
        YK_FAIL(YK_ERR_MEMORY, "the packed weights need %s, which could not be had",
                yk_human_bytes((double)bytes, need));
    *(backward ? &m->memory.packed_back : &m->memory.packed) = bytes;
done:
    return st;
}

static yk_status pack(yk_model *m, yk_packed *to, bool backward, yk_error *err)
{
    yk_status st = YK_OK;
    if (!to->data) YK_TRY(take_packed(m, to, backward, err));
    if (!to->data || to->is_current) goto done;
    for (int i = 0; i < m->params; i++)
        for (int64_t part = 0; m->param[i].multiplies && part < m->param[i].parts; part++) {
            yk_pack p = pack_of(m, i, part, backward);
            p.packed = to->data + to->at[i] + part * m->k->packed_bytes(p.n, p.k);
            m->k->pack(&m->team, &p);
        }
    to->is_current = true;
done:
    return st;
}

yk_status yk_model_pack(yk_model *m, bool training, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(pack(m, &m->packed[YK_FORWARD], false, err));
    if (training) YK_TRY(pack(m, &m->packed[YK_BACKWARD], true, err));
done:
    return st;
}
