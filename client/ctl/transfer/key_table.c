#include "client/ctl/transfer/key_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/errors.h"

#define CAPACITY_MIN 1024u
#define ROWS_MAX (1u << 31)

void key_table_init(struct key_table *table) {
  *table = (struct key_table){0};
  /* Without randomness the table works, and only a hostile choice of keys makes it slow. */
  if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) != (ssize_t)sizeof table->seed)
    table->seed = (uintptr_t)table;
}

void key_table_deinit(struct key_table *table) {
  for (uint32_t i = 0; i < table->n_labels; i++)
    free(table->labels[i].text);
  free(table->rows);
  free(table->labels);
  free(table->row_index.slots);
  free(table->label_index.slots);
  *table = (struct key_table){0};
}

static struct fc_str op_of(const struct key_label *label) {
  return (struct fc_str){label->text, label->op_size};
}

static struct fc_str view_of(const struct key_label *label) {
  return (struct fc_str){label->text + label->op_size, label->view_size};
}

struct fc_key key_table_key(const struct key_table *table, const struct key_row *row) {
  const struct key_label *label = &table->labels[row->label];
  return (struct fc_key){
      .op = op_of(label), .view = view_of(label), .top_k = row->top_k, .prompt = row->prompt};
}

/* ---- the index ---- */

static uint64_t label_hash(const struct key_table *table, struct fc_str op, struct fc_str view) {
  const struct fc_key key = {.op = op, .view = view};
  return fc_key_digest(table->seed, &key);
}

static uint64_t row_hash(const struct key_table *table, const struct key_row *row) {
  struct fc_key key = key_table_key(table, row);
  return fc_key_digest(table->seed, &key);
}

/* Puts a number that the index does not have into a free slot. */
static void index_insert(struct key_index *index, uint64_t hash, uint32_t number) {
  uint32_t at = (uint32_t)hash & (index->capacity - 1);
  while (index->slots[at] != 0)
    at = (at + 1) & (index->capacity - 1);
  index->slots[at] = number + 1;
  index->n++;
}

/* Replaces the index by an empty one of twice the size, if it is half full. Returns 1 if it did,
 * and the caller must insert all numbers again; 0 if there is room; or FC_ENOMEM. */
static int index_reserve(struct key_index *index) {
  if (index->n < index->capacity / 2)
    return 0;
  uint32_t capacity = index->capacity > 0 ? 2 * index->capacity : 2 * CAPACITY_MIN;
  uint32_t *slots = calloc(capacity, sizeof *slots);
  if (!slots)
    return FC_ENOMEM;
  free(index->slots);
  *index = (struct key_index){.slots = slots, .capacity = capacity};
  return 1;
}

/* Returns the array with room for another element, or NULL, and then the old one stays. */
static void *grow(void *array, uint32_t n, uint32_t *capacity, size_t size) {
  uint32_t more = *capacity > 0 ? 2 * *capacity : CAPACITY_MIN;
  void *grown;
  if (n < *capacity)
    return array;
  grown = realloc(array, (size_t)more * size);
  if (grown)
    *capacity = more;
  return grown;
}

/* ---- labels ---- */

static int add_label(struct key_table *table, struct fc_str op, struct fc_str view) {
  void *labels =
      grow(table->labels, table->n_labels, &table->labels_capacity, sizeof *table->labels);
  char *text = malloc((size_t)op.size + view.size);
  if (labels)
    table->labels = labels;
  if (!labels || !text) {
    free(text);
    return FC_ENOMEM;
  }
  memcpy(text, op.data, op.size);
  memcpy(text + op.size, view.data, view.size);
  table->labels[table->n_labels] =
      (struct key_label){text, (uint8_t)op.size, (uint8_t)view.size}; /* names: 255 at most */
  index_insert(&table->label_index, label_hash(table, op, view), table->n_labels++);
  return 0;
}

/* Sets *number to that of the op and view. Returns 0 or FC_ENOMEM. */
static int find_label(struct key_table *table, struct fc_str op, struct fc_str view,
                      uint32_t *number) {
  struct key_index *index = &table->label_index;
  int rc = index_reserve(index);
  if (rc < 0)
    return rc;
  for (uint32_t i = 0; rc > 0 && i < table->n_labels; i++)
    index_insert(index, label_hash(table, op_of(&table->labels[i]), view_of(&table->labels[i])), i);
  uint32_t at = (uint32_t)label_hash(table, op, view) & (index->capacity - 1);
  for (; index->slots[at] != 0; at = (at + 1) & (index->capacity - 1)) {
    const struct key_label *label = &table->labels[index->slots[at] - 1];
    if (fc_str_equal(op_of(label), op) && fc_str_equal(view_of(label), view)) {
      *number = index->slots[at] - 1;
      return 0;
    }
  }
  *number = table->n_labels;
  return add_label(table, op, view);
}

/* ---- rows ---- */

static bool same_key(const struct key_row *a, const struct key_row *b) {
  return a->label == b->label && a->top_k == b->top_k &&
         memcmp(a->prompt.bytes, b->prompt.bytes, FC_HASH_SIZE) == 0;
}

/* Returns the slot of the row's key, or a free one. */
static uint32_t *find_row(const struct key_table *table, const struct key_row *row) {
  const struct key_index *index = &table->row_index;
  uint32_t at = (uint32_t)row_hash(table, row) & (index->capacity - 1);
  while (index->slots[at] != 0 && !same_key(&table->rows[index->slots[at] - 1], row))
    at = (at + 1) & (index->capacity - 1);
  return &index->slots[at];
}

/* Makes room for another row. */
static int reserve_row(struct key_table *table) {
  if (table->n >= ROWS_MAX)
    return FC_ENOMEM;
  void *rows = grow(table->rows, table->n, &table->capacity, sizeof *table->rows);
  if (!rows)
    return FC_ENOMEM;
  table->rows = rows;
  int rc = index_reserve(&table->row_index);
  for (uint32_t i = 0; rc > 0 && i < table->n; i++)
    index_insert(&table->row_index, row_hash(table, &table->rows[i]), i);
  return rc < 0 ? rc : 0;
}

int key_table_add(struct key_table *table, const struct fc_list_entry *entry) {
  struct key_row row = {.prompt = entry->key.prompt,
                        .compute_ns = entry->compute_ns,
                        .idle_ns = entry->idle_ns,
                        .stamp = entry->stamp,
                        .hits = entry->hits < UINT32_MAX ? (uint32_t)entry->hits : UINT32_MAX,
                        .top_k = entry->key.top_k,
                        .value_size = entry->value_size};
  int rc = find_label(table, entry->key.op, entry->key.view, &row.label);
  if (rc == 0)
    rc = reserve_row(table);
  if (rc < 0)
    return rc;
  uint32_t *slot = find_row(table, &row);
  if (*slot != 0) {
    table->rows[*slot - 1] = row;
    return KEY_KNOWN;
  }
  table->rows[table->n++] = row;
  table->row_index.n++;
  *slot = table->n; /* its number plus 1 */
  return KEY_NEW;
}

static int compare_stamps(const void *a, const void *b) {
  const struct key_row *x = a, *y = b;
  return (x->stamp > y->stamp) - (x->stamp < y->stamp);
}

void key_table_sort(struct key_table *table) {
  free(table->row_index.slots); /* it has the rows' numbers */
  table->row_index = (struct key_index){0};
  if (table->n > 0)
    qsort(table->rows, table->n, sizeof *table->rows, compare_stamps);
}
