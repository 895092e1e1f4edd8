#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/leases/leases_internal.h"

#define BUCKETS_FIRST 64u

/* ---- by key ---- */

static struct lease **bucket_of(const struct leases *leases, uint64_t digest) {
  return &leases->buckets[digest & (leases->n_buckets - 1)];
}

static bool is_of(const struct lease *lease, const struct namespace *ns, const struct fc_key *key) {
  return lease->ns == ns && lease->key.top_k == key->top_k &&
         memcmp(lease->key.prompt.bytes, key->prompt.bytes, FC_HASH_SIZE) == 0 &&
         fc_str_equal(lease->key.op, key->op) && fc_str_equal(lease->key.view, key->view);
}

struct lease *leases_find(const struct leases *leases, const struct namespace *ns, uint64_t digest,
                          const struct fc_key *key) {
  if (leases->n == 0)
    return NULL;
  struct lease *lease = *bucket_of(leases, digest);
  while (lease != NULL && !(lease->digest == digest && is_of(lease, ns, key)))
    lease = lease->next_in_bucket;
  return lease;
}

static void put_in_bucket(struct leases *leases, struct lease *lease) {
  struct lease **bucket = bucket_of(leases, lease->digest);
  lease->next_in_bucket = *bucket;
  *bucket = lease;
}

static void take_from_bucket(struct leases *leases, struct lease *lease) {
  struct lease **at = bucket_of(leases, lease->digest);
  while (*at != lease)
    at = &(*at)->next_in_bucket;
  *at = lease->next_in_bucket;
}

/* All leases are owned now, and so in the list by serial: from there they go into the new buckets.
 */
static bool set_buckets(struct leases *leases, uint32_t n) {
  struct lease **buckets = calloc(n, sizeof *buckets);
  if (buckets == NULL)
    return false;
  free(leases->buckets);
  leases->buckets = buckets;
  leases->n_buckets = n;
  for (struct lease *lease = leases->first; lease != NULL; lease = lease->next)
    put_in_bucket(leases, lease);
  return true;
}

/* Without memory for more, those that are there serve on, with longer chains. */
static bool have_buckets(struct leases *leases) {
  if (leases->n < leases->n_buckets)
    return true;
  bool more = leases->n_buckets <= UINT32_MAX / 2 &&
              set_buckets(leases, leases->n_buckets == 0 ? BUCKETS_FIRST : 2 * leases->n_buckets);
  return more || leases->n_buckets > 0;
}

/* ---- by serial ---- */

static void enlist_in_namespace(struct namespace *ns, struct lease *lease) {
  lease->next_in_ns = NULL;
  lease->prev_in_ns = ns->lease_last;
  *(ns->lease_last == NULL ? &ns->lease_first : &ns->lease_last->next_in_ns) = lease;
  ns->lease_last = lease;
}

static void enlist(struct leases *leases, struct lease *lease) {
  lease->serial = ++leases->serials;
  lease->next = NULL;
  lease->prev = leases->last;
  *(leases->last == NULL ? &leases->first : &leases->last->next) = lease;
  leases->last = lease;
  enlist_in_namespace(lease->ns, lease);
}

static void delist(struct leases *leases, struct lease *lease) {
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

/* ---- in and out ---- */

static struct fc_str copy_name(char *to, struct fc_str name) {
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

#define MALLOC_BYTES 16u

void *leases_alloc(struct leases *leases, size_t bytes) {
  size_t charge = bytes + MALLOC_BYTES, left = leases_bytes_allowed(&leases->limits);
  left = left > leases->bytes ? left - leases->bytes : 0;
  void *what = charge > left ? NULL : malloc(bytes);
  if (what != NULL)
    leases->bytes += charge;
  return what;
}

void leases_free(struct leases *leases, void *what, size_t bytes) {
  leases->bytes -= bytes + MALLOC_BYTES;
  free(what);
}

static size_t bytes_of(const struct fc_key *key) {
  return sizeof(struct lease) + key->op.size + key->view.size;
}

static void free_lease(struct leases *leases, struct lease *lease) {
  leases_free(leases, lease, bytes_of(&lease->key));
}

static struct lease *allocate(struct leases *leases, const struct lease_request *request) {
  const struct fc_key *key = request->key;
  struct lease *lease = leases_alloc(leases, bytes_of(key));
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
  struct lease *lease = have_buckets(leases) ? allocate(leases, request) : NULL;
  if (lease == NULL)
    return NULL;
  if (!deadlines_add(&leases->terms, &lease->term, end_ns)) {
    free_lease(leases, lease);
    return NULL;
  }
  put_in_bucket(leases, lease);
  leases->n++;
  return lease;
}

void leases_drop(struct leases *leases, struct lease *lease) {
  assert(lease->owner == NULL && lease->waits == 0);
  deadlines_remove(&leases->terms, &lease->term);
  take_from_bucket(leases, lease);
  leases->n--;
  leases_release(leases, lease);
}

void leases_release(struct leases *leases, struct lease *lease) {
  if (--lease->references == 0)
    free_lease(leases, lease);
}

/* ---- by owner ---- */

void leases_own(struct leases *leases, struct lease *lease, struct lease_holder *holder,
                uint64_t now_ns) {
  assert(lease->owner == NULL);
  enlist(leases, lease);
  lease->owner = holder;
  lease->granted_ns = now_ns;
  lease->next_held = NULL;
  lease->prev_held = holder->held_last;
  *(holder->held_last == NULL ? &holder->held_first : &holder->held_last->next_held) = lease;
  holder->held_last = lease;
  holder->held++;
  user_charge(holder->user, USER_LEASES, 1);
  if (holder->process == NULL)
    return;
  lease->delayed_before_ns = holder->process->delayed_ns;
  if (holder->process->held++ == 0)
    holder->process->computing_since_ns = now_ns;
}

void leases_disown(struct leases *leases, struct lease *lease) {
  struct lease_holder *holder = lease->owner;
  struct lease *next = lease->next_held, *prev = lease->prev_held;
  *(prev == NULL ? &holder->held_first : &prev->next_held) = next;
  *(next == NULL ? &holder->held_last : &next->prev_held) = prev;
  holder->held--;
  user_uncharge(holder->user, USER_LEASES, 1);
  if (holder->process != NULL)
    holder->process->held--;
  delist(leases, lease);
  lease->owner = NULL;
}
