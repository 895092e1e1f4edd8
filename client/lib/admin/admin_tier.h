/* admin_tier.h - the state of the daemon's tier: the request of fcachectl tier. As admin.h: it
 * returns 0 or a negative code, FC_EVERSION if the daemon is too old, and admin_error() has the
 * text. One thread. */
#ifndef FC_CLIENT_ADMIN_TIER_H
#define FC_CLIENT_ADMIN_TIER_H

#include "client/lib/admin/admin.h"
#include "proto/wire/message.h"

/* The strings of an argument are valid during the call, which must not use `admin`. */
struct admin_tier_calls {
  void (*tier)(void *arg, const struct fc_tier_entry *tier);            /* once */
  void (*server)(void *arg, const struct fc_tier_server_entry *server); /* for each, after it */
  void *arg;                                                            /* of both */
};

/* Calls the functions, or sets *has_tier to false and calls none: the daemon has no tier. The
 * servers come in the order in which the daemon learned of them. If they need more than one page,
 * a server that the daemon forgets meanwhile may be missing. */
int admin_tier(struct admin *admin, bool *has_tier, const struct admin_tier_calls *calls);

#endif
