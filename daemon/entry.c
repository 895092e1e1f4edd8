#include "daemon/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t copy(uint8_t *to, const void *from, size_t size) {
  if (size > 0) /* an empty value may be a NULL pointer, which memcpy must not see */
    memcpy(to, from, size);
  return size;
}

struct entry *entry_new(const struct fc_key *key, const void *value, uint32_t size) {
  assert(key->op.size <= UINT8_MAX && key->view.size <= UINT8_MAX);
  struct entry *entry = malloc(sizeof *entry + key->op.size + key->view.size + (size_t)size);
  if (entry == NULL)
    return NULL;
  memset(entry, 0, sizeof *entry);
  entry->holders = 1;
  entry->prompt = key->prompt;
  entry->top_k = key->top_k;
  entry->value_size = size;
  entry->op_size = (uint8_t)key->op.size;
  entry->view_size = (uint8_t)key->view.size;
  uint8_t *at = entry->data;
  at += copy(at, key->op.data, key->op.size);
  at += copy(at, key->view.data, key->view.size);
  copy(at, value, size);
  return entry;
}

void entry_hold(struct entry *entry) {
  entry->holders++;
}

void entry_release(struct entry *entry) {
  if (--entry->holders == 0)
    free(entry);
}

struct fc_key entry_key(const struct entry *entry) {
  const char *names = (const char *)entry->data;
  return (struct fc_key){
      .op = {names, entry->op_size},
      .view = {names + entry->op_size, entry->view_size},
      .top_k = entry->top_k,
      .prompt = entry->prompt,
  };
}

const uint8_t *entry_value(const struct entry *entry) {
  return entry->data + entry->op_size + entry->view_size;
}

void entry_set_value(struct entry *entry, const void *value) {
  copy(entry->data + entry->op_size + entry->view_size, value, entry->value_size);
}

static bool name_is(const uint8_t *data, size_t size, struct fc_str name) {
  return size == name.size && memcmp(data, name.data, size) == 0;
}

bool entry_has_key(const struct entry *entry, const struct fc_key *key) {
  return memcmp(entry->prompt.bytes, key->prompt.bytes, FC_HASH_SIZE) == 0 &&
         entry->top_k == key->top_k && name_is(entry->data, entry->op_size, key->op) &&
         name_is(entry->data + entry->op_size, entry->view_size, key->view);
}

bool entry_matches(const struct entry *entry, struct fc_str view, struct fc_str op) {
  return (op.data == NULL || name_is(entry->data, entry->op_size, op)) &&
         (view.data == NULL || name_is(entry->data + entry->op_size, entry->view_size, view));
}

static uint64_t charge(uint64_t names_size, uint64_t value_size) {
  uint64_t block = sizeof(struct entry) + names_size + value_size;
  return ((block + 15) & ~(uint64_t)15) + 16;
}

uint64_t entry_charge(const struct fc_key *key, uint64_t value_size) {
  return charge((uint64_t)key->op.size + key->view.size, value_size);
}

uint64_t entry_charge_of(const struct entry *entry) {
  return charge((uint64_t)entry->op_size + entry->view_size, entry->value_size);
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
