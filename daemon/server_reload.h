/* server_reload.h - reads the configuration again while the daemon serves, and applies what can
 * change: the options that option_table.c marks as live.
 *
 * A reload is whole or nothing. It first checks all files and values, then the memory that the new
 * limits need, and that another max_bytes is possible now: while entries still move to the region,
 * it is refused. The new trace file is opened last. Only options that differ from the configuration
 * before are applied, so a size or a trace that fcachectl has set stays until the file's own value
 * changes. */
#ifndef FC_DAEMON_SERVER_RELOAD_H
#define FC_DAEMON_SERVER_RELOAD_H

#include "daemon/base/error_text.h"

#include <stdint.h>

struct server;
struct control;

/* How many options a reload changed, and how many others wait for a restart. */
struct reload_report {
  uint32_t changed, waiting;
};

/* Reads the files again, applies and logs the changes, and logs those that need a restart. Opens
 * the trace file again, also after an error. Returns 0, or a negative code with the first mistake
 * in *error: then the options are as before, and each mistake is in the log. Blocks while it reads
 * the files. */
int server_reload(struct server *server, struct reload_report *report, struct error_text *error);

/* Fills in the functions of the configuration. `control->arg` is the server. */
void server_reload_control(struct server *server, struct control *control);

#endif
