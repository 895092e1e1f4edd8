#include "client/demo/compare_dist.h"

#include <math.h>
#include <stdlib.h>

#include "client/demo/util.h"

struct listed {
  int64_t id;
  double probability;
};

static int by_id(const void *a, const void *b) {
  int64_t x = ((const struct listed *)a)->id, y = ((const struct listed *)b)->id;
  return x < y ? -1 : x > y;
}

static struct listed *sorted_by_id(const struct distribution *from) {
  struct listed *list = demo_alloc(from->n, sizeof *list);
  for (uint32_t i = 0; i < from->n; i++)
    list[i] = (struct listed){from->ids[i], exp((double)from->logprobs[i])};
  qsort(list, from->n, sizeof *list, by_id);
  return list;
}

double distribution_divergence(const struct distribution *p, const struct distribution *q) {
  struct listed *in_p = sorted_by_id(p), *in_q = sorted_by_id(q);
  double sum = 0, rest_p = 1, rest_q = 1;
  for (uint32_t i = 0, k = 0; i < p->n && k < q->n;) {
    if (in_p[i].id == in_q[k].id) {
      sum += in_p[i].probability * log(in_p[i].probability / in_q[k].probability);
      rest_p -= in_p[i++].probability;
      rest_q -= in_q[k++].probability;
    } else if (in_p[i].id < in_q[k].id) {
      i++;
    } else {
      k++;
    }
  }
  if (rest_p > 1e-6 && rest_q > 1e-6) /* less is the rounding of the float32 */
    sum += rest_p * log(rest_p / rest_q);
  free(in_p);
  free(in_q);
  return sum;
}

double distribution_mass(const struct distribution *p) {
  double mass = p->has_tail ? exp((double)p->tail_logprob) : 0;
  for (uint32_t i = 0; i < p->n; i++)
    mass += exp((double)p->logprobs[i]);
  return mass;
}
