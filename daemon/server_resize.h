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

/* Begins to change the limit. Returns 0, or a negative code with a text: FC_EINVAL if it is out of
 * range, FC_EREFUSED if there is not enough memory, or while an earlier change is in progress. */
int server_resize(struct server *server, uint64_t max_bytes, struct error_text *error);

/* Fills in the function of the limit, and installs the store's callback. `control->arg` is the
 * server. */
void server_resize_control(struct server *server, struct control *control);

#endif
