/* server_resize.h - another limit on the memory of entries (max-bytes) while the daemon serves.
 *
 * A higher limit is compared with the available memory first. Then the store replaces the region in
 * the background (store_resize): the new one is in the descriptor store before an entry is in it,
 * and clients request it. The next daemon starts with the limit of its options. */
#ifndef FC_DAEMON_SERVER_RESIZE_H
#define FC_DAEMON_SERVER_RESIZE_H

struct server;
struct control;

/* Fills in the function of the limit, and installs the store's callback. `control->arg` is the
 * server. */
void server_resize_control(struct server *server, struct control *control);

#endif
