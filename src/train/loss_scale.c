#include "train/loss_scale.h"

#include <string.h>

yk_loss_scale yk_loss_scale_of(const yk_recipe *r)
{
    if (r->pretrain_loss_scale) return (yk_loss_scale){.value = (double)r->pretrain_loss_scale};
    if (strcmp(r->precision, "fp16") != 0) return (yk_loss_scale){.value = 1};
    return (yk_loss_scale){.value = YK_LOSS_SCALE_START, .every = r->pretrain_loss_scale_every};
}

void yk_loss_scale_good(yk_loss_scale *s)
{
    s->good++;
    if (!s->every || s->good < s->every || s->value >= YK_LOSS_SCALE_MOST) return;
    s->value *= 2;
    s->good = 0;
}

bool yk_loss_scale_overflow(yk_loss_scale *s)
{
    if (!s->every || s->value <= 1) return false;
    s->value /= 2;
    s->good = 0;
    return true;
}
