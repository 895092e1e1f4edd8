#include "client/lib/admin/admin_tier.h"

#include <string.h>

#include "client/lib/admin/admin_internal.h"
#include "client/lib/conn/request.h"
#include "proto/errors.h"

#define PAGE_SERVERS 100u
#define CURSOR_MAX 64u /* bytes; the decoder rejects a longer one */

/* The servers behind those of the pages before. */
struct position {
  uint8_t cursor[CURSOR_MAX];
  uint32_t cursor_size; /* 0: at the begin, or at the end */
  bool began;
};

static int one_page(struct admin *admin, struct position *position, bool *has_tier,
                    const struct admin_tier_calls *calls) {
  struct fc_tier_request request = {PAGE_SERVERS, position->cursor, position->cursor_size};
  struct fc_tier_server_entry server;
  struct fc_reply reply;
  uint32_t id = request_begin(&admin->connection, FC_TIER);
  (void)fc_encode_tier(&admin->connection.request, id, &request); /* request_call checks `failed` */
  int rc = request_call(&admin->connection, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  struct fc_list_reply *servers = &reply.tier.servers;
  if (servers->n == 0 && servers->cursor_size > 0)
    return connection_fail(&admin->connection, FC_EPROTOCOL); /* an empty page, and more: endless */
  *has_tier = reply.tier.tier.url.size > 0;
  if (*has_tier && !position->began)
    calls->tier(calls->arg, &reply.tier.tier);
  position->began = true;
  position->cursor_size = servers->cursor_size;
  memcpy(position->cursor, servers->cursor, servers->cursor_size); /* the decoder bounds it */
  while (*has_tier && servers->n > 0) {
    fc_tier_servers_next(servers, &server);
    calls->server(calls->arg, &server);
  }
  return 0;
}

int admin_tier(struct admin *admin, bool *has_tier, const struct admin_tier_calls *calls) {
  struct position position = {.cursor_size = 0};
  int rc = admin_check_supported(admin, CONNECTION_FLEET, "request for the tier");
  if (rc < 0)
    return rc;
  do
    rc = one_page(admin, &position, has_tier, calls);
  while (rc == 0 && position.cursor_size > 0);
  return rc;
}
