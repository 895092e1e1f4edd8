/* server_snapshot.h - the snapshots of the server: its state folder (--state), their timer
 * (--snapshot-interval), and what requests reach of them. Without --state, none of the functions
 * has an effect. */
#ifndef FC_DAEMON_SERVER_SNAPSHOT_H
#define FC_DAEMON_SERVER_SNAPSHOT_H

#include <stdbool.h>

#include "daemon/base/error_text.h"

struct server;
struct control;
struct survival_report;

/* Opens the state folder. The store, the namespaces and the totals exist, before totals_begin. If
 * no memory was adopted, restores the snapshot into them. Returns 0 or a negative code with *error.
 */
int server_snapshot_open(struct server *server, bool adopted, struct error_text *error);

/* Starts the timer. The loop and the thread pool are set up. Returns 0 or FC_EREFUSED. */
int server_snapshot_run(struct server *server);

/* Takes the interval of the options, from now on. After server_snapshot_run. */
void server_snapshot_set_interval(struct server *server);

/* Stops the timer and the use of the loop. Idempotent. */
void server_snapshot_close(struct server *server);

/* After the loop: writes the last snapshot, and closes the folder. */
void server_snapshot_end(struct server *server);

/* Fills in the functions of snapshots and clears. `control->arg` is the server. */
void server_snapshot_control(struct server *server, struct control *control);

/* Fills in the fields of snapshots. */
void server_snapshot_report(const struct server *server, struct survival_report *report);

#endif
