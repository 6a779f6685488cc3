#include "align/kl_control.h"

void yk_kl_control_update(yk_kl_control *c, double kl, int64_t n)
{
    if (c->target <= 0) return;
    const double error = kl / c->target - 1, within = error > 0.2 ? 0.2 : error < -0.2 ? -0.2 : error;
    c->coefficient *= 1 + within * (double)n / c->horizon;
}
