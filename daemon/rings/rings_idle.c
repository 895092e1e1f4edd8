#include "daemon/rings/rings_idle.h"

#define MS_NS UINT64_C(1000000)
#define LOOK_NS (80 * MS_NS) /* from one look to the next at least */
#define SLEEP_NS (1000 * MS_NS)
#define REVOKE_NS (5000 * MS_NS)

static void show(struct client_ring *client, uint32_t state) {
  if (client->state == state)
    return;
  client->state = state;
  ring_set_state(&client->ring, state);
}

void rings_wake(struct rings *rings, struct client_ring *client) {
  if (client->asleep) {
    client_ring_unlist(&rings->asleep, client);
    client_ring_list(&rings->first, client);
    client->asleep = false;
    rings->n_asleep--;
  }
  show(client, client->state & ~(uint32_t)FC_RING_ASLEEP);
}

static void list_as_asleep(struct rings *rings, struct client_ring *client) {
  client_ring_list(&rings->asleep, client);
  client->asleep = true;
  rings->n_asleep++;
}

static void put_to_sleep(struct rings *rings, struct client_ring *client) {
  if (rings->next == client)
    rings->next = client->next;
  client_ring_unlist(&rings->first, client);
  list_as_asleep(rings, client);
}

/* How many may be awake before an idle one is put to sleep. */
static uint32_t most_awake(const struct client_ring *client) {
  return client->ring.knows_state ? RINGS_AWAKE : RINGS_TOGETHER;
}

void rings_begin(struct rings *rings, struct client_ring *client) {
  if (rings_n_awake(rings) <= most_awake(client)) { /* it is counted already */
    client_ring_list(&rings->first, client);
    return;
  }
  if (client->ring.knows_state)
    show(client, FC_RING_ASLEEP);
  list_as_asleep(rings, client);
}

/* A client loads the state, and then stores its record and the head. It may have loaded the state
 * before that changed, and store the head any time later; a processor may let other clients' loads
 * of that come later still, by far less than a microsecond. So nothing is done before the next
 * look, LOOK_NS later, which would find the head: only a client that is stopped between the load
 * and the store for so long gets past it. Its hit was then under way all the time. It is found by
 * a look like any other's news, LOOK_NS or a sweep late, and no record but that one can follow, as
 * the next one's load of the state is after the stop. */
static void look_at(struct rings *rings, struct client_ring *client, uint64_t now_ns) {
  uint64_t idle_ns = now_ns - client->idle_ns;
  bool is_one_too_many = rings_n_awake(rings) > most_awake(client);
  bool grown = client->ring.n_slots > rings->base_slots && !client->ring.punched;
  uint32_t state = client->state;
  bool shown = !client->ring.knows_state || (state & FC_RING_ASLEEP) != 0;
  if (!client->asleep && idle_ns >= SLEEP_NS && is_one_too_many && shown)
    put_to_sleep(rings, client);
  if (grown && (state & FC_RING_REVOKED) != 0 && ring_punch(&client->ring))
    rings_recharge(rings, client, rings_charge(rings->base_slots));
  if (!client->ring.knows_state)
    return;
  if (idle_ns >= SLEEP_NS && is_one_too_many)
    state |= FC_RING_ASLEEP;
  if (grown && idle_ns >= (rings->refused ? SLEEP_NS : REVOKE_NS))
    state |= FC_RING_REVOKED;
  show(client, state);
}

static bool has_news(const struct client_ring *client) {
  return client->had_news || client_ring_has_news(client, true);
}

void rings_wake_all(struct rings *rings) {
  for (struct client_ring *client = rings->asleep, *next; client != NULL; client = next) {
    next = client->next;
    if (client_ring_has_news(client, true))
      rings_wake(rings, client);
  }
}

static void look_through(struct rings *rings, struct client_ring *list, uint64_t now_ns) {
  for (struct client_ring *client = list, *next; client != NULL; client = next) {
    next = client->next;
    if (client->fault != NULL)
      continue;
    if (has_news(client)) {
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
  struct client_ring *asleep = rings->asleep; /* those that fall asleep now come before it */
  look_through(rings, rings->first, now_ns);
  look_through(rings, asleep, now_ns);
  rings->refused = false;
}
