#include "daemon/rings/ring_reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "proto/errors.h"
#include "proto/shm/torn_copy.h"

#define CONTEXT_HEAD sizeof(struct fc_ring_context)

static void check_positions(const struct ring_reader *reader) {
  check_le(reader->tail, reader->at);
  check_le(reader->at, reader->head);
  check_le(reader->head - reader->tail, reader->n_slots);
}

/* ---- memory ---- */

static int make_file(uint64_t bytes) {
  int fd = memfd_create("fcached-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return FC_EREFUSED;
  /* Allocated now: a page first touched when the system has no memory left would raise SIGBUS. */
  if (fallocate(fd, 0, 0, (off_t)bytes) < 0) {
    (void)close(fd); /* it holds nothing */
    return FC_ENOMEM;
  }
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    (void)close(fd);
    return FC_EREFUSED;
  }
  return fd;
}

int ring_reader_init(struct ring_reader *reader, uint32_t n_slots) {
  check_le(FC_RING_SLOTS_MIN, n_slots);
  check_le(n_slots, FC_RING_SLOTS_MAX);
  check_eq(n_slots & (n_slots - 1), 0);
  *reader = (struct ring_reader){.fd = -1, .n_slots = n_slots, .bytes = fc_ring_bytes(n_slots)};
  int fd = make_file(reader->bytes);
  if (fd < 0)
    return fd;
  void *base = mmap(NULL, reader->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    (void)close(fd); /* it holds nothing */
    return FC_ENOMEM;
  }
  reader->fd = fd;
  reader->header = base;
  reader->header->magic = FC_RING_MAGIC;
  reader->header->n_slots = n_slots;
  reader->slots = (const uint8_t *)base + sizeof(struct fc_ring_header);
  return 0;
}

void ring_reader_close_fd(struct ring_reader *reader) {
  if (reader->fd >= 0)
    (void)close(reader->fd); /* the mapping stays */
  reader->fd = -1;
}

void ring_reader_deinit(struct ring_reader *reader) {
  ring_reader_close_fd(reader);
  if (reader->header != NULL)
    (void)munmap(reader->header, reader->bytes); /* fails only for a bad address */
  reader->header = NULL;
}

/* ---- head and tail ---- */

int ring_reader_load_head(struct ring_reader *reader, const char **why) {
  /* Acquire: slots that the client wrote before it stored this head are visible after it. */
  uint64_t head = atomic_load_explicit(&reader->header->head, memory_order_acquire);
  uint64_t seen = reader->head - reader->tail;
  check_positions(reader);
  if (head - reader->tail < seen || head - reader->tail > reader->n_slots) {
    *why = "its ring's head went back, or is further ahead than the ring has slots";
    return FC_EPROTOCOL;
  }
  if (reader->is_punched && head - reader->punched_at > FC_RING_RECORD_SLOTS_MAX) {
    *why = "its ring was revoked, and it went on writing records there";
    return FC_EPROTOCOL;
  }
  reader->head = head;
  check_positions(reader);
  return 0;
}

void ring_reader_release(struct ring_reader *reader) {
  check_positions(reader);
  if (reader->tail == reader->at)
    return;
  reader->tail = reader->at;
  /* Release: our loads of the slots come before this store, so the client overwrites no slot that
   * is still to be copied. */
  atomic_store_explicit(&reader->header->tail, reader->at, memory_order_release);
}

uint64_t ring_reader_load_unrecorded(struct ring_reader *reader) {
  /* Relaxed: it is a counter that orders nothing. */
  uint64_t now = atomic_load_explicit(&reader->header->unrecorded, memory_order_relaxed);
  uint64_t rise = now > reader->max_unrecorded ? now - reader->max_unrecorded : 0;
  reader->unrecorded = now;
  reader->max_unrecorded += rise;
  check_le(reader->unrecorded, reader->max_unrecorded);
  return rise;
}

void ring_reader_set_state(struct ring_reader *reader, uint32_t state) {
  /* Relaxed: it orders nothing. rings_idle.c says why a client that sees it late does no harm. */
  atomic_store_explicit(&reader->header->state, state, memory_order_relaxed);
}

/* ---- memory that is given back ---- */

static size_t offset_of_slot(const struct ring_reader *reader, uint64_t i) {
  return (size_t)(i & (reader->n_slots - 1)) * FC_RING_SLOT;
}

/* Removes whole pages from offset `from` up to `to`. The file has no write seal, so its pages can
 * be removed. The mapping stays. A process that touches such a page again gets a new one of zeros,
 * which is charged to that process. */
static bool remove_pages(struct ring_reader *reader, size_t from, size_t to) {
  check_le(to, reader->bytes + (size_t)sysconf(_SC_PAGESIZE));
  return from >= to || madvise((uint8_t *)reader->header + from, to - from, MADV_REMOVE) == 0;
}

bool ring_reader_punch(struct ring_reader *reader) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t first = sizeof(struct fc_ring_header) + offset_of_slot(reader, reader->head);
  size_t past = first + (size_t)FC_RING_RECORD_SLOTS_MAX * FC_RING_SLOT;
  /* A record that wraps continues in the first page, which stays. */
  static_assert(sizeof(struct fc_ring_header) + FC_RING_RECORD_SLOTS_MAX * FC_RING_SLOT <= 4096,
                "the first slots are in the header's page");
  check_positions(reader);
  if (!remove_pages(reader, page, first / page * page) ||
      !remove_pages(reader, (past + page - 1) / page * page, reader->bytes))
    return false;
  reader->is_punched = true;
  reader->punched_at = reader->head;
  return true;
}

/* A client that knows the state stops at FC_RING_ENDED, except for a record that it has begun. An
 * older client may go on, and later counts the records that the daemon did not read. Records that
 * it writes between the last reading and this call are in no count. */
void ring_reader_give_back(struct ring_reader *reader) {
  size_t from = reader->is_replaced ? 0 : (size_t)sysconf(_SC_PAGESIZE);
  if (reader->header == NULL)
    return;
  if (reader->knows_state && !reader->is_replaced)
    (void)ring_reader_punch(reader); /* if it fails, the client keeps the memory. Below, too */
  else if (reader->tail == reader->head)
    (void)remove_pages(reader, from, reader->bytes);
}

/* ---- records ---- */

static const uint8_t *slot_at(const struct ring_reader *reader, uint64_t i) {
  return reader->slots + offset_of_slot(reader, i);
}

/* Returns NULL, or a static string. */
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
    return "invalid name in a context record of its ring";
  return NULL;
}

/* Defines the context at reader->at, whose first slot is copied in `first`. Returns NULL, or a
 * static string that names its fault. */
static const char *define_context(struct ring_reader *reader, const uint8_t first[FC_RING_SLOT]) {
  uint8_t bytes[(FC_RING_CONTEXT_BYTES_MAX + FC_RING_SLOT - 1) / FC_RING_SLOT * FC_RING_SLOT];
  struct fc_ring_context head;
  memcpy(&head, first, CONTEXT_HEAD);
  uint32_t names_size = (uint32_t)head.op_size + head.view_size + head.probe_size;
  uint32_t n_slots = fc_ring_context_slots(names_size);
  if (head.index >= FC_RING_CONTEXTS)
    return "a context in its ring has an index that is out of range";
  if (n_slots > reader->head - reader->at)
    return "incomplete context record in its ring";
  memcpy(bytes, first, FC_RING_SLOT);
  for (uint32_t i = 1; i < n_slots; i++)
    fc_torn_read(bytes + (size_t)i * FC_RING_SLOT, slot_at(reader, reader->at + i), FC_RING_SLOT);
  struct ring_context context = {
      .op_size = head.op_size, .view_size = head.view_size, .probe_size = head.probe_size};
  check_le(CONTEXT_HEAD + names_size, sizeof bytes);
  memcpy(context.names, bytes + CONTEXT_HEAD, names_size);
  const char *wrong = check_names(&context);
  if (wrong != NULL)
    return wrong;
  reader->contexts[head.index] = context;
  reader->at += n_slots;
  return NULL;
}

bool ring_reader_peek(const struct ring_reader *reader, uint64_t *end_ns) {
  const uint8_t *slot = slot_at(reader, reader->at);
  uint64_t head;
  check_lt(reader->at, reader->head);
  fc_torn_read(&head, slot, sizeof head);
  fc_torn_read(end_ns, slot + offsetof(struct fc_ring_hit, end_ns), sizeof *end_ns);
  uint8_t kind;
  memcpy(&kind, &head, sizeof kind);
  return kind == FC_RING_HIT;
}

int ring_reader_next(struct ring_reader *reader, uint64_t until_ns, struct ring_hit *hits,
                     size_t room, size_t *n, const char **why) {
  uint64_t start = reader->at;
  check_positions(reader);
  check_le(room, RING_READER_BATCH);
  *n = 0;
  while (*n < room && reader->at != reader->head) {
    struct ring_hit *hit = &hits[*n];
    const char *wrong = "a record in its ring is of a kind that does not exist";
    fc_torn_read(&hit->record, slot_at(reader, reader->at), FC_RING_SLOT);
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
    /* Hits before this record are returned first, with the contexts that they were read with. The
     * next call comes to this record again. */
    if (*n > 0)
      return 0;
    if (hit->record.kind == FC_RING_CONTEXT)
      wrong = define_context(reader, (const uint8_t *)&hit->record);
    if (wrong != NULL) {
      *why = wrong;
      return FC_EPROTOCOL;
    }
  }
  check_positions(reader);
  return 0;
}
