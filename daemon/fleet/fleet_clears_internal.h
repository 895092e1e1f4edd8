/* fleet_clears_internal.h - what the files of fleet_clears.h share.
 *
 * fleet_clears.c   versions of keys, polls        fleet_refresh.c  reads version and log
 * fleet_steps.c    makes clears and deletes       fleet_table.c    reads the table
 * fleet_apply.c    applies to the local cache     fleet_merge.c    heals the table
 */
#ifndef FC_DAEMON_FLEET_CLEARS_INTERNAL_H
#define FC_DAEMON_FLEET_CLEARS_INTERNAL_H

#include "daemon/fleet/fleet_clear_scripts.h"
#include "daemon/fleet/fleet_clears.h"
#include "daemon/fleet/fleet_value.h"

/* A step on its way into the tier. */
enum fleet_step_stage {
  STEP_WAITS,  /* to be tried again at clears->retry_ns */
  STEP_GUARDS, /* delete: a first tombstone, behind which no reader of the log finds the value */
  STEP_SCRIPT, /* the script runs */
  STEP_LEARNS, /* waits until the node's version is that of the step */
  STEP_BURIES, /* delete: the tombstone with the number of the delete */
  STEP_ENDED,
};

struct fleet_step {
  struct fleet_op op; /* first: `done` finds the step by it */
  struct fleet_clears *clears;
  struct fleet_step *next;
  enum fleet_step_state state;
  enum fleet_step_stage stage;
  bool is_delete;
  bool is_detached; /* no request uses it */
  bool is_learned;  /* the node applies it to the local cache as a step of another node */
  bool is_flying;
  bool is_failed;          /* once: `local` counts until it has ended */
  uint64_t local;          /* the clear version of its keys meanwhile */
  uint64_t tag, number;    /* number 0: not known */
  uint64_t version;        /* delete: the clear version of the key, by which it has its name */
  struct fc_select select; /* points into `detail`. Delete: the namespace alone */
  struct fc_key key;       /* delete; likewise */
  struct fleet_text detail;
  struct fleet_key name; /* delete */
  uint8_t head[FLEET_VALUE_HEAD];
  char id[FLEET_HEX_SIZE], tag_text[FLEET_HEX_SIZE], node[FLEET_HEX_SIZE];
  char text[FLEET_STEP_TEXT_SIZE]; /* why it failed */
};

/* ---- fleet_clears.c ---- */

uint64_t fleet_clears_random(struct fleet_clears *clears); /* not 0 */

/* ---- fleet_refresh.c ---- */

/* Begins a refresh, unless one is in progress. */
void fleet_refresh_begin(struct fleet_clears *clears, uint64_t now_ns);
/* Goes on after refresh.seen was set. Calls no callback: the end is at the next tick. */
void fleet_refresh_compare(struct fleet_clears *clears, uint64_t now_ns);
/* Whether the node's version is that of the tier. */
bool fleet_refresh_is_equal(const struct fleet_clears *clears, const struct tier_version *seen);
/* Reads a reply to a VERSION. Returns false if it makes no sense. */
bool fleet_refresh_read(const struct fleet_reply *reply, struct tier_version *seen);
void fleet_refresh_submit(struct fleet_clears *clears, enum fleet_refresh at, uint64_t now_ns);
/* Reads the records behind refresh.from, and that one itself, of a log that ends with `number`. */
void fleet_refresh_read_list(struct fleet_clears *clears, uint64_t number, uint64_t now_ns);
/* Begins to apply the batch. */
void fleet_refresh_apply(struct fleet_clears *clears, uint64_t now_ns);
/* The refresh ends at the next tick with this result. */
void fleet_refresh_end(struct fleet_clears *clears, bool ok);
void fleet_refresh_tick(struct fleet_clears *clears, uint64_t now_ns);
void fleet_refresh_deinit(struct fleet_clears *clears);
/* The batch has been applied. */
void fleet_refresh_applied(struct fleet_clears *clears, uint64_t now_ns);

/* ---- fleet_merge.c, fleet_table.c ---- */

/* Writes the node's table into the tier, or makes an id for it if the node knows none. */
void fleet_refresh_merge(struct fleet_clears *clears, uint64_t now_ns);
void fleet_table_done(struct fleet_clears *clears, const struct fleet_reply *reply,
                      uint64_t now_ns);

/* ---- fleet_apply.c ---- */

#define FLEET_BATCH_BYTES_MAX (2u << 20) /* beyond it, a clear of all takes its place */

/* Adds a record to the batch. Returns false without memory. */
bool fleet_apply_add(struct fleet_clears *clears, char kind, uint64_t number, uint64_t tag,
                     uint64_t node, struct fc_str detail);
/* Adds a clear of all keys. */
bool fleet_apply_add_all(struct fleet_clears *clears);
/* Applies the records of the batch, as far as the local cache takes them now. */
void fleet_apply_step(struct fleet_clears *clears, uint64_t now_ns);

/* ---- fleet_steps.c ---- */

/* A refresh has ended: goes on with the steps that waited for it. */
void fleet_steps_refreshed(struct fleet_clears *clears, bool ok, uint64_t now_ns);
/* Ends the op of a step, if the transport lost it. */
void fleet_steps_end_lost(struct fleet_clears *clears, uint64_t now_ns);
/* Tries those again that wait. */
void fleet_steps_retry(struct fleet_clears *clears, uint64_t now_ns);
/* A record was read from the log. Returns true if it is of a step that its request applies. */
bool fleet_steps_heard(struct fleet_clears *clears, const struct fleet_record *record);
/* Returns the clear version of a key by the steps that the tier has not acknowledged, or 0. */
uint64_t fleet_steps_version_of(const struct fleet_clears *clears, struct fc_str name_space,
                                const struct fc_key *key);
void fleet_steps_deinit(struct fleet_clears *clears);

/* ---- fleet_manifests.c ---- */

void fleet_manifests_deinit(struct fleet_clears *clears);

#endif
