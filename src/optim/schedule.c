#include "base/math64.h"
#include "optim/optim.h"

#include <string.h>

double yk_learning_rate(const yk_schedule *s, int64_t step)
{
    const double steps = (double)s->steps, at = (double)step, warm = s->warmup * steps;
    const double peak = s->peak, end = peak * s->end;
    if (at < warm) return peak * at / warm;
    if (strcmp(s->kind, "cosine") == 0) {
        double sine, cosine, t = steps > warm ? (at - warm) / (steps - warm) : 1.0;
        yk_sincos64(3.14159265358979323846 * t, &sine, &cosine);
        return end + (peak - end) * 0.5 * (1.0 + cosine);
    }
    if (strcmp(s->kind, "wsd") == 0) {
        double decay = s->decay_share * steps, left = steps - at;
        return left >= decay ? peak : end + (peak - end) * left / decay;
    }
    if (strcmp(s->kind, "multistep") == 0)
        return at < 0.8 * steps ? peak : at < 0.9 * steps ? 0.316 * peak : 0.1 * peak;
    return peak;
}
