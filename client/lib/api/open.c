/* Opens and closes a handle. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/api/handle.h"
#include "proto/errors.h"

#define DEADLINE_DEFAULT_MS 250u

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

static int fail_open(struct fcache *cache, int code, const char *text, struct fcache_error *error) {
  if (error != NULL) {
    error->code = handle_code(code);
    (void)snprintf(error->text, sizeof error->text, "%s", text); /* may cut the text */
  }
  fcache_close(cache);
  return handle_code(code);
}

void fcache_set_wait(struct fcache *cache, uint32_t wait_ms) {
  cache->wait_ms = wait_ms == 0 ? cache->lease_ms : wait_ms == FCACHE_NO_WAIT ? 0 : wait_ms;
}

static int open_handle(const struct fcache_options *options, struct fcache *cache) {
  const char *disable = environment("FCACHE_DISABLE"), *region = environment("FCACHE_REGION");
  uint32_t deadline_ms = options->deadline_ms != 0 ? options->deadline_ms : DEADLINE_DEFAULT_MS;
  struct connection_options connection_options = {
      .socket = options->socket,
      .name_space =
          options->name_space != NULL ? options->name_space : environment("FCACHE_NAMESPACE"),
      .client = options->client,
      .deadline_ns = (uint64_t)deadline_ms * CLOCK_MS_NS,
      .max_entries = options->max_entries,
      .max_bytes = options->max_bytes,
      .manifest = options->manifest,
      .log = options->log,
      .log_arg = options->log_arg,
      .disabled = disable != NULL && strcmp(disable, "0") != 0,
      .region = region == NULL || strcmp(region, "0") != 0,
  };
  cache->waiting = (struct wait_callback){.fn = options->waiting, .arg = options->waiting_arg};
  cache->lease_ms = options->lease_ms != 0 ? options->lease_ms : FC_LEASE_MS_DEFAULT;
  fcache_set_wait(cache, options->wait_ms);
  int rc = connection_init(&cache->connection, &connection_options);
  if (rc < 0)
    return rc;
  if (connection_options.name_space == NULL && !connection_options.disabled)
    return connection_set_error(&cache->connection, FC_ENONAMESPACE, "%s",
                                fc_error_text(FC_ENONAMESPACE));
  rc = connection_open(&cache->connection);
  bool is_callers =
      rc == FC_EMAXENTRIES || rc == FC_ENAME || rc == FC_ENONAMESPACE || rc == FC_EINVAL;
  return is_callers ? rc : 0; /* an absent or full daemon, or another version, is no error */
}

int fcache_open(const struct fcache_options *options, struct fcache **out,
                struct fcache_error *error) {
  static const struct fcache_options defaults = FCACHE_OPTIONS_INIT;
  if (out == NULL)
    return FCACHE_EINVAL;
  *out = NULL;
  if (options == NULL)
    options = &defaults;
  if (options->struct_size != sizeof *options)
    return fail_open(
        NULL, FC_EINVAL,
        "struct_size of the options is wrong: initialize them with FCACHE_OPTIONS_INIT, "
        "and compile with the header of the library that is loaded",
        error);
  struct fcache *cache = calloc(1, sizeof *cache);
  if (cache == NULL)
    return fail_open(NULL, FC_ENOMEM, "out of memory for a handle", error);
  int rc = open_handle(options, cache);
  if (rc < 0)
    return fail_open(cache, rc, cache->connection.error, error);
  *out = cache;
  return FCACHE_OK;
}

void fcache_close(struct fcache *cache) {
  if (cache == NULL)
    return;
  connection_deinit(&cache->connection);
  recent_misses_clear(&cache->misses);
  free(cache);
}

const char *fcache_last_error(const struct fcache *cache) {
  return cache->connection.error;
}

bool fcache_connected(const struct fcache *cache) {
  return cache->connection.state == CONNECTION_UP &&
         !fork_check_is_child(cache->connection.fork_check);
}

void fcache_get_counters(const struct fcache *cache, struct fcache_counters *out) {
  if (fork_check_is_child(cache->connection.fork_check)) {
    *out = (struct fcache_counters){0}; /* a child: its first call resets them */
    return;
  }
  *out = cache->counters;
  out->reconnects = cache->connection.connections > 0 ? cache->connection.connections - 1 : 0;
  out->unrecorded = cache->connection.shm.unrecorded;
}

struct fcache_hash fcache_hash(const void *prompt, size_t size) {
  struct fc_hash hash = fc_hash_prompt(prompt, size);
  struct fcache_hash out;
  static_assert(sizeof out == sizeof hash, "the public hash is that of the protocol");
  memcpy(&out, &hash, sizeof out);
  return out;
}
