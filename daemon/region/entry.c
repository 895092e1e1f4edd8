#include "daemon/region/entry.h"

#include <string.h>

#include "daemon/region/heap.h"

void entry_hold(struct entry *entry) {
  entry->holders++;
  heap_pin(entry);
}

void entry_unlist(struct entry *entry) {
  struct heap *heap = heap_of(entry);
  if (entry->holders > 1)
    heap->unlisted_bytes += heap_charge_of(entry);
  heap_entry_drop(heap, entry);
}

/* The last holder of an entry that was placed is one of an entry that the store let go. */
void entry_release(struct entry *entry) {
  struct heap *heap = heap_of(entry);
  heap_unpin(entry);
  if (entry->holders == 1 && entry->block != 0)
    heap->unlisted_bytes -= heap_charge_of(entry);
  heap_entry_drop(heap, entry);
}

void entry_wipe(struct entry *entry) {
  entry->wipe = 1;
}

struct namespace *entry_namespace(const struct entry *entry) {
  return entry->name_space == 0 ? NULL : heap_namespace(heap_of(entry), entry->name_space);
}

struct fc_region_entry *entry_placed(const struct entry *entry) {
  return heap_placed(heap_of(entry), entry);
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
  return key_of(entry_placed(entry));
}

uint32_t entry_value_size(const struct entry *entry) {
  return (uint32_t)(load(&entry_placed(entry)->numbers) >> 32);
}

uint64_t entry_compute_ns(const struct entry *entry) {
  return load(&entry_placed(entry)->compute_ns);
}

uint32_t entry_origin(const struct entry *entry) {
  return (uint32_t)load(&entry_placed(entry)->origin);
}

size_t entry_value(const struct entry *entry, struct iovec pieces[FC_REGION_PIECES_MAX]) {
  const struct heap *heap = heap_of(entry);
  struct fc_region_entry *placed = heap_placed(heap, entry);
  uint64_t shape = load(&placed->shape);
  uint8_t *behind = (uint8_t *)(placed + 1) +
                    fc_region_names_bytes(fc_region_op_size(shape), fc_region_view_size(shape));
  uint32_t n = fc_region_n_pieces(shape);
  if (n == 0) {
    pieces[0] = (struct iovec){behind, (uint32_t)(load(&placed->numbers) >> 32)};
    return 1;
  }
  const struct fc_region_piece *table = (const struct fc_region_piece *)(void *)behind;
  for (uint32_t i = 0; i < n; i++)
    pieces[i] = (struct iovec){heap->region->base + load(&table[i].offset),
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
