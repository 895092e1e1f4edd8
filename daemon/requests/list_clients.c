/* Who computes what, and who is connected: leases, clients, give_up. */
#include <inttypes.h>
#include <string.h>

#include "daemon/requests/handlers.h"
#include "daemon/requests/page.h"
#include "daemon/rings/client_ring.h"

static const struct session *owner_of(const struct lease *lease) {
  return (const struct session *)((const char *)lease->owner - offsetof(struct session, leases));
}

/* ---- leases ---- */

static void add_lease(struct page *page, const struct lease *lease, uint64_t now_ns) {
  const struct session *owner = owner_of(lease);
  struct fc_lease_entry item = {
      .name_space = lease->ns->name,
      .key = lease->key,
      .client_id = owner->client_id,
      .client = owner->name,
      .pid = owner->pid,
      .held_ns = page_since(now_ns, lease->granted_ns),
      .left_ns = page_since(lease->term.at_ns, now_ns),
      .waits = lease->waits,
  };
  (void)fc_encode_lease_entry(&page->items, &item); /* `failed` is looked at in the end */
  page->last = lease->serial;
  page->n++;
}

enum dispatch_result handle_leases(const struct call *call, const struct fc_page *request) {
  struct page page;
  if (page_open(call, request, &page) < 0)
    return page_bad_cursor(call);
  const struct lease *lease = page.none ? NULL : leases_after(&call->dispatch->leases, page.last);
  for (; lease != NULL && !page_is_full(&page); lease = lease->next)
    if (page.only == NULL || lease->ns == page.only)
      add_lease(&page, lease, call->start_ns);
  return page_send(call, FC_LEASES, &page, lease != NULL);
}

/* ---- clients ---- */

static void tell_wait(struct fc_client_entry *item, const struct lease_wait *wait,
                      uint64_t now_ns) {
  const struct session *owner = owner_of(wait->lease);
  item->wait.key = wait->lease->key;
  item->wait.waited_ns = page_since(now_ns, wait->since_ns);
  item->wait.owner_id = owner->client_id;
  item->wait.owner = owner->name;
  item->wait.owner_pid = owner->pid;
}

static void tell_user(struct fc_user_entry *item, const struct user *user) {
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
  const struct lease_holder *holder = &session->leases;
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
      .leases = holder->held,
      .waits = holder->waits,
  };
  item.has_user = session->user != NULL;
  if (item.has_user)
    tell_user(&item.user, session->user);
  if (holder->held_first != NULL)
    item.held = holder->held_first->key;
  if (holder->wait_first != NULL)
    tell_wait(&item, holder->wait_first, now_ns);
  (void)fc_encode_client_entry(&page->items, &item); /* `failed` is looked at in the end */
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
    if (page.only == NULL || session->ns == page.only)
      add_client(&page, session, call->start_ns);
  return page_send(call, FC_CLIENTS, &page, session != NULL);
}

/* ---- give_up ---- */

enum dispatch_result handle_give_up(const struct call *call, const struct fc_give_up *give_up) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  struct many_progress *progress = &session->many;
  struct fc_key key = give_up->key;
  bool all = key.op.data == NULL;
  if (all)
    progress->given_up = leases_give_up_all(&dispatch->leases, &session->leases, call->start_ns);
  uint32_t end =
      give_up->n - progress->next > STORE_SLICE ? progress->next + STORE_SLICE : give_up->n;
  for (; !all && progress->next < end; progress->next++) {
    memcpy(key.prompt.bytes, give_up->prompts + (size_t)progress->next * FC_HASH_SIZE,
           FC_HASH_SIZE);
    progress->given_up +=
        leases_give_up(&dispatch->leases, &session->leases, session->ns,
                       call_lease_digest(call, &key), &key, false, call->start_ns);
  }
  if (!all && progress->next < give_up->n)
    return DISPATCH_RETRY; /* the rest after the others had their turn */
  (void)fc_encode_given_up(&dispatch->reply, call->id, progress->given_up);
  *progress = (struct many_progress){0};
  return call_reply(call); /* looks at `failed` */
}
