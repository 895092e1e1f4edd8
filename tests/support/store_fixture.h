/* store_fixture.h - a scripted daemon that stores (scripted_store.h), and two handles on it. A
 * function that cannot do its work fails the test. */
#ifndef FC_TESTS_STORE_FIXTURE_H
#define FC_TESTS_STORE_FIXTURE_H

#include "fcache.h"
#include "tests/support/client_fixture.h"
#include "tests/support/scripted_store.h"

extern struct scripted_store *scripted_store;
extern struct fcache *store_cache, *store_other;

/* A fixture: starts the daemon and opens the handles, whose log lines go to client_lines. */
void store_set_up(void);
void store_tear_down(void);

/* Lock what the daemon received, to be read while no call is in progress: a call ends with the
 * daemon's reply, which it sends after it has unlocked. */
void store_lock(void);
void store_unlock(void);

/* The latest put message, and the number of put messages. */
struct scripted_put store_last_put(void);
unsigned store_puts_seen(void);

/* Returns a key of a prompt's text, with top_k 3. */
struct fcache_key store_key(const char *prompt);

/* Gets, unrecorded: the value must be `want`, or a miss if that is NULL. */
void store_check_get(struct fcache *from, const char *prompt, const char *want);

/* Puts a text: the result must be `want`. */
void store_check_put(struct fcache *to, const char *prompt, const char *text, int want);

#endif
