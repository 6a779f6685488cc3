#include "align/gae.h"

void yk_gae(const double *reward, const double *value, int64_t n, double gamma, double lambda, double *advantage)
{
    double next = 0, after = 0; /* advantage and value of the next state */
    for (int64_t t = n - 1; t >= 0; t--) {
        next = reward[t] + gamma * after - value[t] + gamma * lambda * next;
        after = value[t];
        advantage[t] = next;
    }
}
