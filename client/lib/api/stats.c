#include "client/lib/api/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/api/handle.h"
#include "proto/errors.h"

#define TEXT_MAX 4096u

enum fcache_stat_kind stats_kind_of(const struct fc_stats_row *row) {
  static const enum fcache_stat_kind kinds[] = {
      [FC_STATS_NONE] = FCACHE_STAT_COUNT,      [FC_STATS_BYTES] = FCACHE_STAT_BYTES,
      [FC_STATS_SECONDS] = FCACHE_STAT_SECONDS, [FC_STATS_RATIO] = FCACHE_STAT_RATIO,
      [FC_STATS_MEAN] = FCACHE_STAT_RATIO,      [FC_STATS_TEXT] = FCACHE_STAT_TEXT,
  };
  return kinds[row->unit];
}

/* Returns the kind by the encoding, and by the row of the name. A newer daemon may send a name that
 * has no row here. */
static enum fcache_stat_kind kind_of(const struct fc_stat *stat, const char *name) {
  bool since_start;
  const struct fc_stats_row *row = fc_stats_find_prefixed(name, &since_start);
  if (stat->kind == FC_STAT_TEXT)
    return FCACHE_STAT_TEXT;
  if (stat->kind == FC_STAT_UINT)
    return row != NULL && row->unit == FC_STATS_BYTES ? FCACHE_STAT_BYTES : FCACHE_STAT_COUNT;
  return row != NULL && row->unit == FC_STATS_SECONDS ? FCACHE_STAT_SECONDS : FCACHE_STAT_RATIO;
}

static const char *terminated(struct fc_str text, char *to, size_t room) {
  (void)snprintf(to, room, "%.*s", (int)text.size, text.data == NULL ? "" : text.data);
  return to;
}

static void walk_stats(const struct fc_stats_reply *stats, fcache_stat_fn *fn, void *arg) {
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;
  char name[FC_NAME_MAX + 1], space[FC_NAME_MAX + 1], text[TEXT_MAX];
  while (fc_stats_next(stats, &walk, &stat)) {
    struct fcache_stat out = {
        .name_space =
            stat.name_space.data == NULL ? NULL : terminated(stat.name_space, space, sizeof space),
        .name = terminated(stat.name, name, sizeof name),
        .integer = stat.integer,
        .real = stat.real,
        .text = terminated(stat.text, text, sizeof text),
    };
    out.kind = kind_of(&stat, out.name);
    fn(arg, &out);
  }
}

int stats_request(struct connection *connection, struct fc_str name_space, fcache_stat_fn *fn,
                  void *arg) {
  struct fc_reply reply;
  uint32_t id = request_begin(connection, FC_STATS);
  (void)fc_encode_stats(&connection->request, id, name_space); /* request_call checks `failed` */
  int rc = request_call(connection, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  /* `fn` may use the handle, whose next receive overwrites the reply. */
  uint8_t *copy = malloc(reply.stats.size);
  if (copy == NULL)
    return connection_set_error(connection, FC_ENOMEM, "out of memory for the statistics");
  memcpy(copy, reply.stats.at, reply.stats.size);
  reply.stats.at = copy;
  walk_stats(&reply.stats, fn, arg);
  free(copy);
  return 0;
}

int fcache_server_stats(struct fcache *cache, fcache_stat_fn *fn, void *arg) {
  handle_enter(cache);
  if (fn == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL, "fn is NULL");
  if (!handle_connect_now(cache))
    return FCACHE_EUNAVAILABLE;
  unsigned repeats = 0;
  int rc;
  do /* after an error nothing was passed to `fn` */
    rc = stats_request(&cache->connection, (struct fc_str){0}, fn, arg);
  while (handle_may_repeat(cache, rc, &repeats));
  return handle_code(rc);
}
