#include "daemon/survival.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/base/parse.h"
#include "daemon/server_internal.h"
#include "daemon/store/adopt.h"
#include "proto/errors.h"

#define NOT_ADOPTED "the memory of the daemon before cannot be adopted: %s"

#define FLUSH_MS 100u       /* between attempts, while the service manager is busy */
#define CONFIRM_MS 1u       /* between looks for its answer */
#define CONFIRM_MAX_MS 1000 /* without an answer for this time, the migration goes on */

/* ---- the descriptor store ---- */

/* Private memory ends with the daemon. */
static bool can_survive(const struct server *server) {
  return server->catalog.fd >= 0 && server->region.index_fd >= 0;
}

/* The next daemon needs no index: it finds the entries by their metadata. */
static void push_region(struct server *server) {
  const struct region *region = &server->region;
  char name[FD_STORE_NAME_SIZE];
  if (!can_survive(server))
    return;
  uint64_t boot_id = server->catalog.header->regions[server->store.heap.current].boot_id;
  for (uint32_t i = 0; i < region->n_segments; i++)
    fd_store_push(&server->fd_store, fd_store_segment_name(name, boot_id, i),
                  region->segment_fds[i]);
}

/* ---- released memory ----
 *
 * The memory of a released file is free once the service manager has closed its descriptor, which
 * takes as long as it is busy. The migration would take as much memory anew meanwhile, so it pauses
 * until the service manager has confirmed the removal, or does not answer. */

static void pause_migration(struct server *server) {
  if (server->barrier_fd >= 0) {
    server->released_more = true;
    return;
  }
  server->released_more = false;
  server->barrier_fd = fd_store_barrier(&server->fd_store);
  server->barrier_ns = uv_hrtime();
  server->store.migration.paused = server->barrier_fd >= 0;
  ticker_start(&server->flusher, server->barrier_fd >= 0 ? CONFIRM_MS : FLUSH_MS);
}

/* A pipe without a writer is at its end. */
static bool is_confirmed(int barrier_fd, int timeout_ms) {
  struct pollfd end = {.fd = barrier_fd, .events = POLLIN};
  return poll(&end, 1, timeout_ms) > 0;
}

static void resume_migration(struct server *server) {
  (void)close(server->barrier_fd); /* nothing was read */
  server->barrier_fd = -1;
  server->store.migration.paused = false;
  if (server->released_more)
    pause_migration(server);
  else
    conns_run_background(&server->conns);
}

static void on_tick(void *arg) {
  struct server *server = arg;
  bool flushed = fd_store_flush(&server->fd_store, 0);
  if (server->barrier_fd >= 0 &&
      (is_confirmed(server->barrier_fd, 0) ||
       uv_hrtime() - server->barrier_ns > CONFIRM_MAX_MS * UINT64_C(1000000)))
    resume_migration(server);
  if (server->barrier_fd < 0 && flushed)
    ticker_stop(&server->flusher);
}

/* Waits at the start, when no client does. */
static void wait_for_confirmation(struct server *server) {
  int fd = fd_store_barrier(&server->fd_store);
  if (fd < 0)
    return;
  (void)fd_store_flush(&server->fd_store, CONFIRM_MAX_MS);
  (void)is_confirmed(fd, CONFIRM_MAX_MS);
  (void)close(fd);
}

/* The service manager has the descriptors before entries move. Values that are put meanwhile would
 * be lost with a kill, so there is a short wait. */
void survival_region_replaced(struct server *server) {
  push_region(server);
  (void)fd_store_flush(&server->fd_store, FLUSH_MS); /* the rest is sent by on_tick */
  if (server->serves)
    pause_migration(server);
}

/* For the store: see segment_released in store_entries.h. */
static void on_released(void *arg, uint64_t boot_id, uint32_t segment) {
  struct server *server = arg;
  char name[FD_STORE_NAME_SIZE];
  if (!can_survive(server))
    return;
  fd_store_remove(&server->fd_store, fd_store_segment_name(name, boot_id, segment));
  if (server->serves)
    pause_migration(server);
  else
    wait_for_confirmation(server);
}

/* ---- the catalog ---- */

static void fill_sizes(struct catalog_sizes *sizes) {
  *sizes = (struct catalog_sizes){
      .areas[CATALOG_LEASES] = {sizeof(struct lease_record), LEASE_RECORDS_MAX}};
  store_catalog_sizes(sizes);
}

/* Opens the catalog of the daemon before. Another file may have its name, so each is tried. Returns
 * false if there is none, with a log line if one was refused. */
static bool open_catalog(struct server *server, const struct catalog_sizes *sizes) {
  struct fd_store *store = &server->fd_store;
  uint64_t chunks = server->region.arena_size / CATALOG_CHUNK_BYTES;
  struct error_text why = {""};
  for (unsigned i = 0; i < store->n_received; i++) {
    struct fd_store_memory *memory = &store->received[i];
    if (memory->fd < 0 || strcmp(memory->name, FD_STORE_CATALOG) != 0)
      continue;
    if (server->region.index_fd < 0) {
      (void)error_text_set(&why, FC_EREFUSED, "this one shares no memory with clients");
    } else if (catalog_open(&server->catalog, memory->fd, sizes, chunks, &why) == 0) {
      memory->fd = -1; /* the catalog's */
      return true;
    }
  }
  if (why.text[0] != '\0')
    log_line(&server->log, LOG_LEVEL_WARNING, NOT_ADOPTED, why.text);
  else if (fd_store_has_received(store))
    log_line(&server->log, LOG_LEVEL_WARNING, NOT_ADOPTED, "its catalog is missing");
  return false;
}

/* ---- adoption ---- */

static void log_adopted(struct server *server, const struct adopt_report *report) {
  static const char *const causes[ADOPT_CAUSES] = {[ADOPT_DAMAGED] = "damaged",
                                                   [ADOPT_DUPLICATE] = "stored twice",
                                                   [ADOPT_UNMAPPED] = "in memory that is missing",
                                                   [ADOPT_NO_ROOM] = "without room"};
  char size[FORMAT_SIZE_MAX], dropped[256] = "";
  uint64_t n_dropped = 0;
  for (int cause = 0; cause < ADOPT_CAUSES; cause++) {
    size_t used = strlen(dropped);
    n_dropped += report->dropped[cause];
    if (report->dropped[cause] > 0)
      (void)snprintf(dropped + used, sizeof dropped - used, ", %" PRIu64 " %s dropped",
                     report->dropped[cause], causes[cause]); /* fits */
  }
  server->n_adopted = report->entries;
  server->n_adopt_dropped = n_dropped;
  log_line(&server->log, LOG_LEVEL_INFO,
           "adopted %" PRIu64 " entries (%s) and %" PRIu64 " namespaces of the daemon before%s%s%s",
           report->entries, format_size(report->bytes, size), report->namespaces, dropped,
           report->why.text[0] == '\0' ? "" : "; a region is lost: ", report->why.text);
}

/* Gives the received files to the store, which takes those of the catalog's regions. Without them
 * the snapshot has more. */
static int adopt(struct server *server, struct error_text *error) {
  struct fd_store *received = &server->fd_store;
  struct adopt_report report;
  int *fds = calloc(received->n_received + 1, sizeof *fds);
  if (fds == NULL)
    return error_text_set(error, FC_ENOMEM, "out of memory");
  for (unsigned i = 0; i < received->n_received; i++)
    fds[i] = received->received[i].fd;
  int rc = store_adopt(&server->store, &server->namespaces, fds, received->n_received, &report);
  for (unsigned i = 0; i < received->n_received; i++)
    received->received[i].fd = fds[i];
  free(fds);
  if (rc < 0)
    return error_text_set(error, rc, "out of memory");
  if (report.entries == 0 && report.dropped[ADOPT_UNMAPPED] > 0)
    return error_text_set(error, FC_EREFUSED, "%s", report.why.text);
  log_adopted(server, &report);
  return 0;
}

static int make_store(struct server *server) {
  const struct options *options = server->options;
  uint64_t random[2];
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return FC_EREFUSED;
  int rc = store_init(&server->store, &server->region, &server->catalog, options->max_bytes,
                      options->max_value, random[0], random[1]);
  if (rc < 0)
    return rc;
  server->store.segment_released = on_released;
  server->store.segment_released_arg = server;
  server->totals = catalog_at(&server->catalog, CATALOG_TOTALS, 0);
  namespace_table_init(&server->namespaces, &server->store, options->max_namespaces);
  return 0;
}

/* The region is pushed before it has entries, which the adoption may move there. */
static int fill_from_memory(struct server *server, struct error_text *error) {
  int rc = make_store(server);
  if (rc < 0)
    return error_text_set(error, rc, "%s", fc_error_text(rc));
  if (FC_CATALOG_MUTANT != 19)
    push_region(server);
  rc = adopt(server, error);
  if (FC_CATALOG_MUTANT == 19)
    push_region(server);
  if (rc == 0)
    return 0;
  namespace_table_leave(&server->namespaces);
  store_deinit(&server->store);
  return rc;
}

static int fill_empty(struct server *server, const struct catalog_sizes *sizes,
                      struct error_text *error) {
  int rc = catalog_create(&server->catalog, sizes, server->region.arena_size / CATALOG_CHUNK_BYTES,
                          server->region.index_fd >= 0, error);
  if (rc < 0)
    return rc;
  rc = make_store(server);
  if (rc < 0)
    return error_text_set(error, rc, "the cache cannot be made: %s", fc_error_text(rc));
  return 0;
}

int survival_fill(struct server *server, uint64_t boot_id, struct error_text *error) {
  const struct options *options = server->options;
  struct catalog_sizes sizes;
  fill_sizes(&sizes);
  int rc = region_writer_init(&server->region, options->max_bytes, options->max_value, boot_id,
                              server->shares, error);
  if (rc < 0)
    return rc;
  if (server->shares && server->region.index_fd < 0)
    log_line(&server->log, LOG_LEVEL_WARNING, "%s", error->text);
  server->barrier_fd = -1;
  server->has_adopted = open_catalog(server, &sizes);
  if (server->has_adopted && fill_from_memory(server, error) < 0) {
    log_line(&server->log, LOG_LEVEL_WARNING, NOT_ADOPTED, error->text);
    catalog_deinit(&server->catalog);
    fd_store_forget_received(&server->fd_store);
    server->has_adopted = false;
  }
  if (!server->has_adopted)
    rc = fill_empty(server, &sizes, error);
  if (rc < 0)
    return rc;
  fd_store_drop_received(&server->fd_store);
  server->n_boots = (uint32_t)server->catalog.header->n_boots;
  return 0;
}

void survival_begin(struct server *server, uint64_t boot_id) {
  struct catalog *catalog = &server->catalog;
  catalog_commit_u64(&catalog->header->n_boots, server->n_boots); /* those of the snapshot */
  catalog_add_boot(catalog, boot_id);
  server->n_boots = (uint32_t)catalog->header->n_boots;
  if (server->has_adopted || !can_survive(server))
    return;
  fd_store_push(&server->fd_store, FD_STORE_CATALOG, catalog->fd);
  push_region(server);
}

/* ---- while the daemon serves ---- */

int survival_run(struct server *server) {
  int rc = ticker_init(&server->flusher, &server->loop, on_tick, server);
  server->serves = rc == 0;
  return rc;
}

void survival_close(struct server *server) {
  server->serves = false;
  ticker_close(&server->flusher);
  if (server->barrier_fd >= 0)
    (void)close(server->barrier_fd);
  server->barrier_fd = -1;
}
