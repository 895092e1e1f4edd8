#include "daemon/store/namespace_table.h"

#include "daemon/base/check.h"
#include "proto/errors.h"

/* Entries of dropped namespaces that an open or a close frees itself. */
#define DROP_SLICE 1024u

size_t namespace_table_bytes_max(uint32_t limit) {
  size_t structs = (size_t)limit + NAMESPACE_PENDING_DELETE_MAX;
  return structs * sizeof(struct namespace) + (size_t)limit * FC_MANIFEST_MAX + CATALOG_ALIGN;
}

size_t namespace_table_bytes(const struct namespace_table *table) {
  size_t bytes = (size_t)table->store->saved->namespace_slots * sizeof(struct namespace);
  for (const struct namespace *ns = table->first; ns != NULL; ns = ns->next)
    bytes += ns->manifest.size;
  return bytes;
}

void namespace_table_init(struct namespace_table *table, struct store *store, uint32_t limit) {
  *table = (struct namespace_table){.store = store, .limit = limit};
}

static void unlink_namespace(struct namespace_table *table, struct namespace *ns) {
  struct namespace **link = &table->first;
  while (*link != ns)
    link = &(*link)->next;
  *link = ns->next;
  check_lt(0, table->n);
  table->n--;
}

/* Also ends the charges, which are for namespaces in the table. */
static void drop(struct namespace_table *table, struct namespace *ns) {
  unlink_namespace(table, ns);
  store_drop_start(table->store, ns);
  (void)namespace_set_manifest(ns, table->store->catalog, NULL,
                               (struct fc_str){0}); /* without memory it cannot fail */
  catalog_release(table->store->catalog, CATALOG_MANIFESTS, ns->number - 1);
  user_uncharge(ns->maker, USER_NAMESPACES, 1);
  ns->maker = NULL;
  ns->next = table->pending_delete;
  table->pending_delete = ns;
  table->n_pending_delete++;
  while (table->n_pending_delete > NAMESPACE_PENDING_DELETE_MAX)
    (void)namespace_table_step(table, DROP_SLICE);
}

static void free_pending(struct namespace_table *table) {
  struct namespace *ns = table->pending_delete;
  table->pending_delete = ns->next;
  check_lt(0, table->n_pending_delete);
  table->n_pending_delete--;
  namespace_deinit(ns);
}

/* Zeroes nothing: at the daemon's end that would take seconds for a large cache, and only clients
 * that map the region still have the memory. */
void namespace_table_deinit(struct namespace_table *table) {
  while (table->first != NULL)
    drop(table, table->first);
  for (; table->pending_delete != NULL; free_pending(table))
    (void)store_drop_step(table->store, table->pending_delete, UINT64_MAX,
                          false); /* in one slice */
}

void namespace_table_leave(struct namespace_table *table) {
  for (struct namespace *ns = table->first; ns != NULL; ns = ns->next) {
    user_uncharge(ns->manifest_user, USER_MANIFEST_BYTES, ns->manifest.size);
    user_uncharge(ns->maker, USER_NAMESPACES, 1);
    ns->manifest_user = ns->maker = NULL;
  }
  *table = (struct namespace_table){.store = table->store, .limit = table->limit};
}

bool namespace_table_step(struct namespace_table *table, uint64_t max_entries) {
  uint64_t bytes_before = table->store->bytes;
  while (table->pending_delete != NULL && bytes_before - table->store->bytes < STORE_SLICE_BYTES) {
    struct namespace *ns = table->pending_delete;
    uint64_t before = ns->entries;
    if (!store_drop_step(table->store, ns, max_entries, true))
      return false;
    max_entries -= before;
    free_pending(table);
  }
  return table->pending_delete == NULL;
}

/* A hash table would not pay: names are looked up once a connection, and a thousand comparisons,
 * nearly all of lengths only, take some microseconds. */
struct namespace *namespace_table_find(const struct namespace_table *table, struct fc_str name) {
  struct namespace *ns = table->first;
  while (ns != NULL && !fc_str_equal(ns->name, name))
    ns = ns->next;
  return ns;
}

/* Returns the namespace that has been without clients for the longest time, of those that `maker`
 * made (NULL: of all), or NULL if all have clients. */
static struct namespace *longest_idle(const struct namespace_table *table,
                                      const struct user *maker) {
  struct namespace *idle = NULL;
  for (struct namespace *ns = table->first; ns != NULL; ns = ns->next)
    if (ns->clients == 0 && (maker == NULL || ns->maker == maker) &&
        (idle == NULL || ns->released < idle->released))
      idle = ns;
  return idle;
}

void namespace_table_trim(struct namespace_table *table) {
  while (table->n > table->limit)
    drop(table, longest_idle(table, NULL));
}

/* Drops idle namespaces above the limit, as many as can be pending delete: no entry is freed here.
 */
static void trim_some(struct namespace_table *table) {
  while (table->n > table->limit && table->n_pending_delete < NAMESPACE_PENDING_DELETE_MAX) {
    struct namespace *idle = longest_idle(table, NULL);
    if (idle == NULL)
      return;
    drop(table, idle);
  }
}

void namespace_table_set_limit(struct namespace_table *table, uint32_t limit) {
  table->limit = limit;
  trim_some(table);
}

/* Finds the namespace to drop for a new one of the maker's; NULL if there is room. Returns 0, or
 * FC_EREFUSED if there is none. */
static int find_victim(const struct namespace_table *table, struct user *maker,
                       struct namespace **victim) {
  bool has_share = user_can_charge(maker, USER_NAMESPACES, 1);
  *victim = NULL;
  if (has_share && table->n < table->limit)
    return 0;
  *victim = longest_idle(table, has_share ? NULL : maker);
  if (!has_share)
    user_count_refused(maker, USER_NAMESPACES);
  return *victim == NULL ? FC_EREFUSED : 0;
}

/* splitmix64: seeds that differ in one bit give unrelated digests. */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* Returns an unused place in the catalog, or NULL if there is no memory. */
static struct namespace *unused_slot(struct namespace_table *table, uint64_t *index) {
  struct store *store = table->store;
  struct store_saved *saved = store->saved;
  for (*index = 0; *index < saved->namespace_slots; ++*index)
    if (heap_find_namespace(&store->heap, (uint32_t)*index + 1) == NULL)
      return catalog_at(store->catalog, CATALOG_NAMESPACES, *index);
  if (*index == catalog_count(store->catalog, CATALOG_NAMESPACES) ||
      !catalog_commit(store->catalog, CATALOG_NAMESPACES, *index + 1))
    return NULL;
  catalog_commit_u64(&saved->namespace_slots, *index + 1);
  return catalog_at(store->catalog, CATALOG_NAMESPACES, *index);
}

/* Inserts it in the order of creation. */
static void append(struct namespace_table *table, struct namespace *ns) {
  struct namespace **link = &table->first;
  while (*link != NULL && (*link)->serial <= ns->serial)
    link = &(*link)->next;
  ns->next = *link;
  *link = ns;
  table->n++;
}

static int make(struct namespace_table *table, struct fc_str name, struct user *maker,
                struct namespace **out) {
  struct namespace *victim;
  int rc = find_victim(table, maker, &victim);
  if (rc < 0)
    return rc;
  uint64_t index;
  struct namespace *ns = unused_slot(table, &index);
  if (ns == NULL)
    return FC_ENOMEM;
  if (victim != NULL)
    drop(table, victim);
  /* An earlier namespace of that name may have been cleared, and its log is gone. So computations
   * that began before are stale. */
  struct store_saved *saved = table->store->saved;
  uint64_t seed;
  do /* never 0, which means "no namespace" in a welcome */
    seed = mix(saved->seed + saved->namespaces_made++);
  while (seed == 0);
  if (!heap_set_namespace(&table->store->heap, (uint32_t)index + 1, ns))
    return FC_ENOMEM;
  namespace_init(ns, name, seed, ++saved->generation);
  ns->serial = saved->namespaces_made;
  ns->maker = maker;
  catalog_commit_u32(&ns->number, (uint32_t)index + 1);
  user_charge(maker, USER_NAMESPACES, 1);
  append(table, ns);
  if (victim == NULL) /* else there are as many as before, which a lower limit may not allow */
    check_le(table->n, table->limit);
  *out = ns;
  return 0;
}

bool namespace_table_adopt(struct namespace_table *table, uint64_t index) {
  struct namespace *ns = catalog_at(table->store->catalog, CATALOG_NAMESPACES, index);
  if ((!ns->pending_delete && namespace_table_find(table, ns->name) != NULL) ||
      !heap_set_namespace(&table->store->heap, (uint32_t)index + 1, ns))
    return false;
  if (!ns->pending_delete) {
    append(table, ns);
    return true;
  }
  ns->next = table->pending_delete;
  table->pending_delete = ns;
  table->n_pending_delete++;
  return true;
}

/* The owner made it. An administrator may have set the manifest. */
void namespace_table_charge(struct namespace_table *table, struct users *users) {
  for (struct namespace *ns = table->first; ns != NULL; ns = ns->next) {
    if (!ns->has_owner || ns->maker != NULL)
      continue;
    struct user *owner = users_ref(users, ns->owner, true); /* its next client sets `limited` */
    user_charge(owner, USER_NAMESPACES, 1);
    user_charge(owner, USER_MANIFEST_BYTES, ns->manifest.size);
    ns->maker = ns->manifest_user = owner;
    user_unref(owner);
  }
}

int namespace_table_open(struct namespace_table *table, struct fc_str name, struct user *maker,
                         struct namespace **ns) {
  *ns = namespace_table_find(table, name);
  int r = *ns == NULL ? make(table, name, maker, ns) : 0;
  if (r < 0)
    return r;
  (*ns)->clients++;
  trim_some(table);
  (void)namespace_table_step(table, DROP_SLICE); /* later steps free the rest */
  return 0;
}

static bool is_unused(const struct namespace *ns) {
  return ns->entries == 0 && ns->max_entries == 0 && ns->max_bytes == 0 &&
         ns->evictions[EVICT_BYTES] == 0 && counters_are_zero(&ns->counters);
}

void namespace_table_close(struct namespace_table *table, struct namespace *ns) {
  check_lt(0, ns->clients);
  if (--ns->clients > 0)
    return;
  ns->released = ++table->store->saved->releases;
  if (!is_unused(ns))
    return;
  drop(table, ns);
  (void)namespace_table_step(table, DROP_SLICE); /* later steps free the rest */
}

int namespace_table_set_max_entries(struct namespace_table *table, struct namespace *ns,
                                    int64_t max_entries) {
  if (max_entries <= 0)
    return FC_EMAXENTRIES;
  return store_limit_entries(table->store, ns, (uint64_t)max_entries) ? NAMESPACE_LIMITED
                                                                      : NAMESPACE_LIMIT_MORE;
}

int namespace_table_set_max_bytes(struct namespace_table *table, struct namespace *ns,
                                  uint64_t max_bytes) {
  if (max_bytes == 0)
    return FC_EINVAL;
  return store_limit_bytes(table->store, ns, max_bytes) ? NAMESPACE_LIMITED : NAMESPACE_LIMIT_MORE;
}
