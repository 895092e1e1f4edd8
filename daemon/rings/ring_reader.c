#include "daemon/rings/ring_reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/shm/torn_copy.h"

#define CONTEXT_HEAD sizeof(struct fc_ring_context)

/* ---- the memory ---- */

static int make_file(uint64_t bytes) {
  int fd = memfd_create("fcached-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return FC_EREFUSED;
  /* Allocated now: a page that is first touched when no memory is left would be a SIGBUS. */
  if (fallocate(fd, 0, 0, (off_t)bytes) < 0) {
    (void)close(fd); /* holds nothing yet */
    return FC_ENOMEM;
  }
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    (void)close(fd);
    return FC_EREFUSED;
  }
  return fd;
}

int ring_init(struct ring *ring, uint32_t n_slots) {
  *ring = (struct ring){.fd = -1, .n_slots = n_slots, .bytes = fc_ring_bytes(n_slots)};
  int fd = make_file(ring->bytes);
  if (fd < 0)
    return fd;
  void *base = mmap(NULL, ring->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    (void)close(fd); /* nobody else has it */
    return FC_ENOMEM;
  }
  ring->fd = fd;
  ring->header = base;
  ring->header->magic = FC_RING_MAGIC;
  ring->header->n_slots = n_slots;
  ring->slots = (const uint8_t *)base + sizeof(struct fc_ring_header);
  return 0;
}

void ring_close_fd(struct ring *ring) {
  if (ring->fd >= 0)
    (void)close(ring->fd); /* the mapping stays */
  ring->fd = -1;
}

static void unmap(struct ring *ring) {
  if (ring->header != NULL)
    (void)munmap(ring->header, ring->bytes); /* fails for a bad address alone */
  ring->header = NULL;
}

void ring_deinit(struct ring *ring) {
  ring_close_fd(ring);
  unmap(ring);
  free(ring->kept);
  ring->kept = NULL;
}

/* ---- head and tail ---- */

int ring_look(struct ring *ring, const char **why) {
  /* Acquire: what the client wrote into the slots before it stored this head is seen after. */
  uint64_t head = atomic_load_explicit(&ring->header->head, memory_order_acquire);
  uint64_t seen = ring->head - ring->tail;
  if (head - ring->tail < seen || head - ring->tail > ring->n_slots) {
    *why = "its ring's head went back, or is further ahead than the ring has slots";
    return FC_EPROTOCOL;
  }
  if (ring->punched && head - ring->punched_at > FC_RING_RECORD_SLOTS_MAX) {
    *why = "its ring was revoked, and it went on writing records there";
    return FC_EPROTOCOL;
  }
  ring->head = head;
  return 0;
}

void ring_release(struct ring *ring, uint64_t at) {
  if (ring->tail == at)
    return;
  ring->tail = at;
  /* Release: our loads of the slots come before it, so the client overwrites none that we have
   * still to copy. */
  atomic_store_explicit(&ring->header->tail, at, memory_order_release);
}

uint64_t ring_unrecorded(struct ring *ring) {
  /* Relaxed: a figure, which orders nothing. */
  uint64_t now = atomic_load_explicit(&ring->header->unrecorded, memory_order_relaxed);
  uint64_t grown = now > ring->most_unrecorded ? now - ring->most_unrecorded : 0;
  ring->unrecorded = now;
  ring->most_unrecorded += grown;
  return grown;
}

/* ---- memory that comes back ---- */

static size_t place_of(const struct ring *ring, uint64_t i);

/* Whole pages from `from` up to `to`, offsets in the mapping. No write seal is on the file, so its
 * pages can be taken out of it; the mapping stays, and whoever touches it again has a new page of
 * zeros, at his own cost. */
static bool remove_pages(struct ring *ring, size_t from, size_t to) {
  return from >= to || madvise((uint8_t *)ring->header + from, to - from, MADV_REMOVE) == 0;
}

bool ring_punch(struct ring *ring) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t first = sizeof(struct fc_ring_header) + place_of(ring, ring->head);
  size_t past = first + (size_t)FC_RING_RECORD_SLOTS_MAX * FC_RING_SLOT;
  /* Where the record would wrap, the rest of it is in the first page, which stays. */
  static_assert(sizeof(struct fc_ring_header) + FC_RING_RECORD_SLOTS_MAX * FC_RING_SLOT <= 4096,
                "the first slots are in the header's page");
  if (!remove_pages(ring, page, first / page * page) ||
      !remove_pages(ring, (past + page - 1) / page * page, ring->bytes))
    return false;
  ring->punched = true;
  ring->punched_at = ring->head;
  return true;
}

/* A client that knows the state stops at FC_RING_ENDED, but for a record that is under way. An
 * older one may go on, and then counts what nobody took from the slots: what it writes before it
 * loses them here is in no count. */
void ring_give_back(struct ring *ring) {
  size_t from = ring->replaced ? 0 : (size_t)sysconf(_SC_PAGESIZE);
  if (ring->header == NULL)
    return;
  if (ring->knows_state && !ring->replaced)
    (void)ring_punch(ring); /* where it cannot, the client keeps the memory; below, too */
  else if (ring->tail == ring->head)
    (void)remove_pages(ring, from, ring->bytes);
}

void ring_set_state(struct ring *ring, uint32_t state) {
  /* Relaxed: it orders nothing; rings_idle.c says why a client that sees it late does no harm. */
  atomic_store_explicit(&ring->header->state, state, memory_order_relaxed);
}

/* ---- records ---- */

static size_t place_of(const struct ring *ring, uint64_t i) {
  return (size_t)(i & (ring->n_slots - 1)) * FC_RING_SLOT;
}

static const uint8_t *slot_at(const struct ring *ring, uint64_t i) {
  return ring->slots + place_of(ring, i);
}

bool ring_keep(struct ring *ring, uint64_t from, uint64_t to) {
  /* Of the ring's size, so that slots stand where they stood; what is not touched takes nothing. */
  uint8_t *kept = malloc((size_t)ring->n_slots * FC_RING_SLOT);
  if (kept == NULL)
    return false;
  for (uint64_t i = from; i != to; i++)
    fc_torn_read(kept + place_of(ring, i), slot_at(ring, i), FC_RING_SLOT);
  ring_release(ring, to);
  ring_give_back(ring);
  ring_close_fd(ring);
  unmap(ring);
  ring->kept = kept;
  ring->slots = kept;
  return true;
}

static const char *check_hit(const struct ring_reader *reader, const struct fc_ring_hit *record) {
  if (record->context >= FC_RING_CONTEXTS || reader->contexts[record->context].op_size == 0)
    return "a hit in its ring has a context that was not defined";
  if ((record->flags & ~FC_RING_UNRECORDED) != 0)
    return "a hit in its ring has flags that do not exist";
  return NULL;
}

static const char *check_names(const struct ring_context *context) {
  struct ring_hit hit = {.context = context};
  if (!fc_name_valid(ring_hit_op(&hit)) || !fc_name_valid(ring_hit_view(&hit)) ||
      (context->probe_size > 0 && !fc_name_valid(ring_hit_probe(&hit))))
    return "a context in its ring has a name that is none";
  return NULL;
}

/* Takes over the context at reader->at, whose first slot is `first`; NULL, or what is wrong. */
static const char *define(const struct ring *ring, struct ring_reader *reader, uint64_t end,
                          const uint8_t first[FC_RING_SLOT]) {
  uint8_t bytes[(FC_RING_CONTEXT_BYTES_MAX + FC_RING_SLOT - 1) / FC_RING_SLOT * FC_RING_SLOT];
  struct fc_ring_context head;
  memcpy(&head, first, CONTEXT_HEAD);
  uint32_t names_size = (uint32_t)head.op_size + head.view_size + head.probe_size;
  uint32_t n_slots = fc_ring_context_slots(names_size);
  if (head.index >= FC_RING_CONTEXTS)
    return "a context in its ring has an index that is out of range";
  if (n_slots > end - reader->at)
    return "a context in its ring is published by halves";
  memcpy(bytes, first, FC_RING_SLOT);
  for (uint32_t i = 1; i < n_slots; i++)
    fc_torn_read(bytes + (size_t)i * FC_RING_SLOT, slot_at(ring, reader->at + i), FC_RING_SLOT);
  struct ring_context context = {
      .op_size = head.op_size, .view_size = head.view_size, .probe_size = head.probe_size};
  memcpy(context.names, bytes + CONTEXT_HEAD, names_size);
  const char *wrong = check_names(&context);
  if (wrong != NULL)
    return wrong;
  reader->contexts[head.index] = context;
  reader->at += n_slots;
  return NULL;
}

bool ring_peek(const struct ring *ring, const struct ring_reader *reader, uint64_t *end_ns) {
  const uint8_t *slot = slot_at(ring, reader->at);
  uint64_t head;
  fc_torn_read(&head, slot, sizeof head);
  fc_torn_read(end_ns, slot + offsetof(struct fc_ring_hit, end_ns), sizeof *end_ns);
  uint8_t kind;
  memcpy(&kind, &head, sizeof kind);
  return kind == FC_RING_HIT;
}

int ring_next_until(const struct ring *ring, struct ring_reader *reader, uint64_t end,
                    uint64_t until_ns, struct ring_hit *hits, size_t room, size_t *n,
                    const char **why) {
  uint64_t start = reader->at;
  *n = 0;
  while (*n < room && reader->at != end) {
    struct ring_hit *hit = &hits[*n];
    const char *wrong = "a record in its ring is of a kind that does not exist";
    fc_torn_read(&hit->record, slot_at(ring, reader->at), FC_RING_SLOT);
    if (hit->record.kind == FC_RING_HIT) {
      if (hit->record.end_ns > until_ns && reader->at != start)
        return 0;
      wrong = check_hit(reader, &hit->record);
    }
    if (hit->record.kind == FC_RING_HIT && wrong == NULL) {
      hit->context = &reader->contexts[hit->record.context];
      reader->at++;
      ++*n;
      continue;
    }
    /* The hits before it go out under the contexts that they were read with, and before the error:
     * the next call comes to this record again. */
    if (*n > 0)
      return 0;
    if (hit->record.kind == FC_RING_CONTEXT)
      wrong = define(ring, reader, end, (const uint8_t *)&hit->record);
    if (wrong != NULL) {
      *why = wrong;
      return FC_EPROTOCOL;
    }
  }
  return 0;
}

int ring_next(const struct ring *ring, struct ring_reader *reader, uint64_t end,
              struct ring_hit hits[RING_BATCH], size_t *n, const char **why) {
  return ring_next_until(ring, reader, end, UINT64_MAX, hits, RING_BATCH, n, why);
}
