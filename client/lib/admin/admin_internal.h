/* admin_internal.h - the connection of a tool, for the files of admin/. */
#ifndef FC_CLIENT_ADMIN_INTERNAL_H
#define FC_CLIENT_ADMIN_INTERNAL_H

#include "client/lib/admin/admin.h"
#include "client/lib/conn/connection.h"

struct admin {
  struct connection connection;
  uint32_t events_id;       /* of the pending request for events (event_stream.h); 0: none */
  uint64_t events_until_ns; /* its deadline */
};

/* Connects with any options. Otherwise as admin_open. */
int admin_open_options(const struct connection_options *options, struct admin **out,
                       struct fcache_error *error);

/* A request does not reconnect: its earlier results may not hold for another daemon. */
static inline bool admin_is_up(const struct admin *admin) {
  return admin->connection.state == CONNECTION_UP;
}

/* As connection_check_supported. FC_EUNAVAILABLE without a connection. */
int admin_check_supported(struct admin *admin, enum connection_feature feature, const char *what);

#endif
