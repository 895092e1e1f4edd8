/* top_run.h - the loops of fcachectl top: on a terminal, and in batch. Both go on when the daemon
 * restarts. */
#ifndef FC_CTL_TOP_RUN_H
#define FC_CTL_TOP_RUN_H

#include "client/ctl/top/top_model.h"
#include "client/lib/admin/admin.h"

struct top_settings {
  struct top_options options;
  const char *name_space; /* NULL: all */
  double pause_s;         /* between two readings */
  unsigned long count;    /* of refreshes; 0: no end */
  bool batch, json;
};

/* Runs until the user quits, a signal comes, or the last refresh is done. Returns an exit status. A
 * signal that ends the program is raised again, with the terminal restored. */
int top_run(struct admin *admin, const struct top_settings *settings);

#endif
