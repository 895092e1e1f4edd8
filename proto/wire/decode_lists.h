/* decode_lists.h - the replies that are lists: of entries, leases, clients, namespaces. Internal to
 * proto/; the contract of decoding is in message.h. */
#ifndef FC_PROTO_DECODE_LISTS_H
#define FC_PROTO_DECODE_LISTS_H

#include "proto/wire/message.h"
#include "proto/wire/reader.h"

/* Reads one item into *item, of the type that the list has; the cursor keeps the error. */
typedef void fc_read_item_fn(struct fc_cursor *cursor, void *item);
void fc_read_list_entry(struct fc_cursor *cursor, void *item);      /* struct fc_list_entry */
void fc_read_lease_entry(struct fc_cursor *cursor, void *item);     /* struct fc_lease_entry */
void fc_read_client_entry(struct fc_cursor *cursor, void *item);    /* struct fc_client_entry */
void fc_read_namespace_entry(struct fc_cursor *cursor, void *item); /* struct fc_namespace_entry */

/* The fields of a list reply, each item checked with `read`. Returns their number. */
uint32_t fc_decode_list(struct fc_cursor *cursor, fc_read_item_fn *read,
                        struct fc_list_reply *list);

#endif
