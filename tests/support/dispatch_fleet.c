#include "tests/support/dispatch_fleet.h"

#include <check.h>
#include <string.h>

#include "daemon/fleet/fleet_value.h"
#include "daemon/requests/handlers.h"

#define PREFIX "t:"
#define SECOND UINT64_C(1000000000)
#define FAR_NS (3600 * SECOND)

struct fleet fleet;
struct fake_tier fake_tier;
struct fake_io fake_io;

static struct fleet_clears clears;

static void resume(void *arg, struct fleet_waiter *waiter) {
  (void)arg;
  dispatch_fill_resolved(waiter);
}

void dispatch_fleet_start(void) {
  fake_tier_init(&fake_tier);
  fake_io_init(&fake_io, &fake_tier, 0);
  clears = (struct fleet_clears){0};
  struct fleet_config config = {.store = dispatch.store,
                                .leases = &dispatch.leases,
                                .namespaces = dispatch.namespaces,
                                .client = &dispatch.fleet_client,
                                .io = &fake_io.io,
                                .clears = &clears,
                                .prefix = fc_str_of(PREFIX),
                                .node = 5,
                                .seed = 6,
                                .reads = true,
                                .writes = true,
                                .lease_ns = FAR_NS,
                                .queue_bytes = 1u << 20,
                                .max_fills = 1024,
                                .options = {.deadline_ns = FAR_NS, .queue_age_ns = FAR_NS},
                                .resume = resume};
  ck_assert_int_eq(fleet_init(&fleet, &config), 0);
  fleet_set_wall(&fleet, call_clock_ns(), client_clock_now().real_ns);
  dispatch_set_fleet(&dispatch, &fleet);
  for (unsigned i = 0; i + 1 < DISPATCH_CLIENTS; i++)
    (void)client_hello(&test_clients[i], client_hello_of(FC_PROTOCOL_VERSION));
}

void dispatch_fleet_stop(void) {
  for (unsigned i = 0; i < DISPATCH_CLIENTS; i++)
    client_disconnect(&test_clients[i]);
  fleet_stop(&fleet, call_clock_ns());
  leases_client_gone(&dispatch.leases, &dispatch.fleet_client, call_clock_ns());
  dispatch_fleet_settle();
  ck_assert(fleet_is_idle(&fleet));
  dispatch_set_fleet(&dispatch, NULL);
  fleet_deinit(&fleet);
  fake_io_deinit(&fake_io);
  fake_tier_deinit(&fake_tier);
}

/* ---- time ---- */

static void settle_at(uint64_t now_ns) {
  for (bool again = true; again;) {
    fake_io_flush(&fake_io);
    fake_io_step(&fake_io, now_ns);
    fleet_tick(&fleet, now_ns);
    again = fake_io_next_ns(&fake_io) <= now_ns || fleet_next_ns(&fleet) <= now_ns;
    deferred_replies_send_all(&dispatch);
  }
  fleet_check(&fleet);
  leases_check(&dispatch.leases);
}

void dispatch_fleet_settle(void) {
  settle_at(call_clock_ns());
}

/* The clock goes on in the meantime, so the times of the next requests are behind this one by less
 * than a poll's time. */
void dispatch_fleet_poll(void) {
  uint64_t next_ns = fleet_next_ns(&fleet), now_ns = call_clock_ns();
  ck_assert_uint_lt(next_ns, now_ns + SECOND);
  while (call_clock_ns() < next_ns)
    ;
  settle_at(call_clock_ns());
}

void dispatch_fleet_be_late(void) {
  uint64_t next_ns = fleet_next_ns(&fleet);
  ck_assert_uint_ne(next_ns, UINT64_MAX);
  fleet_tick(&fleet, next_ns);
  fleet_check(&fleet);
}

/* ---- other nodes ---- */

static struct fleet_key name_of(uint32_t n, enum fleet_key_kind kind, struct fc_hash *hash) {
  struct fc_key key = request_key(n);
  struct fleet_key name;
  *hash = fleet_key_hash(fc_str_of("ns"), &key);
  fleet_key_set(&name, fc_str_of(PREFIX), hash, 0, kind);
  return name;
}

void dispatch_fleet_publish(uint32_t n, uint32_t size) {
  static uint8_t bytes[FLEET_VALUE_HEAD + DISPATCH_VALUE_MAX];
  struct fc_hash hash;
  struct fleet_key name = name_of(n, FLEET_KEY_VALUE, &hash);
  struct fleet_value value = {.data = bytes + FLEET_VALUE_HEAD,
                              .size = size,
                              .compute_ns = DISPATCH_COMPUTE_NS,
                              .stamp = 1,
                              .node = 9};
  memset(bytes + FLEET_VALUE_HEAD, (int)(n & 0xff), size);
  fleet_value_encode_head(&value, &hash, bytes);
  fake_tier_set(&fake_tier, fleet_key_str(&name), bytes, FLEET_VALUE_HEAD + size, 0);
}

void dispatch_fleet_lease(uint32_t n, bool taken) {
  struct fc_hash hash;
  struct fleet_key name = name_of(n, FLEET_KEY_LEASE, &hash);
  if (taken)
    fake_tier_set(&fake_tier, fleet_key_str(&name), "other", 5, 0);
  else
    ck_assert(fake_tier_delete(&fake_tier, fleet_key_str(&name)));
}

bool dispatch_fleet_has(uint32_t n, enum fleet_key_kind kind) {
  struct fc_hash hash;
  struct fleet_key name = name_of(n, kind, &hash);
  size_t size;
  return fake_tier_get(&fake_tier, fleet_key_str(&name), call_clock_ns(), &size) != NULL;
}

/* ---- requests ---- */

struct fc_buf dispatch_fleet_get(uint32_t n, uint32_t wait_ms) {
  struct fc_buf request = {0};
  struct fc_get message = {.flags = FC_LEASE,
                           .key = request_key(n),
                           .has_terms = true,
                           .terms = {.lease_ms = 60000, .wait_ms = wait_ms}};
  ck_assert_int_eq(fc_encode_get(&request, n, &message), 0);
  return request;
}

struct fc_buf dispatch_fleet_park(struct test_client *client, uint32_t n, uint32_t wait_ms) {
  struct fc_buf request = dispatch_fleet_get(n, wait_ms);
  client->resumes = 0;
  ck_assert_int_eq(client_dispatch(client, &request), DISPATCH_RETRY);
  ck_assert(client->session.waits_for_fleet);
  ck_assert(!client_has_reply(client));
  return request;
}

enum dispatch_result dispatch_fleet_resume(struct test_client *client, struct fc_buf *request) {
  ck_assert_uint_eq(client->resumes, 1);
  ck_assert(!client->session.waits_for_fleet);
  return client_send(client, request);
}
