/* message.h - every message of the protocol as a struct, and its encoding as a
 * msgpack array [type, id, fields...]. docs/protocol.md is the same for people.
 *
 * Pure functions over buffers. Decoded strings, bins and lists borrow from the
 * body that was decoded. Every field is range-checked, every name validated
 * (FC_ENAME), nesting is never recursed into: a decoder returns 0 or
 * FC_EPROTOCOL, FC_ENAME or FC_EINVAL, and never reads outside the body.
 * Fields after the ones named here are skipped, so that a later version can add
 * some: the two sides interoperate one version apart.
 *
 * A value stands last in its message: encoders of messages with one value write
 * everything up to the value's bytes, which the caller sends from where they are. */
#ifndef FC_PROTO_MESSAGE_H
#define FC_PROTO_MESSAGE_H

#include "proto/buf.h"
#include "proto/key.h"

enum fc_type {
  FC_HELLO = 0x01,
  FC_GET = 0x02,
  FC_PUT = 0x03,
  FC_GET_MANY = 0x04,
  FC_PUT_MANY = 0x05,
  FC_PING = 0x06,
  FC_STATS = 0x07,
  FC_CLEAR = 0x08,
  FC_LIST = 0x09,
  FC_TRACE = 0x0a,
  FC_SHUTDOWN = 0x0b,
  FC_REPLY = 0x40, /* the reply to type T is FC_REPLY | T */
  FC_ERROR = 0x7f, /* the reply to any request that failed */
};

/* Flags of get, put, get_many and put_many. Unknown bits are ignored. */
enum fc_flags {
  FC_UNRECORDED = 1u << 0, /* no counter, no trace line */
  FC_KEEP_FIRST = 1u << 1, /* put: an entry that is there stays (and is promoted) */
};

/* ---- requests ---- */

/* [1, id, version_min, version_max, client, namespace|nil, max_entries|nil,
 *  region_layout (from version_max 2 on)] */
struct fc_hello {
  uint32_t version_min, version_max;
  struct fc_str client;
  struct fc_str name_space; /* none: a tool that does no gets or puts */
  bool has_max_entries;
  int64_t max_entries;    /* any integer: the daemon refuses what is not positive */
  uint32_t region_layout; /* of the region that the client can read; 0: it wants none */
};

/* [2, id, flags, op, view, top_k, prompt(bin 16), probe|nil] */
struct fc_get {
  uint32_t flags;
  struct fc_key key;
  struct fc_str probe;
};

/* The state of the cache when a computation began: a put that carries an older
 * one than a clear of its key is acknowledged and not stored. {0, 0}: none. */
struct fc_epoch {
  uint64_t boot_id;
  uint64_t clear_generation;
};

/* [3, id, flags, op, view, top_k, prompt, probe|nil, boot_id, clear_generation, compute_ns,
 * value(bin)|nil]: nil is a value over the limit, which stays with the client and is recorded */
struct fc_put {
  uint32_t flags;
  struct fc_key key;
  struct fc_str probe;
  struct fc_epoch epoch;
  uint64_t compute_ns;
  const uint8_t *value;
  uint32_t value_size;
  bool withheld; /* the value is over the limit, and is not sent */
};

/* [4, id, flags, op, view, top_k, prompts(bin 16*n), probe|nil], n >= 1 */
struct fc_get_many {
  uint32_t flags;
  struct fc_key key; /* .prompt unused */
  struct fc_str probe;
  const uint8_t *prompts; /* n times FC_HASH_SIZE bytes */
  uint32_t n;
};

/* A msgpack array of `n` bins (or nils), validated when decoded. */
struct fc_bins {
  const uint8_t *at;
  size_t size; /* bytes at `at`; of a decoded one only: encoders look at n alone */
  uint32_t n;
};
/* Takes the first: *data is NULL for nil. Call at most `n` times; counts n down. */
void fc_bins_next(struct fc_bins *bins, const uint8_t **data, uint32_t *size);

/* [5, id, flags, op, view, top_k, prompts(bin 16*n), probe|nil, boot_id, clear_generation,
 *  compute_ns (of all n together), batch (prompts in the whole batch if this is the first message
 * of one computed by cached_batch, else 0), values(array of n bin|nil, as in put)] */
struct fc_put_many {
  uint32_t flags;
  struct fc_key key;
  struct fc_str probe;
  struct fc_epoch epoch;
  uint64_t compute_ns;
  uint32_t batch;
  const uint8_t *prompts;
  uint32_t n;
  struct fc_bins values;
};

/* [6, id] ping; [7, id, namespace|nil] stats; [11, id] shutdown */
/* [8, id, namespace|nil (all), view|nil (any), op|nil (any)] clear */
/* [9, id, namespace|nil (all), view|nil, op|nil, limit, cursor(bin 0..64, opaque; empty: start)]
 * list */
struct fc_select {
  struct fc_str name_space, view, op;
};
struct fc_list {
  struct fc_select select;
  uint32_t limit; /* at least 1 */
  const uint8_t *cursor;
  uint32_t cursor_size;
};
/* [10, id, action, path|nil] */
enum fc_trace_action { FC_TRACE_STATUS = 0, FC_TRACE_ON = 1, FC_TRACE_OFF = 2 };
struct fc_trace {
  uint32_t action;
  struct fc_str path; /* 1 to 4095 bytes without NUL, absolute; with ON alone */
};

struct fc_request {
  enum fc_type type;
  uint32_t id;
  union {
    struct fc_hello hello;
    struct fc_get get;
    struct fc_put put;
    struct fc_get_many get_many;
    struct fc_put_many put_many;
    struct fc_select select; /* stats (name_space alone), clear */
    struct fc_list list;
    struct fc_trace trace;
  };
};

/* ---- replies ---- */

/* [0x41, id, version, server, boot_id, clear_generation, max_value, max_frame,
 *  namespace_id, client_id (these two from version 2 on)] */
struct fc_welcome {
  uint32_t version;
  struct fc_str server; /* "fcached 0.1.0" */
  uint64_t boot_id;     /* random, not 0, another at each start */
  uint64_t clear_generation;
  uint32_t max_value; /* largest value, bytes */
  uint32_t max_frame; /* largest body, either way, bytes */
  /* Not 0 where the descriptors of the region and of this client's ring come beside the message, in
   * this order (SCM_RIGHTS): the namespace's, in the region's entries and digests. */
  uint64_t namespace_id;
  uint64_t client_id; /* of this connection: the origin of what it puts; 0 where namespace_id is */
};
/* [0x42, id, clear_generation, value|nil] */
struct fc_get_reply {
  uint64_t clear_generation;
  const uint8_t *value; /* NULL: a miss */
  uint32_t value_size;
};
/* [0x43, id, outcome] */
enum fc_put_outcome {
  FC_STORED = 0,
  FC_KEPT = 1,
  FC_STALE = 2
}; /* KEPT: another was there first */
/* [0x44, id, clear_generation, first (index), last (bool), values(array of bin|nil)]: one or more
 * parts that together have every index once, in order */
struct fc_get_many_reply {
  uint64_t clear_generation;
  uint32_t first;
  bool last;
  struct fc_bins values;
};
/* [0x45, id, stored, kept, stale, too_big]: how many had each outcome */
struct fc_put_many_reply {
  uint32_t stored, kept, stale, too_big;
};
/* [0x46, id] pong; [0x4b, id] shutting down */
/* [0x47, id, daemon(map name: value), namespaces(array of map)]: values are uint, float or str; a
 * namespace's map has "namespace" first. Read with fc_stats_next. */
struct fc_stats_reply {
  const uint8_t *at; /* the two fields, validated */
  size_t size;
};
/* [0x48, id, removed] */
/* [0x49, id, cursor (empty: the end), entries(array of [namespace, op, view, prompt, top_k,
 *  value_size, charge, compute_ns, idle_ns, hits])] */
struct fc_list_entry {
  struct fc_str name_space;
  struct fc_key key;
  uint32_t value_size; /* bytes */
  uint64_t charge;     /* bytes that count against max_bytes */
  uint64_t compute_ns;
  uint64_t idle_ns; /* since it was last used */
  uint64_t hits;
};
struct fc_list_reply {
  const uint8_t *cursor;
  uint32_t cursor_size;
  uint32_t n;
  const uint8_t *at; /* read with fc_list_next */
  size_t size;       /* bytes at `at` */
};
/* [0x4a, id, on (bool), path|nil, lines, lost] */
struct fc_trace_reply {
  bool on;
  struct fc_str path;
  uint64_t lines, lost;
};
/* [0x7f, id, code, text] */
struct fc_error_reply {
  int code;           /* of errors.h: negative */
  struct fc_str text; /* the whole text, particulars included; UTF-8 */
};

struct fc_reply {
  enum fc_type type; /* with FC_REPLY, or FC_ERROR */
  uint32_t id;
  union {
    struct fc_welcome welcome;
    struct fc_get_reply get;
    enum fc_put_outcome put;
    struct fc_get_many_reply get_many;
    struct fc_put_many_reply put_many;
    struct fc_stats_reply stats;
    uint64_t removed;
    struct fc_list_reply list;
    struct fc_trace_reply trace;
    struct fc_error_reply error;
  };
};

/* ---- decoding ---- */

/* Where the body is malformed, *request still has the id if that could be read
 * (else 0), for the error reply. */
int fc_decode_request(const uint8_t *body, size_t size, struct fc_request *request);
int fc_decode_reply(const uint8_t *body, size_t size, struct fc_reply *reply);

/* The same for the first `have` bytes of a reply that ends with one value, of which nothing need be
 * there yet: a hit, or a part of a get_many with one hit. True: *reply is set but for the value,
 * which begins at *offset and has *value_size bytes to the body's end. False: decode the whole. */
bool fc_decode_reply_head(const uint8_t *body, size_t have, uint32_t body_size,
                          struct fc_reply *reply, size_t *offset, uint32_t *value_size);

void fc_list_next(struct fc_list_reply *list, struct fc_list_entry *entry); /* at most n times */

/* One figure of a stats reply. `name_space` is none for the daemon's own. */
struct fc_stat {
  struct fc_str name_space, name;
  enum { FC_STAT_UINT, FC_STAT_REAL, FC_STAT_TEXT } kind;
  uint64_t integer;
  double real;
  struct fc_str text;
};
/* A walk over a stats reply: start with {0}; false at the end. */
struct fc_stats_walk {
  size_t at;
  uint32_t left_in_map, left_maps;
  struct fc_str name_space;
  int stage;
};
bool fc_stats_next(const struct fc_stats_reply *stats, struct fc_stats_walk *walk,
                   struct fc_stat *stat);

/* ---- encoding ---- */

/* Each appends one whole frame (header included) to `buf`, with the frame's
 * length already counting `value_size` bytes of a value that follow and that the
 * caller sends itself; 0 or FC_ENOMEM. */
int fc_encode_hello(struct fc_buf *buf, uint32_t id, const struct fc_hello *hello);
int fc_encode_get(struct fc_buf *buf, uint32_t id, const struct fc_get *get);
int fc_encode_put_head(struct fc_buf *buf, uint32_t id,
                       const struct fc_put *put); /* value follows */
int fc_encode_get_many(struct fc_buf *buf, uint32_t id, const struct fc_get_many *get);
int fc_encode_simple(struct fc_buf *buf, enum fc_type type,
                     uint32_t id); /* ping, shutdown and their replies */
int fc_encode_stats(struct fc_buf *buf, uint32_t id, struct fc_str name_space);
int fc_encode_clear(struct fc_buf *buf, uint32_t id, const struct fc_select *select);
int fc_encode_list(struct fc_buf *buf, uint32_t id, const struct fc_list *list);
int fc_encode_trace(struct fc_buf *buf, uint32_t id, const struct fc_trace *trace);

int fc_encode_welcome(struct fc_buf *buf, uint32_t id, const struct fc_welcome *welcome);
int fc_encode_miss(struct fc_buf *buf, uint32_t id, uint64_t clear_generation);
int fc_encode_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                       uint32_t value_size); /* value follows */
int fc_encode_put_reply(struct fc_buf *buf, uint32_t id, enum fc_put_outcome outcome);
int fc_encode_put_many_reply(struct fc_buf *buf, uint32_t id,
                             const struct fc_put_many_reply *reply);
int fc_encode_cleared(struct fc_buf *buf, uint32_t id, uint64_t removed);
int fc_encode_trace_reply(struct fc_buf *buf, uint32_t id, const struct fc_trace_reply *reply);
int fc_encode_error(struct fc_buf *buf, uint32_t id, int code, struct fc_str text);

/* Messages with lists are made in pieces. The heads leave the frame's length
 * open; fc_frame_finish(buf, start, extra) closes the frame that began at offset
 * `start`, counting `extra` bytes of values that are sent from elsewhere. */
int fc_encode_put_many_head(struct fc_buf *buf, uint32_t id, const struct fc_put_many *put);
int fc_encode_get_many_reply_head(struct fc_buf *buf, uint32_t id,
                                  const struct fc_get_many_reply *reply); /* values.n */
int fc_encode_bin_head(struct fc_buf *buf,
                       uint32_t size); /* the bytes follow, appended or sent from elsewhere */
int fc_encode_nil(struct fc_buf *buf);
int fc_encode_stats_reply_head(struct fc_buf *buf, uint32_t id);
int fc_encode_map_head(struct fc_buf *buf, uint32_t n);
int fc_encode_array_head(struct fc_buf *buf, uint32_t n);
int fc_encode_stat_uint(struct fc_buf *buf, const char *name, uint64_t value);
int fc_encode_stat_real(struct fc_buf *buf, const char *name, double value);
int fc_encode_stat_text(struct fc_buf *buf, const char *name, struct fc_str value);
int fc_encode_list_reply_head(struct fc_buf *buf, uint32_t id, const uint8_t *cursor,
                              uint32_t cursor_size, uint32_t n);
int fc_encode_list_entry(struct fc_buf *buf, const struct fc_list_entry *entry);
void fc_frame_finish(struct fc_buf *buf, size_t start, size_t extra);

#endif
