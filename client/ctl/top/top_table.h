/* top_table.h - the table of fcachectl top: which columns fit, its headings and its rows. */
#ifndef FC_CTL_TOP_TABLE_H
#define FC_CTL_TOP_TABLE_H

#include "client/ctl/top/top_model.h"
#include "client/ctl/top/top_page.h"

/* Adds the headings and at most `rows` of the shown rows from number `first` on, in at most
 * `columns` columns. SIZE_MAX or so: as wide as the names are. */
void top_table_add(struct top_page *page, const struct top_model *model, size_t first,
                   size_t columns, size_t rows);

#endif
