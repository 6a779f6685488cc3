/* The order in which a training pass visits the nodes, what a visit reads, and which gradients it makes final. */
#include "model/layer.h"

void yk_order_visits(yk_model *m)
{
    int resident = 0;
    for (int i = 0; i < m->nodes; i++) {
        m->visit[m->visits++] = i;
        if (m->node[i].recompute) resident = m->node[i].first;
    }
    for (int i = m->nodes - 1; i >= 0; i--) {
        const yk_node *n = &m->node[i];
        if (n->recompute && resident != n->first)
            for (int again = resident = n->first; again <= n->last; again++) m->visit[m->visits++] = again;
        m->visit[m->visits++] = ~i;
    }
}

int yk_model_nodes(const yk_model *m)
{
    return m->nodes;
}

/* Where the parameters of a node begin in the flat arrays; those of all nodes stand in order. */
static int64_t begin_of(const yk_model *m, int node)
{
    for (; node < m->nodes; node++)
        if (m->node[node].params > 0) return m->param[m->node[node].first_param].offset;
    return m->floats;
}

/* Floats of the embedding's table, at the begin of the flat arrays, where it is also the output projection; else 0. */
static int64_t table_of(const yk_model *m)
{
    return yk_model_gradient_floats(m) - m->floats;
}

/* Of a table that is also the output projection: to the embedding's node belongs its second gradient. */
void yk_model_finals(const yk_model *m, int node, yk_slice range[YK_MOST_RANGES])
{
    const int64_t table = table_of(m);
    range[0] = (yk_slice){begin_of(m, node), begin_of(m, node + 1)};
    range[1] = (yk_slice){0, 0};
    if (node == 0) {
        range[0].begin = table;
        range[1] = (yk_slice){m->floats, yk_model_gradient_floats(m)};
    } else if (node == m->nodes - 1) {
        range[1].end = table;
    }
}

void yk_model_reads(const yk_model *m, int visit, yk_slice range[YK_MOST_RANGES])
{
    const bool backward = visit < 0;
    const int node = backward ? ~visit : visit;
    const bool first = node == 0, last = node == m->nodes - 1;
    for (int i = 0; i < YK_MOST_RANGES; i++) range[i] = (yk_slice){0, 0};
    if ((first && backward) || (last && !backward)) return;
    range[0] = (yk_slice){begin_of(m, node), begin_of(m, node + 1)};
    if (last) range[1].end = table_of(m);
}

const int *yk_model_visits(const yk_model *m, int *count)
{
    *count = m->visits;
    return m->visit;
}

void yk_model_watch(yk_model *m, const yk_watcher *w)
{
    m->watcher = w ? *w : (yk_watcher){0};
}
