#include "crash_check.h"

#include <string.h>

#include "crash_worker.h"
#include "storm_keys.h"
#include "tests/support/raw.h"

#define SAMPLE 48u /* values, of CRASH_KEYS */

bool crash_check_open(struct crash_check *check, struct crash_board *board, const char *socket,
                      uint64_t seed) {
  *check = (struct crash_check){.board = board, .socket = socket, .random = seed};
  check->counters.board = board;
  check->clears = atomic_load(&board->clears) + atomic_load(&board->deletes);
  return crash_client_open(&check->clients[0], board, socket, false, seed) &&
         crash_client_open(&check->clients[1], board, socket, true, seed);
}

void crash_check_close(struct crash_check *check) {
  crash_client_close(&check->clients[0]);
  crash_client_close(&check->clients[1]);
}

/* ---- the generation and the manifests ---- */

/* Each clear that was acknowledged since the latest check has raised the generation by 1. A clear
 * that was in progress at the kill has too, and the next daemons have raised it again. */
static void check_half_clear(struct crash_check *check, uint64_t generation, bool restored) {
  struct crash_board *board = check->board;
  uint64_t clears = atomic_load(&board->clears) + atomic_load(&board->deletes) - check->clears;
  check->clears += clears;
  if (atomic_load(&board->half_clear) != 0 && !restored && check->counters.generation != 0 &&
      generation > check->counters.generation + clears)
    crash_clear_finished(board);
  atomic_store(&board->half_clear, 0);
}

static void check_generation(struct crash_check *check, bool restored) {
  struct raw raw;
  struct fc_reply reply;
  struct fc_key key = raw_key("none", "none", 0, "none");
  struct fc_get get = {.flags = FC_UNRECORDED, .key = key};
  raw_open(&raw, check->socket, crash_space_name(0));
  if (raw.boot_id == check->boot_id && check->daemons != check->board->daemons)
    crash_report(check->board, CRASH_OTHER, "two daemons have the boot id %llx",
                 (unsigned long long)raw.boot_id);
  check->boot_id = raw.boot_id;
  check->daemons = check->board->daemons;
  if (raw_get(&raw, &get, &reply) != RAW_REPLY || (int)reply.type != (FC_REPLY | FC_GET))
    crash_report(check->board, CRASH_OTHER, "no reply to a get");
  else if (reply.get.clear_generation < check->counters.generation)
    crash_report(check->board, CRASH_FELL, "the generation fell to %llu from %llu",
                 (unsigned long long)reply.get.clear_generation,
                 (unsigned long long)check->counters.generation);
  else {
    check_half_clear(check, reply.get.clear_generation, restored);
    check->counters.generation = reply.get.clear_generation;
  }
  raw_close(&raw);
}

struct manifests {
  struct crash_check *check;
  bool found[CRASH_SPACES];
};

/* The latest that was acknowledged, or the one that was sent since. */
static void check_manifest(void *arg, const struct fc_namespace_entry *entry) {
  struct manifests *manifests = arg;
  struct crash_board *board = manifests->check->board;
  char acked[CRASH_MANIFEST_SIZE], begun[CRASH_MANIFEST_SIZE];
  for (uint32_t space = 0; space < CRASH_SPACES; space++) {
    if (!fc_str_equal(entry->name_space, fc_str_of(crash_space_name(space))))
      continue;
    manifests->found[space] = true;
    bool is_known = board->restored == 0 || board->manifest_acked[space] != 0;
    if (board->manifest_begun[space] == 0 || !is_known)
      continue;
    crash_manifest(acked, board->manifest_acked[space]);
    crash_manifest(begun, board->manifest_begun[space]);
    if (!fc_str_equal(entry->manifest, fc_str_of(acked)) &&
        !fc_str_equal(entry->manifest, fc_str_of(begun)) &&
        !(board->manifest_acked[space] == 0 && entry->manifest.data == NULL))
      crash_report(board, CRASH_WRONG, "the manifest of %s is %.*s, not %s or %s",
                   crash_space_name(space), (int)entry->manifest.size, entry->manifest.data, acked,
                   begun);
  }
}

static void check_namespaces(struct crash_check *check, struct admin *admin) {
  struct manifests manifests = {.check = check};
  if (admin_namespaces(admin, NULL, 0, check_manifest, &manifests) < 0)
    crash_report(check->board, CRASH_OTHER, "no namespaces: %s", admin_error(admin));
  for (uint32_t space = 0; space < CRASH_SPACES; space++)
    if (!manifests.found[space])
      crash_report(check->board, CRASH_LOST, "the namespace %s", crash_space_name(space));
}

/* ---- entries ---- */

/* Checks that only keys whose put was in progress are listed twice, until the daemon has moved one
 * of the two entries to its region: the next kill may come before that. Returns their number. */
static uint32_t check_twice(struct crash_check *check) {
  const struct crash_list *list = &check->list;
  bool before[CRASH_KEYS];
  uint32_t torn = 0;
  memcpy(before, check->twice, sizeof before);
  memset(check->twice, 0, sizeof check->twice);
  for (uint32_t i = 0; i < list->n_twice; i++) {
    uint32_t key = list->twice[i];
    check->twice[key] = true;
    torn += !before[key];
    if (!before[key] && !crash_was_put(check->board, key))
      crash_report(check->board, CRASH_OTHER, "key %u is listed twice", key);
  }
  return torn;
}

/* Checks that each entry that must exist is listed. The put that was in progress may have cost one.
 */
static void check_presence(struct crash_check *check) {
  struct crash_board *board = check->board;
  uint32_t torn = 0;
  for (uint32_t key = 0; key < CRASH_KEYS; key++) {
    struct crash_before before = crash_look(board, key);
    bool has = check->list.has[key];
    torn += !has && crash_may_lose(board, key);
    if (!has && crash_must_find(board, key, &before))
      crash_report(board, CRASH_LOST, "key %u, version %llu", key,
                   (unsigned long long)before.acked);
    if (!has) {
      crash_rebase(board, key, 0);
      crash_missed(board, key, crash_tick(board));
    }
  }
  torn += check_twice(check);
  if (torn > 1)
    crash_report(board, CRASH_LOST, "%u entries whose puts were in progress", torn);
  check->torn += torn;
  atomic_fetch_add(&board->checked, check->list.n);
}

/* Returns whether the model does not know the state of the key, or would report it. */
static bool is_suspicious(const struct crash_check *check, uint32_t key) {
  struct crash_before before = crash_look(check->board, key);
  return check->list.has[key] && (before.acked == 0 || crash_was_put(check->board, key) ||
                                  before.cleared > crash_version_tick(before.acked));
}

static void check_value(struct crash_check *check, uint32_t key, bool restored) {
  struct crash_client *client = &check->clients[storm_random(&check->random) % 2];
  uint64_t version;
  client->restored = restored;
  uint32_t faults = crash_fault_sum(check->board); /* no worker reports any */
  enum crash_found found = crash_client_get(client, key, &version);
  client->restored = false;
  if (found == CRASH_AWAY && crash_fault_sum(check->board) == faults)
    crash_report(check->board, CRASH_OTHER, "no daemon for key %u", key);
  else if (found == CRASH_AWAY)
    return;
  else if (found == CRASH_MISS && check->list.has[key] && crash_was_put(check->board, key))
    check->torn++;
  else if (check->list.has[key] != (found == CRASH_HIT) && !check->board->evicts)
    crash_report(check->board, CRASH_OTHER, "key %u is listed: %d, found: %d", key,
                 check->list.has[key], found == CRASH_HIT);
  if (found == CRASH_HIT && !restored && crash_was_gone(check->board, key, version))
    crash_report(check->board, CRASH_REVIVED, "key %u has version %llu, which was gone before", key,
                 (unsigned long long)version);
  atomic_store(&check->board->slots[key].crossed, false);
  if (found == CRASH_MISS)
    crash_rebase(check->board, key, 0);
  if (found == CRASH_HIT && (restored || !crash_key_is_leased(key)))
    crash_rebase(check->board, key, version);
}

static void check_values(struct crash_check *check, const struct crash_check_plan *plan) {
  uint32_t start = (uint32_t)(storm_random(&check->random) % CRASH_KEYS);
  bool all = plan->full || plan->restored;
  for (uint32_t i = 0; i < CRASH_KEYS; i++) {
    uint32_t key = (start + i) % CRASH_KEYS;
    if (all || i < SAMPLE || is_suspicious(check, key))
      check_value(check, key, plan->restored);
  }
}

/* ---- all ---- */

/* After a restore from a file the cache is that of the snapshot. */
static void begin_anew(struct crash_check *check) {
  struct crash_board *board = check->board;
  for (uint32_t key = 0; key < CRASH_KEYS; key++) {
    if (!check->list.has[key] && crash_in_snapshot(board, key))
      crash_report(board, CRASH_LOST, "key %u, which the snapshot had", key);
    if (!check->list.has[key])
      crash_rebase(board, key, 0);
    board->slots[key].missed = 0;
    board->slots[key].used_begun = 0;
  }
  crash_board_reset_counts(board);
  check->counters.generation = 0; /* epochs of daemons after the snapshot are not valid */
  for (uint32_t space = 0; space < CRASH_SPACES; space++) {
    atomic_store(&board->manifest_begun[space], 0);
    atomic_store(&board->manifest_acked[space], 0);
  }
}

static void check_with(struct crash_check *check, struct admin *admin,
                       const struct crash_check_plan *plan) {
  struct crash_board *board = check->board;
  if (!crash_counters_read(&check->counters, admin, plan->restored)) {
    crash_report(board, CRASH_OTHER, "no statistics: %s", admin_error(admin));
    return;
  }
  if (!crash_list_read(&check->list, admin, CRASH_SPACES) || check->list.strange) {
    crash_report(board, CRASH_OTHER, "no list after %u entries: %s", check->list.n,
                 check->list.strange ? "strange entries" : admin_error(admin));
    return;
  }
  if (plan->restored)
    begin_anew(check);
  else
    crash_counters_check_acked(&check->counters);
  if (!plan->restored && crash_counters_evictions(&check->counters) > 0 && !board->evicts)
    crash_report(board, CRASH_OTHER, "entries were evicted although all have room");
  check_presence(check);
  if (plan->full)
    crash_list_check_spaces(board, &check->list, admin);
  if (plan->order != NULL)
    crash_order_check(board, plan->order, &check->list, crash_counters_evictions(&check->counters));
  else if (!plan->restored)
    crash_list_check_uses(board, &check->list);
  check_namespaces(check, admin);
}

void crash_check_run(struct crash_check *check, const struct crash_check_plan *plan) {
  struct fcache_error error;
  struct admin *admin;
  if (admin_open(check->socket, NULL, CRASH_DEADLINE_MS, &admin, &error) < 0) {
    crash_report(check->board, CRASH_OTHER, "%s", error.text);
    return;
  }
  if (plan->restored) /* the snapshot may be older than the namespaces */
    crash_client_connect(&check->clients[0]);
  check_with(check, admin, plan);
  admin_close(admin);
  check_generation(check, plan->restored);
  crash_client_connect(&check->clients[0]);
  crash_client_connect(&check->clients[1]);
  check_values(check, plan);
}

void crash_check_order(struct crash_check *check, struct crash_order *order) {
  struct fcache_error error;
  struct admin *admin;
  if (admin_open(check->socket, NULL, CRASH_DEADLINE_MS, &admin, &error) < 0)
    return;
  if (crash_counters_read(&check->counters, admin, false) &&
      crash_list_read(&order->before, admin, CRASH_SPACES))
    order->evictions = crash_counters_evictions(&check->counters);
  admin_close(admin);
}
