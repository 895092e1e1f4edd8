/* clients: the connected clients, with the leases that they hold or wait for, page by page. */
#include "daemon/requests/handlers.h"
#include "daemon/requests/page.h"
#include "daemon/rings/client_ring.h"

static void set_wait(struct fc_client_entry *item, const struct lease_wait *wait, uint64_t now_ns) {
  const struct lease *lease = wait->lease;
  struct session_owner owner = session_owner_of(lease->owner);
  item->wait.key = lease->key;
  item->wait.waited_ns = page_since(now_ns, wait->since_ns);
  item->wait.owner_id = owner.client_id;
  item->wait.owner = owner.name;
  item->wait.owner_pid = owner.pid;
}

/* Returns the number of waits for other nodes, with a request that waits for the tier's answer. */
static uint32_t tier_waits(const struct session *session) {
  uint32_t n = session->waits_for_fleet;
  for (const struct lease_wait *wait = session->leases.wait_first; wait != NULL;
       wait = wait->next_of_client)
    n += wait->lease->owner->remote;
  return n;
}

static void set_user(struct fc_user_entry *item, const struct user *user) {
  const uint64_t *used = user->used;
  *item = (struct fc_user_entry){
      .connections = used[USER_CONNECTIONS],
      .namespaces = used[USER_NAMESPACES],
      .leases = used[USER_LEASES],
      .waits = used[USER_WAITS],
      .ring_bytes = used[USER_RING_BYTES],
      .message_bytes = used[USER_FRAME_BYTES] + used[USER_REPLY_BYTES],
      .manifest_bytes = used[USER_MANIFEST_BYTES],
  };
}

static void add_client(struct page *page, const struct session *session, uint64_t now_ns) {
  const struct lease_client *client = &session->leases;
  const struct hits_account *ring = session->ring == NULL ? NULL : &session->ring->account;
  struct fc_client_entry item = {
      .client_id = session->client_id,
      .client = session->name,
      .pid = session->pid,
      .uid = session->uid,
      .name_space = session->ns == NULL ? (struct fc_str){0} : session->ns->name,
      .region = ring != NULL,
      .connected_ns = page_since(now_ns, session->handshake_ns),
      .hits = session->hits + (ring == NULL ? 0 : ring->hits),
      .shared_hits = session->shared_hits + (ring == NULL ? 0 : ring->shared_hits),
      .leases = client->held,
      .waits = client->waits,
      .has_user = session->user != NULL,
      .tier_waits = tier_waits(session),
  };
  if (session->user != NULL)
    set_user(&item.user, session->user);
  if (client->held_first != NULL)
    item.held = client->held_first->key;
  if (client->wait_first != NULL)
    set_wait(&item, client->wait_first, now_ns);
  (void)fc_encode_client_entry(&page->items, &item); /* page_send checks `failed` */
  page->last = session->serial;
  page->n++;
}

enum dispatch_result handle_clients(const struct call *call, const struct fc_page *request) {
  struct page page;
  if (page_open(call, request, &page) < 0)
    return page_bad_cursor(call);
  const struct session *session = page.none ? NULL : call->dispatch->first_session;
  while (session != NULL && session->serial <= page.last)
    session = session->next;
  for (; session != NULL && !page_is_full(&page); session = session->next)
    if (page_includes(&page, session->ns))
      add_client(&page, session, call->start_ns);
  return page_send(call, FC_CLIENTS, &page, session != NULL);
}
