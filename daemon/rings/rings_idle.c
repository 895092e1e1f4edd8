#include "daemon/rings/rings_idle.h"

#include <assert.h>

#include "daemon/base/check.h"

#define MS_NS UINT64_C(1000000)
#define LOOK_NS (80 * MS_NS) /* between two looks, at least */
#define SLEEP_NS (1000 * MS_NS)
#define REVOKE_NS (5000 * MS_NS)

/* ---- the lists ---- */

static void insert(struct client_ring **list, struct client_ring *client) {
  client->prev = NULL;
  client->next = *list;
  if (client->next != NULL)
    client->next->prev = client;
  *list = client;
}

static void unlink_from(struct client_ring **list, struct client_ring *client) {
  assert(client->prev == NULL ? *list == client : client->prev->next == client);
  if (client->prev != NULL)
    client->prev->next = client->next;
  else
    *list = client->next;
  if (client->next != NULL)
    client->next->prev = client->prev;
}

void rings_add_awake(struct rings *rings, struct client_ring *client) {
  check_lt(rings->n_asleep, rings->n);
  insert(&rings->awake, client);
}

void rings_remove_awake(struct rings *rings, struct client_ring *client) {
  assert(!client->is_asleep);
  unlink_from(&rings->awake, client);
}

static void add_asleep(struct rings *rings, struct client_ring *client) {
  assert(!client->is_asleep);
  insert(&rings->asleep, client);
  client->is_asleep = true;
  rings->n_asleep++;
  check_le(rings->n_asleep, rings->n);
}

/* ---- states ---- */

static void show(struct client_ring *client, uint32_t state) {
  if (client->state == state)
    return;
  client->state = state;
  ring_reader_set_state(&client->reader, state);
}

void rings_wake(struct rings *rings, struct client_ring *client) {
  if (client->is_asleep) {
    check_lt(0, rings->n_asleep);
    unlink_from(&rings->asleep, client);
    client->is_asleep = false;
    rings->n_asleep--;
    insert(&rings->awake, client);
  }
  show(client, client->state & ~(uint32_t)FC_RING_ASLEEP);
}

void rings_wake_all(struct rings *rings) {
  for (struct client_ring *client = rings->asleep, *next; client != NULL; client = next) {
    next = client->next;
    if (client_ring_has_news(client))
      rings_wake(rings, client);
  }
}

/* Returns how many rings may be awake before an idle one is put to sleep. */
static uint32_t max_awake(const struct client_ring *client) {
  return client->reader.knows_state ? RINGS_AWAKE : RINGS_TOGETHER;
}

void rings_add(struct rings *rings, struct client_ring *client) {
  if (rings_n_awake(rings) <= max_awake(client)) { /* the ring is counted already */
    rings_add_awake(rings, client);
    return;
  }
  if (client->reader.knows_state)
    show(client, FC_RING_ASLEEP);
  add_asleep(rings, client);
}

/* ---- the look ---- */

/* A client loads the state, and then stores its record and the head. It may load the state before a
 * change and store the head any time later. Other processors may see that store later still, by
 * far less than a microsecond. So the daemon acts only at the next look, LOOK_NS later, which would
 * find the new head. Only a client that is stopped between its load and its store for so long is
 * missed. Its hit was in progress all that time. A later look or sweep finds it like any other
 * news, and only that one record can follow, because the client loads the state again before the
 * next. */
static void look_at(struct rings *rings, struct client_ring *client, uint64_t now_ns) {
  uint64_t idle_ns = now_ns - client->idle_ns;
  bool too_many = rings_n_awake(rings) > max_awake(client);
  bool has_grown = client->reader.n_slots > rings->base_slots && !client->reader.is_punched;
  uint32_t state = client->state;
  bool shown = !client->reader.knows_state || (state & FC_RING_ASLEEP) != 0;
  if (!client->is_asleep && idle_ns >= SLEEP_NS && too_many && shown) {
    rings_remove_awake(rings, client);
    add_asleep(rings, client);
  }
  if (has_grown && (state & FC_RING_REVOKED) != 0 && ring_reader_punch(&client->reader))
    rings_recharge(rings, client, rings_charge(rings->base_slots));
  if (!client->reader.knows_state)
    return;
  if (idle_ns >= SLEEP_NS && too_many)
    state |= FC_RING_ASLEEP;
  if (has_grown && idle_ns >= (rings->refused ? SLEEP_NS : REVOKE_NS))
    state |= FC_RING_REVOKED;
  show(client, state);
}

static void look_through(struct rings *rings, struct client_ring *list, uint64_t now_ns) {
  for (struct client_ring *client = list, *next; client != NULL; client = next) {
    next = client->next;
    if (client->error != NULL)
      continue;
    if (client->had_news || client_ring_has_news(client)) {
      rings_wake(rings, client);
      client->idle_ns = now_ns;
    } else if (client->idle_ns == 0) {
      client->idle_ns = now_ns;
    } else {
      look_at(rings, client, now_ns);
    }
    client->had_news = false;
  }
}

void rings_idle_look(struct rings *rings, uint64_t now_ns) {
  if (now_ns - rings->looked_ns < LOOK_NS)
    return;
  rings->looked_ns = now_ns;
  struct client_ring *asleep =
      rings->asleep; /* rings that fall asleep now are inserted before it */
  look_through(rings, rings->awake, now_ns);
  look_through(rings, asleep, now_ns);
  rings->refused = false;
}
