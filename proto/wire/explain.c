#include "proto/wire/explain.h"

#include <stdio.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/decode.h"
#include "proto/wire/message.h"

enum kind {
  END,
  U32,
  U64,
  I64_OR_NIL,
  NAME,
  NAME_OR_NIL,
  HASH,
  HASHES,
  VALUE,
  VALUES,
  LIMIT,
  TOKEN,
  ACTION,
  PATH,
  VERSION,
  U32_FROM_2,
  MANIFEST_FROM_4,
  BYTES_FROM_5,
  U32_OR_END, /* the message may end before it, as an earlier version's does */
  NAME_OR_ALL,
  NAME_AS_OP,
  HASHES_AS_OP
};

static const char *const belongs[] = {
    [U32] = "an integer from 0 to 2^32 - 1",
    [U64] = "an integer from 0 to 2^64 - 1",
    [I64_OR_NIL] = "an integer of 64 bits with a sign, or nil",
    [NAME] = "a str of 1 to 255 bytes of UTF-8 without control characters",
    [NAME_OR_NIL] = "a str of 1 to 255 bytes of UTF-8 without control characters, or nil",
    [HASH] = "a bin of 16 bytes",
    [HASHES] = "a bin of 16 bytes for each prompt, and of one prompt at least",
    [VALUE] = "a bin, or nil for a value over the limit",
    [VALUES] = "an array with a bin, or nil for one over the limit, for each prompt",
    [LIMIT] = "an integer from 1 to 2^32 - 1",
    [TOKEN] = "a bin of at most 64 bytes, as a list reply gave it, or empty",
    [ACTION] = "0 (status), 1 (on) or 2 (off)",
    [VERSION] = "an integer from 0 to 2^32 - 1",
    [U32_FROM_2] = "an integer from 0 to 2^32 - 1",
    [MANIFEST_FROM_4] = "a str of 1 to 16384 bytes of UTF-8 without NUL, or nil",
    [BYTES_FROM_5] = "an integer from 0 to 2^64 - 1, or nil",
    [U32_OR_END] = "an integer from 0 to 2^32 - 1",
    [NAME_OR_ALL] = "a str of 1 to 255 bytes of UTF-8 without control characters, or nil for all",
    [NAME_AS_OP] =
        "with an op a str of 1 to 255 bytes of UTF-8 without control characters; else nil",
    [HASHES_AS_OP] = "with an op a bin of 16 bytes for each prompt, one at least; else nil",
    [PATH] = "with action 1 a str, a path of 1 to 4095 bytes without NUL; else nil",
};

struct field {
  const char *name;
  enum kind kind;
};

#define FIELD(name, kind)                                                                          \
  { name, kind }
#define KEY_NAMES FIELD("flags", U32), FIELD("op", NAME), FIELD("view", NAME), FIELD("top_k", U32)
#define EPOCH FIELD("boot_id", U64), FIELD("clear_generation", U64)
#define SELECT FIELD("namespace", NAME_OR_NIL), FIELD("view", NAME_OR_NIL), FIELD("op", NAME_OR_NIL)

static const struct field hello[] = {FIELD("version_min", U32),
                                     FIELD("version_max", VERSION),
                                     FIELD("client", NAME),
                                     FIELD("namespace", NAME_OR_NIL),
                                     FIELD("max_entries", I64_OR_NIL),
                                     FIELD("region_layout", U32_FROM_2),
                                     FIELD("manifest", MANIFEST_FROM_4),
                                     FIELD("max_bytes", BYTES_FROM_5),
                                     FIELD(NULL, END)};
static const struct field get[] = {KEY_NAMES,
                                   FIELD("prompt", HASH),
                                   FIELD("probe", NAME_OR_NIL),
                                   FIELD("lease_ms", U32_OR_END),
                                   FIELD("wait_ms", U32),
                                   FIELD(NULL, END)};
static const struct field put[] = {
    KEY_NAMES,       FIELD("prompt", HASH),    FIELD("probe", NAME_OR_NIL),
    EPOCH,           FIELD("compute_ns", U64), FIELD("value", VALUE),
    FIELD(NULL, END)};
static const struct field get_many[] = {KEY_NAMES, FIELD("prompts", HASHES),
                                        FIELD("probe", NAME_OR_NIL), FIELD("lease_ms", U32_OR_END),
                                        FIELD(NULL, END)};
static const struct field put_many[] = {KEY_NAMES,
                                        FIELD("prompts", HASHES),
                                        FIELD("probe", NAME_OR_NIL),
                                        EPOCH,
                                        FIELD("compute_ns", U64),
                                        FIELD("batch", U32),
                                        FIELD("values", VALUES),
                                        FIELD(NULL, END)};
static const struct field none[] = {FIELD(NULL, END)};
static const struct field stats[] = {FIELD("namespace", NAME_OR_NIL), FIELD(NULL, END)};
static const struct field clear[] = {SELECT, FIELD(NULL, END)};
static const struct field list[] = {SELECT, FIELD("limit", LIMIT), FIELD("cursor", TOKEN),
                                    FIELD(NULL, END)};
static const struct field trace[] = {FIELD("action", ACTION), FIELD("path", PATH),
                                     FIELD(NULL, END)};
static const struct field give_up[] = {FIELD("op", NAME_OR_ALL), FIELD("view", NAME_AS_OP),
                                       FIELD("top_k", U32), FIELD("prompts", HASHES_AS_OP),
                                       FIELD(NULL, END)};
static const struct field page[] = {FIELD("namespace", NAME_OR_NIL), FIELD("limit", LIMIT),
                                    FIELD("cursor", TOKEN), FIELD(NULL, END)};
static const struct field ring[] = {FIELD("region_layout", U32), FIELD("want_slots", U32),
                                    FIELD(NULL, END)};

static const struct field kill[] = {FIELD("client_id", U64), FIELD(NULL, END)};

static const struct {
  const char *name;
  const struct field *fields;
} messages[] = {
    [FC_HELLO] = {"hello", hello},
    [FC_GET] = {"get", get},
    [FC_PUT] = {"put", put},
    [FC_GET_MANY] = {"get_many", get_many},
    [FC_PUT_MANY] = {"put_many", put_many},
    [FC_PING] = {"ping", none},
    [FC_STATS] = {"stats", stats},
    [FC_CLEAR] = {"clear", clear},
    [FC_LIST] = {"list", list},
    [FC_TRACE] = {"trace", trace},
    [FC_SHUTDOWN] = {"shutdown", none},
    [FC_GIVE_UP] = {"give_up", give_up},
    [FC_LEASES] = {"leases", page},
    [FC_CLIENTS] = {"clients", page},
    [FC_NAMESPACES] = {"namespaces", page},
    [FC_RING] = {"ring", ring},
    [FC_KILL] = {"kill", kill},
};

/* What a later field is held against. */
struct seen {
  uint32_t prompts;
  uint64_t action;
  uint32_t version;
  bool all; /* give_up: op is nil */
};

/* Takes one field; false where it is not what belongs there. */
static bool take(struct fc_cursor *cursor, enum kind kind, struct seen *seen) {
  struct fc_bins bins;
  struct fc_str path = {0};
  uint32_t size = 0;

  switch (kind) {
  case U32:
  case U32_OR_END:
    (void)fc_cursor_u32(cursor); /* the cursor keeps the error, here and below */
    break;
  case U64:
    (void)fc_cursor_u64(cursor);
    break;
  case I64_OR_NIL:
    if (!fc_cursor_nil(cursor))
      (void)fc_cursor_i64(cursor);
    break;
  case NAME:
    (void)fc_decode_name(cursor);
    break;
  case NAME_OR_NIL:
    (void)fc_decode_name_or_nil(cursor);
    break;
  case HASH:
    (void)fc_decode_hash(cursor);
    break;
  case HASHES:
    (void)fc_cursor_bin(cursor, &size);
    seen->prompts = size / FC_HASH_SIZE;
    return size > 0 && size % FC_HASH_SIZE == 0;
  case NAME_OR_ALL:
    seen->all = fc_cursor_nil(cursor);
    if (!seen->all)
      (void)fc_decode_name(cursor);
    break;
  case NAME_AS_OP:
    if (seen->all)
      return fc_cursor_nil(cursor);
    (void)fc_decode_name(cursor);
    break;
  case HASHES_AS_OP:
    if (seen->all)
      return fc_cursor_nil(cursor);
    (void)fc_cursor_bin(cursor, &size);
    return size > 0 && size % FC_HASH_SIZE == 0;
  case VALUE:
    if (!fc_cursor_nil(cursor))
      (void)fc_cursor_bin(cursor, &size);
    break;
  case VALUES:
    fc_decode_bins(cursor, &bins);
    return !cursor->error && bins.n == seen->prompts;
  case LIMIT:
    return fc_cursor_u32(cursor) > 0;
  case TOKEN:
    (void)fc_cursor_bin(cursor, &size);
    return !cursor->error && size <= FC_CURSOR_BYTES_MAX;
  case ACTION:
    seen->action = fc_cursor_u32(cursor);
    return !cursor->error && seen->action <= FC_TRACE_OFF;
  case PATH:
    if (!fc_cursor_nil(cursor))
      path = fc_cursor_str(cursor);
    return !cursor->error && fc_trace_path_fits((uint32_t)seen->action, path);
  case VERSION:
    seen->version = fc_cursor_u32(cursor);
    break;
  case U32_FROM_2:
    if (seen->version >= 2)
      (void)fc_cursor_u32(cursor);
    break;
  case MANIFEST_FROM_4:
    if (seen->version >= 4)
      (void)fc_decode_manifest_or_nil(cursor, FC_EINVAL);
    break;
  case BYTES_FROM_5:
    if (seen->version >= 5 && !fc_cursor_nil(cursor))
      (void)fc_cursor_u64(cursor);
    break;
  case END:
    break;
  }
  return !cursor->error;
}

/* May the message be without this field, as what it said so far goes? */
static bool may_lack(enum kind kind, const struct seen *seen) {
  return (kind == U32_FROM_2 && seen->version < 2) ||
         (kind == MANIFEST_FROM_4 && seen->version < 4) ||
         (kind == BYTES_FROM_5 && seen->version < 5);
}

static void explain_fields(struct fc_cursor *cursor, const char *name, const struct field *fields,
                           uint32_t n, char text[FC_EXPLANATION_SIZE]) {
  struct seen seen = {0};
  uint32_t i = 0;

  for (; fields[i].kind != END; i++) {
    if (i == n && fields[i].kind == U32_OR_END)
      break;
    if (i == n && !may_lack(fields[i].kind, &seen)) {
      (void)snprintf(text, FC_EXPLANATION_SIZE, "%s has %u fields: %s and what follows are missing",
                     name, n, fields[i].name);
      return;
    }
    if (!take(cursor, fields[i].kind, &seen)) {
      (void)snprintf(text, FC_EXPLANATION_SIZE, "%s: its field %s must be %s", name, fields[i].name,
                     belongs[fields[i].kind]);
      return;
    }
  }
  (void)snprintf(text, FC_EXPLANATION_SIZE,
                 "%s: what stands behind its fields is no msgpack, or not in the array", name);
}

void fc_explain_request(const uint8_t *body, size_t size, char text[FC_EXPLANATION_SIZE]) {
  struct fc_cursor cursor = fc_cursor_init(body, size);
  uint32_t type, id, n = fc_decode_open(&cursor, &type, &id);

  if (cursor.error)
    (void)snprintf(text, FC_EXPLANATION_SIZE,
                   "a body must be one msgpack array that begins with a type and an id, integers");
  else if (type >= sizeof messages / sizeof messages[0] || messages[type].name == NULL)
    (void)snprintf(text, FC_EXPLANATION_SIZE, "there is no request of type 0x%02x in protocol %u",
                   type, FC_PROTOCOL_VERSION);
  else
    explain_fields(&cursor, messages[type].name, messages[type].fields, n, text);
}
