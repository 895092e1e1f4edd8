/* fleet_queue_internal.h - shared by the files of the write queue: fleet_queue.c has the writes by
 * key and by time, fleet_queue_send.c sends them and takes the replies. */
#ifndef FC_DAEMON_FLEET_QUEUE_INTERNAL_H
#define FC_DAEMON_FLEET_QUEUE_INTERNAL_H

#include "daemon/fleet/fleet_queue.h"

enum write_step {
  WRITE_PUBLISH, /* SET NX */
  WRITE_LOOK,    /* the tier has something: what? */
  WRITE_REPLACE,
};

struct fleet_write {
  struct fleet_op op;
  struct fleet_queue *queue;
  struct fleet_write_list *list;
  struct fleet_write *next, *prev; /* of the list */
  struct fleet_write *next_in_bucket;
  enum write_step step;
  bool keep_first;
  bool passed;      /* it was sent once */
  bool was_refused; /* the last attempt, by an error of the tier */
  bool is_obsolete; /* in flight, and its key has a second write */
  struct fc_hash hash;
  uint64_t version, known_version, generation, stamp;
  uint64_t queued_ns, retry_ns;
  void *owner;
  struct fleet_key name;
  char ttl_ms[24];
  uint32_t seen_size;
  uint8_t seen[FLEET_VALUE_HEAD];
  size_t size;    /* of the data */
  uint8_t data[]; /* head and value, as they are sent */
};

void fleet_write_append(struct fleet_write_list *list, struct fleet_write *write);
void fleet_write_unlist(struct fleet_write *write);

/* Tells the owner, if there is one, that the write was sent or will not be. */
void fleet_write_pass(struct fleet_write *write, uint64_t now_ns);

/* Frees a write that is in no list. */
void fleet_write_discard(struct fleet_write *write);

/* Does so for a write that the tier does not get: counts it, and marks its key as own, because the
 * tier may have an older value than this node. */
void fleet_write_drop(struct fleet_write *write, uint64_t *count, uint64_t now_ns);

#endif
