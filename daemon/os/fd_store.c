#include "daemon/os/fd_store.h"

#include "proto/errors.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STAT_BLOCK_BYTES 512u /* of st_blocks */

void fd_store_init(struct fd_store *store, struct sd_notify *notify) {
  *store = (struct fd_store){.notify = notify, .wait_ms = FD_STORE_WAIT_MS};
}

static void close_received(struct fd_store *store) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (store->received[i].fd >= 0)
      (void)close(store->received[i].fd); /* memory: nothing to flush */
  free(store->received);
  store->received = NULL;
  store->n_received = 0;
}

void fd_store_deinit(struct fd_store *store) {
  close_received(store);
  for (unsigned i = 0; i < store->n_pending; i++)
    if (store->pending[i].fd >= 0)
      (void)close(store->pending[i].fd);
  free(store->pending);
  store->pending = NULL;
  store->n_pending = store->capacity = 0;
}

bool fd_store_is_available(const struct fd_store *store) {
  return store->notify->fd >= 0;
}

/* ---- names ---- */

const char *fd_store_segment_name(char name[FD_STORE_NAME_SIZE], uint64_t boot_id,
                                  unsigned number) {
  (void)snprintf(name, FD_STORE_NAME_SIZE, "segment-%016" PRIx64 "-%u", boot_id, number); /* fits */
  return name;
}

static bool is_own_name(const char *name) {
  return strlen(name) < FD_STORE_NAME_SIZE &&
         (strcmp(name, FD_STORE_CATALOG) == 0 || strcmp(name, FD_STORE_STARTS) == 0 ||
          strncmp(name, "segment-", 8) == 0);
}

/* ---- changes ---- */

static enum sd_notify_result send_change(struct fd_store *store, const char *name, int fd,
                                         unsigned timeout_ms) {
  char text[FD_STORE_NAME_SIZE + 64];
  if (name[0] == '\0') /* see sd_notify_barrier(3) */
    return sd_notify_send_fd(store->notify, "BARRIER=1", fd, timeout_ms);
  /* FDPOLL=0: the service manager need not watch memory for a hangup. */
  const char *format = fd < 0 ? "FDSTOREREMOVE=1\nFDNAME=" : "FDSTORE=1\nFDPOLL=0\nFDNAME=";
  (void)snprintf(text, sizeof text, "%s%s", format, name); /* fits */
  return sd_notify_send_fd(store->notify, text, fd, timeout_ms);
}

static bool reserve(struct fd_store *store) {
  if (store->n_pending < store->capacity)
    return true;
  unsigned capacity = store->capacity == 0 ? 64 : 2 * store->capacity;
  struct fd_store_change *pending = realloc(store->pending, capacity * sizeof *pending);
  if (pending == NULL)
    return false;
  store->pending = pending;
  store->capacity = capacity;
  return true;
}

/* A copy, since the owner may close its own before the change is sent. */
static bool defer_change(struct fd_store *store, const char *name, int fd) {
  struct fd_store_change change = {.fd = -1};
  if (!reserve(store))
    return false;
  if (fd >= 0 && (change.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
    return false;
  (void)snprintf(change.name, sizeof change.name, "%s", name); /* fits */
  store->pending[store->n_pending++] = change;
  return true;
}

static void apply(struct fd_store *store, const char *name, int fd) {
  assert(is_own_name(name) || name[0] == '\0' || fd < 0);
  if (!fd_store_is_available(store))
    return;
  enum sd_notify_result result = SD_NOTIFY_FULL;
  if (store->n_pending == 0) /* or the order would change */
    result = send_change(store, name, fd, store->wait_ms);
  if (result == SD_NOTIFY_FULL && defer_change(store, name, fd))
    return;
  store->failed += result != SD_NOTIFY_SENT;
}

void fd_store_push(struct fd_store *store, const char *name, int fd) {
  assert(fd >= 0);
  apply(store, name, fd);
}

void fd_store_remove(struct fd_store *store, const char *name) {
  apply(store, name, -1);
}

int fd_store_barrier(struct fd_store *store) {
  int ends[2];
  if (!fd_store_is_available(store) || pipe2(ends, O_CLOEXEC) < 0)
    return -1;
  apply(store, "", ends[1]);
  (void)close(ends[1]); /* the message has it, or the pending change has a copy */
  return ends[0];
}

static uint64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool fd_store_flush(struct fd_store *store, unsigned timeout_ms) {
  uint64_t end_ms = now_ms() + timeout_ms;
  unsigned sent = 0;
  while (sent < store->n_pending) {
    uint64_t now = now_ms();
    unsigned left_ms = now < end_ms ? (unsigned)(end_ms - now) : 0;
    struct fd_store_change *change = &store->pending[sent];
    enum sd_notify_result result = send_change(store, change->name, change->fd, left_ms);
    if (result == SD_NOTIFY_FULL && left_ms > 0)
      continue; /* interrupted, or too many descriptors in flight */
    if (result == SD_NOTIFY_FULL)
      break;
    store->failed += result == SD_NOTIFY_FAILED;
    if (change->fd >= 0)
      (void)close(change->fd);
    sent++;
  }
  store->n_pending -= sent;
  if (store->n_pending > 0) /* an empty list has no memory */
    memmove(store->pending, store->pending + sent, store->n_pending * sizeof *store->pending);
  return store->n_pending == 0;
}

/* ---- what an earlier daemon stored ---- */

/* Returns true for a memory file: only those have seals. A file with a name in some directory has
 * another owner. */
static bool describe(const struct passed_fd *passed, struct fd_store_memory *memory) {
  struct stat st;
  if (!is_own_name(passed->name) || fstat(passed->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
      st.st_nlink != 0 || fcntl(passed->fd, F_GET_SEALS) < 0)
    return false;
  *memory = (struct fd_store_memory){.fd = passed->fd,
                                     .inode = st.st_ino,
                                     .bytes = (uint64_t)st.st_size,
                                     .committed_bytes = (uint64_t)st.st_blocks * STAT_BLOCK_BYTES};
  (void)snprintf(memory->name, sizeof memory->name, "%s", passed->name); /* fits */
  return true;
}

static bool has_received(const struct fd_store *store, const char *name) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (strcmp(store->received[i].name, name) == 0)
      return true;
  return false;
}

/* A name from the environment goes into a message of lines. */
static bool is_printable(const char *name) {
  for (const char *at = name; *at != '\0'; at++)
    if (*at < ' ' || *at > '~')
      return false;
  return name[0] != '\0' && strlen(name) < FD_STORE_NAME_SIZE;
}

/* Removes each name once. */
static void remove_foreign(struct fd_store *store, const struct passed_fds *passed) {
  for (unsigned i = 0; i < passed->n; i++) {
    const struct passed_fd *one = &passed->list[i];
    bool removed = false;
    for (unsigned j = 0; j < i && !removed; j++)
      removed = passed->list[j].fd >= 0 && !passed->list[j].is_socket &&
                strcmp(passed->list[j].name, one->name) == 0;
    if (one->fd >= 0 && !one->is_socket && !removed && is_printable(one->name) &&
        !has_received(store, one->name))
      fd_store_remove(store, one->name);
  }
}

int fd_store_receive(struct fd_store *store, struct passed_fds *passed) {
  assert(store->received == NULL);
  if (passed->n == 0)
    return 0;
  store->received = calloc(passed->n, sizeof *store->received);
  if (store->received == NULL)
    return FC_ENOMEM;
  for (unsigned i = 0; i < passed->n; i++) {
    struct passed_fd *one = &passed->list[i];
    if (one->fd < 0 || one->is_socket || !describe(one, &store->received[store->n_received]))
      continue;
    store->n_received++;
    one->fd = -1;
  }
  remove_foreign(store, passed);
  return 0;
}

static bool was_taken(const struct fd_store *store, const char *name) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (store->received[i].fd < 0 && strcmp(store->received[i].name, name) == 0)
      return true;
  return false;
}

void fd_store_drop_received(struct fd_store *store) {
  for (unsigned i = 0; i < store->n_received; i++) {
    const struct fd_store_memory *memory = &store->received[i];
    if (memory->fd >= 0 && !was_taken(store, memory->name))
      fd_store_remove(store, memory->name);
  }
  close_received(store);
}

void fd_store_forget_received(struct fd_store *store) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (strcmp(store->received[i].name, FD_STORE_STARTS) != 0)
      fd_store_remove(store, store->received[i].name);
  close_received(store);
}

uint64_t fd_store_received_bytes(const struct fd_store *store) {
  uint64_t bytes = 0;
  for (unsigned i = 0; i < store->n_received; i++)
    bytes += store->received[i].committed_bytes;
  return bytes;
}

bool fd_store_has_received(const struct fd_store *store) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (store->received[i].fd >= 0)
      return true;
  return false;
}
