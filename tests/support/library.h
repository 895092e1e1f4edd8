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

/* The same for children, which must not use Check: connected or not, NULL where it cannot be, which
 * stderr then says. */
struct fcache *library_open_in_child(const char *socket, const char *name_space, const char *client,
                                     uint32_t deadline_ms);

/* Counters of a handle. */
struct fcache_counters library_counters(const struct fcache *cache);

/* A key of NUL-terminated names and a prompt's text. Borrows the names. */
struct fcache_key library_key(const char *op, const char *view, const char *prompt, uint32_t top_k);

/* Puts and gets a NUL-terminated text, unrecorded. The put must store it; the get returns a
 * copy, the caller's to free, or NULL for a miss. */
void library_put_text(struct fcache *cache, const struct fcache_key *key, const char *text);
char *library_get_text(struct fcache *cache, const struct fcache_key *key);

/* What fcache_server_stats said. Zero to start; free at the end. */
struct figures {
  struct figure *list;
  size_t n, capacity;
};
void figures_take(struct fcache *cache, struct figures *figures); /* replaces the former ones */
void figures_free(struct figures *figures);                       /* and zeroes */

/* One of them; `name_space` NULL: of the whole daemon. It must be there. */
uint64_t figures_count(const struct figures *figures, const char *name_space, const char *name);
double figures_real(const struct figures *figures, const char *name_space, const char *name);

/* One figure of the whole daemon, asked for now. */
uint64_t library_figure(struct fcache *cache, const char *name);

/* Waits until it is that. */
void library_wait_figure(struct fcache *cache, const char *name, uint64_t value);

#endif
