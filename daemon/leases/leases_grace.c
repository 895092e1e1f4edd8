/* How long a wait in a circle of processes may last. The daemon cannot know whether the
 * computations of a circle wait for each other or are independent. So it does as one who may rent
 * or buy: it lets a wait last for about what the alternative costs, which is to compute. */
#include "daemon/leases/leases_internal.h"

/* A lease that took longer counts for a half, and one that took less for a 32nd. A grace that is
 * too short costs computations, one that is too long only time, and that in a deadlock only: so
 * where few of a namespace's computations take long, these decide. */
#define RISE_PARTS 2u
#define FALL_PARTS 32u

/* What counts of a lease at least, however long its owner's process was delayed meanwhile. */
#define LEAST_PART 8u

static uint64_t clamp(uint64_t least, uint64_t value, uint64_t most) {
  uint64_t raised = value > least ? value : least;
  return raised < most ? raised : most;
}

static uint64_t grace_ns(const struct namespace *ns) {
  if (ns->lease_ns == 0)
    return LEASES_GRACE_UNKNOWN_NS;
  return clamp(LEASES_GRACE_MIN_NS, LEASES_GRACE_FACTOR * ns->lease_ns, LEASES_GRACE_MAX_NS);
}

static void set_until(struct leases *leases, struct lease_wait *wait, uint64_t until_ns) {
  if (wait->until.at_ns != until_ns)
    deadlines_move(&leases->untils, &wait->until, until_ns);
}

void leases_set_grace(struct leases *leases, struct lease_wait *wait, bool closes_circle,
                      uint64_t now_ns) {
  uint64_t asked_ns = wait->asked_until_ns, grace = grace_ns(wait->lease->ns);
  bool shorter = closes_circle && asked_ns > now_ns && asked_ns - now_ns > grace;
  wait->grace_since_ns = now_ns;
  set_until(leases, wait, shorter ? now_ns + grace : asked_ns);
}

/* From the grant to the put, and not what the client claims that its computation took: that is how
 * long others have to wait, also where it computes many keys together and puts them at the end.
 * Less the graces that passed in vain meanwhile, which its computation may have waited for: or else
 * the grace would grow by itself, with each deadlock. */
static uint64_t took_ns(const struct lease *lease, uint64_t now_ns) {
  const struct lease_process *process = lease->owner->process;
  uint64_t all_ns = now_ns - lease->granted_ns;
  uint64_t delay_ns = process == NULL ? 0 : process->delayed_ns - lease->delayed_before_ns;
  uint64_t rest_ns = all_ns > delay_ns ? all_ns - delay_ns : 0;
  return clamp(all_ns / LEAST_PART + 1, rest_ns, LEASES_GRACE_MAX_NS);
}

void leases_learn(const struct lease *lease, uint64_t now_ns) {
  uint64_t took = took_ns(lease, now_ns), *smoothed = &lease->ns->lease_ns;
  if (*smoothed == 0)
    *smoothed = took;
  else if (*smoothed < took)
    *smoothed += (took - *smoothed) / RISE_PARTS;
  else
    *smoothed -= (*smoothed - took) / FALL_PARTS;
}

static bool still_in_circle(struct leases *leases, const struct lease_wait *wait, uint32_t *steps,
                            uint64_t now_ns) {
  struct lease_process *owner = wait->lease->owner->process;
  if (*steps == 0)
    return true;
  leases_search(leases, owner);
  *steps -= leases->search_steps < *steps ? leases->search_steps : *steps;
  bool closes = leases_closes_circle(leases, wait);
  if (closes)
    leases_add_delay(leases, owner, wait->grace_since_ns, now_ns);
  return closes;
}

void leases_wait_over(struct leases *leases, struct lease_wait *wait, uint32_t *steps,
                      uint64_t now_ns) {
  bool has_grace = wait->until.at_ns < wait->asked_until_ns;
  if (has_grace && !still_in_circle(leases, wait, steps, now_ns))
    set_until(leases, wait, wait->asked_until_ns);
  else
    leases_end_wait(leases, wait, LEASE_END_NONE, now_ns);
}
