/* wire_leases.h - leases over the wire: a daemon, and clients that are connections of the test
 * itself, so that each step is known to come before the next. */
#ifndef FC_TESTS_WIRE_LEASES_H
#define FC_TESTS_WIRE_LEASES_H

#include "fcache.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"

#define WIRE_SPACE "leases"
#define WIRE_LONG_MS 60000u /* a term or a wait that never ends in a test */
#define WIRE_REPLY_MS 10000u

extern struct daemon wire_daemon;
extern struct fcache *wire_watch; /* for stats */

/* Fixtures. The second has --max-leases=4. */
void wire_start(void);
void wire_start_bounded(void);
void wire_stop(void);

struct fc_key wire_key(const char *prompt);
struct fc_get wire_get(const char *prompt, uint32_t lease_ms, uint32_t wait_ms);

void wire_open(struct raw *raw);
void wire_open_all(struct raw *clients, size_t n);
void wire_close_all(struct raw *clients, size_t n);

/* Sends a get for a lease, and reads no reply. */
void wire_begin(struct raw *raw, const char *prompt, uint32_t lease_ms, uint32_t wait_ms);

/* Makes all clients wait for the key, in this order. */
void wire_begin_waits(struct raw *clients, size_t n, const char *prompt);

/* Reads the next reply, of that type. */
void wire_reply(struct raw *raw, struct fc_reply *reply, enum fc_type type);

/* The next reply is a miss with that state. Returns the epoch for a put of its value. */
struct fc_epoch wire_expect_state(struct raw *raw, enum fc_lease_state state);
/* The next reply is a hit with that value. */
void wire_expect_value(struct raw *raw, const char *text);

/* Sends a get without a wait, and expects that state. */
struct fc_epoch wire_acquire(struct raw *raw, const char *prompt, enum fc_lease_state state);

/* Puts a value whose computation began at `epoch`. Keeps a value that is there. */
enum fc_put_outcome wire_put(struct raw *raw, const char *prompt, const char *text,
                             struct fc_epoch epoch);
/* Returns the number of leases given up. */
uint32_t wire_give_up(struct raw *raw, const char *prompt);

void wire_expect_stat(const char *name, uint64_t value);
/* Waits until there are neither leases nor waits. */
void wire_expect_nothing_left(void);

#endif
