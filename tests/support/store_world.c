#include "tests/support/store_world.h"

#include <check.h>
#include <string.h>

struct store_world world;

void world_open(uint64_t max_bytes, uint32_t max_value, uint32_t max_namespaces) {
  world = (struct store_world){0};
  private_store_init(&world.store, &world.region, max_bytes, max_value, 7);
  namespace_table_init(&world.table, &world.store, max_namespaces);
}

void world_open_two(uint64_t max_bytes, uint32_t max_value) {
  world_open(max_bytes, max_value, 8);
  world.ns = world_namespace("ns");
  world.other = world_namespace("other");
}

void world_close(void) {
  store_check(&world.store);
  namespace_table_deinit(&world.table);
  private_store_deinit(&world.store, &world.region);
}

struct namespace *world_namespace(const char *name) {
  struct namespace *ns = NULL;
  ck_assert_int_eq(namespace_table_open(&world.table, fc_str_of(name), NULL, &ns), 0);
  return ns;
}

int world_put_info(struct namespace *ns, uint32_t n, const char *value,
                   struct store_put_info info) {
  struct fc_key key = key_number(n);
  return store_put(&world.store, ns, &key, value, (uint32_t)strlen(value), &info);
}

void world_put_bytes(struct namespace *ns, uint32_t n, const void *value, uint32_t size) {
  struct fc_key key = key_number(n);
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&world.store, ns, &key, value, size, &info), FC_STORED);
}

void world_put(struct namespace *ns, uint32_t n, const char *value) {
  world_put_bytes(ns, n, value, (uint32_t)strlen(value));
}

void world_put_named(struct namespace *ns, const char *op, const char *view) {
  struct fc_key key = key_named(op, view, 0);
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&world.store, ns, &key, "v", 1, &info), FC_STORED);
}

struct entry *world_peek(const struct namespace *ns, uint32_t n) {
  struct fc_key key = key_number(n);
  return store_peek(&world.store, ns, &key);
}

struct entry *world_get(const struct namespace *ns, uint32_t n) {
  struct entry *entry = world_peek(ns, n);
  if (entry != NULL)
    store_use(&world.store, entry, 99);
  return entry;
}

bool world_has(const struct namespace *ns, uint32_t n) {
  return world_peek(ns, n) != NULL;
}

void world_check_value(const struct entry *entry, const char *value) {
  ck_assert_ptr_nonnull(entry);
  private_store_check_value(entry, value, strlen(value));
}
