/* fleet_clears.h - the clears and deletes of the fleet: makes them in the tier, and learns of those
 * that other nodes made.
 *
 * STEPS. A clear or a delete is a step: it raises the clear version of the tier, by a script, and
 * has a record in the log. A key's clear version is that of the latest clear whose scope has the
 * key (0: none), and is a part of its name in the tier (fleet_key.h). So values from before a clear
 * have names that no node reads any more. A delete writes a tombstone instead.
 *
 * LEARNING. A refresh reads the version, then the records behind the node's own version, applies
 * them to the local cache, and raises the node's version with each. It begins every
 * FLEET_CLEARS_POLL_NS, and when a fill has heard of a later version. A node that is too far behind
 * the log takes the whole table, and clears each scope whose version is above its own. If the log
 * may have lost deletes that the node does not know, it clears all. A clear that cannot start yet
 * is tried again: the refresh waits for it.
 *
 * ANOTHER TIER. The tier has a random id, and each step a random tag. A node that meets another id
 * than that of its cache clears its cache: it cannot know what was cleared meanwhile. A tier that
 * lost its id (it was emptied) gets back the table of the first node that notices. A tier that lost
 * steps (a failover) has another tag at the node's number: the node merges its table into the
 * tier's, as a step that clears all scopes of both. So no acknowledged clear is undone, at the
 * price of values.
 *
 * WITHOUT THE TIER. A step that the tier did not acknowledge is tried again until it is. Until then
 * this node reads no value of its keys from the tier: their clear version is above
 * FLEET_CLEARS_LOCAL, which no other node has.
 *
 * The version and the tags are in `saved`, which outlives the daemon with its cache.
 *
 * RULES. The struct must not move. Callbacks of the config are called by fleet_clears_tick and by
 * replies of the transport, and by no other function; they must not call back. Times are
 * CLOCK_MONOTONIC. One thread. */
#ifndef FC_DAEMON_FLEET_CLEARS_H
#define FC_DAEMON_FLEET_CLEARS_H

#include "daemon/base/log.h"
#include "daemon/fleet/fleet_io.h"
#include "daemon/fleet/fleet_key.h"
#include "daemon/fleet/fleet_records.h"
#include "daemon/fleet/fleet_scopes.h"
#include "daemon/store/totals.h"
#include "proto/wire/message.h"

#define FLEET_CLEARS_POLL_NS UINT64_C(500000000)
#define FLEET_CLEARS_LOCAL (UINT64_C(1) << 63)
/* Steps without a client that the tier has not acknowledged. One more makes them a clear of all. */
#define FLEET_STEPS_MAX 64u
/* In the tier: longer than any computation that began before the delete. */
#define FLEET_TOMBSTONE_MS UINT64_C(3600000)

struct fleet_clears_config {
  struct fleet_io *io;        /* borrowed, as every pointer here */
  struct log *log;            /* NULL: none */
  struct tier_version *saved; /* of the cache */
  struct fc_str prefix;       /* valid; outlives the struct */
  uint64_t node;              /* random, not 0 */
  uint64_t seed;              /* of ids and tags: random */
  uint64_t deadline_ns;       /* of an operation; may change at any time */
  bool writes;                /* the node may write to the tier */
  /* Whether the namespace uses the tier. Others are cleared by clears of all namespaces only.
   * NULL: all. */
  bool (*selects)(void *arg, struct fc_str name_space);
  /* Starts a clear of the local cache, which takes effect at once. Returns false if too many run:
   * it is called again. */
  bool (*clear)(void *arg, const struct fc_select *select, uint64_t now_ns);
  /* Deletes a key in the local cache. */
  void (*delete)(void *arg, struct fc_str name_space, const struct fc_key *key, uint64_t now_ns);
  /* Steps have changed their state. NULL: none. */
  void (*stepped)(void *arg);
  /* Returns the stamp for a tombstone (fleet_stamp). */
  uint64_t (*stamp)(void *arg, uint64_t now_ns);
  /* A node, which may be this one, has another manifest than the fleet for a namespace. NULL: none.
   */
  void (*manifest_differs)(void *arg, struct fc_str name_space, uint64_t node);
  void *arg; /* of all */
};

struct fleet_step;
struct fleet_manifest;
#define FLEET_MANIFESTS_KNOWN 64u /* that are not compared again */

/* What a refresh does. */
enum fleet_refresh {
  FLEET_REFRESH_NONE,
  FLEET_REFRESH_VERSION, /* reads the version */
  FLEET_REFRESH_LIST,    /* reads records of the log */
  FLEET_REFRESH_TABLE,   /* reads the table */
  FLEET_REFRESH_MERGE,   /* writes the table */
  FLEET_REFRESH_APPLY,   /* applies `batch` */
  FLEET_REFRESH_ENDS,    /* at the next tick, with `ok` */
};

/* The texts of a merge. */
struct fleet_merge_args {
  char id[FLEET_HEX_SIZE], tag[FLEET_HEX_SIZE], node[FLEET_HEX_SIZE], seen[FLEET_ID_SIZE + 1];
  char number[24];
};

struct fleet_clears {
  uint64_t newest; /* the version up to which the node knows all steps */
  /* Called when the refresh that fleet_clears_heard began has ended: the table is as new as that
   * reply, and what it cleared was applied to store and leases; or it failed (`ok` false). Never
   * called by fleet_clears_heard. Set by fleet_init. NULL: none. */
  void (*refreshed)(void *arg, bool ok, uint64_t now_ns);
  void *refreshed_arg;

  /* counts, read by all */
  uint64_t learned; /* clears and deletes of other nodes that were applied */
  uint64_t heals;   /* merges */

  /* private to the fleet_clear*.c */
  struct fleet_clears_config config;
  struct fleet_key hash_key, log_key;
  struct tier_version own; /* of `newest`; as config.saved */
  bool is_known;           /* the table has been read: of tier own.id */
  bool had_deletes;        /* among the steps that this node knows */
  struct fleet_scopes scopes;
  uint64_t random;
  struct {
    enum fleet_refresh at;
    bool is_asked;    /* `refreshed` is called at the end */
    bool takes_table; /* the batch ends with `next` as the table, and `target` */
    bool is_flying;   /* the op is the transport's */
    bool ok;
    unsigned rounds; /* so far */
    uint64_t from;   /* number behind which records are read */
    uint64_t wanted; /* the highest version that was heard */
    struct tier_version seen, target;
    struct fleet_scopes next;
    struct fleet_op op;
    struct fleet_merge_args merge;
    char *text;  /* owned: of a merge */
    char *batch; /* owned: records, each with a NUL behind it */
    size_t batch_size, batch_capacity, applied;
    uint64_t apply_ns; /* when `batch` is applied further */
    uint64_t none_ns;  /* since when the tier has no id; 0: it has one */
    bool has_deletes;  /* there were deletes before the target */
    bool is_damaged;   /* the tier's table is not valid, and this was logged */
    bool is_healing;   /* a merge was logged */
  } refresh;
  struct fleet_step *steps; /* owned */
  unsigned n_detached;
  struct fleet_manifest *manifests;                     /* owned: on their way */
  uint64_t compared[FLEET_MANIFESTS_KNOWN], n_compared; /* hashes of namespace and manifest */
  uint64_t poll_ns, retry_ns;                           /* when they are due; UINT64_MAX: never */
};

/* `clears` is zero, but for `refreshed`. Takes what *config->saved has. */
void fleet_clears_init(struct fleet_clears *clears, const struct fleet_clears_config *config);

/* Return the most memory that the clears take, and what they take now. */
size_t fleet_clears_bytes_max(void);
size_t fleet_clears_bytes(const struct fleet_clears *clears);

/* Cancels all operations and frees everything. No step is in use. Idempotent. */
void fleet_clears_deinit(struct fleet_clears *clears);

/* Does what is due. Call it at fleet_clears_next_ns. */
void fleet_clears_tick(struct fleet_clears *clears, uint64_t now_ns);
uint64_t fleet_clears_next_ns(const struct fleet_clears *clears);

/* ---- for the fills ---- */

/* Returns the clear version of a key. */
uint64_t fleet_clears_version_of(const struct fleet_clears *clears, struct fc_str name_space,
                                 const struct fc_key *key);

/* Returns the clear version up to which the table knows all clears and deletes. */
uint64_t fleet_clears_newest(const struct fleet_clears *clears);

/* Makes a FLEET_OP_VERSION of `op`, except for `done` and the deadline. `op` borrows from `clears`.
 */
void fleet_clears_version_op(const struct fleet_clears *clears, struct fleet_op *op);

/* Takes a reply to a FLEET_OP_VERSION with the status OK or NONE. Returns true if the table is as
 * new. Else returns false, and begins a refresh if none is in progress: `refreshed` follows. A
 * refresh in progress may have begun before this reply, and then continues until it has the version
 * of this one. */
bool fleet_clears_heard(struct fleet_clears *clears, const struct fleet_reply *reply,
                        uint64_t now_ns);

/* ---- for requests that clear and delete ---- */

enum fleet_step_state {
  FLEET_STEP_RUNS,
  FLEET_STEP_DONE,   /* the tier has it, and this node's version is as high */
  FLEET_STEP_FAILED, /* the tier did not acknowledge it; it is tried again */
};

/* Begin a step. config.stepped follows when its state changes. They return NULL without memory.
 * The caller applies the step to the local cache after it is done or has failed, and then ends it.
 */
struct fleet_step *fleet_clears_clear(struct fleet_clears *clears, const struct fc_select *select,
                                      uint64_t now_ns);
struct fleet_step *fleet_clears_delete(struct fleet_clears *clears, struct fc_str name_space,
                                       const struct fc_key *key, uint64_t now_ns);

#define FLEET_STEP_TEXT_SIZE 160u
enum fleet_step_state fleet_step_state(const struct fleet_step *step);
/* Returns why it failed: one line, valid until the step ends. */
const char *fleet_step_text(const struct fleet_step *step);

/* The caller does not use the step any more. One that is not done goes on, and is then also applied
 * to the local cache, as one of another node. */
void fleet_step_end(struct fleet_clears *clears, struct fleet_step *step);

/* Compares a namespace's manifest with the fleet's, which it becomes if there is none. All nodes
 * learn of a difference: config.manifest_differs. Does nothing while the tier is not known, and for
 * one that was compared lately. Copies its arguments. */
void fleet_clears_manifest(struct fleet_clears *clears, struct fc_str name_space,
                           struct fc_str text, uint64_t now_ns);

#endif
