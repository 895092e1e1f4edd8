/* fleet_records.h - the texts of the clears in the tier: scopes, records of the log, and the id.
 *
 *   scope    NAMESPACE 1f VIEW 1f OP, an empty part selects any. 1f is a byte that no name has
 *   record   KIND 1f NUMBER 1f TAG 1f NODE 1f DETAIL, TAG and NODE as 16 hex digits
 *     C      a clear; the detail is its scope
 *     D      a delete: NAMESPACE 1f OP 1f VIEW 1f TOP_K 1f HASH, the prompt's as 32 hex digits
 *     M      a node has another manifest: NAMESPACE 1f HASH, of the manifest
 *     H      the table was healed: see fleet_clears.h. Without a detail
 *   id       ID ':' TAG of the latest step, as 16 hex digits each
 *
 * Each step of the tier's clear version has a record and a random tag. Two nodes that know the same
 * tag of a number know the same steps up to it. Whatever comes from the tier may be anything: the
 * decoders check all of it. Pure functions. */
#ifndef FC_DAEMON_FLEET_RECORDS_H
#define FC_DAEMON_FLEET_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/wire/message.h"

#define FLEET_SEPARATOR '\x1f'
#define FLEET_SCOPE_MAX (3u * FC_NAME_MAX + 2u)
#define FLEET_DETAIL_MAX (FLEET_SCOPE_MAX + 64u)
#define FLEET_RECORD_MAX (FLEET_DETAIL_MAX + 64u)
#define FLEET_HEX_SIZE 17u           /* of 64 bits, with the NUL */
#define FLEET_ID_SIZE (16u + 1 + 16) /* without a NUL */
/* Numbers of a script have 53 bits. A tier with a higher one is refused. */
#define FLEET_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

enum fleet_record_kind {
  FLEET_RECORD_CLEAR = 'C',
  FLEET_RECORD_DELETE = 'D',
  FLEET_RECORD_MANIFEST = 'M',
  FLEET_RECORD_HEAL = 'H',
  FLEET_RECORD_OTHER = 0 /* of a later version */
};

struct fleet_record {
  enum fleet_record_kind kind;
  uint64_t number, tag, node;
  struct fc_str detail;
  struct fc_select select; /* CLEAR. DELETE and MANIFEST: the namespace alone */
  struct fc_key key;       /* DELETE */
};

/* A text of these modules, without a NUL. */
struct fleet_text {
  uint32_t size;
  char data[FLEET_RECORD_MAX];
};
static inline struct fc_str fleet_text_str(const struct fleet_text *text) {
  return (struct fc_str){text->data, text->size};
}

/* Write the text of a scope, and the details of a delete and of a manifest. The names are valid. */
void fleet_scope_encode(const struct fc_select *select, struct fleet_text *text);
void fleet_delete_encode(struct fc_str name_space, const struct fc_key *key,
                         struct fleet_text *text);
void fleet_manifest_encode(struct fc_str name_space, const struct fc_hash *hash,
                           struct fleet_text *text);
void fleet_hex(uint64_t number, char hex[FLEET_HEX_SIZE]);

/* Decode what the tier returned. What they write borrows `text`. They return false if it is not
 * valid. */
bool fleet_scope_decode(struct fc_str text, struct fc_select *select);
bool fleet_record_decode(struct fc_str text, struct fleet_record *record);
bool fleet_id_decode(struct fc_str text, uint64_t *id, uint64_t *tag);
bool fleet_number_decode(struct fc_str text, uint64_t *number);

/* Returns whether `wide` selects all that `narrow` selects. */
bool fleet_scope_covers(const struct fc_select *wide, const struct fc_select *narrow);

#endif
