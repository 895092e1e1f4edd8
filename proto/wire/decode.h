/* decode.h - what the two decoders share. Internal to proto/; the contract of
 * decoding is in message.h. */
#ifndef FC_PROTO_DECODE_H
#define FC_PROTO_DECODE_H

#include "proto/wire/reader.h"

/* Opens a body [type, id, fields...]. Returns the number of fields after the id;
 * *type and *id are 0 where they could not be read. */
uint32_t fc_decode_open(struct fc_cursor *cursor, uint32_t *type, uint32_t *id);

/* Ends the reading of a message that has `fields`, of which `known` were read:
 * skips the others, and refuses bytes after the array. Returns the cursor's error. */
int fc_decode_close(struct fc_cursor *cursor, uint32_t fields, uint32_t known);

/* A valid name (FC_ENAME); the second takes nil too and returns none. */
struct fc_str fc_decode_name(struct fc_cursor *cursor);
struct fc_str fc_decode_name_or_nil(struct fc_cursor *cursor);

/* A valid manifest, or none of a nil; a str that is none is `error`. */
struct fc_str fc_decode_manifest_or_nil(struct fc_cursor *cursor, int error);

struct fc_hash fc_decode_hash(struct fc_cursor *cursor);

/* A list of bins and nils, checked to its end. */
struct fc_bins;
void fc_decode_bins(struct fc_cursor *cursor, struct fc_bins *bins);
/* The same for one that fc_decode_bins has taken before. It is not walked through, so its `size` is
 * of all that is left, and the cursor moves to the end. */
void fc_decode_checked_bins(struct fc_cursor *cursor, struct fc_bins *bins);

/* Is the path one that belongs to this action of a trace request? `path.data` NULL: none. */
bool fc_trace_path_fits(uint32_t action, struct fc_str path);

#define FC_CURSOR_BYTES_MAX 64u /* of a list's cursor */

#endif
