/* library.h - the library for system tests: opens handles, makes keys, and reads the daemon's
 * statistics by name. A function that fails ends the test. */
#ifndef FC_TESTS_LIBRARY_H
#define FC_TESTS_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include "fcache.h"

/* A deadline that no busy machine misses: for tests that are not about deadlines. */
#define LIBRARY_PATIENT_MS 60000u

/* Opens a handle, patient, that is connected; the caller closes it. `client` NULL: the default
 * name; `max_entries` 0: none. */
struct fcache *library_open(const char *socket, const char *name_space, const char *client,
                            int64_t max_entries);

/* library_open for children, which must not use Check. The handle is connected or not. Returns NULL
 * on failure, with the reason on stderr. */
struct fcache *library_open_in_child(const char *socket, const char *name_space, const char *client,
                                     uint32_t deadline_ms);

/* Returns the counters of a handle. */
struct fcache_counters library_counters(const struct fcache *cache);

/* Returns a key of NUL-terminated names and a prompt's text. Borrows the names. */
struct fcache_key library_key(const char *op, const char *view, const char *prompt, uint32_t top_k);

/* Puts and gets a NUL-terminated text, unrecorded. The put must store it; the get returns a
 * copy, the caller's to free, or NULL for a miss. */
void library_put_text(struct fcache *cache, const struct fcache_key *key, const char *text);
char *library_get_text(struct fcache *cache, const struct fcache_key *key);

/* The items of fcache_server_stats. Zero to start; free at the end. */
struct library_stats {
  struct library_stats_item *list;
  size_t n, capacity;
};
void library_stats_read(struct fcache *cache, struct library_stats *stats); /* replaces the list */
void library_stats_free(struct library_stats *stats);                       /* and zeroes */

/* Return an item, which must be in the list. `name_space` NULL: of the whole daemon. */
uint64_t library_stats_count(const struct library_stats *stats, const char *name_space,
                             const char *name);
double library_stats_real(const struct library_stats *stats, const char *name_space,
                          const char *name);

/* Requests and returns one counter of the whole daemon. */
uint64_t library_stat(struct fcache *cache, const char *name);

/* Waits until that counter has the value. */
void library_wait_stat(struct fcache *cache, const char *name, uint64_t value);

#endif
