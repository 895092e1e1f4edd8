/* key_table.h - the keys of an export in memory: each key once, with its latest use. Then sorted by
 * that.
 *
 * A key takes about 70 bytes, whatever its value takes. One thread. */
#ifndef FC_CTL_KEY_TABLE_H
#define FC_CTL_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/message.h"

struct key_row {
  struct fc_hash prompt;
  uint64_t compute_ns;
  uint64_t idle_ns; /* since its last use, when it was listed */
  uint64_t stamp;   /* of that use: unique */
  uint32_t hits;
  uint32_t top_k;
  uint32_t label; /* number of its op and view */
  uint32_t value_size;
};

/* An op and a view. */
struct key_label {
  char *text; /* owned: the op, then the view */
  uint8_t op_size, view_size;
};

/* An open hash table of numbers. 0 is a free slot, else the slot has a number plus 1. */
struct key_index {
  uint32_t *slots; /* owned */
  uint32_t n, capacity;
};

struct key_table {
  struct key_row *rows; /* owned */
  uint32_t n, capacity;
  struct key_label *labels; /* owned */
  uint32_t n_labels, labels_capacity;
  struct key_index row_index, label_index;
  uint64_t seed; /* random: clients choose their keys */
};

void key_table_init(struct key_table *table);
void key_table_deinit(struct key_table *table); /* idempotent */

enum key_added { KEY_NEW = 1, KEY_KNOWN = 2 };

/* Adds the key of an entry, or updates its row. Returns KEY_NEW, KEY_KNOWN, or FC_ENOMEM. */
int key_table_add(struct key_table *table, const struct fc_list_entry *entry);

/* Sorts the rows by their stamps, the lowest first. No key can be added any more. */
void key_table_sort(struct key_table *table);

/* Returns the key of a row. Borrows its names. */
struct fc_key key_table_key(const struct key_table *table, const struct key_row *row);

#endif
