/* ring_reader.h - the daemon's side of one client's ring: makes the memory, and reads records from
 * it without trust. proto/shm/ring_layout.h has the layout. The client's side is
 * client/lib/shm/ring_writer.h.
 *
 * A reader only reads. hits.h applies the records, and rings.h decides when they are read. The
 * client may write anything anywhere in the memory at any time, so the reader loads each word of
 * the header once and copies each slot before it examines it.
 *
 * Positions count slots since the ring was made: tail <= at <= head, and head - tail <= n_slots.
 * One thread. */
#ifndef FC_DAEMON_RING_READER_H
#define FC_DAEMON_RING_READER_H

#include <stdbool.h>

#include "proto/shm/ring_layout.h"

#define RING_READER_BATCH 32u /* the most hits that one call reads */

/* An op, a view, and a probe or none. op_size 0: the context is not defined. */
struct ring_context {
  uint8_t op_size, view_size, probe_size;
  char names[3 * FC_NAME_MAX]; /* op, view and probe, without padding */
};

/* A checked record. */
struct ring_hit {
  struct fc_ring_hit record;          /* a copy */
  const struct ring_context *context; /* borrowed until the next ring_reader_next */
};

struct ring_reader {
  int fd;         /* for the client; -1 after ring_reader_close_fd */
  uint64_t bytes; /* of the mapping */
  uint32_t n_slots;
  uint64_t tail; /* as the client was last shown it */
  uint64_t at;   /* the next slot to read */
  uint64_t head; /* as ring_reader_load_head last found it */
  bool
      knows_state; /* the client reads header->state. The owner sets it, before the client has fd */
  bool is_replaced;                    /* the client has another ring. The owner sets it */
  bool is_punched;                     /* the memory of the slots is given back */
  uint64_t punched_at;                 /* `head` at that time */
  uint64_t unrecorded, max_unrecorded; /* the client's counter: as last loaded, and the maximum */
  struct fc_ring_header *header;
  const uint8_t *slots;
  struct ring_context contexts[FC_RING_CONTEXTS];
};

/* Makes a ring of `n_slots` (a power of two within the layout's bounds). All of its memory is
 * allocated and its size sealed, so that no access raises SIGBUS. Returns 0, FC_ENOMEM, or
 * FC_EREFUSED where the kernel has no such files. */
int ring_reader_init(struct ring_reader *reader, uint32_t n_slots);
void ring_reader_close_fd(struct ring_reader *reader); /* idempotent */
void ring_reader_deinit(struct ring_reader *reader);   /* idempotent */

/* Loads the head. Returns 0, or FC_EPROTOCOL if the client stored an impossible one. Then *why is a
 * static string, and reader->head is unchanged. */
int ring_reader_load_head(struct ring_reader *reader, const char **why);

/* Returns whether ring_reader_load_head would find another head, or ring_reader_load_unrecorded
 * another count. */
static inline bool ring_reader_has_news(const struct ring_reader *reader) {
  const struct fc_ring_header *header = reader->header;
  /* Relaxed: a caller that acts on the result loads both words again. */
  return atomic_load_explicit(&header->head, memory_order_relaxed) != reader->head ||
         atomic_load_explicit(&header->unrecorded, memory_order_relaxed) != reader->unrecorded;
}

/* Loads the client's counter of hits that it could not record. Returns how far it rose above its
 * former maximum. The client may store any number there. */
uint64_t ring_reader_load_unrecorded(struct ring_reader *reader);

/* Returns whether the record at reader->at, which exists, is a hit, and stores when that was
 * served. The client may still overwrite the slot before it is read. */
bool ring_reader_peek(const struct ring_reader *reader, uint64_t *end_ns);

/* Reads up to `room` hits (at most RING_READER_BATCH), in order, and none served after `until_ns`.
 * At least one record is read, a hit or a context, so that each call advances. *n may be 0 because
 * contexts take no place in `hits`. Returns 0, or FC_EPROTOCOL if the record at reader->at is
 * malformed. Then *n is 0 and *why is a static string. */
int ring_reader_next(struct ring_reader *reader, uint64_t until_ns, struct ring_hit *hits,
                     size_t room, size_t *n, const char **why);

/* Lets the client reuse all slots before reader->at. */
void ring_reader_release(struct ring_reader *reader);

/* Stores the state that the client reads before it writes a record: FC_RING_* bits. */
void ring_reader_set_state(struct ring_reader *reader, uint32_t state);

/* Gives the memory of the slots back to the system, when all published records have been read. It
 * keeps the slots of one record, which a stopped client may still write. From then on a head beyond
 * that record is an error of ring_reader_load_head. Returns false if the kernel keeps the memory.
 * Then nothing has changed. */
bool ring_reader_punch(struct ring_reader *reader);

/* Gives the memory back when the connection has ended, because the client may keep its mapping. The
 * header and the slots of one record stay readable for the client, unless another ring has replaced
 * this one. Before it, the client is shown FC_RING_ENDED and the ring is read. Idempotent. */
void ring_reader_give_back(struct ring_reader *reader);

/* The names of a hit, borrowed from its context. */
static inline struct fc_str ring_hit_op(const struct ring_hit *hit) {
  return (struct fc_str){hit->context->names, hit->context->op_size};
}
static inline struct fc_str ring_hit_view(const struct ring_hit *hit) {
  return (struct fc_str){hit->context->names + hit->context->op_size, hit->context->view_size};
}
static inline struct fc_str ring_hit_probe(const struct ring_hit *hit) {
  const struct ring_context *context = hit->context;
  if (context->probe_size == 0)
    return (struct fc_str){0};
  return (struct fc_str){context->names + context->op_size + context->view_size,
                         context->probe_size};
}

#endif
