/* ring_reader.h - one client's ring as the daemon sees it: the memory, and a reader that
 * trusts nothing in it. The layout is proto/shm/ring_layout.h.
 *
 * Memory alone: what the records are good for is not decided here (hits.h), nor
 * when they are read (rings.h). The daemon's one thread, beside the client, which
 * may write anything anywhere at any time: each word is loaded once, and each slot
 * copied before it is looked at. */
#ifndef FC_DAEMON_RING_H
#define FC_DAEMON_RING_H

#include <stdbool.h>

#include "proto/shm/ring_layout.h"

#define RING_BATCH 32u /* hits that are read in one go */

/* What a context stands for: an op, a view, and a probe or none. */
struct ring_context {
  uint8_t op_size, view_size, probe_size; /* op_size 0: not defined */
  char names[3 * FC_NAME_MAX];            /* behind one another */
};

/* How far a ring is read, and the contexts that hold there. Zero it to start. */
struct ring_reader {
  uint64_t at;
  struct ring_context contexts[FC_RING_CONTEXTS];
};

/* A checked record. */
struct ring_hit {
  struct fc_ring_hit record;          /* a copy */
  const struct ring_context *context; /* borrowed until the reader reads on */
};

struct ring {
  int fd;         /* to hand to the client; -1: it was, see ring_close_fd */
  uint64_t bytes; /* of the mapping */
  uint32_t n_slots;
  uint64_t head; /* as ring_look last found it */
  uint64_t tail; /* as ring_release last stored it */
  /* the ring's own */
  struct fc_ring_header *header;
  const uint8_t *slots;
  bool knows_state; /* the client looks at the state; for who makes the ring to set */
  bool replaced;    /* the client has another one */
  bool punched;
  uint64_t punched_at; /* the head then */
  uint8_t *kept;       /* where ring_keep has copied the slots to; else NULL */
  uint64_t unrecorded; /* as ring_unrecorded last found it */
  uint64_t most_unrecorded;
};

/* Makes a ring of `n_slots` (a power of two within the layout's bounds): all of its memory is
 * allocated and the file sealed against any change of size, so that nobody gets SIGBUS. 0,
 * FC_ENOMEM, or FC_EREFUSED where the kernel gives no such file. */
int ring_init(struct ring *ring, uint32_t n_slots);
void ring_close_fd(struct ring *ring); /* idempotent */
void ring_deinit(struct ring *ring);

/* Loads the head, once. 0, or FC_EPROTOCOL where it is nonsense, and then *why says what is wrong,
 * as a text that lives for ever; ring->head is then as it was. */
int ring_look(struct ring *ring, const char **why);

/* Would ring_look find another head, or ring_unrecorded something? For who asks about many rings.
 */
static inline bool ring_has_news(const struct ring *ring) {
  /* Relaxed: what comes of it is loaded again, by ring_look. */
  return atomic_load_explicit(&ring->header->head, memory_order_relaxed) != ring->head ||
         atomic_load_explicit(&ring->header->unrecorded, memory_order_relaxed) != ring->unrecorded;
}

/* Of the record at reader->at, which there must be: is it a hit, and when was that served? As the
 * slot stands now; the client may write another before it is read. */
bool ring_peek(const struct ring *ring, const struct ring_reader *reader, uint64_t *end_ns);

/* Reads on up to `end` (ring->head as ring_look found it, or where another reader of the ring has
 * been): up to RING_BATCH hits, in order. Contexts take no place in `hits`; *n may be 0 although
 * reader->at is not at `end` yet. 0, or FC_EPROTOCOL with *why, and then *n is 0 and reader->at
 * stands at the record that is malformed. */
int ring_next(const struct ring *ring, struct ring_reader *reader, uint64_t end,
              struct ring_hit hits[RING_BATCH], size_t *n, const char **why);

/* The same, for `room` hits at most, and no further than to the first that was served after
 * `until_ns`. One record is read in any case, be it a hit or a context, so that each call gets on.
 */
int ring_next_until(const struct ring *ring, struct ring_reader *reader, uint64_t end,
                    uint64_t until_ns, struct ring_hit *hits, size_t room, size_t *n,
                    const char **why);

/* The client may use the slots before `at` again. */
void ring_release(struct ring *ring, uint64_t at);

/* Sets the word that the client looks at before it writes: FC_RING_* bits. */
void ring_set_state(struct ring *ring, uint32_t state);

/* Gives the memory of the slots back to the system: all but those into which a client that was
 * stopped within its record may still write it. All that was published has been read. From now on a
 * record that is published beyond that is a fault of ring_look. False: the kernel keeps the memory,
 * and nothing has changed. */
bool ring_punch(struct ring *ring);

/* The same at the end of a ring's use: a client that keeps the mapping does not keep our memory.
 * The header and a record that is under way stay for the client; unless another ring has taken the
 * place of this one (`replaced`): then all of it reads as zeros. Before it, a client that knows the
 * state is shown FC_RING_ENDED, and the ring is read. */
void ring_give_back(struct ring *ring);

/* The client's part in it is over: copies the slots from `from` up to `to`, which is what ring_next
 * can read from now on; tells the client that all before `to` was taken, and lets go of its memory.
 * After it nothing but ring_next and ring_deinit is for use. False: no memory for the copy, and
 * nothing has changed. */
bool ring_keep(struct ring *ring, uint64_t from, uint64_t to);

/* By how much the client's count of hits that it could not record has grown over all that it was
 * before. It is the client's word. */
uint64_t ring_unrecorded(struct ring *ring);

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
