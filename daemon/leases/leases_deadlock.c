/* Deadlock detection: the wait-for graph of processes, the search for a cycle, and the grace of a
 * wait that closes one.
 *
 * The nodes are processes. An edge leads from P to Q while a client of P waits for a lease of Q
 * (lease_edge counts such waits), and from each process to each of its helpers. A wait for a lease
 * of the same process makes no edge.
 *
 * Why each deadlock ends within a grace. A deadlock is a cycle of waits and helper edges. A helper
 * edge exists before the helper waits or holds anything, and helper edges alone make no cycle. So a
 * wait closes the cycle, when it begins or when its lease gets a new owner. At that moment all
 * other edges of the cycle exist, the search finds them, and that wait gets a grace. After its
 * grace it goes on only if no cycle leads through it, hence no deadlock. A later deadlock is closed
 * by another wait, or by a new owner, and that wait gets a grace.
 *
 * Bounds. Where a search is given up, the wait gets a grace and ends with it. So does a wait
 * without an edge, which searches for other waits do not see: a cycle through such a wait contains
 * that one.
 *
 * No wait starves, and none is checked without end. A wait gets a grace when it begins and with
 * each new owner, is checked once after each, and never lasts longer than was requested.
 *
 * Other nodes. A cycle through several nodes has a wait for a lease of the fleet (lease_client's
 * `remote`) by a process that holds leases, or that helps one that does: in such a cycle another
 * node waits for it. The other nodes are not searched. Such a wait is checked at the end of each
 * grace, and ends if that process has held leases for a whole grace of the wait. So it does not
 * matter which of both began first, and a lease that was granted just now ends no wait.
 *
 * How long a grace is. The daemon cannot know whether the computations of a cycle wait for each
 * other. So it lets a wait last about as long as the alternative: to compute. */
#include <assert.h>
#include <stdlib.h>

#include "daemon/base/check.h"
#include "daemon/leases/leases_internal.h"

/* A search that takes more steps of some 10 ns is given up, and a cycle assumed. */
#define SEARCH_STEPS_MAX 4096u
/* Processes that one process waits for at a time: adding a wait compares each. */
#define EDGES_EACH_MAX 512u

/* Processes above a helper that are looked at when a grace of its wait for another node is over. */
#define HELPERS_DEEP_MAX 64u

/* A longer lease counts for a half, and a shorter one for a 32nd. A grace that is too short costs
 * computations. One that is too long costs only time, and only in a deadlock. So the few long
 * computations of a namespace decide. */
#define RISE_PARTS 2u
#define FALL_PARTS 32u

/* The least part of a lease's duration that counts, however long its process was delayed. */
#define LEAST_PART 8u

struct lease_edge {
  struct lease_process *from, *to;
  uint32_t waits;
  struct lease_edge *next, *prev; /* of `from` */
};
static_assert(sizeof(struct lease_edge) <= LEASES_EDGE_BYTES, "each wait is charged for one");

/* ---- edges ---- */

static struct lease_edge *find_edge(const struct lease_process *from,
                                    const struct lease_process *to) {
  struct lease_edge *edge = from->edge_first;
  while (edge != NULL && edge->to != to)
    edge = edge->next;
  return edge;
}

static struct lease_edge *make_edge(struct lease_process *from, struct lease_process *to) {
  struct lease_edge *edge = from->edges < EDGES_EACH_MAX ? malloc(sizeof *edge) : NULL;
  if (edge == NULL)
    return NULL;
  *edge = (struct lease_edge){.from = from, .to = to, .next = from->edge_first};
  if (edge->next != NULL)
    edge->next->prev = edge;
  from->edge_first = edge;
  from->edges++;
  check_le(from->edges, EDGES_EACH_MAX);
  return edge;
}

void leases_edge_add(struct lease_wait *wait) {
  struct lease_process *from = wait->waiter->process, *to = wait->lease->owner->process;
  assert(wait->edge == NULL);
  if (from == NULL || to == NULL || from == to)
    return;
  struct lease_edge *edge = find_edge(from, to);
  if (edge == NULL)
    edge = make_edge(from, to);
  if (edge == NULL)
    return;
  edge->waits++;
  wait->edge = edge;
}

void leases_edge_remove(struct lease_wait *wait) {
  struct lease_edge *edge = wait->edge;
  wait->edge = NULL;
  if (edge == NULL)
    return;
  check_lt(0, edge->waits);
  if (--edge->waits > 0)
    return;
  *(edge->prev == NULL ? &edge->from->edge_first : &edge->prev->next) = edge->next;
  if (edge->next != NULL)
    edge->next->prev = edge->prev;
  check_lt(0, edge->from->edges);
  edge->from->edges--;
  free(edge);
}

/* ---- helpers ---- */

void leases_set_helper(struct lease_process *helper, struct lease_process *of) {
  assert(helper->helper_of == NULL && helper != of);
  check_eq(helper->held + helper->edges, 0);
  helper->helper_of = of;
  helper->prev_helper = NULL;
  helper->next_helper = of->helper_first;
  if (helper->next_helper != NULL)
    helper->next_helper->prev_helper = helper;
  of->helper_first = helper;
}

bool leases_is_helper(const struct lease_process *process, const struct lease_process *of) {
  const struct lease_process *at = process == NULL || of == NULL ? NULL : process->helper_of;
  for (uint32_t steps = 0; at != NULL && at != of; at = at->helper_of)
    if (++steps > SEARCH_STEPS_MAX)
      return false;
  return at != NULL;
}

static void unset_helper(struct lease_process *helper) {
  struct lease_process *next = helper->next_helper, *prev = helper->prev_helper;
  if (helper->helper_of == NULL)
    return;
  *(prev == NULL ? &helper->helper_of->helper_first : &prev->next_helper) = next;
  if (next != NULL)
    next->prev_helper = prev;
  helper->helper_of = helper->next_helper = helper->prev_helper = NULL;
}

void leases_forget_process(struct lease_process *process) {
  check_eq(process->held, 0);
  check_eq(process->edges, 0);
  assert(process->edge_first == NULL);
  unset_helper(process);
  while (process->helper_first != NULL)
    unset_helper(process->helper_first);
}

/* ---- searches ---- */

/* A breadth-first search. The processes that it found are a queue, linked by next_found. */
struct search {
  uint64_t number;
  struct lease_process *last;
  uint32_t steps;
};

/* Returns false if the search has taken too many steps. */
static bool visit(struct search *search, struct lease_process *process) {
  if (++search->steps > SEARCH_STEPS_MAX)
    return false;
  if (process->found_by == search->number)
    return true;
  process->found_by = search->number;
  process->next_found = NULL;
  search->last->next_found = process;
  search->last = process;
  return true;
}

static bool visit_successors(struct search *search, const struct lease_process *process) {
  for (const struct lease_edge *edge = process->edge_first; edge != NULL; edge = edge->next)
    if (!visit(search, edge->to))
      return false;
  for (struct lease_process *helper = process->helper_first; helper != NULL;
       helper = helper->next_helper)
    if (!visit(search, helper))
      return false;
  return true;
}

void leases_search(struct leases *leases, struct lease_process *start) {
  struct search search = {.number = ++leases->searches, .last = start};
  leases->search_complete = true;
  leases->search_steps = 0;
  if (start == NULL)
    return;
  start->found_by = search.number;
  start->next_found = NULL;
  for (struct lease_process *at = start; at != NULL && leases->search_complete; at = at->next_found)
    leases->search_complete = visit_successors(&search, at);
  leases->search_steps = search.steps;
  check_le(search.steps, SEARCH_STEPS_MAX + 1);
}

/* Returns whether the wait closes a cycle, after a search from the process of its lease's owner.
 * Also returns true where a bound kept the search from the result, or the wait from an edge. */
static bool closes_cycle(const struct leases *leases, const struct lease_wait *wait) {
  const struct lease_process *from = wait->waiter->process, *to = wait->lease->owner->process;
  if (from == NULL || to == NULL || from == to)
    return false;
  check_eq(to->found_by, leases->searches);
  return wait->edge == NULL || !leases->search_complete || from->found_by == leases->searches;
}

/* Adds the time since `since_ns` to the delays of the processes that the latest search found, and
 * no time twice. */
static void add_delay(const struct leases *leases, struct lease_process *start, uint64_t since_ns,
                      uint64_t now_ns) {
  check_eq(start->found_by, leases->searches);
  check_le(since_ns, now_ns);
  for (struct lease_process *at = start; at != NULL; at = at->next_found) {
    uint64_t from_ns = since_ns > at->delayed_until_ns ? since_ns : at->delayed_until_ns;
    check_le(from_ns, now_ns);
    at->delayed_ns += now_ns - from_ns;
    at->delayed_until_ns = now_ns;
  }
}

/* ---- graces ---- */

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
  check_le(until_ns, wait->requested_until_ns);
  if (wait->until.at_ns != until_ns)
    timer_heap_move(&leases->untils, &wait->until, until_ns);
}

/* Sets the end of the wait to the end of a grace from `since_ns` on, or to the requested time if
 * that is earlier. */
static void begin_grace(struct leases *leases, struct lease_wait *wait, uint64_t since_ns) {
  uint64_t requested_ns = wait->requested_until_ns, grace = grace_ns(wait->lease->ns);
  bool shorter = requested_ns > since_ns && requested_ns - since_ns > grace;
  set_until(leases, wait, shorter ? since_ns + grace : requested_ns);
}

void leases_set_grace(struct leases *leases, struct lease_wait *wait, uint64_t now_ns) {
  bool is_remote = wait->lease->owner->remote && wait->waiter->process != NULL;
  wait->grace_since_ns = now_ns;
  if (is_remote || closes_cycle(leases, wait))
    begin_grace(leases, wait, now_ns);
  else
    set_until(leases, wait, wait->requested_until_ns);
}

/* Returns the time from the grant to the put. The client's own measure would be too short where it
 * computes many keys together and puts them at the end, because others wait until the put. Graces
 * that expired in that time are subtracted, because the computation may have waited for them. If
 * they counted, the grace would grow by itself with each deadlock. */
static uint64_t duration_ns(const struct lease *lease, uint64_t now_ns) {
  const struct lease_process *process = lease->owner->process;
  uint64_t all_ns = now_ns > lease->granted_ns ? now_ns - lease->granted_ns : 0;
  uint64_t delay_ns = process == NULL ? 0 : process->delayed_ns - lease->delayed_before_ns;
  uint64_t rest_ns = all_ns > delay_ns ? all_ns - delay_ns : 0;
  return clamp(all_ns / LEAST_PART + 1, rest_ns, LEASES_GRACE_MAX_NS);
}

void leases_record_duration(const struct lease *lease, uint64_t now_ns) {
  uint64_t took = duration_ns(lease, now_ns), *smoothed = &lease->ns->lease_ns;
  if (*smoothed == 0)
    *smoothed = took;
  else if (*smoothed < took)
    *smoothed += (took - *smoothed) / RISE_PARTS;
  else
    *smoothed -= (*smoothed - took) / FALL_PARTS;
  check_le(*smoothed, LEASES_GRACE_MAX_NS);
}

/* Returns whether the wait still closes a cycle, and then adds its grace to the delays of the
 * processes in it. */
static bool cycle_remains(struct leases *leases, const struct lease_wait *wait, uint32_t *steps,
                          uint64_t now_ns) {
  struct lease_process *owner = wait->lease->owner->process;
  if (*steps == 0)
    return true;
  leases_search(leases, owner);
  *steps -= leases->search_steps < *steps ? leases->search_steps : *steps;
  bool closes = closes_cycle(leases, wait);
  if (closes)
    add_delay(leases, owner, wait->grace_since_ns, now_ns);
  return closes;
}

/* Returns since when the process, or one that it helps, has held leases; UINT64_MAX: none does. A
 * helper of more than HELPERS_DEEP_MAX processes counts as one of a process that holds leases. */
static uint64_t holds_since_ns(const struct lease_process *process) {
  uint64_t since_ns = UINT64_MAX;
  uint32_t steps = 0;
  for (const struct lease_process *at = process; at != NULL; at = at->helper_of) {
    if (++steps > HELPERS_DEEP_MAX)
      return 0;
    if (at->held > 0 && at->computing_since_ns < since_ns)
      since_ns = at->computing_since_ns;
  }
  return since_ns;
}

/* A grace of a wait for another node is over. Gives it the next one, or ends it. */
static void remote_grace_over(struct leases *leases, struct lease_wait *wait, uint64_t now_ns) {
  uint64_t holds_ns = holds_since_ns(wait->waiter->process), grace = grace_ns(wait->lease->ns);
  uint64_t since_ns = holds_ns > wait->grace_since_ns ? holds_ns : wait->grace_since_ns;
  if (holds_ns == UINT64_MAX)
    begin_grace(leases, wait, now_ns);
  else if (now_ns - since_ns < grace)
    begin_grace(leases, wait, since_ns);
  else
    leases_end_wait(leases, wait, LEASE_END_NONE, now_ns);
}

void leases_wait_over(struct leases *leases, struct lease_wait *wait, uint32_t *steps,
                      uint64_t now_ns) {
  bool has_grace = wait->until.at_ns < wait->requested_until_ns;
  check_le(wait->until.at_ns, now_ns);
  if (has_grace && wait->lease->owner->remote)
    remote_grace_over(leases, wait, now_ns);
  else if (has_grace && !cycle_remains(leases, wait, steps, now_ns))
    set_until(leases, wait, wait->requested_until_ns);
  else
    leases_end_wait(leases, wait, LEASE_END_NONE, now_ns);
}
