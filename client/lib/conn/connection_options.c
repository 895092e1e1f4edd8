/* The options of a connection: names, limits, manifest, socket paths. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/conn/connection_internal.h"
#include "proto/errors.h"

static int copy_name(struct connection *connection, char to[FC_NAME_MAX + 1], const char *option,
                     const char *name) {
  struct fc_str text = fc_str_of(name);
  if (!fc_name_valid(text))
    return connection_set_error(connection, FC_ENAME, "%s \"%.64s\": %s", option, name,
                                fc_error_text(FC_ENAME));
  memcpy(to, name, text.size + 1u);
  return 0;
}

void connection_set_default_name(struct connection *connection) {
  char name[FC_NAME_MAX + 1];
  (void)snprintf(name, sizeof name, "%.200s-%d", program_invocation_short_name, (int)getpid());
  if (!fc_name_valid(fc_str_of(name)))
    (void)snprintf(name, sizeof name, "worker-%d", (int)getpid());
  memcpy(connection->client, name, sizeof name);
}

static int copy_manifest(struct connection *connection, const char *manifest) {
  struct fc_str text = fc_str_of(manifest);
  if (text.size < 1 || text.size > FC_MANIFEST_MAX)
    return connection_set_error(
        connection, FC_EINVAL, "the manifest has %zu bytes: shorten it to %u at most, or pass none",
        strlen(manifest), FC_MANIFEST_MAX);
  if (!fc_manifest_valid(text))
    return connection_set_error(connection, FC_EINVAL,
                                "the manifest is not UTF-8: encode it as UTF-8, or pass none");
  connection->manifest = strdup(manifest);
  return connection->manifest != NULL
             ? 0
             : connection_set_error(connection, FC_ENOMEM, "out of memory for the manifest");
}

static int copy_names(struct connection *connection, const struct connection_options *options) {
  int rc = 0;
  connection->default_name = options->client == NULL;
  if (connection->default_name)
    connection_set_default_name(connection);
  else
    rc = copy_name(connection, connection->client, "client name", options->client);
  if (rc == 0 && options->name_space != NULL)
    rc = copy_name(connection, connection->name_space, "namespace", options->name_space);
  return rc;
}

int connection_copy_options(struct connection *connection,
                            const struct connection_options *options) {
  connection->wants_region = options->region && options->name_space != NULL;
  connection->disabled = options->disabled;
  connection->logged_off = options->quiet;
  connection->log = options->log;
  connection->log_arg = options->log_arg;
  connection->max_bytes = options->max_bytes;
  int rc = copy_names(connection, options);
  if (rc == 0 && options->manifest != NULL)
    rc = copy_manifest(connection, options->manifest);
  if (rc < 0)
    return rc;
  if (options->max_entries != NULL) {
    connection->has_max_entries = true;
    connection->max_entries = *options->max_entries;
    if (connection->max_entries <= 0)
      return connection_set_error(connection, FC_EMAXENTRIES,
                                  "max_entries must be positive; got %lld",
                                  (long long)connection->max_entries);
  }
  if (socket_paths_find(&connection->socket_paths, options->socket) < 0)
    return connection_set_error(connection, FC_EINVAL, "%s", connection->socket_paths.error);
  daemon_user_read(&connection->daemon_user);
  return 0;
}
