#include "tests/support/rings_fixture.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/private_store.h"

struct rings_fixture fix;

void rings_fixture_resize(size_t pool_bytes, unsigned max_clients) {
  struct rings_config config = {.store = &fix.store,
                                .trace = &fix.traced.trace,
                                .totals = &fix.totals,
                                .pool_bytes = pool_bytes,
                                .max_clients = max_clients};
  rings_init(&fix.rings, &config);
}

void rings_fixture_start(void) {
  memset(&fix, 0, sizeof fix);
  private_store_init(&fix.store, &fix.region, 1 << 20, 4096, 7);
  namespace_table_init(&fix.table, &fix.store, 8);
  ck_assert_int_eq(namespace_table_open(&fix.table, fc_str_of("ns"), NULL, &fix.ns), 0);
  traced_start(&fix.traced);
  usage_init(&fix.usage, 1);
  rings_fixture_resize(RINGS_FIXTURE_POOL, 4);
}

void rings_fixture_end(void) {
  rings_check(&fix.rings);
  while (fix.rings.awake != NULL)
    rings_detach(&fix.rings, fix.rings.awake);
  while (fix.rings.asleep != NULL)
    rings_detach(&fix.rings, fix.rings.asleep);
  rings_deinit(&fix.rings);
  usage_deinit(&fix.usage);
  traced_end(&fix.traced);
  namespace_table_deinit(&fix.table);
  private_store_deinit(&fix.store, &fix.region);
}

struct client_ring *rings_fixture_attach(const char *name, bool knows_state) {
  struct hits_account account = {.store = &fix.store,
                                 .ns = fix.ns,
                                 .counters = &fix.totals.counters,
                                 .trace = &fix.traced.trace,
                                 .name_space = fix.ns->name,
                                 .client = fc_str_of(name),
                                 .time = &fix.time,
                                 .usage = &fix.usage,
                                 .client_usage = &fix.client_usage};
  return rings_attach(&fix.rings, knows_state, &account);
}

struct ring_client ring_client_open(struct client_ring *ring) {
  struct ring_client client = {.ring = ring};
  ck_assert_ptr_nonnull(ring);
  ring_builder_open(&client.builder, rings_fd(ring));
  rings_handed_over(ring);
  ck_assert_int_eq(rings_fd(ring), -1);
  ring_builder_context(&client.builder, 0, "op", "base", NULL);
  return client;
}

struct ring_client ring_client_join(const char *name) {
  return ring_client_open(rings_fixture_attach(name, false));
}

void ring_client_close(struct ring_client *client) {
  ring_builder_close(&client->builder);
}

struct fc_key ring_client_key(uint32_t n) {
  return (struct fc_key){.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = n};
}

void ring_client_hit_at(struct ring_client *client, uint32_t n, uint64_t end_ns) {
  struct fc_key key = ring_client_key(n);
  struct fc_ring_hit record = ring_builder_hit_on(fix.ns->seed, 0, &key);
  record.end_ns = end_ns;
  ring_builder_hit(&client->builder, &record);
}

void ring_client_hit(struct ring_client *client, uint32_t first, uint32_t n) {
  for (uint32_t i = first; i < first + n; i++)
    ring_client_hit_at(client, i, 0);
  ring_builder_publish(&client->builder);
}

void ring_client_hit_with_bad_flags(struct ring_client *client) {
  struct fc_key key = ring_client_key(0);
  struct fc_ring_hit record = ring_builder_hit_on(fix.ns->seed, 0, &key);
  record.flags = 0x8000;
  ring_builder_hit(&client->builder, &record);
  ring_builder_publish(&client->builder);
}

void rings_fixture_check_lines(const char *client, uint32_t n) {
  uint32_t seen = 0;
  char name[64], field[32];
  (void)snprintf(name, sizeof name, "\"client\": \"%s\"}\n", client);
  const char *line = traced_text(&fix.traced), *past = line + fix.traced.size;
  for (const char *end; line < past; line = end + 1) {
    end = memchr(line, '\n', (size_t)(past - line));
    if (memmem(line, (size_t)(end - line) + 1, name, strlen(name)) == NULL)
      continue;
    int size = snprintf(field, sizeof field, "\"top_k\": %u,", ++seen);
    ck_assert_msg(memmem(line, (size_t)(end - line), field, (size_t)size) != NULL, "%.*s",
                  (int)(end - line), line);
  }
  ck_assert_uint_eq(seen, n);
}

bool ring_client_grow(struct ring_client *client, uint32_t most_slots) {
  struct client_ring *ring = rings_attach_anew(&fix.rings, client->ring, most_slots);
  if (ring == NULL)
    return false;
  ring_builder_close(&client->builder);
  rings_detach_replaced(&fix.rings, client->ring);
  *client = ring_client_open(ring);
  return true;
}
