/* tally.h - entries and their bytes by namespace, op and view, for clear --dry-run and for the
 * names that exist. Zero the struct to start. */
#ifndef FC_CTL_TALLY_H
#define FC_CTL_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/message.h"

struct tally_row {
  struct fc_str name_space, op, view; /* owned by the tally; NUL-terminated */
  uint64_t entries, bytes;
  char names[];
};

struct tally {
  struct tally_row **rows; /* owned, in the order of their first entries */
  size_t n, capacity;
  void *tree; /* of the rows: tsearch(3) */
  uint64_t entries, bytes;
  bool failed; /* out of memory: entries are missing */
};

/* Adds an entry. `arg` is the tally: a pages_entry_fn. */
void tally_add(void *arg, const struct fc_list_entry *entry);

/* Sorts the rows by their names. No entry may follow. */
void tally_sort(struct tally *tally);

void tally_deinit(struct tally *tally); /* idempotent */

#endif
