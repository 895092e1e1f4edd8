/* dispatch_leases.h - gets with leases and their replies, for tests with the dispatch fixture. */
#ifndef FC_TESTS_DISPATCH_LEASES_H
#define FC_TESTS_DISPATCH_LEASES_H

#include <check.h>

#include "tests/support/dispatch_fixture.h"

static inline void set_up_leases(void) {
  static const struct dispatch_options options = {0};
  dispatch_set_up(&options);
  for (unsigned i = 0; i < DISPATCH_CLIENTS; i++) {
    uint32_t version = i == DISPATCH_CLIENTS - 1 ? 2 : 3; /* the last client is an older one */
    ck_assert_uint_eq(client_hello(&test_clients[i], client_hello_of(version)).version, version);
  }
}

/* Sends a get of key `n` with FC_LEASE, and the key's number as its id. */
static inline void get(struct test_client *client, uint8_t n, uint32_t wait_ms) {
  struct fc_buf request = {0};
  struct fc_get message = {.flags = FC_LEASE,
                           .key = request_key(n),
                           .has_terms = true,
                           .terms = {.lease_ms = 60000, .wait_ms = wait_ms}};
  ck_assert_int_eq(fc_encode_get(&request, n, &message), 0);
  client_request(client, &request);
}

static inline struct fc_epoch epoch_now(void) {
  return (struct fc_epoch){dispatch.boot_id, dispatch.store->saved->generation};
}

/* Puts `size` bytes of value `n`; returns the reply. */
static inline struct fc_reply put_since(struct test_client *client, uint8_t n, uint32_t size,
                                        struct fc_epoch epoch) {
  struct fc_key key = request_key(n);
  ck_assert_int_eq(client_put(client, &key, n, size, epoch), DISPATCH_DONE);
  return client_reply(client);
}

static inline struct fc_reply put(struct test_client *client, uint8_t n, uint32_t size) {
  return put_since(client, n, size, epoch_now());
}

static inline void expect_miss(struct test_client *client, uint32_t id, enum fc_lease_state lease) {
  struct fc_reply reply = client_reply(client);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.id, id);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(reply.get.lease, lease);
}

static inline void expect_hit(struct test_client *client, uint8_t n, uint32_t size) {
  struct fc_reply reply = client_reply(client);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.id, n);
  ck_assert_ptr_nonnull(reply.get.value);
  ck_assert_uint_eq(reply.get.value_size, size);
  for (uint32_t i = 0; i < size; i++)
    ck_assert_uint_eq(reply.get.value[i], n);
}

#endif
