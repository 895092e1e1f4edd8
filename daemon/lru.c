#include "daemon/lru.h"

void lru_init(struct lru *lru) {
  lru->end.newer = lru->end.older = &lru->end;
}

void lru_add(struct lru *lru, struct lru_node *node) {
  node->newer = &lru->end;
  node->older = lru->end.older;
  node->older->newer = node;
  lru->end.older = node;
}

void lru_remove(struct lru_node *node) {
  node->newer->older = node->older;
  node->older->newer = node->newer;
  node->newer = node->older = NULL;
}

void lru_promote(struct lru *lru, struct lru_node *node) {
  if (lru->end.older == node)
    return;
  lru_remove(node);
  lru_add(lru, node);
}

static struct lru_node *unless_end(const struct lru *lru, struct lru_node *node) {
  return node == &lru->end ? NULL : node;
}

struct lru_node *lru_newest(const struct lru *lru) {
  return unless_end(lru, lru->end.older);
}

struct lru_node *lru_oldest(const struct lru *lru) {
  return unless_end(lru, lru->end.newer);
}

struct lru_node *lru_older(const struct lru *lru, const struct lru_node *node) {
  return unless_end(lru, node->older);
}

struct lru_node *lru_newer(const struct lru *lru, const struct lru_node *node) {
  return unless_end(lru, node->newer);
}
