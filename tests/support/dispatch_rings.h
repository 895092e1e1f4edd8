/* dispatch_rings.h - two clients with rings, for tests with the dispatch fixture. */
#ifndef FC_TESTS_DISPATCH_RINGS_H
#define FC_TESTS_DISPATCH_RINGS_H

#include <check.h>

#include "tests/support/dispatch_fixture.h"

static struct test_client *const one = &test_clients[0], *const other = &test_clients[1];

static inline void set_up_rings(void) {
  static const struct dispatch_options options = {.traced = true, .rings = true};
  dispatch_set_up(&options);
  one->session.admin = true;
}

/* Protocol 4 does not know ring states. */
static inline void join(struct test_client *client) {
  ck_assert_uint_ne(client_hello(client, client_hello_of(4)).namespace_id, 0);
  client_open_ring(client);
}

static inline void hit(struct test_client *client, uint32_t n) {
  struct fc_key key = request_key(n);
  client_record_hit(client, &key);
}

static inline enum dispatch_result ping(struct test_client *client) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_simple(&request, FC_PING, 7), 0);
  return client_send(client, &request);
}

static inline enum dispatch_result put(struct test_client *client, uint32_t n) {
  struct fc_key key = request_key(n);
  return client_put(client, &key, 'v', 1, (struct fc_epoch){0});
}

#endif
