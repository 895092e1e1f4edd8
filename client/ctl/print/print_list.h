/* print_list.h - entries of the cache, one by one as they come: see print_rows.h. */
#ifndef FC_CTL_LIST_PRINT_H
#define FC_CTL_LIST_PRINT_H

#include "client/ctl/print/print_rows.h"

/* What people read above the entries. */
void list_print_header(const struct rows *rows);

/* One entry; `arg` is the struct rows. As admin_list wants it. */
void list_print_entry(void *arg, const struct fc_list_entry *entry);

#endif
