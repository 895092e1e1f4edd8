#include "daemon/region/lru.h"

#include "daemon/region/entry.h"

void lru_init(struct lru *lru) {
  *lru = (struct lru){0};
}

static struct lru_node *node_of(enum lru_kind kind, const struct slots *entries, uint32_t number) {
  struct entry *entry = slots_at(entries, ENTRY_BITS, number);
  return &entry->lists[kind];
}

/* The numbers that lead to the one between `newer` and `older`. */
static uint32_t *from_newer(struct lru *lru, enum lru_kind kind, const struct slots *entries,
                            uint32_t newer) {
  return newer == 0 ? &lru->newest : &node_of(kind, entries, newer)->older;
}
static uint32_t *from_older(struct lru *lru, enum lru_kind kind, const struct slots *entries,
                            uint32_t older) {
  return older == 0 ? &lru->oldest : &node_of(kind, entries, older)->newer;
}

void lru_add(struct lru *lru, enum lru_kind kind, const struct slots *entries, uint32_t number) {
  *node_of(kind, entries, number) = (struct lru_node){.older = lru->newest};
  *from_older(lru, kind, entries, lru->newest) = number;
  lru->newest = number;
}

void lru_remove(struct lru *lru, enum lru_kind kind, const struct slots *entries, uint32_t number) {
  struct lru_node *node = node_of(kind, entries, number);
  *from_newer(lru, kind, entries, node->newer) = node->older;
  *from_older(lru, kind, entries, node->older) = node->newer;
  *node = (struct lru_node){0};
}

/* What a hit costs: written out, so that no neighbour is looked up twice. */
void lru_promote(struct lru *lru, enum lru_kind kind, const struct slots *entries,
                 struct entry *entry) {
  uint32_t number = entry->number;
  if (lru->newest == number)
    return;
  struct lru_node node = entry->lists[kind];
  node_of(kind, entries, node.newer)->older = node.older; /* there is one: it is not the newest */
  *from_older(lru, kind, entries, node.older) = node.newer;
  node_of(kind, entries, lru->newest)->newer = number;
  entry->lists[kind] = (struct lru_node){.older = lru->newest};
  lru->newest = number;
}

void lru_renumber(struct lru *lru, enum lru_kind kind, const struct slots *entries, uint32_t from,
                  uint32_t to) {
  const struct lru_node *node = node_of(kind, entries, to);
  assert(*from_newer(lru, kind, entries, node->newer) == from);
  (void)from; /* where assertions are off */
  *from_newer(lru, kind, entries, node->newer) = to;
  *from_older(lru, kind, entries, node->older) = to;
}
