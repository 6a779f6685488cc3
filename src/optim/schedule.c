#include "base/math64.h"
#include "optim/optim.h"

#include <string.h>

double yk_learning_rate(const yk_recipe *r, int64_t step)
{
    double steps = (double)r->pretrain_steps, at = (double)step, warm = r->pretrain_warmup * steps;
    double peak = r->pretrain_lr, end = peak * r->pretrain_lr_end;
    const char *kind = r->pretrain_schedule;
    if (at < warm) return peak * at / warm;
    if (strcmp(kind, "cosine") == 0) {
        double s, c, t = steps > warm ? (at - warm) / (steps - warm) : 1.0;
        yk_sincos64(3.14159265358979323846 * t, &s, &c);
        return end + (peak - end) * 0.5 * (1.0 + c);
    }
    if (strcmp(kind, "wsd") == 0) {
        double decay = r->pretrain_decay_share * steps, left = steps - at;
        return left >= decay ? peak : end + (peak - end) * left / decay;
    }
    if (strcmp(kind, "multistep") == 0) return at < 0.8 * steps ? peak : at < 0.9 * steps ? 0.316 * peak : 0.1 * peak;
    return peak;
}
