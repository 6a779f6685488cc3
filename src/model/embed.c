/* Embedding: y[r,:] = table[token[r],:] (+ positions[position[r],:] where positions are learned). */
#include "model/layer.h"

enum { TABLE, POSITIONS }; /* parameters */

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    yk_declare_saved(m, n, YK_OUTPUT, YK_FLOAT, m->shape.width);
    YK_TRY(yk_declare_param(m, n, TABLE, "model.embed_tokens.weight", m->shape.vocab, m->shape.width, YK_INIT_NORMAL,
                            false, err));
    if (m->shape.learned_positions)
        YK_TRY(yk_declare_param(m, n, POSITIONS, "model.embed_positions.weight", m->shape.positions, m->shape.width,
                                YK_INIT_NORMAL, false, err));
done:
    return st;
}

static yk_embed lookup(const yk_pass *p)
{
    return (yk_embed){.id = p->batch->token, .rows = p->batch->rows, .width = p->m->shape.width};
}

static void forward(const yk_node *n, yk_pass *p)
{
    yk_embed a = lookup(p);
    p->y = a.y = yk_saved(p, n, YK_OUTPUT);
    a.table = yk_weight(p, n, TABLE);
    p->m->k->embed_forward(&p->m->team, &a);
    if (!p->m->shape.learned_positions) return;
    a.table = yk_weight(p, n, POSITIONS), a.id = p->batch->position, a.accumulate = true;
    p->m->k->embed_forward(&p->m->team, &a);
}

static void backward(const yk_node *n, yk_pass *p)
{
    yk_model *m = p->m;
    yk_embed a = lookup(p);
    a.dy = p->d;
    a.dtable = m->shape.tied ? m->gradient + m->floats : yk_gradient(p, n, TABLE);
    m->k->embed_backward(&m->team, &a);
    if (!m->shape.learned_positions) return;
    a.dtable = yk_gradient(p, n, POSITIONS), a.id = p->batch->position;
    m->k->embed_backward(&m->team, &a);
}

const yk_layer_kind yk_embed_kind = {"embed", plan, forward, backward};
