/* store_world.h - the store of a test program, in a region that no client maps, with calls for keys
 * by number (keys.h). A failure ends the test. */
#ifndef FC_TESTS_STORE_WORLD_H
#define FC_TESTS_STORE_WORLD_H

#include "daemon/store/namespace_table.h"
#include "daemon/store/store.h"
#include "tests/support/keys.h"
#include "tests/support/private_store.h"

struct store_world {
  struct region region;
  struct store store;
  struct namespace_table table;
  struct namespace *ns, *other; /* set by world_open_two */
};
extern struct store_world world;

/* Makes an empty store. */
void world_open(uint64_t max_bytes, uint32_t max_value, uint32_t max_namespaces);
/* Makes a store with the namespaces "ns" and "other". */
void world_open_two(uint64_t max_bytes, uint32_t max_value);
/* Checks all structures of the store, and frees it. */
void world_close(void);

/* Opens a namespace, and counts a client of it. */
struct namespace *world_namespace(const char *name);

/* Puts a string under the key of number n. Returns the outcome. */
int world_put_info(struct namespace *ns, uint32_t n, const char *value, struct store_put_info info);
/* Puts a value that must be stored. */
void world_put_bytes(struct namespace *ns, uint32_t n, const void *value, uint32_t size);
void world_put(struct namespace *ns, uint32_t n, const char *value);
/* Puts a value under the key of prompt 0 with these names. */
void world_put_named(struct namespace *ns, const char *op, const char *view);

/* Return the entry of number n, or NULL. A get promotes it at time 99. */
struct entry *world_peek(const struct namespace *ns, uint32_t n);
struct entry *world_get(const struct namespace *ns, uint32_t n);
bool world_has(const struct namespace *ns, uint32_t n);

void world_check_value(const struct entry *entry, const char *value);

#endif
