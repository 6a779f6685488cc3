/* Token embedding: y[r,:] = table[token[r],:]. */
#include "model/layer.h"

enum { TABLE };       /* parameters */
enum { OUTPUT = YK_OUTPUT }; /* saved */

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_declare_saved(m, n, OUTPUT, m->shape.width);
    return yk_declare_param(m, n, TABLE, "model.embed_tokens.weight", m->shape.vocab, m->shape.width,
                            YK_INIT_NORMAL, false, err);
}

static void forward(const yk_node *n, yk_pass *p)
{
    p->y = yk_saved(p, n, OUTPUT);
    p->m->k->embed_forward(&p->m->team, &(yk_embed){.y = p->y, .table = yk_weight(p, n, TABLE),
                                                    .id = p->batch->token, .rows = p->batch->rows,
                                                    .width = p->m->shape.width});
}

static void backward(const yk_node *n, yk_pass *p)
{
    yk_model *m = p->m;
    float *gradient = m->shape.tied ? m->gradient + m->floats : yk_gradient(p, n, TABLE);
    m->k->embed_backward(&m->team, &(yk_embed){.dy = p->d, .dtable = gradient, .id = p->batch->token,
                                               .rows = p->batch->rows, .width = m->shape.width});
}

const yk_layer_kind yk_embed_kind = {"embed", plan, forward, backward};
