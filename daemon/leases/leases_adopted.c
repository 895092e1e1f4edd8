/* Leases over a restart: their records stay when the daemon stops, and the next daemon makes leases
 * of absent owners from them. */
#include <assert.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/leases/leases_internal.h"

/* ---- the daemon stops ---- */

void leases_stop(struct leases *leases) {
  check_eq(leases->waits, 0);
  leases->stopping = true;
}

void leases_forget_waits(struct leases *leases, struct lease_client *client, uint64_t now_ns) {
  leases_end_waits_of(leases, client, LEASE_END_NONE, now_ns);
  leases_forget_due(leases, client);
}

void leases_leave_records(struct leases *leases, struct lease_client *client, uint64_t now_ns) {
  for (struct lease *lease; (lease = client->held_first) != NULL;) {
    check_eq(lease->waits, 0);
    lease->record = 0;
    leases_end(leases, lease, LEASE_END_NONE, now_ns);
  }
}

/* ---- the next daemon starts ---- */

static bool has_room(const struct leases *leases, const struct lease_client *owner) {
  return leases->n < leases->limits.leases && owner->held < leases->limits.leases_each &&
         user_can_charge(owner->user, USER_LEASES, 1);
}

bool leases_adopt(struct leases *leases, struct lease_client *owner, struct namespace *ns,
                  uint64_t digest, uint32_t record, uint64_t now_ns) {
  const struct lease_record *saved = &leases->records->all[record];
  struct fc_key key = lease_record_key(saved);
  const struct lease_request request = {.ns = ns, .digest = digest, .key = &key};
  assert(owner->absent);
  if (saved->granted_ns > now_ns || saved->end_ns <= now_ns || !has_room(leases, owner) ||
      leases_find(leases, ns, digest, &key) != NULL)
    return false;
  uint64_t left_ns = saved->end_ns - now_ns, max_ns = leases->limits.time_max_ns;
  struct lease *lease =
      leases_make(leases, &request, now_ns + (left_ns < max_ns ? left_ns : max_ns));
  if (lease == NULL)
    return false;
  lease_records_keep(leases->records, record);
  lease->record = record;
  leases_own(leases, lease, owner, saved->granted_ns);
  return true;
}

void leases_limit_terms(struct leases *leases, struct lease_client *owner, uint64_t end_ns) {
  for (struct lease *lease = owner->held_first; lease != NULL; lease = lease->next_held)
    if (lease->term.at_ns > end_ns)
      timer_heap_move(&leases->terms, &lease->term, end_ns);
}

/* ---- an absent owner is back ---- */

static void change_owner(struct lease *lease, struct lease_client *to) {
  struct lease_client *from = lease->owner;
  lease->owner = to;
  user_uncharge(from->user, USER_LEASES, 1);
  user_charge(to->user, USER_LEASES, 1);
  if (from->process == to->process)
    return;
  if (from->process != NULL)
    from->process->held--;
  lease->delayed_before_ns = to->process == NULL ? 0 : to->process->delayed_ns;
  if (to->process != NULL && to->process->held++ == 0)
    to->process->computing_since_ns = lease->granted_ns;
}

/* The leases keep their order among all, because neither grant nor owner is a new one. */
void leases_transfer(struct leases *leases, struct lease_client *from, struct lease_client *to,
                     uint64_t now_ns) {
  bool same_process = from->process == to->process;
  assert(from->absent && !to->absent);
  check_eq(to->held + to->waits, 0);
  to->held_first = from->held_first;
  to->held_last = from->held_last;
  to->held = from->held;
  from->held_first = from->held_last = NULL;
  from->held = 0;
  for (struct lease *lease = to->held_first; lease != NULL; lease = lease->next_held)
    change_owner(lease, to);
  for (struct lease *lease = same_process ? NULL : to->held_first; lease != NULL;
       lease = lease->next_held)
    leases_wait_for_new_owner(leases, lease, now_ns);
}

bool leases_has_handle(const struct lease_client *client) {
  static const struct fc_hash none = {{0}};
  return memcmp(&client->handle, &none, sizeof none) != 0;
}

bool leases_is_left_behind(const struct lease_client *owner, const struct lease_client *client) {
  return owner->absent && !leases_has_handle(owner) && owner->process != NULL &&
         owner->process == client->process;
}

enum lease_answer leases_take_over(struct leases *leases, struct lease *lease,
                                   struct lease_client *client, uint64_t now_ns) {
  if (client->held >= leases->limits.leases_each)
    return LEASE_NONE;
  if (client->waits > 0)
    leases_end_waits_of(leases, client, LEASE_END_AGAIN, now_ns);
  leases_disown(leases, lease);
  leases_own(leases, lease, client, now_ns);
  return LEASE_GRANTED;
}
