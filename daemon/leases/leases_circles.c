/* Circles of processes that wait for one another. The processes are the nodes of a graph, with an
 * edge from P to Q while a holder of P waits for a lease of Q (lease_edge counts such waits), and
 * one from a process to each of its helpers. Leases of the process itself make no edge.
 *
 * Why each deadlock ends within a grace. A deadlock is a circle of waits and helpers' edges. A
 * helper's edge is there before the helper waits or holds anything, and helpers' edges alone make
 * no circle. So what closes a circle is a wait, by its asking or by the new owner of its lease. At
 * that moment all other edges of the circle exist, the search finds them, and that wait has a
 * grace. It goes on after its grace only if no circle at all leads through it then, hence no
 * deadlock. A deadlock that comes later is closed by another wait, or by a new owner, and that
 * wait has a grace.
 *
 * Bounds. Where a search is given up, the wait has a grace and ends with it. So does a wait
 * without an edge, which the searches for other waits do not see: a circle through such a wait
 * contains that one.
 *
 * No wait starves, and none is checked without end. A wait is given a grace by its asking and by
 * each new owner, is checked once after each, and never lasts longer than was asked. */
#include <assert.h>
#include <stdlib.h>

#include "daemon/leases/leases_internal.h"

/* A search that takes more steps is given up, and a circle assumed. A step is some 10 ns. */
#define SEARCH_STEPS_MAX 4096u
/* Processes that one process waits for at a time: adding a wait looks at each. */
#define EDGES_EACH_MAX 512u

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
  return edge;
}

void leases_edge_add(struct lease_wait *wait) {
  struct lease_process *from = wait->holder->process, *to = wait->lease->owner->process;
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
  if (edge == NULL || --edge->waits > 0)
    return;
  *(edge->prev == NULL ? &edge->from->edge_first : &edge->prev->next) = edge->next;
  if (edge->next != NULL)
    edge->next->prev = edge->prev;
  edge->from->edges--;
  free(edge);
}

/* ---- searches ---- */

/* The processes that were found are a queue, the first of them not yet looked at. */
struct search {
  uint64_t number;
  struct lease_process *last;
  uint32_t steps;
};

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

static bool look_at(struct search *search, const struct lease_process *process) {
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
  leases->search_ended = true;
  leases->search_steps = 0;
  if (start == NULL)
    return;
  start->found_by = search.number;
  start->next_found = NULL;
  for (struct lease_process *at = start; at != NULL && leases->search_ended; at = at->next_found)
    leases->search_ended = look_at(&search, at);
  leases->search_steps = search.steps;
}

bool leases_closes_circle(const struct leases *leases, const struct lease_wait *wait) {
  const struct lease_process *from = wait->holder->process, *to = wait->lease->owner->process;
  if (from == NULL || to == NULL || from == to)
    return false;
  return wait->edge == NULL || !leases->search_ended || from->found_by == leases->searches;
}

void leases_add_delay(const struct leases *leases, struct lease_process *start, uint64_t since_ns,
                      uint64_t now_ns) {
  assert(start->found_by == leases->searches);
  for (struct lease_process *at = start; at != NULL; at = at->next_found) {
    uint64_t from_ns = since_ns > at->delayed_until_ns ? since_ns : at->delayed_until_ns;
    at->delayed_ns += now_ns - from_ns;
    at->delayed_until_ns = now_ns;
  }
}

/* ---- helpers ---- */

void leases_set_helper(struct lease_process *helper, struct lease_process *of) {
  assert(helper->helper_of == NULL && helper != of);
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
  assert(process->held == 0 && process->edge_first == NULL);
  unset_helper(process);
  while (process->helper_first != NULL)
    unset_helper(process->helper_first);
}
