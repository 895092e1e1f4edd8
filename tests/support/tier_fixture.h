/* tier_fixture.h - the transport to the tier (daemon/tier) alone, on a loop of the test's own, and
 * ops that keep their replies. Each wait has a bound, after which the test fails. */
#ifndef FC_TESTS_TIER_FIXTURE_H
#define FC_TESTS_TIER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "daemon/tier/tier_io.h"

#define TIER_FIXTURE_LIMIT 1048640u /* bytes of a reply to a read */
/* For tests in which a deadline passes: far longer than a busy machine keeps a server from
 * replying.
 */
#define TIER_FIXTURE_FAILING_DEADLINE_NS UINT64_C(2000000000)

struct tier_fixture {
  uv_loop_t loop;
  uv_timer_t bound; /* of a wait */
  bool too_late;
  struct log log;
  struct tier_urls urls;
  struct tier_io_config config;
  struct tier_io *tier;
  uint64_t op_deadline_ns;
};

/* An op with copies of the borrowed parts of its reply. */
struct tier_test_op {
  struct fleet_op op;
  bool ended;
  enum fleet_status status;
  bool granted;
  int64_t number;
  char *value; /* owned, with a NUL behind it; NULL: none, or an empty one */
  size_t size;
  char *items; /* owned: all, each with a newline; NULL: none */
  size_t n_items;
  char text[200];
  uint32_t times; /* `done` was called */
};

/* Prepares a loop and a configuration for the URLs, with a deadline that a busy machine keeps. The
 * test may change fixture->config before tier_fixture_connect. */
void tier_fixture_init(struct tier_fixture *fixture, const char *urls);

/* Sets the deadlines of the transport and of its ops. Call it before tier_fixture_connect. */
void tier_fixture_set_deadline(struct tier_fixture *fixture, uint64_t deadline_ns);

/* Makes the transport, which begins to connect. */
void tier_fixture_connect(struct tier_fixture *fixture);

/* Closes and frees all. */
void tier_fixture_deinit(struct tier_fixture *fixture);

/* Runs the loop until the condition is true. */
void tier_fixture_run_until(struct tier_fixture *fixture, bool (*condition)(void *arg), void *arg);

/* Runs the loop for a time. */
void tier_fixture_run_ms(struct tier_fixture *fixture, unsigned ms);

/* Sets the common fields of an op. */
void tier_test_op_init(struct tier_test_op *op, enum fleet_op_kind kind, enum fleet_op_class class,
                       const char *key);
/* Frees the copies. The op can be used again. */
void tier_test_op_reset(struct tier_test_op *op);

/* Submits the op. Returns false if its server cannot be asked. */
bool tier_fixture_submit(struct tier_fixture *fixture, struct tier_test_op *op);

/* Submits the op and waits for its reply. Returns its status, or FLEET_DOWN if it is not taken. */
enum fleet_status tier_fixture_do(struct tier_fixture *fixture, struct tier_test_op *op);

/* Publishes and reads a value. */
enum fleet_status tier_fixture_publish(struct tier_fixture *fixture, const char *key,
                                       const void *value, size_t size);
enum fleet_status tier_fixture_read(struct tier_fixture *fixture, const char *key,
                                    struct tier_test_op *op);

/* Returns the report of the n-th server, from 0. Fails the test if there is none. */
struct tier_server_report tier_fixture_server(struct tier_fixture *fixture, unsigned n);

/* Runs the loop until the breakers of all classes of the first server are closed, and it is
 * connected. */
void tier_fixture_wait_ready(struct tier_fixture *fixture);

/* Returns the log so far, which the caller frees, and how often it has a text. */
char *tier_fixture_log(struct tier_fixture *fixture);
unsigned tier_fixture_logged(struct tier_fixture *fixture, const char *text);

#endif
