/* Final norm, output projection and cross-entropy. Logits are made, used and dropped for LOGIT_ROWS rows at a
 * time, so that N x V of them never exist; in training the loss is computed on the way back. */
#include "model/layer.h"

#include <string.h>

enum { TABLE = YK_OWN_PARAM }; /* parameter, only when not tied */
enum { LOGITS = YK_OWN_SCRATCH }; /* scratch */
enum { LOGIT_ROWS = 1024 };

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t C = m->shape.width;
    YK_TRY(yk_norm_plan(m, n, "model.norm", err));
    if (!m->shape.tied)
        YK_TRY(yk_declare_param(m, n, TABLE, "lm_head.weight", m->shape.vocab, C, YK_INIT_NORMAL, false, err));
    int64_t rows = m->max_rows < LOGIT_ROWS ? m->max_rows : LOGIT_ROWS;
    yk_declare_scratch(m, n, LOGITS, YK_FLOAT, (m->shape.vocab * rows + m->max_rows - 1) / m->max_rows);
done:
    return st;
}

static yk_product projection(const yk_node *n, const yk_pass *p, int64_t rows)
{
    return yk_product_of(p, p->m->shape.tied ? p->m->node[0].param[0] : n->param[TABLE], rows);
}

/* Loss of all rows, and with `gradient` those of the normed rows and of the projection; logits and their gradients lie
 * in the same memory. */
static void losses(const yk_node *n, yk_pass *p, bool gradient)
{
    const yk_model *m = p->m;
    int64_t C = m->shape.width, V = m->shape.vocab;
    int64_t d_row = V * yk_type_size(m->k, YK_FLOAT) / yk_type_size(m->k, YK_STORED);
    float *logits = yk_scratch(p, n, LOGITS), *dnormed = yk_scratch(p, n, YK_DNORMED);
    for (int64_t r = 0; r < p->batch->rows; r += LOGIT_ROWS) {
        int64_t rows = p->batch->rows - r < LOGIT_ROWS ? p->batch->rows - r : LOGIT_ROWS;
        const yk_product table = projection(n, p, rows);
        void *normed = yk_at(p, yk_scratch(p, n, YK_NORMED), r * C);
        yk_product_forward(p, &table, logits, YK_FLOAT, normed, NULL, 0);
        m->k->cross_entropy(&m->team, &(yk_cross_entropy){.logits = logits, .dlogits = gradient ? logits : NULL,
                                                          .d_row = d_row, .target = p->batch->target + r,
                                                          .weight = p->batch->weight + r, .loss = p->loss + r,
                                                          .best = p->best ? p->best + r : NULL, .rows = rows,
                                                          .vocab = V, .z = p->z_loss});
        if (!gradient) continue;
        yk_product_dw(p, &table, m->gradient + (table.w - m->weight), logits, YK_STORED, d_row, normed);
        yk_product_dx(p, &table, dnormed + r * C, YK_FLOAT, logits, YK_STORED, d_row);
    }
}

/* Logits of the wanted rows only; their normed rows are gathered first. */
static void wanted_logits(const yk_node *n, yk_pass *p)
{
    const yk_model *m = p->m;
    int64_t C = m->shape.width, bytes = C * yk_type_size(m->k, YK_STORED);
    void *normed = yk_scratch(p, n, YK_NORMED), *gathered = yk_scratch(p, n, YK_DNORMED);
    for (int64_t i = 0; i < p->wanted; i++)
        m->k->copy_rows(&m->team, &(yk_copy_rows){.y = yk_at(p, gathered, i * C), .rows = 1, .width = bytes,
                                                  .x = yk_at(p, normed, p->wanted_row[i] * C)});
    const yk_product table = projection(n, p, p->wanted);
    yk_product_forward(p, &table, p->logits, YK_FLOAT, gathered, NULL, 0);
}

static void forward(const yk_node *n, yk_pass *p)
{
    if (p->training) return;
    yk_norm_forward(n, p);
    if (p->cache)
        wanted_logits(n, p);
    else
        losses(n, p, false);
}

static void backward(const yk_node *n, yk_pass *p)
{
    yk_norm_forward(n, p);
    losses(n, p, true);
    yk_norm_backward(n, p, false, false);
}

const yk_layer_kind yk_head_kind = {"head", plan, forward, backward};
