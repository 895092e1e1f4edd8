#include "daemon/server_resize.h"

#include <inttypes.h>
#include <sys/random.h>

#include "daemon/base/check.h"
#include "daemon/base/parse.h"
#include "daemon/boot_memory.h"
#include "daemon/requests/reclaim.h"
#include "daemon/server_internal.h"
#include "daemon/survival.h"
#include "proto/errors.h"

/* For the store: see region_replaced in store_entries.h. */
static void on_replaced(void *arg, int rc, const struct error_text *error) {
  struct server *server = arg;
  char size[FORMAT_SIZE_MAX];
  (void)format_size(server->store.max_bytes, size);
  reclaim_limit_changed(&server->dispatch);
  if (rc < 0) {
    log_line(&server->log, LOG_LEVEL_WARNING,
             "max-bytes is %s, and the memory of the entries is the same as before: %s. Free some "
             "memory, and set max-bytes again",
             size, error->text[0] != '\0' ? error->text : fc_error_text(rc));
    return;
  }
  survival_region_replaced(server);
  log_line(&server->log, LOG_LEVEL_INFO, "entries move to memory for %s%s", size,
           server->store.max_bytes == server->options->max_bytes
               ? ""
               : ". The next start takes max-bytes from its configuration");
}

static int check_range(uint64_t max_bytes, struct error_text *error) {
  char size[FORMAT_SIZE_MAX], least[FORMAT_SIZE_MAX], most[FORMAT_SIZE_MAX];
  if (max_bytes >= OPTIONS_BYTES_MIN && max_bytes <= OPTIONS_BYTES_MAX)
    return 0;
  return error_text_set(
      error, FC_EINVAL, "max-bytes: %s (%" PRIu64 " bytes) is out of range: give %s to %s",
      format_size(max_bytes, size), max_bytes, format_size(OPTIONS_BYTES_MIN, least),
      format_size(OPTIONS_BYTES_MAX, most));
}

static int check_memory(const struct server *server, uint64_t max_bytes, struct error_text *error) {
  struct options options = *server->options; /* borrows its strings */
  struct error_text short_of;
  options.max_bytes = max_bytes;
  if (boot_check_options(server, &options, &short_of) == 0)
    return 0;
  return error_text_set(error, FC_EREFUSED, "max-bytes is not changed: %s", short_of.text);
}

/* Returns true if the store has that limit and changes to no other one. */
static bool is_in_place(const struct store *store, uint64_t max_bytes) {
  return max_bytes == store->max_bytes && !store_is_resizing(store);
}

int server_resize_prepare(const struct server *server, uint64_t max_bytes, uint64_t *region_id,
                          struct error_text *error) {
  *region_id = 0;
  if (is_in_place(&server->store, max_bytes))
    return 0;
  int rc = store_can_resize(&server->store, error);
  if (rc < 0)
    return rc;
  if (getrandom(region_id, sizeof *region_id, GRND_NONBLOCK) != (ssize_t)sizeof *region_id)
    return error_text_set(error, FC_EREFUSED, "max-bytes: getrandom failed: try again");
  *region_id |= 1; /* 0 is no id */
  return 0;
}

void server_resize_begin(struct server *server, uint64_t max_bytes, uint64_t region_id) {
  struct store *store = &server->store;
  struct error_text error; /* of a failure that server_resize_prepare has excluded */
  uint64_t before = store->max_bytes;
  if (is_in_place(store, max_bytes))
    return;
  check_eq(store_resize(store, max_bytes, region_id, &error), 0);
  server->resized_from = before;
  reclaim_limit_changed(&server->dispatch);
  conns_run_background(&server->conns);
}

/* For requests: see struct control. */
static int resize(void *arg, uint64_t max_bytes, struct error_text *error) {
  struct server *server = arg;
  uint64_t region_id;
  int rc = check_range(max_bytes, error);
  if (rc == 0 && max_bytes > server->store.max_bytes)
    rc = check_memory(server, max_bytes, error);
  if (rc == 0)
    rc = server_resize_prepare(server, max_bytes, &region_id, error);
  if (rc == 0)
    server_resize_begin(server, max_bytes, region_id);
  return rc;
}

void server_resize_control(struct server *server, struct control *control) {
  control->arg = server;
  control->resize = resize;
  server->store.region_replaced = on_replaced;
  server->store.region_replaced_arg = server;
}
