/* give_up: ends leases of the client without a value. */
#include <string.h>

#include "daemon/requests/handlers.h"

/* Gives up the leases of a slice of the keys. Returns false if more are left. */
static bool give_up_slice(const struct call *call, const struct fc_give_up *give_up) {
  struct session *session = call->session;
  struct many_progress *progress = &session->many;
  struct fc_key key = give_up->key;
  uint32_t left = give_up->n - progress->next;
  uint32_t end = left > STORE_SLICE ? progress->next + STORE_SLICE : give_up->n;
  for (; progress->next < end; progress->next++) {
    memcpy(key.prompt.bytes, give_up->prompts + (size_t)progress->next * FC_HASH_SIZE,
           FC_HASH_SIZE);
    progress->given_up +=
        leases_give_up(&call->dispatch->leases, &session->leases, session->ns,
                       call_lease_digest(call, &key), &key, false, call->start_ns);
  }
  return progress->next == give_up->n;
}

enum dispatch_result handle_give_up(const struct call *call, const struct fc_give_up *give_up) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  struct many_progress *progress = &session->many;
  bool all = give_up->key.op.data == NULL;
  if (all)
    progress->given_up = leases_give_up_all(&dispatch->leases, &session->leases, call->start_ns);
  else if (!give_up_slice(call, give_up))
    return DISPATCH_RETRY; /* the next slice in another turn */
  (void)fc_encode_given_up(&dispatch->reply, call->id, progress->given_up);
  *progress = (struct many_progress){0};
  return call_reply(call); /* checks `failed` */
}
