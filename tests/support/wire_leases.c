#include "tests/support/wire_leases.h"

#include <check.h>
#include <string.h>

#include "tests/support/library.h"

#define MAX_VALUE "64K"

struct daemon wire_daemon;

struct fcache *wire_watch; /* for stats */

static void start_with(const char *option) {
  harness_start(&wire_daemon, "--max-value", MAX_VALUE, option, NULL);
  wire_watch = library_open(wire_daemon.socket, WIRE_SPACE, "watch", 0);
}

void wire_start(void) {
  start_with(NULL);
}

void wire_start_bounded(void) {
  start_with("--max-leases=4");
}

void wire_stop(void) {
  fcache_close(wire_watch);
  ck_assert_int_eq(harness_stop(&wire_daemon), 0);
}

struct fc_key wire_key(const char *prompt) {
  return raw_key("op", "view", 0, prompt);
}

void wire_open(struct raw *raw) {
  raw_open(raw, wire_daemon.socket, WIRE_SPACE);
}

void wire_open_all(struct raw *clients, size_t n) {
  for (size_t i = 0; i < n; i++)
    wire_open(&clients[i]);
}

void wire_close_all(struct raw *clients, size_t n) {
  for (size_t i = 0; i < n; i++)
    raw_close(&clients[i]);
}

struct fc_get wire_get(const char *prompt, uint32_t lease_ms, uint32_t wait_ms) {
  struct fc_key key = wire_key(prompt);

  return raw_lease_get(&key, lease_ms, wait_ms);
}

void wire_begin(struct raw *raw, const char *prompt, uint32_t lease_ms, uint32_t wait_ms) {
  struct fc_get get = wire_get(prompt, lease_ms, wait_ms);
  uint32_t id;

  ck_assert_int_eq(raw_send_get(raw, &get, &id), 0);
}

void wire_reply(struct raw *raw, struct fc_reply *reply, enum fc_type type) {
  ck_assert_int_eq(raw_recv(raw, reply, WIRE_REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply->type, FC_REPLY | type);
}

struct fc_epoch wire_expect_state(struct raw *raw, enum fc_lease_state state) {
  struct fc_reply reply;

  wire_reply(raw, &reply, FC_GET);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(reply.get.lease, state);
  return (struct fc_epoch){raw->boot_id, reply.get.clear_generation};
}

void wire_expect_value(struct raw *raw, const char *text) {
  struct fc_reply reply;

  wire_reply(raw, &reply, FC_GET);
  ck_assert_ptr_nonnull(reply.get.value);
  ck_assert_uint_eq(reply.get.value_size, strlen(text));
  ck_assert_mem_eq(reply.get.value, text, strlen(text));
}

struct fc_epoch wire_acquire(struct raw *raw, const char *prompt, enum fc_lease_state state) {
  wire_begin(raw, prompt, WIRE_LONG_MS, 0);
  return wire_expect_state(raw, state);
}

void wire_begin_waits(struct raw *clients, size_t n, const char *prompt) {
  uint64_t before = library_stat(wire_watch, "lease_waits");

  for (size_t i = 0; i < n; i++) {
    wire_begin(&clients[i], prompt, WIRE_LONG_MS, WIRE_LONG_MS);
    library_wait_stat(wire_watch, "lease_waits", before + i + 1); /* in this order */
  }
}

enum fc_put_outcome wire_put(struct raw *raw, const char *prompt, const char *text,
                             struct fc_epoch epoch) {
  struct fc_put put = {.flags = FC_KEEP_FIRST,
                       .key = wire_key(prompt),
                       .epoch = epoch,
                       .value = (const uint8_t *)text,
                       .value_size = (uint32_t)strlen(text)};
  struct fc_reply reply;

  ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
  return reply.put;
}

uint32_t wire_give_up(struct raw *raw, const char *prompt) {
  struct fc_key key = wire_key(prompt);
  struct fc_reply reply;

  ck_assert_int_eq(raw_give_up(raw, &key, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GIVE_UP);
  return reply.given_up;
}

void wire_expect_stat(const char *name, uint64_t value) {
  ck_assert_msg(library_stat(wire_watch, name) == value, "%s is not %llu", name,
                (unsigned long long)value);
}

void wire_expect_nothing_left(void) {
  library_wait_stat(wire_watch, "leases", 0);
  library_wait_stat(wire_watch, "lease_waits", 0);
}
