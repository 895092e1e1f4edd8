#include "client/ctl/print/tier_reading.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/print/text.h"

void tier_reading_deinit(struct tier_reading *reading) {
  free(reading->servers);
  *reading = (struct tier_reading){0};
}

/* Copies a text, cut to `size` bytes with its NUL. */
static void copy(char *to, size_t size, struct fc_str from) {
  char text[TIER_READING_TEXT_SIZE];

  (void)snprintf(text, sizeof text, "%.*s", (int)from.size, from.data ? from.data : "");
  (void)text_clean(to, size, text);
}

void tier_reading_set_tier(void *arg, const struct fc_tier_entry *tier) {
  struct tier_reading *reading = arg;

  reading->has_tier = true;
  reading->is = *tier;
  copy(reading->url, sizeof reading->url, tier->url);
  copy(reading->mode, sizeof reading->mode, tier->mode);
  copy(reading->prefix, sizeof reading->prefix, tier->prefix);
  copy(reading->namespaces, sizeof reading->namespaces, tier->namespaces);
  copy(reading->id, sizeof reading->id, tier->id);
}

static bool grow(struct tier_reading *reading) {
  size_t capacity = reading->capacity ? 2 * reading->capacity : 4;
  struct tier_server_reading *grown;

  if (reading->n < reading->capacity)
    return true;
  grown = realloc(reading->servers, capacity * sizeof *grown);
  if (!grown)
    return false;
  reading->servers = grown;
  reading->capacity = capacity;
  return true;
}

void tier_reading_add_server(void *arg, const struct fc_tier_server_entry *server) {
  struct tier_reading *reading = arg;
  struct tier_server_reading *to;

  if (!grow(reading)) {
    reading->failed = true;
    return;
  }
  to = &reading->servers[reading->n++];
  to->is = *server;
  copy(to->address, sizeof to->address, server->address);
  copy(to->role, sizeof to->role, server->role);
  copy(to->states[0], sizeof to->states[0], server->read.state);
  copy(to->states[1], sizeof to->states[1], server->write.state);
  copy(to->errors[0], sizeof to->errors[0], server->read.error);
  copy(to->errors[1], sizeof to->errors[1], server->write.error);
}

uint64_t tier_reading_dropped(const struct fc_tier_entry *tier) {
  return tier->dropped_full + tier->dropped_old + tier->dropped_refused + tier->dropped_cleared +
         tier->dropped_stop;
}

int tier_reading_fetch(struct admin *admin, struct tier_reading *reading) {
  const struct admin_tier_calls calls = {tier_reading_set_tier, tier_reading_add_server, reading};

  return admin_tier(admin, &reading->has_tier, &calls);
}
