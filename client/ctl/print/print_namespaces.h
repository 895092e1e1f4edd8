/* print_namespaces.h - the daemon's namespaces, one by one as they come: see print_rows.h. For
 * people each is a row, and below it its manifest: `key  value` lines where that is an object of
 * JSON, else its lines as they are. */
#ifndef FC_CTL_NAMESPACES_PRINT_H
#define FC_CTL_NAMESPACES_PRINT_H

#include "client/ctl/print/print_rows.h"

struct namespaces_view {
  struct rows *rows;
  bool no_manifest; /* the rows alone; in JSON, without that member */
};

/* One namespace, the first below its header; `arg` is the struct namespaces_view. As
 * admin_namespaces wants it. */
void namespaces_print(void *arg, const struct fc_namespace_entry *name_space);

#endif
