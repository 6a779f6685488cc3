#include "train/lanes.h"

#include <stdlib.h>

yk_status yk_lanes_new(yk_lanes *l, yk_model *model, const yk_kernels *k, const yk_team *team, int64_t lanes,
                       yk_error *err)
{
    yk_status st = YK_OK;
    *l = (yk_lanes){.model = model, .k = k, .team = *team, .lanes = lanes, .floats = yk_model_gradient_floats(model)};
    while ((int64_t)1 << l->levels < lanes) l->levels++;
    YK_NEW(l->partial, l->levels);
    for (int i = 0; i < l->levels; i++)
        if (!(l->partial[i] = k->alloc(l->floats * (int64_t)sizeof(float))))
            YK_FAIL(YK_ERR_MEMORY, "%lld lanes need %d more gradient buffers of %lld bytes", (long long)lanes,
                    l->levels, (long long)l->floats * 4);
done:
    return st;
}

void yk_lanes_free(yk_lanes *l)
{
    for (int i = 0; l->partial && i < l->levels; i++)
        if (l->partial[i]) l->k->free(l->partial[i]);
    free(l->partial);
    *l = (yk_lanes){0};
}

void yk_lanes_merge(yk_lanes *l, int64_t lane)
{
    float *gradient = yk_model_gradients(l->model);
    int level = 0;
    for (; lane >> level & 1; level++)
        l->k->add(&l->team, &(yk_add){.y = gradient, .a = l->partial[level], .b = gradient, .n = l->floats});
    if (lane + 1 == l->lanes) return;
    l->k->copy_rows(&l->team, &(yk_copy_rows){.y = l->partial[level], .x = gradient, .rows = l->floats / 16,
                                              .width = 64, .y_row = 64, .x_row = 64});
    l->k->zero(&l->team, gradient, l->floats * (int64_t)sizeof(float));
}
