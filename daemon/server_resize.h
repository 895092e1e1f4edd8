/* server_resize.h - another limit on the memory of entries (max-bytes) while the daemon serves.
 *
 * A higher limit is compared with the available memory first. Then the store replaces the region in
 * the background (store_resize): the new one is in the descriptor store before an entry is in it,
 * and clients request it. The next daemon starts with the limit of its configuration. */
#ifndef FC_DAEMON_SERVER_RESIZE_H
#define FC_DAEMON_SERVER_RESIZE_H

#include <stdint.h>

#include "daemon/base/error_text.h"

struct server;
struct control;

/* The two steps of a change. The first may fail, and changes nothing. The second must follow in the
 * same turn, and cannot fail. So a caller that changes more than the limit has it all or nothing.
 *
 * server_resize_prepare returns 0 with a random *region_id, or FC_EREFUSED with a text: there is no
 * shared memory, or entries still move to the region. It checks neither the range nor the memory:
 * the caller does. */
int server_resize_prepare(const struct server *server, uint64_t max_bytes, uint64_t *region_id,
                          struct error_text *error);
void server_resize_begin(struct server *server, uint64_t max_bytes, uint64_t region_id);

/* Fills in the function of the limit, and installs the store's callback. `control->arg` is the
 * server. */
void server_resize_control(struct server *server, struct control *control);

#endif
