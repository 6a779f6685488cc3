/* Generalised advantage estimation (Schulman et al. 2016). */
#ifndef YK_ALIGN_GAE_H
#define YK_ALIGN_GAE_H

#include <stdint.h>

/* Of n actions with rewards[n], and the values[n] of the states they were taken in; the state after the last has
 * value 0:
 *   delta_t = reward_t + gamma value_(t+1) - value_t;  advantage_t = delta_t + gamma lambda advantage_(t+1). */
void yk_gae(const double *reward, const double *value, int64_t n, double gamma, double lambda, double *advantage);

#endif
