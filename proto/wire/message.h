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

#include "proto/key.h"
#include "proto/wire/buf.h"

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
  FC_REPLY = 0x40, /* the reply to type T is FC_REPLY | T */
  FC_ERROR = 0x7f, /* the reply to any request that failed */
};

/* Flags of get, put, get_many and put_many. Unknown bits are ignored. */
enum fc_flags {
  FC_UNRECORDED = 1u << 0, /* no counter, no trace line */
  FC_KEEP_FIRST = 1u << 1, /* put: an entry that is there stays (and is promoted) */
  FC_LEASE = 1u << 2, /* get, get_many: what misses is to be computed here, if by nobody else */
};

/* ---- requests ---- */

/* [1, id, version_min, version_max, client, namespace|nil, max_entries|nil,
 *  region_layout (from version_max 2 on), manifest|nil (from version_max 4 on),
 *  max_bytes|nil (from version_max 5 on)] */
struct fc_hello {
  uint32_t version_min, version_max;
  struct fc_str client;
  struct fc_str name_space; /* none: a tool that does no gets or puts */
  bool has_max_entries;
  int64_t max_entries;    /* any integer: the daemon refuses what is not positive */
  uint32_t region_layout; /* of the region that the client can read; 0: it wants none */
  struct fc_str manifest; /* of the namespace: what its numbers depend on; none: leave it */
  bool has_max_bytes;
  uint64_t max_bytes; /* of the namespace's entries, as they are charged: the daemon refuses 0 */
};

/* What a get may ask for beside the value; all zero: nothing. Sent where has_terms says so, which
 * is from version 3 on: all of the terms, or none. */
struct fc_lease_terms {
  uint32_t lease_ms; /* how long the computation may take; 0: FC_LEASE_MS_DEFAULT. FC_LEASE alone */
  uint32_t wait_ms;  /* how long to wait for another client's; 0: not at all. get alone */
};

/* [2, id, flags, op, view, top_k, prompt(bin 16), probe|nil, lease_ms, wait_ms (these two from
 *  version 3 on)] */
struct fc_get {
  uint32_t flags;
  struct fc_key key;
  struct fc_str probe;
  bool has_terms;
  struct fc_lease_terms terms;
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

/* [4, id, flags, op, view, top_k, prompts(bin 16*n), probe|nil, lease_ms (from version 3 on)],
 * n >= 1 */
struct fc_get_many {
  uint32_t flags;
  struct fc_key key; /* .prompt unused */
  struct fc_str probe;
  const uint8_t *prompts; /* n times FC_HASH_SIZE bytes */
  uint32_t n;
  bool has_terms;
  struct fc_lease_terms terms; /* .wait_ms unused */
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
  struct fc_str path; /* 1 to 4095 bytes without NUL; with ON alone */
};

/* [12, id, op|nil, view|nil, top_k, prompts(bin 16*n)|nil] give_up: leases on these keys that the
 * client has; with op nil, as are then view and prompts, all that it has, and its waits with them
 */
struct fc_give_up {
  struct fc_key key; /* .prompt unused; .op none: all */
  const uint8_t *prompts;
  uint32_t n;
};
/* [13, id, namespace|nil (all), limit, cursor] leases: the oldest first */
/* [14, id, namespace|nil (all), limit, cursor] clients: in the order in which they connected */
/* [15, id, namespace|nil (all), limit, cursor] namespaces (from version 4 on): the oldest first */
struct fc_page {
  struct fc_str name_space;
  uint32_t limit; /* at least 1 */
  const uint8_t *cursor;
  uint32_t cursor_size; /* 0 to 64; 0: start */
};
/* [17, id, client_id] kill (from version 5 on): closes that connection */

/* [16, id, region_layout, want_slots] ring (from version 5 on): another ring */
struct fc_ring_request {
  uint32_t region_layout; /* as in hello */
  uint32_t want_slots;    /* a larger ring than the client has, of up to so many slots; 0: a fresh
                             one of the ordinary size, whatever it has */
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
    struct fc_give_up give_up;
    struct fc_page page; /* leases, clients, namespaces */
    struct fc_ring_request ring;
    uint64_t kill; /* a client_id */
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
/* Whether somebody computes what is a miss. */
enum fc_lease_state {
  FC_LEASE_NONE = 0,    /* compute it for yourself: no lease was asked for or could be had, or the
                           wait is over, or the client holds a lease and may not wait */
  FC_LEASE_GRANTED = 1, /* it is yours to compute: put it, or give it up */
  FC_LEASE_TAKEN = 2,   /* another client computes it: ask again, and wait */
};
/* [0x42, id, clear_generation, value|nil, lease (of a nil, from version 3 on)] */
struct fc_get_reply {
  uint64_t clear_generation;
  const uint8_t *value; /* NULL: a miss */
  uint32_t value_size;
  enum fc_lease_state lease; /* of a miss */
  bool waited;               /* of a hit: the get waited for another connection's put */
  bool has_more;             /* the reply has a third field: the lease or `waited` */
};
/* [0x43, id, outcome] */
enum fc_put_outcome {
  FC_STORED = 0,
  FC_KEPT = 1,
  FC_STALE = 2
}; /* KEPT: another was there first */
/* [0x44, id, clear_generation, first (index), last (bool), values(array of bin|nil), leases(bin, an
 *  fc_lease_state for each nil, in order)]: one or more parts that together have every index once,
 * in order. `leases` is there where FC_LEASE was asked for and the part has a nil. */
struct fc_get_many_reply {
  uint64_t clear_generation;
  uint32_t first;
  bool last;
  struct fc_bins values;
  const uint8_t *leases; /* n_leases bytes, each a valid fc_lease_state; NULL: none were sent */
  uint32_t n_leases;     /* the number of nils, or 0 */
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
/* [0x4c, id, given_up]: how many leases the client had of these */
/* [0x4d, id, cursor, leases(array of [namespace, op, view, prompt, top_k, client_id, client, pid,
 *  held_ns, left_ns, waits])] */
struct fc_lease_entry {
  struct fc_str name_space;
  struct fc_key key;
  uint64_t client_id;
  struct fc_str client;
  int64_t pid;      /* 0: of another pid namespace */
  uint64_t held_ns; /* since it was granted */
  uint64_t left_ns; /* of its term */
  uint32_t waits;   /* clients that wait for it */
};
/* [0x4e, id, cursor, clients(array of [client_id, client, pid, uid, namespace|nil, region (bool),
 *  connected_ns, hits, shared_hits, leases, held, waits, wait, user (from version 5 on)])], where
 * `held` is nil or [op, view, prompt, top_k], `wait` nil or [op, view, prompt, top_k, waited_ns,
 * client_id, client, pid] and `user` nil or [connections, namespaces, leases, waits, ring_bytes,
 * message_bytes, manifest_bytes] */
/* What all clients of one user hold. */
struct fc_user_entry {
  uint64_t connections, namespaces, leases, waits, ring_bytes, message_bytes, manifest_bytes;
};
struct fc_wait_entry {
  struct fc_key key;
  uint64_t waited_ns;
  uint64_t owner_id; /* of the connection that computes the key */
  struct fc_str owner;
  int64_t owner_pid;
};
struct fc_client_entry {
  uint64_t client_id;
  struct fc_str client;
  int64_t pid; /* 0: of another pid namespace */
  uint32_t uid;
  struct fc_str name_space; /* none: a tool */
  bool region;              /* it serves its own hits */
  uint64_t connected_ns;    /* since its hello */
  uint64_t hits, shared_hits;
  uint32_t leases;           /* that it holds */
  struct fc_key held;        /* the oldest of them; .op none: it holds none */
  uint32_t waits;            /* keys that it waits for */
  struct fc_wait_entry wait; /* the first of these waits; .key.op none: it waits for none */
  bool has_user;             /* it was sent */
  struct fc_user_entry user;
};
/* [0x4f, id, cursor, namespaces(array of [namespace, manifest|nil, entries, bytes, hits, misses,
 *  clients, idle_ns, max_bytes|nil (from version 5 on)])] */
struct fc_namespace_entry {
  struct fc_str name_space;
  struct fc_str manifest; /* none: no hello had one */
  uint64_t entries;
  uint64_t bytes; /* that count against max_bytes */
  uint64_t hits, misses;
  uint32_t clients;   /* now */
  uint64_t idle_ns;   /* since its last lookup, put or hello */
  uint64_t max_bytes; /* its own limit; 0: none, or the daemon is too old to say */
};
/* [0x50, id, namespace_id, client_id] */
struct fc_ring_reply {
  /* As in the welcome, with the same two descriptors beside the message; 0: no ring for now, and
   * the client keeps the one that it has, if any. */
  uint64_t namespace_id;
  uint64_t client_id;
};
/* [0x51, id, found (bool)]: there was such a client, and it is being closed */
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
    struct fc_list_reply list; /* list, leases, clients, namespaces */
    uint32_t given_up;
    bool killed;
    struct fc_trace_reply trace;
    struct fc_ring_reply ring;
    struct fc_error_reply error;
  };
};

/* ---- decoding ---- */

/* Where the body is malformed, *request still has the id if that could be read
 * (else 0), for the error reply. */
int fc_decode_request(const uint8_t *body, size_t size, struct fc_request *request);
/* The same for a body that fc_decode_request has taken before, and that has not changed: a long
 * list of values is not walked through again. */
int fc_decode_request_again(const uint8_t *body, size_t size, struct fc_request *request);
int fc_decode_reply(const uint8_t *body, size_t size, struct fc_reply *reply);

/* The same as fc_decode_reply for the first `have` bytes of a reply that ends with one value, of
 * which nothing need be there yet: a hit, or a part of a get_many with one hit. True: *reply is set
 * but for the value, which begins at *offset and has *value_size bytes to the body's end. False:
 * decode the whole. */
bool fc_decode_reply_head(const uint8_t *body, size_t have, uint32_t body_size,
                          struct fc_reply *reply, size_t *offset, uint32_t *value_size);

/* The next of a list; call at most n times, the one that belongs to the reply's type. */
void fc_list_next(struct fc_list_reply *list, struct fc_list_entry *entry);
void fc_leases_next(struct fc_list_reply *list, struct fc_lease_entry *entry);
void fc_clients_next(struct fc_list_reply *list, struct fc_client_entry *entry);
void fc_namespaces_next(struct fc_list_reply *list, struct fc_namespace_entry *entry);

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
int fc_encode_give_up(struct fc_buf *buf, uint32_t id, const struct fc_give_up *give_up);
int fc_encode_page(struct fc_buf *buf, enum fc_type type, uint32_t id, const struct fc_page *page);
int fc_encode_ring(struct fc_buf *buf, uint32_t id, const struct fc_ring_request *ring);
int fc_encode_kill(struct fc_buf *buf, uint32_t id, uint64_t client_id);

int fc_encode_welcome(struct fc_buf *buf, uint32_t id, const struct fc_welcome *welcome);
int fc_encode_miss(struct fc_buf *buf, uint32_t id, uint64_t clear_generation);
int fc_encode_miss_lease(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                         enum fc_lease_state lease); /* from version 3 on */
int fc_encode_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                       uint32_t value_size); /* value follows */
/* Of a hit that ends a wait: the value follows, and then the byte FC_HIT_WAITED. */
int fc_encode_waited_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                              uint32_t value_size);
#define FC_HIT_WAITED UINT8_C(0xc3) /* msgpack's true */
int fc_encode_put_reply(struct fc_buf *buf, uint32_t id, enum fc_put_outcome outcome);
int fc_encode_put_many_reply(struct fc_buf *buf, uint32_t id,
                             const struct fc_put_many_reply *reply);
int fc_encode_given_up(struct fc_buf *buf, uint32_t id, uint32_t given_up);
int fc_encode_killed(struct fc_buf *buf, uint32_t id, bool killed);
int fc_encode_cleared(struct fc_buf *buf, uint32_t id, uint64_t removed);
int fc_encode_trace_reply(struct fc_buf *buf, uint32_t id, const struct fc_trace_reply *reply);
int fc_encode_ring_reply(struct fc_buf *buf, uint32_t id, const struct fc_ring_reply *reply);
int fc_encode_error(struct fc_buf *buf, uint32_t id, int code, struct fc_str text);

/* Messages with lists are made in pieces. The heads leave the frame's length
 * open; fc_frame_finish(buf, start, extra) closes the frame that began at offset
 * `start`, counting `extra` bytes of values that are sent from elsewhere. */
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
/* `type` is the request's: list, leases, clients or namespaces. */
int fc_encode_list_reply_head(struct fc_buf *buf, enum fc_type type, uint32_t id,
                              const uint8_t *cursor, uint32_t cursor_size, uint32_t n);
int fc_encode_list_entry(struct fc_buf *buf, const struct fc_list_entry *entry);
int fc_encode_lease_entry(struct fc_buf *buf, const struct fc_lease_entry *entry);
int fc_encode_client_entry(struct fc_buf *buf, const struct fc_client_entry *entry);
int fc_encode_namespace_entry(struct fc_buf *buf, const struct fc_namespace_entry *entry);
void fc_frame_finish(struct fc_buf *buf, size_t start, size_t extra);

#endif
