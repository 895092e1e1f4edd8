#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "daemon/leases/leases_internal.h"

#define BUCKETS_FIRST 64u

/* ---- by key ---- */

static struct lease **bucket_of(const struct leases *leases, uint64_t digest) {
  return &leases->buckets[digest & (leases->n_buckets - 1)];
}

static bool has_key(const struct lease *lease, const struct namespace *ns,
                    const struct fc_key *key) {
  return lease->ns == ns && lease->key.top_k == key->top_k &&
         memcmp(lease->key.prompt.bytes, key->prompt.bytes, FC_HASH_SIZE) == 0 &&
         fc_str_equal(lease->key.op, key->op) && fc_str_equal(lease->key.view, key->view);
}

struct lease *leases_find(const struct leases *leases, const struct namespace *ns, uint64_t digest,
                          const struct fc_key *key) {
  if (leases->n == 0)
    return NULL;
  struct lease *lease = *bucket_of(leases, digest);
  while (lease != NULL && !(lease->digest == digest && has_key(lease, ns, key)))
    lease = lease->next_in_bucket;
  return lease;
}

static void add_to_bucket(struct leases *leases, struct lease *lease) {
  struct lease **bucket = bucket_of(leases, lease->digest);
  lease->next_in_bucket = *bucket;
  *bucket = lease;
}

static void remove_from_bucket(struct leases *leases, struct lease *lease) {
  struct lease **at = bucket_of(leases, lease->digest);
  while (*at != lease)
    at = &(*at)->next_in_bucket;
  *at = lease->next_in_bucket;
}

/* Moves the leases to `n` new buckets. They all have owners now, so the list by serial has them
 * all.
 */
static bool set_buckets(struct leases *leases, uint32_t n) {
  struct lease **buckets = calloc(n, sizeof *buckets);
  if (buckets == NULL)
    return false;
  check_eq(n & (n - 1), 0);
  free(leases->buckets);
  leases->buckets = buckets;
  leases->n_buckets = n;
  for (struct lease *lease = leases->first; lease != NULL; lease = lease->next)
    add_to_bucket(leases, lease);
  return true;
}

/* Makes room for one more lease. Without memory the chains get longer. Returns false if there are
 * no buckets at all. */
static bool reserve_bucket(struct leases *leases) {
  if (leases->n < leases->n_buckets)
    return true;
  bool more = leases->n_buckets <= UINT32_MAX / 2 &&
              set_buckets(leases, leases->n_buckets == 0 ? BUCKETS_FIRST : 2 * leases->n_buckets);
  return more || leases->n_buckets > 0;
}

/* ---- by serial ---- */

static void add_to_namespace(struct namespace *ns, struct lease *lease) {
  lease->next_in_ns = NULL;
  lease->prev_in_ns = ns->lease_last;
  *(ns->lease_last == NULL ? &ns->lease_first : &ns->lease_last->next_in_ns) = lease;
  ns->lease_last = lease;
}

static void add_to_list(struct leases *leases, struct lease *lease) {
  assert(leases->last == NULL || leases->last->serial <= leases->serials);
  lease->serial = ++leases->serials;
  lease->next = NULL;
  lease->prev = leases->last;
  *(leases->last == NULL ? &leases->first : &leases->last->next) = lease;
  leases->last = lease;
  add_to_namespace(lease->ns, lease);
}

static void remove_from_list(struct leases *leases, struct lease *lease) {
  struct namespace *ns = lease->ns;
  *(lease->prev == NULL ? &leases->first : &lease->prev->next) = lease->next;
  *(lease->next == NULL ? &leases->last : &lease->next->prev) = lease->prev;
  *(lease->prev_in_ns == NULL ? &ns->lease_first : &lease->prev_in_ns->next_in_ns) =
      lease->next_in_ns;
  *(lease->next_in_ns == NULL ? &ns->lease_last : &lease->next_in_ns->prev_in_ns) =
      lease->prev_in_ns;
}

const struct lease *leases_after(const struct leases *leases, uint64_t serial) {
  const struct lease *lease = leases->first;
  while (lease != NULL && lease->serial <= serial)
    lease = lease->next;
  return lease;
}

/* ---- memory ---- */

static struct fc_str copy_name(char *to, struct fc_str name) {
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

void *leases_alloc(struct leases *leases, size_t bytes) {
  size_t charge = bytes + ALLOCATOR_OVERHEAD_BYTES, left = leases_bytes_allowed(&leases->limits);
  left = left > leases->bytes ? left - leases->bytes : 0;
  void *memory = charge > left ? NULL : malloc(bytes);
  if (memory != NULL)
    leases->bytes += charge;
  return memory;
}

void leases_free(struct leases *leases, void *memory, size_t bytes) {
  check_le(bytes + ALLOCATOR_OVERHEAD_BYTES, leases->bytes);
  leases->bytes -= bytes + ALLOCATOR_OVERHEAD_BYTES;
  free(memory);
}

static size_t lease_bytes(const struct fc_key *key) {
  return sizeof(struct lease) + key->op.size + key->view.size;
}

static void free_lease(struct leases *leases, struct lease *lease) {
  leases_free(leases, lease, lease_bytes(&lease->key));
}

static struct lease *allocate(struct leases *leases, const struct lease_request *request) {
  const struct fc_key *key = request->key;
  struct lease *lease = leases_alloc(leases, lease_bytes(key));
  if (lease == NULL)
    return NULL;
  *lease = (struct lease){.ns = request->ns, .key = *key, .digest = request->digest};
  lease->key.op = copy_name(lease->names, key->op);
  lease->key.view = copy_name(lease->names + key->op.size, key->view);
  lease->references = 1;
  return lease;
}

struct lease *leases_make(struct leases *leases, const struct lease_request *request,
                          uint64_t end_ns) {
  struct lease *lease = reserve_bucket(leases) ? allocate(leases, request) : NULL;
  if (lease == NULL)
    return NULL;
  check_eq(leases->n, leases->terms.n);
  if (!timer_heap_add(&leases->terms, &lease->term, end_ns)) {
    free_lease(leases, lease);
    return NULL;
  }
  add_to_bucket(leases, lease);
  leases->n++;
  return lease;
}

void leases_drop(struct leases *leases, struct lease *lease) {
  assert(lease->owner == NULL && lease->wait_first == NULL);
  check_eq(lease->waits, 0);
  check_lt(0, leases->n);
  timer_heap_remove(&leases->terms, &lease->term);
  remove_from_bucket(leases, lease);
  leases->n--;
  leases_release(leases, lease);
}

void leases_release(struct leases *leases, struct lease *lease) {
  check_lt(0, lease->references);
  if (--lease->references == 0)
    free_lease(leases, lease);
}

/* ---- by owner ---- */

/* Adds a record of a lease that has an owner. */
static void add_record(struct leases *leases, struct lease *lease) {
  const struct lease_client *owner = lease->owner;
  struct lease_record content = {.namespace_id = lease->ns->seed,
                                 .granted_ns = lease->granted_ns,
                                 .end_ns = lease->term.at_ns,
                                 .start_time = owner->start_time,
                                 .pid = owner->pid,
                                 .has_uid = owner->user != NULL};
  if (!lease_record_set_key(&content, &lease->key))
    return;
  if (owner->user != NULL) {
    content.uid = owner->user->uid;
    content.is_limited = owner->user->limited;
  }
  memcpy(content.handle, owner->handle.bytes, sizeof content.handle);
  lease->record = lease_records_add(leases->records, &content);
}

void leases_own(struct leases *leases, struct lease *lease, struct lease_client *client,
                uint64_t now_ns) {
  assert(lease->owner == NULL);
  check_eq(client->waits, 0); /* a client that holds a lease never waits */
  check_lt(0, lease->term.place);
  add_to_list(leases, lease);
  lease->owner = client;
  lease->granted_ns = now_ns;
  lease->next_held = NULL;
  lease->prev_held = client->held_last;
  *(client->held_last == NULL ? &client->held_first : &client->held_last->next_held) = lease;
  client->held_last = lease;
  client->held++;
  user_charge(client->user, USER_LEASES, 1);
  if (client->process != NULL) {
    lease->delayed_before_ns = client->process->delayed_ns;
    if (client->process->held++ == 0)
      client->process->computing_since_ns = now_ns;
  }
  if (leases->records != NULL && lease->record == 0 && !client->remote && FC_CATALOG_MUTANT != 15)
    add_record(leases, lease);
}

void leases_disown(struct leases *leases, struct lease *lease) {
  struct lease_client *client = lease->owner;
  struct lease *next = lease->next_held, *prev = lease->prev_held;
  if (leases->records != NULL) /* first: a record must not outlive its lease */
    lease_records_remove(leases->records, lease->record);
  lease->record = 0;
  check_lt(0, client->held);
  *(prev == NULL ? &client->held_first : &prev->next_held) = next;
  *(next == NULL ? &client->held_last : &next->prev_held) = prev;
  client->held--;
  user_uncharge(client->user, USER_LEASES, 1);
  if (client->process != NULL) {
    check_lt(0, client->process->held);
    client->process->held--;
  }
  remove_from_list(leases, lease);
  lease->owner = NULL;
}

/* ---- the check of everything, for tests ---- */

static void check_client_lists(const struct leases *leases, const struct lease_client *client) {
  uint32_t held = 0, waits = 0;
  for (const struct lease *lease = client->held_first; lease != NULL; lease = lease->next_held) {
    assert(lease->owner == client);
    held++;
  }
  for (const struct lease_wait *wait = client->wait_first; wait != NULL;
       wait = wait->next_of_client) {
    assert(wait->waiter == client && wait->lease->owner != NULL && wait->lease->owner != client);
    check_eq(wait->lease->owner->waits, 0);
    check_le(wait->until.at_ns, wait->requested_until_ns);
    waits++;
  }
  check_eq(client->held, held);
  check_eq(client->waits, waits);
  assert(held == 0 || waits == 0);
  if (!client->remote)
    check_le(held, leases->highest.leases_each);
  check_le(waits + client->due, leases->highest.waits_each);
}

static uint32_t check_waits_for(const struct leases *leases, const struct lease *lease) {
  uint32_t waits = 0;
  for (const struct lease_wait *wait = lease->wait_first; wait != NULL; wait = wait->next) {
    assert(wait->lease == lease && wait->next != wait);
    assert(wait->edge == NULL || wait->waiter->process != lease->owner->process);
    check_client_lists(leases, wait->waiter);
    waits++;
  }
  check_eq(lease->waits, waits);
  check_le(waits, LEASES_WAITS_FOR_ONE_MAX);
  check_le(waits + 1, lease->references);
  return waits;
}

void leases_check(const struct leases *leases) {
  uint32_t n = 0, waits = 0;
  uint64_t serial = 0;
  for (const struct lease *lease = leases->first; lease != NULL; lease = lease->next) {
    check_lt(serial, lease->serial);
    serial = lease->serial;
    assert(lease->owner != NULL);
    assert(leases_find(leases, lease->ns, lease->digest, &lease->key) == lease); /* one a key */
    check_client_lists(leases, lease->owner);
    waits += check_waits_for(leases, lease);
    n++;
  }
  check_eq(leases->n, n);
  check_eq(leases->waits, waits);
  check_le(n, leases->highest.leases);
  check_le(waits + leases->due, leases->highest.waits);
  timer_heap_check(&leases->terms);
  timer_heap_check(&leases->untils);
}
