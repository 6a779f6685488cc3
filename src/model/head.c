/* Final norm, output projection and cross-entropy; beside it, where the shape has one, a head of one score a row.
 * Logits are made, used and dropped for YK_LOGIT_ROWS rows at a time, so that N x V of them never exist; in training
 * the loss is computed on the way back. */
#include "model/layer.h"

#include <string.h>

enum { TABLE = YK_OWN_PARAM /* only when not tied */, SCORE };   /* parameters */
enum { LOGITS = YK_OWN_SCRATCH, VALUE, ENTROPY, DSCORE };                    /* scratch */

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t C = m->shape.width;
    YK_TRY(yk_norm_plan(m, n, "model.norm", err));
    if (!m->shape.tied)
        YK_TRY(yk_declare_param(m, n, TABLE, "lm_head.weight", m->shape.vocab, C, YK_INIT_NORMAL, false, err));
    if (m->shape.score) YK_TRY(yk_declare_param(m, n, SCORE, YK_SCORE_NAME, 1, C, YK_INIT_ZEROS, false, err));
    int64_t rows = m->max_rows < YK_LOGIT_ROWS ? m->max_rows : YK_LOGIT_ROWS;
    yk_declare_scratch(m, n, LOGITS, YK_FLOAT, (m->shape.vocab * rows + m->max_rows - 1) / m->max_rows);
    for (int slot = VALUE; slot <= DSCORE; slot++) yk_declare_scratch(m, n, slot, YK_FLOAT, 1);
done:
    return st;
}

static int table_of(const yk_node *n, const yk_pass *p)
{
    return p->m->shape.tied ? p->m->node[0].param[0] : n->param[TABLE];
}

/* Rows [first, first + rows) of a pass over the logits. */
typedef struct part {
    int64_t first, rows;
    float *logits;
} part;

static void *normed_of(const yk_node *n, const yk_pass *p, const part *x)
{
    return yk_at(p, yk_scratch(p, n, YK_NORMED), x->first * p->m->shape.width);
}

static void make_logits(const yk_node *n, const yk_pass *p, const part *x)
{
    const yk_product table = yk_product_of(p, table_of(n, p), x->rows);
    yk_product_forward(p, &table, x->logits, YK_FLOAT, normed_of(n, p, x), NULL, 0);
}

/* Logits and their gradients lie in the same memory: how far apart rows of these are. */
static int64_t slope_row(const yk_model *m)
{
    return m->shape.vocab * yk_type_size(m->k, YK_FLOAT) / yk_type_size(m->k, YK_STORED);
}

static yk_cross_entropy entropy_of(const yk_pass *p, const part *x, const float *weight, float *loss)
{
    const yk_model *m = p->m;
    return (yk_cross_entropy){.logits = x->logits, .target = p->batch->target + x->first, .weight = weight + x->first,
                              .d_row = slope_row(m),
                              .loss = loss + x->first, .best = p->best ? p->best + x->first : NULL,
                              .entropy = p->entropy ? p->entropy + x->first : NULL, .rows = x->rows,
                              .vocab = m->shape.vocab, .z = p->z_loss};
}

/* The gradient of the normed rows and of the projection, from that of the logits, rows at d_row. */
static void projection_backward(const yk_node *n, const yk_pass *p, const part *x, int64_t d_row)
{
    const yk_product table = yk_product_of(p, table_of(n, p), x->rows);
    float *dnormed = (float *)yk_scratch(p, n, YK_DNORMED) + x->first * p->m->shape.width;
    float *dtable = p->m->gradient + p->m->param[table_of(n, p)].offset;
    yk_product_dw(p, &table, dtable, x->logits, YK_STORED, d_row, normed_of(n, p, x));
    yk_product_dx(p, &table, dnormed, YK_FLOAT, x->logits, YK_STORED, d_row);
}

/* From logits that are there. */
static void part_backward(const yk_node *n, const yk_pass *p, const part *x, const float *weight, float *loss)
{
    yk_cross_entropy e = entropy_of(p, x, weight, loss);
    e.dlogits = x->logits;
    p->m->k->cross_entropy(&p->m->team, &e);
    projection_backward(n, p, x, e.d_row);
}

static bool next_part(const yk_node *n, const yk_pass *p, part *x)
{
    x->first += x->rows;
    x->rows = p->batch->rows - x->first < YK_LOGIT_ROWS ? p->batch->rows - x->first : YK_LOGIT_ROWS;
    x->logits = yk_scratch(p, n, LOGITS);
    return x->rows > 0;
}

static void losses(const yk_node *n, const yk_pass *p, float *loss)
{
    for (part x = {0}; next_part(n, p, &x);) {
        make_logits(n, p, &x);
        yk_cross_entropy e = entropy_of(p, &x, p->batch->weight, loss);
        p->m->k->cross_entropy(&p->m->team, &e);
    }
}

static void losses_backward(const yk_node *n, const yk_pass *p)
{
    for (part x = {0}; next_part(n, p, &x);) {
        make_logits(n, p, &x);
        part_backward(n, p, &x, p->batch->weight, p->loss);
    }
}

/* Log-probabilities of all rows, then the objective's weights, then the gradient; logits of more than YK_LOGIT_ROWS
 * rows are made twice. */
static void objective_backward(const yk_node *n, yk_pass *p)
{
    float *value = yk_scratch(p, n, VALUE);
    bool kept = p->batch->rows <= YK_LOGIT_ROWS;
    p->entropy = yk_scratch(p, n, ENTROPY);
    losses(n, p, value);
    for (int64_t r = 0; r < p->batch->rows; r++) value[r] = -value[r];
    p->objective->weigh(p->objective->context, p->batch, value, p->entropy, p->weight, p->loss);
    p->entropy = NULL;
    for (part x = {0}; next_part(n, p, &x);) {
        if (!kept) make_logits(n, p, &x);
        part_backward(n, p, &x, p->weight, value);
    }
}

static void teaching_backward(const yk_node *n, const yk_pass *p)
{
    const yk_model *m = p->m;
    const yk_teaching *t = p->teaching;
    for (part x = {0}; next_part(n, p, &x);) {
        const float *teacher = t->logits(t->context, p->batch, x.first, x.rows);
        make_logits(n, p, &x);
        m->k->distillation(&m->team, &(yk_distillation){.logits = x.logits, .teacher = teacher, .dlogits = x.logits,
                                                        .d_row = slope_row(m), .target = p->batch->target + x.first,
                                                        .weight = p->batch->weight + x.first, .loss = p->loss + x.first,
                                                        .rows = x.rows, .vocab = m->shape.vocab, .mix = t->mix,
                                                        .tau = t->temperature});
        projection_backward(n, p, &x, slope_row(m));
    }
}

static void scores(const yk_node *n, const yk_pass *p, float *score)
{
    const yk_product s = yk_product_of(p, n->param[SCORE], p->batch->rows);
    yk_product_forward(p, &s, score, YK_FLOAT, yk_scratch(p, n, YK_NORMED), NULL, 0);
}

static void scores_backward(const yk_node *n, const yk_pass *p)
{
    const yk_product s = yk_product_of(p, n->param[SCORE], p->batch->rows);
    float *score = yk_scratch(p, n, VALUE), *dscore = yk_scratch(p, n, DSCORE);
    scores(n, p, score);
    p->objective->weigh(p->objective->context, p->batch, score, NULL, p->weight, p->loss);
    for (int64_t r = 0; r < s.rows; r++) dscore[r] = -p->weight[r];
    yk_product_dw(p, &s, yk_gradient(p, n, SCORE), dscore, YK_FLOAT, 1, yk_scratch(p, n, YK_NORMED));
    yk_product_dx(p, &s, yk_scratch(p, n, YK_DNORMED), YK_FLOAT, dscore, YK_FLOAT, 1);
}

void yk_head_logits(const yk_node *n, const yk_pass *p, int64_t first, int64_t rows, float *logits)
{
    make_logits(n, p, &(part){first, rows, logits});
}

/* Logits of the wanted rows only; their normed rows are gathered first. */
static void wanted_logits(const yk_node *n, const yk_pass *p)
{
    const yk_model *m = p->m;
    int64_t C = m->shape.width, bytes = C * yk_type_size(m->k, YK_STORED);
    void *normed = yk_scratch(p, n, YK_NORMED), *gathered = yk_scratch(p, n, YK_DNORMED);
    for (int64_t i = 0; i < p->logit_rows; i++)
        m->k->copy_rows(&m->team, &(yk_copy_rows){.y = yk_at(p, gathered, i * C), .rows = 1, .width = bytes,
                                                  .x = yk_at(p, normed, p->logit_row[i] * C)});
    const yk_product table = yk_product_of(p, table_of(n, p), p->logit_rows);
    yk_product_forward(p, &table, p->logits, YK_FLOAT, gathered, NULL, 0);
}

static void forward(const yk_node *n, yk_pass *p)
{
    if (p->training) return;
    yk_norm_forward(n, p);
    if (p->wanted == YK_LOGITS)
        wanted_logits(n, p);
    else if (p->wanted == YK_SCORES)
        scores(n, p, p->score);
    else if (p->wanted == YK_LOSSES)
        losses(n, p, p->loss);
}

static void backward(const yk_node *n, yk_pass *p)
{
    yk_norm_forward(n, p);
    if (p->wanted == YK_SCORES)
        scores_backward(n, p);
    else if (p->objective)
        objective_backward(n, p);
    else if (p->teaching)
        teaching_backward(n, p);
    else
        losses_backward(n, p);
    yk_norm_backward(n, p, false, false);
}

const yk_layer_kind yk_head_kind = {"head", plan, forward, backward};
