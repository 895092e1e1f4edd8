#include "crash_board.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PRINTED_MAX 20u /* faults of each kind */

const char *const crash_fault_names[CRASH_FAULTS] = {"lost",   "wrong",  "revived", "out of order",
                                                     "fallen", "leases", "other"};

uint64_t crash_tick(struct crash_board *board) {
  return atomic_fetch_add(&board->clock, 1) + 1;
}

void crash_board_reset_counts(struct crash_board *board) {
  atomic_store(&board->life_puts, 0);
  atomic_store(&board->life_clears, 0);
  atomic_store(&board->life_deletes, 0);
  atomic_store(&board->life_socket_hits, 0);
}

void crash_board_forget(struct crash_board *board) {
  memset(board->slots, 0, sizeof board->slots);
  memset(board->selectors, 0, sizeof board->selectors);
  memset(board->manifest_begun, 0, sizeof board->manifest_begun);
  memset(board->manifest_acked, 0, sizeof board->manifest_acked);
  atomic_store(&board->restored, 0);
  atomic_store(&board->rebasing, false);
  atomic_store(&board->snapshot, 0);
  atomic_store(&board->half_clear, 0);
  crash_board_reset_counts(board);
}

void crash_report(struct crash_board *board, enum crash_fault fault, const char *format, ...) {
  char text[512];
  va_list args;
  if (atomic_fetch_add(&board->faults[fault], 1) >= PRINTED_MAX)
    return;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "%s: %s\n", crash_fault_names[fault], text);
}

uint32_t crash_fault_sum(const struct crash_board *board) {
  uint32_t sum = 0;
  for (int i = 0; i < CRASH_FAULTS; i++)
    sum += atomic_load(&board->faults[i]);
  return sum;
}

/* ---- phases ---- */

static void futex(_Atomic uint32_t *word, int op, uint32_t value) {
  (void)syscall(SYS_futex, word, op, value, NULL, NULL, 0); /* the caller looks again */
}

void crash_phase_set(struct crash_board *board, enum crash_phase phase) {
  atomic_store(&board->phase, phase);
  futex(&board->phase, FUTEX_WAKE, INT_MAX);
}

enum crash_phase crash_phase_wait(struct crash_board *board, enum crash_phase phase) {
  atomic_fetch_add(&board->parked, 1);
  while (atomic_load(&board->phase) == (uint32_t)phase)
    futex(&board->phase, FUTEX_WAIT, (uint32_t)phase);
  atomic_fetch_sub(&board->parked, 1);
  return (enum crash_phase)atomic_load(&board->phase);
}

/* ---- events ---- */

static void raise_to(_Atomic uint64_t *word, uint64_t value) {
  uint64_t old = atomic_load(word);
  while (old < value && !atomic_compare_exchange_weak(word, &old, value))
    continue;
}

void crash_put_begin(struct crash_board *board, uint32_t key, uint64_t version) {
  struct crash_slot *slot = &board->slots[key];
  struct crash_put *put = &slot->past[slot->n_past % CRASH_PAST];
  put->version = 0; /* a reader that finds neither version knows no end */
  put->ended = CRASH_UNENDED;
  put->version = version;
  slot->n_past++;
  atomic_store(&slot->begun, version);
}

void crash_put_end(struct crash_board *board, uint32_t key, uint64_t version, bool acked) {
  struct crash_slot *slot = &board->slots[key];
  uint64_t now = crash_tick(board);
  slot->past[(slot->n_past - 1) % CRASH_PAST].ended = now;
  if (atomic_load(&board->phase) == CRASH_PARK)
    atomic_store(&slot->crossed, true);
  if (acked) {
    atomic_store(&slot->acked, version);
    atomic_fetch_add(&board->life_puts, 1);
    atomic_fetch_add(&board->puts, 1);
    raise_to(&slot->used_begun, crash_version_tick(version));
  }
  raise_to(&slot->used_ended, now);
}

void crash_leased_put_end(struct crash_board *board, uint32_t key, uint64_t version, bool acked) {
  struct crash_slot *slot = &board->slots[key];
  raise_to(&slot->used_ended, crash_tick(board));
  if (!acked)
    return;
  raise_to(&slot->acked, version);
  atomic_fetch_add(&board->life_puts, 1);
  atomic_fetch_add(&board->puts, 1);
}

static struct crash_selector *selector_of(struct crash_board *board, struct crash_place place) {
  return &board->selectors[(place.space * (CRASH_VIEWS + 1) + place.view) * (CRASH_OPS + 1) +
                           place.op];
}

void crash_clear_begin(struct crash_board *board, struct crash_place place) {
  atomic_store(&selector_of(board, place)->ended, CRASH_UNENDED);
  atomic_fetch_add(&board->clears_begun, 1);
}

void crash_clear_end(struct crash_board *board, struct crash_place place, uint64_t begun,
                     bool acked) {
  struct crash_selector *selector = selector_of(board, place);
  if (acked) {
    atomic_store(&selector->acked_begun, begun);
    atomic_fetch_add(&board->life_clears, 1);
    atomic_fetch_add(&board->clears, 1);
  }
  atomic_store(&selector->ended, crash_tick(board));
}

void crash_delete_begin(struct crash_board *board, uint32_t key) {
  atomic_store(&board->selectors[CRASH_SELECTORS + key].ended, CRASH_UNENDED);
}

void crash_delete_end(struct crash_board *board, uint32_t key, uint64_t begun, bool acked) {
  struct crash_selector *selector = &board->selectors[CRASH_SELECTORS + key];
  if (acked) {
    atomic_store(&selector->acked_begun, begun);
    atomic_fetch_add(&board->life_deletes, 1);
    atomic_fetch_add(&board->deletes, 1);
  } else {
    atomic_store(&board->half_clear, 0);
  }
  atomic_store(&selector->ended, crash_tick(board));
}

void crash_clear_half(struct crash_board *board, struct crash_place place, uint64_t begun) {
  atomic_store(&board->half_begun, begun);
  atomic_store(&board->half_clear, (uint64_t)(selector_of(board, place) - board->selectors) + 1);
}

void crash_clear_finished(struct crash_board *board) {
  uint64_t n = atomic_load(&board->half_clear);
  atomic_store(&board->selectors[n - 1].acked_begun, atomic_load(&board->half_begun));
}

void crash_missed(struct crash_board *board, uint32_t key, uint64_t begun) {
  raise_to(&board->slots[key].missed, begun);
}

void crash_used(struct crash_board *board, uint32_t key, uint64_t begun, uint64_t ended,
                bool acked) {
  struct crash_slot *slot = &board->slots[key];
  raise_to(&slot->used_ended, ended);
  if (acked)
    raise_to(&slot->used_begun, begun);
}

/* ---- judgements ---- */

/* Returns the latest of the ticks of the key's deletes and of all clears that select it: their
 * beginnings if they were acknowledged, or their ends in any case. */
static uint64_t latest_clear(const struct crash_board *board, uint32_t key, bool ends) {
  struct crash_place place = crash_key_place(key);
  const struct crash_selector *delete = &board->selectors[CRASH_SELECTORS + key];
  uint64_t latest = atomic_load(ends ? &delete->ended : &delete->acked_begun);
  for (uint32_t any = 0; any < 8; any++) {
    struct crash_place one = {any & 1 ? CRASH_SPACES : place.space,
                              any & 2 ? CRASH_VIEWS : place.view, any & 4 ? CRASH_OPS : place.op};
    /* The cast drops const: the function only computes an address. */
    const struct crash_selector *selector =
        selector_of((struct crash_board *)(uintptr_t)board, one);
    uint64_t tick = atomic_load(ends ? &selector->ended : &selector->acked_begun);
    latest = tick > latest ? tick : latest;
  }
  return latest;
}

uint64_t crash_latest_clear(const struct crash_board *board, uint32_t key) {
  return latest_clear(board, key, true);
}

struct crash_before crash_look(const struct crash_board *board, uint32_t key) {
  struct crash_before before = {.cleared = latest_clear(board, key, false)};
  before.acked = atomic_load(&board->slots[key].acked);
  before.begun = atomic_load(&board->slots[key].begun);
  return before;
}

bool crash_must_find(const struct crash_board *board, uint32_t key,
                     const struct crash_before *before) {
  const struct crash_slot *slot = &board->slots[key];
  if (board->evicts || before->acked == 0)
    return false;
  return (crash_key_is_leased(key) ||
          (before->acked == before->begun && atomic_load(&slot->begun) == before->begun)) &&
         latest_clear(board, key, true) < crash_version_tick(before->acked);
}

bool crash_was_put(const struct crash_board *board, uint32_t key) {
  const struct crash_slot *slot = &board->slots[key];
  return !crash_key_is_leased(key) &&
         (atomic_load(&slot->crossed) || atomic_load(&slot->begun) != atomic_load(&slot->acked));
}

bool crash_may_lose(const struct crash_board *board, uint32_t key) {
  const struct crash_slot *slot = &board->slots[key];
  uint64_t acked = atomic_load(&slot->acked);
  return !board->evicts && !crash_key_is_leased(key) && acked != 0 &&
         acked != atomic_load(&slot->begun) &&
         latest_clear(board, key, true) < crash_version_tick(acked);
}

/* Returns the tick at which the put of a version had ended, or a later one. */
static uint64_t end_of(const struct crash_slot *slot, uint64_t version) {
  uint64_t later = CRASH_UNENDED;
  for (uint32_t i = 0; i < CRASH_PAST; i++) {
    const struct crash_put *put = &slot->past[i];
    uint64_t one = atomic_load(&put->version), ended = atomic_load(&put->ended);
    if (one == version && atomic_load(&put->version) == version)
      return ended;
    if (one > version && crash_version_tick(one) < later)
      later = crash_version_tick(one); /* puts of a key come one after the other */
  }
  return later;
}

bool crash_judge(struct crash_board *board, uint32_t key, uint64_t version,
                 const struct crash_before *before, bool restored) {
  const struct crash_slot *slot = &board->slots[key];
  bool leased = crash_key_is_leased(key), keeps_first = leased || restored;
  uint64_t newest =
      leased ? crash_version_of(atomic_load(&board->clock), true) : atomic_load(&slot->begun);
  if (version > newest || (!keeps_first && version < before->acked)) {
    crash_report(board, CRASH_WRONG, "key %u has version %llu, not %llu (acknowledged) to %llu",
                 key, (unsigned long long)version, (unsigned long long)before->acked,
                 (unsigned long long)newest);
    return false;
  }
  uint64_t ended =
      crash_version_has_epoch(version) ? crash_version_tick(version) : end_of(slot, version);
  if (before->cleared > ended) {
    crash_report(board, CRASH_REVIVED, "key %u has version %llu, cleared at %llu", key,
                 (unsigned long long)version, (unsigned long long)before->cleared);
    return false;
  }
  return true;
}

bool crash_in_snapshot(const struct crash_board *board, uint32_t key) {
  const struct crash_slot *slot = &board->slots[key];
  uint64_t acked = atomic_load(&slot->acked);
  return !board->evicts && !crash_key_is_leased(key) && acked != 0 &&
         acked == atomic_load(&slot->begun) &&
         end_of(slot, acked) < atomic_load(&board->snapshot) &&
         latest_clear(board, key, true) < crash_version_tick(acked);
}

bool crash_was_gone(const struct crash_board *board, uint32_t key, uint64_t version) {
  const struct crash_slot *slot = &board->slots[key];
  return !crash_key_is_leased(key) && end_of(slot, version) < atomic_load(&slot->missed);
}

void crash_rebase(struct crash_board *board, uint32_t key, uint64_t version) {
  struct crash_slot *slot = &board->slots[key];
  atomic_store(&slot->acked, version);
  if (!crash_key_is_leased(key) && version != 0)
    atomic_store(&slot->begun, version);
}
