#include "client/lib/conn/request.h"

#include "proto/errors.h"

#define COPY_MAX_BYTES 8192u /* up to here a copy costs less than a second piece to send */

/* An error that answers no request is the daemon's last word on this connection. */
static int take_error(struct link *link, const struct fc_reply *reply) {
  const struct fc_error_reply *error = &reply->error;
  if (reply->id != 0)
    return link_fault(link, error->code, "%.*s", (int)error->text.size, error->text.data);
  (void)link_fault(link, error->code, "fcached at %s closed the connection: %.*s", link->path,
                   (int)error->text.size, error->text.data);
  return link_off(link);
}

/* The index of `id` in the list, or `n`. */
static uint32_t index_of(uint32_t id, const uint32_t *ids, uint32_t n) {
  uint32_t i = 0;
  while (i < n && ids[i] != id)
    i++;
  return i;
}

struct landing {
  struct link *link;
  const uint32_t *ids; /* that are awaited */
  uint32_t n;
  struct fc_reply *reply;
  bool landed; /* the reply is decoded, and its value where it belongs */
};

static void *land(void *arg, const uint8_t *body, size_t have, uint32_t body_size, size_t *offset) {
  struct landing *landing = arg;
  struct link *link = landing->link;
  uint32_t size;
  if (!fc_decode_reply_head(body, have, body_size, landing->reply, offset, &size) ||
      index_of(landing->reply->id, landing->ids, landing->n) == landing->n ||
      landing->reply->type != link->expected)
    return NULL;
  void *to = link->place(link->place_arg, landing->reply, size);
  landing->landed = to != NULL;
  if (landing->reply->type == (FC_REPLY | FC_GET)) {
    landing->reply->get.value = to;
    landing->reply->get.value_size = size;
  } else {
    landing->reply->get_many.values = (struct fc_bins){.at = NULL, .size = size, .n = 1};
  }
  return to;
}

static int receive_one(struct link *link, const uint32_t *ids, uint32_t n, uint32_t *which,
                       struct fc_reply *reply) {
  const uint8_t *body;
  uint32_t size;
  struct landing landing = {.link = link, .ids = ids, .n = n, .reply = reply};
  *which = n;
  int rc = channel_receive_placed(&link->channel, link->max_frame,
                                  link->place != NULL ? land : NULL, &landing, &body, &size);
  if (rc == 0 && !landing.landed)
    rc = fc_decode_reply(body, size, reply);
  if (rc < 0)
    return link_lost(link, rc);
  uint32_t found = index_of(reply->id, ids, n);
  if (reply->type == FC_ERROR && (found < n || reply->id == 0)) {
    *which = found;
    return take_error(link, reply);
  }
  if (found < n && reply->type != link->expected)
    return link_lost(link, FC_EPROTOCOL);
  *which = found;
  return 0;
}

int link_receive(struct link *link, const uint32_t *ids, uint32_t n, uint32_t *which,
                 struct fc_reply *reply) {
  *which = n;
  link_check(link); /* between two receives there may be a long wait */
  if (link->state != LINK_UP)
    return FC_EUNAVAILABLE;
  channel_renew(&link->channel);
  return receive_one(link, ids, n, which, reply);
}

static int receive_reply(struct link *link, uint32_t id, struct fc_reply *reply) {
  uint32_t which;
  int rc;
  do
    rc = receive_one(link, &id, 1, &which, reply);
  while (rc == 0 && which > 0);
  return rc;
}

int link_next_reply(struct link *link, uint32_t id, struct fc_reply *reply) {
  channel_renew(&link->channel);
  return receive_reply(link, id, reply);
}

static int send_pieces(struct link *link, struct iovec *pieces, size_t n) {
  if (link->request.failed)
    return link_fault(link, FC_ENOMEM, "no memory for the request");
  int rc = channel_send(&link->channel, pieces, n);
  if (rc < 0 && rc != FC_EUNAVAILABLE) /* one that hung up may have said why */
    return link_lost(link, rc);
  return 0;
}

int link_exchange_pieces(struct link *link, uint32_t id, struct iovec *pieces, size_t n,
                         struct fc_reply *reply) {
  int rc = send_pieces(link, pieces, n);
  return rc < 0 ? rc : receive_reply(link, id, reply);
}

int link_send(struct link *link) {
  struct iovec piece = {link->request.data, link->request.size};
  return send_pieces(link, &piece, 1);
}

int link_ping(struct link *link) {
  if (!channel_is_ours(&link->channel))
    return FC_EUNAVAILABLE;
  fc_buf_reset(&link->request);
  int rc = fc_encode_simple(&link->request, FC_PING, link_next_id(link));
  struct iovec piece = {link->request.data, link->request.size};
  return rc < 0 ? rc : channel_send(&link->channel, &piece, 1);
}

int link_exchange(struct link *link, uint32_t id, const void *value, size_t size,
                  struct fc_reply *reply) {
  if (size > 0 && size <= COPY_MAX_BYTES && fc_buf_append(&link->request, value, size) == 0)
    size = 0;
  struct iovec pieces[2] = {{link->request.data, link->request.size},
                            /* struct iovec has no const; sending changes nothing */
                            {(void *)(uintptr_t)value, size}};
  return link_exchange_pieces(link, id, pieces, size > 0 ? 2 : 1, reply);
}

int link_exchange_ring(struct link *link, uint32_t want_slots) {
  struct fc_ring_request request = {.region_layout = FC_REGION_LAYOUT, .want_slots = want_slots};
  struct fc_reply reply;
  uint32_t id = link_begin(link, FC_RING);
  (void)fc_encode_ring(&link->request, id, &request); /* the exchange looks at `failed` */
  plane_ask_ring(&link->plane);
  link->channel.takes_descriptors = true;
  int rc = link_exchange(link, id, NULL, 0, &reply);
  if (rc == 0)
    plane_take_ring(&link->plane, &reply.ring, &link->channel.passed);
  else if (link->state == LINK_UP) /* else the daemon may have answered: it is not to be used */
    plane_keep_ring(&link->plane);
  passed_close(&link->channel.passed); /* what is mapped needs no descriptor */
  link->channel.takes_descriptors = false;
  return rc;
}
