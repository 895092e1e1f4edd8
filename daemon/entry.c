#include "daemon/entry.h"

#include <string.h>

#include "daemon/heap.h"

void entry_hold(struct entry *entry) {
  entry->holders++;
}

void entry_unlist(struct entry *entry) {
  if (--entry->holders == 0)
    heap_entry_free(entry);
  else
    heap_of(entry)->unlisted_bytes += heap_charge_of(entry);
}

void entry_release(struct entry *entry) {
  if (--entry->holders > 0)
    return;
  heap_of(entry)->unlisted_bytes -= heap_charge_of(entry);
  heap_entry_free(entry);
}

void entry_wipe(struct entry *entry) {
  entry->wipe = 1;
}

/* We alone write the region: our own loads need no order. */
static uint64_t load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}

/* Plain reads of what nobody else writes. */
static const char *names_of(const struct fc_region_entry *placed) {
  return (const char *)(placed + 1);
}

static struct fc_key key_of(const struct fc_region_entry *placed) {
  uint64_t shape = load(&placed->shape),
           prompt[2] = {load(&placed->prompt[0]), load(&placed->prompt[1])};
  const char *names = names_of(placed);
  struct fc_key key = {
      .op = {names, fc_region_op_size(shape)},
      .view = {names + fc_region_op_size(shape), fc_region_view_size(shape)},
      .top_k = (uint32_t)load(&placed->numbers),
  };
  memcpy(key.prompt.bytes, prompt, FC_HASH_SIZE);
  return key;
}

struct fc_key entry_key(const struct entry *entry) {
  return key_of(entry->placed);
}

uint32_t entry_value_size(const struct entry *entry) {
  return (uint32_t)(load(&entry->placed->numbers) >> 32);
}

uint64_t entry_compute_ns(const struct entry *entry) {
  return load(&entry->placed->compute_ns);
}

uint32_t entry_origin(const struct entry *entry) {
  return (uint32_t)load(&entry->placed->origin);
}

size_t entry_value(const struct entry *entry, struct iovec pieces[FC_REGION_PIECES_MAX]) {
  struct fc_region_entry *placed = entry->placed;
  uint64_t shape = load(&placed->shape);
  uint8_t *behind = (uint8_t *)(placed + 1) +
                    fc_region_names_bytes(fc_region_op_size(shape), fc_region_view_size(shape));
  uint32_t n = fc_region_n_pieces(shape);
  if (n == 0) {
    pieces[0] = (struct iovec){behind, entry_value_size(entry)};
    return 1;
  }
  const struct fc_region_piece *table = (const struct fc_region_piece *)(void *)behind;
  for (uint32_t i = 0; i < n; i++)
    pieces[i] = (struct iovec){heap_of(entry)->region->base + load(&table[i].offset),
                               (uint32_t)load(&table[i].extent)};
  return n;
}

bool entry_is(const struct fc_region_entry *placed, uint64_t name_space, const struct fc_key *key) {
  uint64_t prompt[2];
  memcpy(prompt, key->prompt.bytes, FC_HASH_SIZE);
  if (load(&placed->prompt[0]) != prompt[0] || load(&placed->prompt[1]) != prompt[1] ||
      load(&placed->name_space) != name_space)
    return false;
  struct fc_key there = key_of(placed);
  return there.top_k == key->top_k && fc_str_equal(there.op, key->op) &&
         fc_str_equal(there.view, key->view);
}

bool entry_matches(const struct entry *entry, struct fc_str view, struct fc_str op) {
  struct fc_key key = entry_key(entry);
  return (op.data == NULL || fc_str_equal(key.op, op)) &&
         (view.data == NULL || fc_str_equal(key.view, view));
}

struct entry *entry_of_all(struct lru_node *node) {
  return node == NULL ? NULL
                      : (struct entry *)(void *)((char *)node - offsetof(struct entry, in_all));
}

struct entry *entry_of_namespace(struct lru_node *node) {
  return node == NULL
             ? NULL
             : (struct entry *)(void *)((char *)node - offsetof(struct entry, in_namespace));
}
