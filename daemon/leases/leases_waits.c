#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/leases/leases_internal.h"

/* ---- that go on ---- */

/* With the edge that it may need. */
static size_t bytes_of(struct fc_str probe) {
  return sizeof(struct lease_wait) + probe.size + LEASES_EDGE_BYTES;
}

static void free_wait(struct leases *leases, struct lease_wait *wait) {
  leases_free(leases, wait, bytes_of(wait->probe));
}

static struct lease_wait *allocate(struct leases *leases, const struct lease_request *request) {
  struct fc_str probe = request->probe;
  struct lease_wait *wait = leases_alloc(leases, bytes_of(probe));
  if (wait == NULL)
    return NULL;
  *wait = (struct lease_wait){.id = request->id, .flags = request->flags, .wants = request->wants};
  if (probe.data == NULL)
    return wait;
  memcpy(wait->probe_data, probe.data, probe.size);
  wait->probe = (struct fc_str){wait->probe_data, probe.size};
  return wait;
}

static void line_up(struct lease_wait *wait, struct lease *lease) {
  lease->references++;
  wait->prev = lease->wait_last;
  *(lease->wait_last == NULL ? &lease->wait_first : &lease->wait_last->next) = wait;
  lease->wait_last = wait;
  lease->waits++;
}

static void line_up_of_holder(struct lease_wait *wait, struct lease_holder *holder) {
  wait->prev_of_holder = holder->wait_last;
  *(holder->wait_last == NULL ? &holder->wait_first : &holder->wait_last->next_of_holder) = wait;
  holder->wait_last = wait;
  holder->waits++;
}

static void step_out(struct lease_wait *wait) {
  struct lease *lease = wait->lease;
  *(wait->prev == NULL ? &lease->wait_first : &wait->prev->next) = wait->next;
  *(wait->next == NULL ? &lease->wait_last : &wait->next->prev) = wait->prev;
  lease->waits--;
}

static void step_out_of_holder(struct lease_wait *wait) {
  struct lease_holder *holder = wait->holder;
  struct lease_wait *next = wait->next_of_holder, *prev = wait->prev_of_holder;
  *(prev == NULL ? &holder->wait_first : &prev->next_of_holder) = next;
  *(next == NULL ? &holder->wait_last : &next->prev_of_holder) = prev;
  holder->waits--;
}

struct lease_wait *leases_wait(struct leases *leases, struct lease_holder *holder,
                               struct lease *lease, const struct lease_request *request,
                               uint64_t term_ns, uint64_t now_ns, uint64_t until_ns) {
  struct lease_wait *wait = allocate(leases, request);
  if (wait == NULL)
    return NULL;
  if (!deadlines_add(&leases->untils, &wait->until, until_ns)) {
    free_wait(leases, wait);
    return NULL;
  }
  wait->asked_until_ns = until_ns;
  wait->term_ns = term_ns;
  wait->since_ns = now_ns;
  wait->holder = holder;
  wait->lease = lease;
  wait->begun = fc_waits_begin(&holder->sharing, now_ns);
  line_up(wait, lease);
  line_up_of_holder(wait, holder);
  leases->waits++;
  user_charge(holder->user, USER_WAITS, 1);
  return wait;
}

/* ---- that are over ---- */

static void enqueue(struct leases *leases, struct lease_holder *holder) {
  if (holder->is_due)
    return;
  holder->is_due = true;
  holder->next_due = NULL;
  *(leases->due_last == NULL ? &leases->due_first : &leases->due_last->next_due) = holder;
  leases->due_last = holder;
}

static void make_due(struct leases *leases, struct lease_wait *wait) {
  struct lease_holder *holder = wait->holder;
  wait->next_of_holder = wait->prev_of_holder = NULL;
  *(holder->due_last == NULL ? &holder->due_first : &holder->due_last->next_of_holder) = wait;
  holder->due_last = wait;
  holder->due++;
  leases->due++;
  enqueue(leases, holder);
}

void leases_end_wait(struct leases *leases, struct lease_wait *wait, enum lease_end end,
                     uint64_t now_ns) {
  wait->wall_ns = fc_waits_end(&wait->holder->sharing, wait->begun, now_ns);
  fc_sum_add(&leases->counters->lease_wait_ns, wait->wall_ns);
  fc_sum_add(&wait->lease->ns->counters.lease_wait_ns, wait->wall_ns);
  deadlines_remove(&leases->untils, &wait->until);
  leases_edge_remove(wait);
  step_out(wait);
  step_out_of_holder(wait);
  leases->waits--;
  wait->end = end;
  make_due(leases, wait);
}

void leases_end_waits_for(struct leases *leases, struct lease *lease, enum lease_end end,
                          uint64_t now_ns) {
  while (lease->wait_first != NULL)
    leases_end_wait(leases, lease->wait_first, end, now_ns);
}

void leases_end_waits_of(struct leases *leases, struct lease_holder *holder, enum lease_end end,
                         uint64_t now_ns) {
  while (holder->wait_first != NULL)
    leases_end_wait(leases, holder->wait_first, end, now_ns);
}

/* ---- the queue ---- */

static struct lease_holder *dequeue(struct leases *leases) {
  struct lease_holder *holder = leases->due_first;
  leases->due_first = holder->next_due;
  if (leases->due_first == NULL)
    leases->due_last = NULL;
  holder->next_due = NULL;
  holder->is_due = false;
  return holder;
}

/* One whose due waits were answered before its turn came is passed over. */
struct lease_holder *leases_next_due(struct leases *leases) {
  while (leases->due_first != NULL) {
    struct lease_holder *holder = dequeue(leases);
    if (holder->due_first != NULL)
      return holder;
  }
  return NULL;
}

void leases_due_done(struct leases *leases, struct lease_holder *holder) {
  struct lease_wait *wait = holder->due_first;
  assert(wait != NULL);
  holder->due_first = wait->next_of_holder;
  if (holder->due_first == NULL)
    holder->due_last = NULL;
  holder->due--;
  leases->due--;
  user_uncharge(holder->user, USER_WAITS, 1);
  leases_release(leases, wait->lease);
  free_wait(leases, wait);
}

static void take_from_queue(struct leases *leases, struct lease_holder *holder) {
  struct lease_holder *prev = NULL;
  for (struct lease_holder *at = leases->due_first; at != holder; at = at->next_due)
    prev = at;
  *(prev == NULL ? &leases->due_first : &prev->next_due) = holder->next_due;
  if (leases->due_last == holder)
    leases->due_last = prev;
  holder->next_due = NULL;
  holder->is_due = false;
}

void leases_forget_due(struct leases *leases, struct lease_holder *holder) {
  while (holder->due_first != NULL)
    leases_due_done(leases, holder);
  if (holder->is_due)
    take_from_queue(leases, holder);
}
