/* fleet_internal.h - shared by the files of the fills: fleet.c has what requests call,
 * fleet_fills.c finds fills and keeps their times and sessions, fleet_ask.c asks the tier for a
 * value and for the clear version, fleet_hold.c takes, renews and releases fleet leases and waits
 * for other nodes. */
#ifndef FC_DAEMON_FLEET_INTERNAL_H
#define FC_DAEMON_FLEET_INTERNAL_H

#include "daemon/fleet/fleet.h"

#define FLEET_OFFER_NS UINT64_C(1000000000)  /* OFFERED without an owner of the local lease */
#define FLEET_LONELY_NS UINT64_C(1000000000) /* REMOTE without a local waiter */
#define FLEET_ATTEMPTS_MAX 4u /* reads of one fill, each under another clear version */
/* A value that came before the clear version of the tier is kept up to these bounds. Beyond, it is
 * read again. */
#define FLEET_KEPT_EACH_MAX (64u << 10)
#define FLEET_KEPT_ALL_MAX (4u << 20)

#define FLEET_TOKEN_SIZE 40u
#define FLEET_NUMBER_SIZE 24u

enum fill_state {
  FILL_ASKING,  /* as fleet.h says */
  FILL_LEASING, /* also between the reply of ASKING and the request for the lease */
  FILL_OFFERED,
  FILL_HELD,
  FILL_REMOTE,
  /* The next two are in no bucket: their key may have a new fill. */
  FILL_RELEASING, /* the fleet lease is to be released, once the write of the value was sent */
  FILL_ENDED,     /* waits for the reply to its op, or for the next tick */
  FILL_STATES
};

/* One request for the clear version, by all fills that began before it was sent. */
struct fleet_round {
  struct fleet_op op;
  struct fleet *fleet;
  struct fleet_fill *first; /* by next_in_round */
  struct fleet_round *next, *prev;
};

struct fleet_fill {
  struct fleet_op op; /* first. One at a time: */
  bool flying;        /* it is the transport's */
  struct fleet *fleet;
  struct namespace *ns; /* held */
  struct fc_key key;    /* its names point into `names` */
  uint64_t digest;      /* of the lease table */
  struct fc_hash hash;  /* of the tier */
  enum fill_state state;
  uint64_t began_ns;
  uint64_t version;    /* of `value_name`, and: */
  uint64_t generation; /* of the store, when the version was taken */
  uint32_t attempts;
  bool is_late;              /* its sessions went on at the deadline */
  bool version_known;        /* the tier has no clear that this node does not know */
  bool is_read;              /* ASKING: the read has ended, and its value is kept */
  bool read_lost;            /* its value was too large to be kept */
  bool has_lease;            /* the fleet lease is ours, as far as is known */
  bool is_overtaken;         /* a local put came: what is read now may be older than that */
  bool is_writing;           /* the write of its value was not sent yet */
  uint64_t asked_ns;         /* when the fleet lease was requested last */
  struct fleet_polls polls;  /* REMOTE */
  uint64_t lonely_since_ns;  /* REMOTE: the last time that it had a waiter */
  uint64_t renewed_ns;       /* the fleet lease: taken, or last requested */
  const struct lease *lease; /* the local lease of the key; NULL: none */
  struct fleet_round *round; /* NULL: in none */
  struct fleet_fill *next_in_round, *prev_in_round;
  struct fleet_waiter *first_waiter, *last_waiter;
  uint64_t due_ns;                /* when fill_timer has something to do */
  struct timer_heap_entry timer;  /* at due_ns, or earlier if the op in flight is lost then */
  struct fleet_fill *next, *prev; /* of all */
  struct fleet_fill *next_in_bucket;
  uint8_t *kept; /* owned; of the read */
  size_t kept_size;
  uint32_t seen_size; /* of a damaged value or a tombstone, which a put may replace */
  uint8_t seen[FLEET_VALUE_HEAD];
  struct fleet_key value_name, lease_name;
  char token[FLEET_TOKEN_SIZE];
  uint32_t token_size;
  char lease_ms[FLEET_NUMBER_SIZE];
  char names[];
};

/* ---- fleet_fills.c ---- */

/* Returns the key's fill that has not ended, or NULL. */
struct fleet_fill *fill_find(const struct fleet *fleet, const struct namespace *ns, uint64_t digest,
                             const struct fc_key *key);

/* Makes a fill in the state ASKING, with its version, its generation and the key's local lease, if
 * there is one. Returns NULL at the bound, or
 * if memory is out. */
struct fleet_fill *fill_new(struct fleet *fleet, struct namespace *ns, uint64_t digest,
                            const struct fc_key *key, const struct fc_hash *hash, uint64_t now_ns);

/* Takes the key's present clear version and the store's generation, and writes the names. */
void fill_set_version(struct fleet_fill *fill);

void fill_set_state(struct fleet_fill *fill, enum fill_state state);
void fill_set_timer(struct fleet_fill *fill, uint64_t at_ns);
void fill_stop_timer(struct fleet_fill *fill);

void fill_park(struct fleet_fill *fill, struct fleet_waiter *waiter, uint64_t now_ns);
void fill_unpark(struct fleet_waiter *waiter);
void fill_resume_all(struct fleet_fill *fill);

/* Removes the fill from its bucket, and its sessions from the fill: they run again. */
void fill_leave(struct fleet_fill *fill);

/* Does that, and ends the fill: fleet_tick frees it, or its op when it ends. The fleet lease is not
 * ours. Touches neither leases nor namespaces, so that fleet_lease_changed may call it. */
void fill_end(struct fleet_fill *fill);

/* Frees an ended fill without a flying op, and releases its namespace. */
void fill_free(struct fleet_fill *fill);

/* Fills in what all ops of the fill share, and submits op. Returns false if the tier cannot be
 * asked. */
bool fill_submit(struct fleet_fill *fill, uint64_t now_ns);

/* The op has ended: call it first in `done`. Returns false, with the fill freed, if it has ended.
 */
bool fill_landed(struct fleet_fill *fill);

/* ---- fleet_ask.c ---- */

/* Requests the version and the value. Returns false if the tier cannot be asked. */
bool fill_ask(struct fleet_fill *fill, uint64_t now_ns);

/* Removes the fill from its round. */
void fill_leave_round(struct fleet_fill *fill);

/* For fleet_clears->refreshed. `arg` is the fleet. */
void fleet_refreshed(void *arg, bool ok, uint64_t now_ns);

enum fill_found {
  FILL_STORED,    /* the value is stored, or the store had one: local waits have ended */
  FILL_NOTHING,   /* there is none, or one that is not served. A put may replace fill->seen */
  FILL_STALE,     /* it was cleared meanwhile */
  FILL_NO_ROOM,   /* it cannot be stored here */
  FILL_OVERTAKEN, /* a local put came first */
};

/* Examines what a read returned, and stores it. The state must allow that the local lease ends. */
enum fill_found fill_take(struct fleet_fill *fill, const void *data, size_t size, uint64_t now_ns);

/* Ends all rounds: fleet_deinit. */
void fleet_end_rounds(struct fleet *fleet);

/* ---- fleet_hold.c ---- */

/* The tier has no value: takes the fleet lease. */
void fill_lease(struct fleet_fill *fill, uint64_t now_ns);

/* Ends the fill, and releases the fleet lease if it is ours. As fill_end. */
void fill_finish(struct fleet_fill *fill, uint64_t now_ns);

/* The write of the fill's value was sent, or dropped. `arg` is the fleet, `owner` the fill. */
void fill_written(void *arg, void *owner, uint64_t now_ns);

/* The local lease has an owner, or none any more. */
void fill_lease_begins(struct fleet_fill *fill, const struct lease *lease, uint64_t now_ns);
void fill_lease_ends(struct fleet_fill *fill, enum lease_change change, uint64_t now_ns);

/* The time of a fill's timer has come. May free the fill. */
void fill_timer(struct fleet_fill *fill, uint64_t now_ns);

static inline void fleet_tell_waits(const struct fleet *fleet) {
  if (fleet->config.waits_due != NULL && fleet->config.leases->due > 0)
    fleet->config.waits_due(fleet->config.arg);
}

#endif
