/* probes.h - the experiments that a worker runs on the model's views:
 *
 *   divergence   how far ft's next-token distributions are from base's
 *   ablation     the same, and the perplexity of unseen text, along the line from
 *                base to ft and beyond it
 *   null         is what ft gained more than chance? views with random changes of
 *                the same size, judged likewise: z is how many of their standard
 *                deviations ft stands above their mean
 *   perplexity   of unseen text, for base and ft
 */
#ifndef DEMO_PROBES_H
#define DEMO_PROBES_H

#include "client/demo/prompts.h"
#include "client/demo/session.h"

#define PROBES_MAX_NUMBERS 32u
#define PROBES_NAME_SIZE 48

struct probe_number {
  char name[PROBES_NAME_SIZE]; /* "probe: what, unit" */
  double value;
};
struct probe_report {
  struct probe_number numbers[PROBES_MAX_NUMBERS];
  size_t n;
};

/* Runs all four, in this order: workers that start together ask the same at the same time, and the
 * cache has one of them compute it. 0 or a negative code, said on stderr. */
int probes_run(struct session *session, const struct prompts *prompts, struct probe_report *report);

/* How many lookups that is. */
size_t probes_lookups(const struct prompts *prompts);

#endif
