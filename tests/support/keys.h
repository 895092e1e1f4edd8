/* keys.h - keys for tests, by number. Two numbers never have the same key. The names are static. */
#ifndef FC_TESTS_KEYS_H
#define FC_TESTS_KEYS_H

#include <stdint.h>

#include "fcache.h"
#include "proto/key.h"

/* The key of prompt `n`, with op "op", view "base" and top_k 0. */
struct fc_key key_number(uint32_t n);

/* The same with other names, which it borrows. */
struct fc_key key_named(const char *op, const char *view, uint32_t n);

/* Returns the number below `limit` whose prompt a key has; `limit` if there is none. */
uint32_t key_number_of(const struct fc_key *key, uint32_t limit);

/* The key of prompt `n` as a user of <fcache.h> makes it: equal to key_number(n). */
struct fcache_key public_key_number(uint32_t n);

#endif
