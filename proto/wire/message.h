/* message.h - every message of the protocol as a struct, its decoding and its encoding.
 * message_fields.h lists the fields of each on the wire, and docs/protocol.md describes them.
 *
 * The functions are pure: they do no I/O, and only encoders allocate, in the caller's buffer.
 * Decoded strings, bins and lists point into the decoded body. Decoders check the range of every
 * field and the rule of every name. They return 0, FC_EPROTOCOL, FC_ENAME or FC_EINVAL, and never
 * read outside the body. They skip fields behind the known ones, so a later version may add some.
 *
 * A value is the last field of its message. Its encoder writes everything up to the value's bytes,
 * and the caller sends these from their own place. */
#ifndef FC_PROTO_MESSAGE_H
#define FC_PROTO_MESSAGE_H

#include "proto/key.h"
#include "proto/wire/buf.h"
#include "proto/wire/event.h"
#include "proto/wire/rows.h"
#include "proto/wire/tier_rows.h"

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
  FC_GIVE_UP = 0x0c,
  FC_LEASES = 0x0d,
  FC_CLIENTS = 0x0e,
  FC_NAMESPACES = 0x0f,
  FC_RING = 0x10,
  FC_KILL = 0x11,
  FC_SNAPSHOT = 0x12,
  FC_SET = 0x13,
  FC_DELETE = 0x14,
  FC_USAGE = 0x15,
  FC_LATENCY = 0x16,
  FC_SLOWEST = 0x17,
  FC_WATCH = 0x18,
  FC_EVENTS = 0x19,
  FC_RELOAD = 0x1a,
  FC_SETTINGS = 0x1b,
  FC_TIER = 0x1c,
  FC_REPLY = 0x40, /* the reply to type T is FC_REPLY | T */
  FC_ERROR = 0x7f, /* the reply to any request that failed */
};

/* Flags of get, put, get_many and put_many. Unknown bits are ignored. */
enum fc_flags {
  FC_UNRECORDED = 1u << 0, /* no counter, no trace line */
  FC_KEEP_FIRST = 1u << 1, /* put: an existing entry stays, and is promoted */
  FC_LEASE = 1u << 2,      /* get, get_many: on a miss the client wants the lease */
  FC_PEEK = 1u << 3,       /* get, get_many: a hit does not promote; from version 6 on */
};

/* ---- requests ---- */

struct fc_hello {
  uint32_t version_min, version_max;
  struct fc_str client;
  struct fc_str name_space; /* none: a tool, which sends no gets or puts */
  bool has_max_entries;
  int64_t max_entries;    /* any integer: the daemon refuses 0 and below */
  uint32_t region_layout; /* of the region that the client can read; 0: none */
  struct fc_str manifest; /* of the namespace; none: no change */
  bool has_max_bytes;
  uint64_t max_bytes;    /* limit on the charges of the namespace; the daemon refuses 0 */
  bool has_handle;       /* from version 5 on: */
  struct fc_hash handle; /* random: proves that the connection holds leases of an earlier one */
};

/* The times of a lease and a wait. Messages have them if has_terms is set, from version 3 on. */
struct fc_lease_terms {
  uint32_t lease_ms; /* with FC_LEASE: the term; 0: FC_LEASE_MS_DEFAULT */
  uint32_t wait_ms;  /* only in get: how long to wait for another client's put; 0: no wait */
};

struct fc_get {
  uint32_t flags;
  struct fc_key key;
  struct fc_str probe;
  bool has_terms;
  struct fc_lease_terms terms;
};

/* The state of the cache when a computation began. The daemon acknowledges a put whose epoch is
 * older than a clear of its key, and does not store it. {0, 0}: not known. */
struct fc_epoch {
  uint64_t boot_id;
  uint64_t clear_generation;
};

struct fc_put {
  uint32_t flags;
  struct fc_key key;
  struct fc_str probe;
  struct fc_epoch epoch;
  uint64_t compute_ns;
  const uint8_t *value;
  uint32_t value_size;
  bool withheld; /* the value is over the limit and not sent: nil on the wire */
};

struct fc_get_many {
  uint32_t flags;
  struct fc_key key; /* .prompt unused */
  struct fc_str probe;
  const uint8_t *prompts; /* n times FC_HASH_SIZE bytes */
  uint32_t n;             /* at least 1 */
  bool has_terms;
  struct fc_lease_terms terms; /* .wait_ms unused */
};

/* A msgpack array of `n` bins or nils, which the decoder has checked. */
struct fc_bins {
  const uint8_t *at;
  size_t size; /* bytes at `at`, after decoding; encoders use only n */
  uint32_t n;
};
/* Removes the first element and counts n down. *data is NULL for nil. Call at most `n` times. */
void fc_bins_next(struct fc_bins *bins, const uint8_t **data, uint32_t *size);

struct fc_put_many {
  uint32_t flags;
  struct fc_key key;
  struct fc_str probe;
  struct fc_epoch epoch;
  uint64_t compute_ns; /* of all n together */
  uint32_t batch;      /* prompts of the whole batch, in its first message; else 0 */
  const uint8_t *prompts;
  uint32_t n;
  struct fc_bins values;
};

/* stats (name_space alone), clear. A none selects all. */
struct fc_select {
  struct fc_str name_space, view, op;
};
struct fc_clear {
  struct fc_select select;
  bool local; /* of this daemon alone, not of its fleet; from version 8 on */
};
enum fc_list_order {
  FC_ORDER_USE = 0,   /* the most recently used first; misses entries that are used meanwhile */
  FC_ORDER_PLACE = 1, /* by their places in the daemon, which a use does not change */
};
struct fc_list {
  struct fc_select select;
  uint32_t limit;        /* at least 1 */
  const uint8_t *cursor; /* opaque, 0 to 64 bytes; empty: from the start */
  uint32_t cursor_size;
  uint32_t order;          /* an fc_list_order; from version 6 on */
  uint64_t min_compute_ns; /* only entries that took as long; from version 7 on */
};
enum fc_trace_action { FC_TRACE_STATUS = 0, FC_TRACE_ON = 1, FC_TRACE_OFF = 2 };
struct fc_trace {
  uint32_t action;
  struct fc_str path; /* 1 to 4095 bytes without NUL; only with ON */
  bool mkdir;         /* with ON: make the folders that are missing; from version 7 on */
};

/* Leases of the connection that it gives up. Without an op: all of them, and its waits. */
struct fc_give_up {
  struct fc_key key; /* .prompt is unused; .op none: all */
  const uint8_t *prompts;
  uint32_t n;
};
/* leases: oldest first; clients: in the order in which they connected; namespaces: oldest first */
struct fc_page {
  struct fc_str name_space;
  uint32_t limit; /* at least 1 */
  const uint8_t *cursor;
  uint32_t cursor_size; /* 0 to 64; 0: start */
};
/* Requests another ring. */
struct fc_ring_request {
  uint32_t region_layout; /* as in hello */
  uint32_t want_slots;    /* more slots than the client has, up to this number; 0: a ring of the
                             ordinary size */
};

enum fc_snapshot_action { FC_SNAPSHOT_STATUS = 0, FC_SNAPSHOT_START = 1 };

/* Changes a setting of the running daemon. */
struct fc_set {
  struct fc_str name;  /* "max-bytes" */
  struct fc_str value; /* as on the daemon's command line: "512M" */
};

/* Removes one entry, from version 7 on. */
struct fc_delete {
  struct fc_str name_space;
  struct fc_key key;
  bool local; /* as of fc_clear; from version 8 on */
};

enum fc_usage_by {
  FC_USAGE_NAMESPACE = 0,
  FC_USAGE_KEY = 1, /* an op and a view of a namespace */
  FC_USAGE_PROBE = 2,
  FC_USAGE_CLIENT = 3,
};
/* Lists the usage by names, since the daemon's start. */
struct fc_usage {
  uint32_t by;    /* an fc_usage_by */
  uint32_t limit; /* at least 1 */
  const uint8_t *cursor;
  uint32_t cursor_size; /* 0 to 64; 0: start */
};

/* Subscribes to events, and ends an earlier subscription of the connection. A none selects all. An
 * event that concerns no view, op, namespace or client is not selected by a name of one, except
 * that a clear without a name clears all names. */
struct fc_watch {
  uint32_t kinds; /* bits; unknown ones are ignored; 0: all kinds */
  struct fc_str name_space, op, view, client;
};
/* Requests the events since the last reply. */
struct fc_events_request {
  uint32_t wait_ms; /* how long to wait for the first one */
};
/* Requests the slowest requests, from version 7 on. */
struct fc_slowest {
  uint32_t limit; /* at least 1 */
  bool reset;     /* forget them afterwards; latency.reset resets both */
};

/* Requests the state of the tier and a page of its servers, from version 8 on. */
struct fc_tier_request {
  uint32_t limit; /* of servers, at least 1 */
  const uint8_t *cursor;
  uint32_t cursor_size; /* 0 to 64; 0: start */
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
    struct fc_select select; /* stats (name_space alone) */
    struct fc_clear clear;
    struct fc_list list;
    struct fc_trace trace;
    struct fc_give_up give_up;
    struct fc_page page; /* leases, clients, namespaces */
    struct fc_ring_request ring;
    uint64_t kill;     /* a client_id */
    uint32_t snapshot; /* an fc_snapshot_action */
    struct fc_set set;
    struct fc_delete delete;
    struct fc_usage usage;
    struct fc_watch watch;
    struct fc_events_request events;
    bool latency; /* reset the times after the reply; from version 7 on */
    struct fc_slowest slowest;
    struct fc_tier_request tier;
  };
};

/* ---- replies ---- */

struct fc_welcome {
  uint32_t version;
  struct fc_str server; /* "fcached 0.1.0" */
  uint64_t boot_id;     /* random, not 0, new at each start */
  uint64_t clear_generation;
  uint32_t max_value; /* largest value, bytes */
  uint32_t max_frame; /* largest body, either way, bytes */
  /* The namespace's id in the region's entries and digests. If it is not 0, the descriptors of the
   * region and of this client's ring come with the message, in this order (SCM_RIGHTS). */
  uint64_t namespace_id;
  uint64_t client_id; /* of this connection; 0 if namespace_id is 0 */
};
/* Whether another client computes the key of a miss. */
enum fc_lease_state {
  FC_LEASE_NONE = 0,    /* compute without a lease */
  FC_LEASE_GRANTED = 1, /* compute, then put or give up */
  FC_LEASE_TAKEN = 2,   /* another client computes the key: send the get again, and wait */
};
struct fc_get_reply {
  uint64_t clear_generation;
  const uint8_t *value; /* NULL: a miss */
  uint32_t value_size;
  enum fc_lease_state lease; /* of a miss */
  bool waited;               /* of a hit: the get waited for another connection's put */
  bool has_more;             /* the reply has a third field: the lease or `waited` */
};
enum fc_put_outcome {
  FC_STORED = 0,
  FC_KEPT = 1, /* another value was there first, and stays */
  FC_STALE = 2 /* not stored: a clear came after the computation began */
};
/* One of the parts that together have every index once, in order. A part has leases if the request
 * had FC_LEASE and the part has a nil. */
struct fc_get_many_reply {
  uint64_t clear_generation;
  uint32_t first;
  bool last;
  struct fc_bins values;
  const uint8_t *leases; /* n_leases bytes, an fc_lease_state for each nil, in order */
  uint32_t n_leases;     /* the number of nils, or 0: not sent */
};
/* How many values had each outcome. */
struct fc_put_many_reply {
  uint32_t stored, kept, stale, too_big;
};
/* Read with fc_stats_next. */
struct fc_stats_reply {
  const uint8_t *at; /* the two fields, checked */
  size_t size;
};
struct fc_list_reply {
  const uint8_t *cursor;
  uint32_t cursor_size;
  uint32_t n;
  const uint8_t *at; /* the rows: read with fc_list_next */
  size_t size;       /* bytes at `at` */
};
/* How many options a reload changed, and how many others wait for a restart. */
struct fc_reload_reply {
  uint32_t changed, waiting;
};
struct fc_ring_reply {
  /* As in the welcome, with the same two descriptors. 0: the client gets no ring, and keeps its old
   * one. */
  uint64_t namespace_id;
  uint64_t client_id;
};
struct fc_trace_reply {
  bool on;
  struct fc_str path;
  uint64_t lines, lost;
};
/* Snapshots are numbered from 1 on, anew at each start of the daemon. */
struct fc_snapshot_reply {
  bool started;       /* this request has begun `running` */
  uint64_t running;   /* the snapshot that is being written; 0: none */
  uint64_t ended;     /* the latest that has ended, in success or failure; 0: none */
  struct fc_str path; /* of the snapshot's file; none: the daemon has no state folder */
  uint64_t entries;   /* of `ended`, as the fields below */
  uint64_t bytes;     /* of its file */
  uint64_t duration_ns;
  struct fc_str error; /* why it failed; empty: it has not */
};
/* The setting before and after, in its unit: bytes for max-bytes. */
struct fc_set_reply {
  uint64_t before, now;
};
/* The reply to watch. */
struct fc_watching {
  uint64_t buffer_bytes; /* of the events that all watchers share */
};
/* latency and slowest. The rows are read with fc_latency_next or fc_slow_next. */
struct fc_times_reply {
  uint64_t period_ns;        /* for so long the daemon has measured the rows */
  struct fc_list_reply rows; /* without a cursor */
};
/* tier. The rows are read with fc_tier_servers_next. */
struct fc_tier_reply {
  struct fc_tier_entry tier; /* its URL is empty: the daemon has none */
  struct fc_list_reply servers;
};
struct fc_error_reply {
  int code;           /* of errors.h, negative */
  struct fc_str text; /* the whole text, UTF-8 */
};

struct fc_reply {
  enum fc_type type; /* FC_REPLY | the request's, or FC_ERROR */
  uint32_t id;
  union {
    struct fc_welcome welcome;
    struct fc_get_reply get;
    enum fc_put_outcome put;
    struct fc_get_many_reply get_many;
    struct fc_put_many_reply put_many;
    struct fc_stats_reply stats;
    uint64_t removed;
    struct fc_list_reply list; /* list, leases, clients, namespaces, usage, events, settings */
    struct fc_reload_reply reload;
    uint32_t given_up;
    bool killed;
    bool existed; /* delete */
    struct fc_trace_reply trace;
    struct fc_ring_reply ring;
    struct fc_snapshot_reply snapshot;
    struct fc_set_reply set;
    struct fc_watching watching;
    struct fc_times_reply times;
    struct fc_tier_reply tier;
    struct fc_error_reply error;
  };
};

/* ---- decoding ---- */

/* Decode a body. After an error, *request still has the id, for the error reply, or 0 if the id
 * could not be read. */
int fc_decode_request(const uint8_t *body, size_t size, struct fc_request *request);
/* Decodes an unchanged body that fc_decode_request has accepted before, without a walk through its
 * list of values. */
int fc_decode_request_again(const uint8_t *body, size_t size, struct fc_request *request);
int fc_decode_reply(const uint8_t *body, size_t size, struct fc_reply *reply);

/* Decodes a reply that ends with one value, a hit or a part of a get_many with one hit, from its
 * first `have` bytes, which need not include the value. Returns true with *reply set except for the
 * value, whose *value_size bytes from *offset on end the body. Returns false for any other reply:
 * decode it when it is complete. */
bool fc_decode_reply_head(const uint8_t *body, size_t have, uint32_t body_size,
                          struct fc_reply *reply, size_t *offset, uint32_t *value_size);

/* Remove the first row of a list and count n down. Call the function of the reply's type, at most n
 * times. */
void fc_list_next(struct fc_list_reply *list, struct fc_list_entry *entry);
void fc_leases_next(struct fc_list_reply *list, struct fc_lease_entry *entry);
void fc_clients_next(struct fc_list_reply *list, struct fc_client_entry *entry);
void fc_namespaces_next(struct fc_list_reply *list, struct fc_namespace_entry *entry);
void fc_usage_next(struct fc_list_reply *list, struct fc_usage_entry *entry);
void fc_events_next(struct fc_list_reply *list, struct fc_event *entry);
void fc_latency_next(struct fc_list_reply *list, struct fc_latency_entry *entry);
void fc_settings_next(struct fc_list_reply *list, struct fc_setting_entry *entry);
void fc_slow_next(struct fc_list_reply *list, struct fc_slow_entry *entry);
void fc_tier_servers_next(struct fc_list_reply *list, struct fc_tier_server_entry *entry);

/* One statistic. `name_space` is none for those of the daemon. */
struct fc_stat {
  struct fc_str name_space, name;
  enum { FC_STAT_UINT, FC_STAT_REAL, FC_STAT_TEXT } kind;
  uint64_t integer;
  double real;
  struct fc_str text;
};
/* The state of a walk over a stats reply. Zero it to start. */
struct fc_stats_walk {
  size_t at;
  uint32_t left_in_map, left_maps;
  struct fc_str name_space;
  int stage;
};
/* Gives the next statistic. Returns false at the end. */
bool fc_stats_next(const struct fc_stats_reply *stats, struct fc_stats_walk *walk,
                   struct fc_stat *stat);

/* ---- encoding ---- */

/* Each appends one frame with its header to `buf`, and returns 0 or FC_ENOMEM. The frame's length
 * includes a value that the caller sends itself. After FC_ENOMEM the buffer has only whole frames.
 */
int fc_encode_hello(struct fc_buf *buf, uint32_t id, const struct fc_hello *hello);
int fc_encode_get(struct fc_buf *buf, uint32_t id, const struct fc_get *get);
int fc_encode_put_head(struct fc_buf *buf, uint32_t id,
                       const struct fc_put *put); /* value follows */
int fc_encode_get_many(struct fc_buf *buf, uint32_t id, const struct fc_get_many *get);
int fc_encode_simple(struct fc_buf *buf, enum fc_type type,
                     uint32_t id); /* ping, shutdown and their replies */
int fc_encode_stats(struct fc_buf *buf, uint32_t id, struct fc_str name_space);
int fc_encode_clear(struct fc_buf *buf, uint32_t id, const struct fc_clear *clear);
int fc_encode_list(struct fc_buf *buf, uint32_t id, const struct fc_list *list);
int fc_encode_trace(struct fc_buf *buf, uint32_t id, const struct fc_trace *trace);
int fc_encode_give_up(struct fc_buf *buf, uint32_t id, const struct fc_give_up *give_up);
int fc_encode_page(struct fc_buf *buf, enum fc_type type, uint32_t id, const struct fc_page *page);
int fc_encode_ring(struct fc_buf *buf, uint32_t id, const struct fc_ring_request *ring);
int fc_encode_kill(struct fc_buf *buf, uint32_t id, uint64_t client_id);
int fc_encode_snapshot(struct fc_buf *buf, uint32_t id, uint32_t action);
int fc_encode_set(struct fc_buf *buf, uint32_t id, const struct fc_set *set);
int fc_encode_delete(struct fc_buf *buf, uint32_t id, const struct fc_delete *delete);
int fc_encode_usage(struct fc_buf *buf, uint32_t id, const struct fc_usage *usage);
int fc_encode_watch(struct fc_buf *buf, uint32_t id, const struct fc_watch *watch);
int fc_encode_events(struct fc_buf *buf, uint32_t id, const struct fc_events_request *events);
int fc_encode_latency(struct fc_buf *buf, uint32_t id, bool reset);
int fc_encode_slowest(struct fc_buf *buf, uint32_t id, const struct fc_slowest *slowest);
int fc_encode_tier(struct fc_buf *buf, uint32_t id, const struct fc_tier_request *tier);

int fc_encode_welcome(struct fc_buf *buf, uint32_t id, const struct fc_welcome *welcome);
int fc_encode_miss(struct fc_buf *buf, uint32_t id, uint64_t clear_generation);
int fc_encode_miss_lease(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                         enum fc_lease_state lease); /* from version 3 on */
int fc_encode_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                       uint32_t value_size); /* value follows */
/* The hit that ends a wait. The value follows, and then the byte FC_HIT_WAITED. */
int fc_encode_waited_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                              uint32_t value_size);
#define FC_HIT_WAITED UINT8_C(0xc3) /* msgpack's true */
int fc_encode_put_reply(struct fc_buf *buf, uint32_t id, enum fc_put_outcome outcome);
int fc_encode_put_many_reply(struct fc_buf *buf, uint32_t id,
                             const struct fc_put_many_reply *reply);
int fc_encode_given_up(struct fc_buf *buf, uint32_t id, uint32_t given_up);
int fc_encode_killed(struct fc_buf *buf, uint32_t id, bool killed);
int fc_encode_snapshot_reply(struct fc_buf *buf, uint32_t id,
                             const struct fc_snapshot_reply *reply);
int fc_encode_reload_reply(struct fc_buf *buf, uint32_t id, const struct fc_reload_reply *reply);
int fc_encode_set_reply(struct fc_buf *buf, uint32_t id, const struct fc_set_reply *reply);
int fc_encode_watching(struct fc_buf *buf, uint32_t id, const struct fc_watching *watching);
int fc_encode_cleared(struct fc_buf *buf, uint32_t id, uint64_t removed);
int fc_encode_deleted(struct fc_buf *buf, uint32_t id, bool existed);
int fc_encode_trace_reply(struct fc_buf *buf, uint32_t id, const struct fc_trace_reply *reply);
int fc_encode_ring_reply(struct fc_buf *buf, uint32_t id, const struct fc_ring_reply *reply);
int fc_encode_error(struct fc_buf *buf, uint32_t id, int code, struct fc_str text);

/* Messages with lists are made in pieces. The heads leave the frame's length open, and the caller
 * appends the elements. fc_frame_finish(buf, start, extra) then closes the frame that began at
 * offset `start`. Its length includes `extra` bytes of values that the caller sends itself. */
int fc_encode_put_many_head(struct fc_buf *buf, uint32_t id, const struct fc_put_many *put);
int fc_encode_get_many_reply_head(struct fc_buf *buf, uint32_t id,
                                  const struct fc_get_many_reply *reply); /* values.n, n_leases */
int fc_encode_leases(struct fc_buf *buf, const uint8_t *leases, uint32_t n); /* behind the values */
int fc_encode_bin_head(struct fc_buf *buf,
                       uint32_t size); /* the bytes follow, appended or sent from elsewhere */
int fc_encode_nil(struct fc_buf *buf);
int fc_encode_stats_reply_head(struct fc_buf *buf, uint32_t id);
int fc_encode_map_head(struct fc_buf *buf, uint32_t n);
int fc_encode_array_head(struct fc_buf *buf, uint32_t n);
int fc_encode_stat_uint(struct fc_buf *buf, const char *name, uint64_t value);
int fc_encode_stat_real(struct fc_buf *buf, const char *name, double value);
int fc_encode_stat_text(struct fc_buf *buf, const char *name, struct fc_str value);
/* `type` is the request's: list, leases, clients, namespaces, usage, or settings, which has no
 * cursor. */
int fc_encode_list_reply_head(struct fc_buf *buf, enum fc_type type, uint32_t id,
                              const uint8_t *cursor, uint32_t cursor_size, uint32_t n);
/* Events have no cursor. */
int fc_encode_events_reply_head(struct fc_buf *buf, uint32_t id, uint32_t n);
int fc_encode_list_entry(struct fc_buf *buf, const struct fc_list_entry *entry);
int fc_encode_lease_entry(struct fc_buf *buf, const struct fc_lease_entry *entry);
int fc_encode_client_entry(struct fc_buf *buf, const struct fc_client_entry *entry);
int fc_encode_namespace_entry(struct fc_buf *buf, const struct fc_namespace_entry *entry);
int fc_encode_usage_entry(struct fc_buf *buf, const struct fc_usage_entry *entry);
int fc_encode_event(struct fc_buf *buf, const struct fc_event *event);
int fc_encode_times_reply_head(struct fc_buf *buf, enum fc_type type, uint32_t id,
                               uint64_t period_ns, uint32_t n); /* of latency, slowest */
int fc_encode_latency_entry(struct fc_buf *buf, const struct fc_latency_entry *entry);
int fc_encode_setting_entry(struct fc_buf *buf, const struct fc_setting_entry *entry);
int fc_encode_slow_entry(struct fc_buf *buf, const struct fc_slow_entry *entry);
/* The rows follow: reply->servers.n of them. */
/* The rows follow: reply->servers.n of them. */
int fc_encode_tier_reply_head(struct fc_buf *buf, uint32_t id, const struct fc_tier_reply *reply);
int fc_encode_tier_server_entry(struct fc_buf *buf, const struct fc_tier_server_entry *entry);
void fc_frame_finish(struct fc_buf *buf, size_t start, size_t extra);

#endif
