#include "proto_encode.h"

#include "proto/errors.h"
#include "proto/wire/frame.h"

static int append_value(struct fc_buf *buf, int error, const uint8_t *value, uint32_t size) {
  return error ? error : fc_buf_append(buf, value, size);
}

static int append_bins(struct fc_buf *buf, struct fc_bins bins) {
  const uint8_t *data;
  uint32_t size;
  int error = 0;

  while (bins.n && !error) {
    fc_bins_next(&bins, &data, &size);
    error =
        data ? append_value(buf, fc_encode_bin_head(buf, size), data, size) : fc_encode_nil(buf);
  }
  return error;
}

static int finish(struct fc_buf *buf, size_t start) {
  fc_frame_finish(buf, start, 0);
  return buf->failed ? FC_ENOMEM : 0;
}

int proto_encode_request(struct fc_buf *buf, const struct fc_request *request) {
  size_t start = buf->size;
  uint32_t id = request->id;
  int error;

  switch (request->type) {
  case FC_HELLO:
    return fc_encode_hello(buf, id, &request->hello);
  case FC_GET:
    return fc_encode_get(buf, id, &request->get);
  case FC_PUT:
    return append_value(buf, fc_encode_put_head(buf, id, &request->put), request->put.value,
                        request->put.value_size);
  case FC_GET_MANY:
    return fc_encode_get_many(buf, id, &request->get_many);
  case FC_PUT_MANY:
    error = fc_encode_put_many_head(buf, id, &request->put_many);
    if (!error)
      error = append_bins(buf, request->put_many.values);
    return error ? error : finish(buf, start);
  case FC_STATS:
    return fc_encode_stats(buf, id, request->select.name_space);
  case FC_CLEAR:
    return fc_encode_clear(buf, id, &request->clear);
  case FC_LIST:
    return fc_encode_list(buf, id, &request->list);
  case FC_TRACE:
    return fc_encode_trace(buf, id, &request->trace);
  case FC_GIVE_UP:
    return fc_encode_give_up(buf, id, &request->give_up);
  case FC_LEASES:
  case FC_CLIENTS:
  case FC_NAMESPACES:
    return fc_encode_page(buf, request->type, id, &request->page);
  case FC_RING:
    return fc_encode_ring(buf, id, &request->ring);
  case FC_KILL:
    return fc_encode_kill(buf, id, request->kill);
  case FC_SNAPSHOT:
    return fc_encode_snapshot(buf, id, request->snapshot);
  case FC_SET:
    return fc_encode_set(buf, id, &request->set);
  case FC_DELETE:
    return fc_encode_delete(buf, id, &request->delete);
  case FC_USAGE:
    return fc_encode_usage(buf, id, &request->usage);
  case FC_LATENCY:
    return fc_encode_latency(buf, id, request->latency);
  case FC_SLOWEST:
    return fc_encode_slowest(buf, id, &request->slowest);
  case FC_TIER:
    return fc_encode_tier(buf, id, &request->tier);
  case FC_WATCH:
    return fc_encode_watch(buf, id, &request->watch);
  case FC_EVENTS:
    return fc_encode_events(buf, id, &request->events);
  default:
    return fc_encode_simple(buf, request->type, id);
  }
}

static int encode_stat(struct fc_buf *buf, const struct fc_stat *stat) {
  char name[256];

  for (uint32_t i = 0; i < stat->name.size; i++)
    name[i] = stat->name.data[i];
  name[stat->name.size] = '\0';
  if (stat->kind == FC_STAT_UINT)
    return fc_encode_stat_uint(buf, name, stat->integer);
  if (stat->kind == FC_STAT_REAL)
    return fc_encode_stat_real(buf, name, stat->real);
  return fc_encode_stat_text(buf, name, stat->text);
}

/* The size of a map precedes its pairs, so each map is walked twice: once to count, once to write.
 * The walk skips a namespace without statistics. */
static int encode_stats(struct fc_buf *buf, uint32_t id, const struct fc_stats_reply *stats) {
  size_t start = buf->size;
  struct fc_stats_walk ahead = {0}, walk = {0};
  struct fc_stat stat, other;
  bool more = fc_stats_next(stats, &ahead, &stat);
  int error = fc_encode_stats_reply_head(buf, id);
  uint32_t maps = 0;

  for (int pass = 0; pass < 2 && !error; pass++) { /* the daemon's map, then the namespaces' */
    struct fc_buf pairs = {0};

    while (more && !error && (pass == 1 || !stat.name_space.data)) {
      struct fc_str name_space = stat.name_space;
      uint32_t n = name_space.data ? 1 : 0, left;

      do {
        n++;
        more = fc_stats_next(stats, &ahead, &stat);
      } while (more && stat.name_space.data == name_space.data);
      error = fc_encode_map_head(&pairs, n);
      left = name_space.data ? n - 1 : n;
      if (name_space.data && !error)
        error = fc_encode_stat_text(&pairs, "namespace", name_space);
      for (; left && !error && fc_stats_next(stats, &walk, &other); left--)
        error = encode_stat(&pairs, &other);
      maps++;
    }
    if (pass == 0 && maps == 0 && !error)
      error = fc_encode_map_head(&pairs, 0);
    if (pass == 1 && !error)
      error = fc_encode_array_head(buf, maps);
    if (!error)
      error = fc_buf_append(buf, pairs.data, pairs.size);
    fc_buf_free(&pairs);
    maps = 0;
  }
  return error ? error : finish(buf, start);
}

/* Encodes the list's next item; `type` is the request's. */
static int encode_next(struct fc_buf *buf, enum fc_type type, struct fc_list_reply *list) {
  struct fc_list_entry entry;
  struct fc_lease_entry lease;
  struct fc_client_entry client;
  struct fc_namespace_entry name_space;
  struct fc_usage_entry usage;
  struct fc_setting_entry setting;

  if (type == FC_SETTINGS) {
    fc_settings_next(list, &setting);
    return fc_encode_setting_entry(buf, &setting);
  }
  if (type == FC_LEASES) {
    fc_leases_next(list, &lease);
    return fc_encode_lease_entry(buf, &lease);
  }
  if (type == FC_CLIENTS) {
    fc_clients_next(list, &client);
    return fc_encode_client_entry(buf, &client);
  }
  if (type == FC_NAMESPACES) {
    fc_namespaces_next(list, &name_space);
    return fc_encode_namespace_entry(buf, &name_space);
  }
  if (type == FC_USAGE) {
    fc_usage_next(list, &usage);
    return fc_encode_usage_entry(buf, &usage);
  }
  fc_list_next(list, &entry);
  return fc_encode_list_entry(buf, &entry);
}

static int encode_list_reply(struct fc_buf *buf, enum fc_type type, uint32_t id,
                             struct fc_list_reply list) {
  size_t start = buf->size;
  int error = fc_encode_list_reply_head(buf, type, id, list.cursor, list.cursor_size, list.n);

  while (list.n && !error)
    error = encode_next(buf, type, &list);
  return error ? error : finish(buf, start);
}

static int encode_events_reply(struct fc_buf *buf, uint32_t id, struct fc_list_reply events) {
  size_t start = buf->size;
  struct fc_event event;
  int error = fc_encode_events_reply_head(buf, id, events.n);

  while (events.n && !error) {
    fc_events_next(&events, &event);
    error = fc_encode_event(buf, &event);
  }
  return error ? error : finish(buf, start);
}

static int encode_times_reply(struct fc_buf *buf, unsigned type, uint32_t id,
                              struct fc_times_reply times) {
  size_t start = buf->size;
  struct fc_latency_entry latency;
  struct fc_slow_entry slow;
  int error =
      fc_encode_times_reply_head(buf, (enum fc_type)type, id, times.period_ns, times.rows.n);

  while (times.rows.n && !error) {
    if (type == FC_LATENCY) {
      fc_latency_next(&times.rows, &latency);
      error = fc_encode_latency_entry(buf, &latency);
    } else {
      fc_slow_next(&times.rows, &slow);
      error = fc_encode_slow_entry(buf, &slow);
    }
  }
  return error ? error : finish(buf, start);
}

static int encode_tier_reply(struct fc_buf *buf, uint32_t id, struct fc_tier_reply tier) {
  size_t start = buf->size;
  struct fc_tier_server_entry server;
  int error = fc_encode_tier_reply_head(buf, id, &tier);

  while (tier.servers.n && !error) {
    fc_tier_servers_next(&tier.servers, &server);
    error = fc_encode_tier_server_entry(buf, &server);
  }
  return error ? error : finish(buf, start);
}

/* fc_get_reply does not show whether a lease's state was sent. NONE is encoded as an earlier
 * version's miss, which means the same. */
static int encode_get_reply(struct fc_buf *buf, uint32_t id, const struct fc_get_reply *get) {
  int error;

  if (!get->value && get->lease == FC_LEASE_NONE)
    return fc_encode_miss(buf, id, get->clear_generation);
  if (!get->value)
    return fc_encode_miss_lease(buf, id, get->clear_generation, get->lease);
  if (get->waited)
    error = fc_encode_waited_hit_head(buf, id, get->clear_generation, get->value_size);
  else
    error = fc_encode_hit_head(buf, id, get->clear_generation, get->value_size);
  error = append_value(buf, error, get->value, get->value_size);
  return !error && get->waited ? fc_buf_append(buf, &(uint8_t){FC_HIT_WAITED}, 1) : error;
}

static int encode_get_many_reply(struct fc_buf *buf, uint32_t id,
                                 const struct fc_get_many_reply *get) {
  size_t start = buf->size;
  int error = fc_encode_get_many_reply_head(buf, id, get);

  if (!error)
    error = append_bins(buf, get->values);
  if (!error && get->n_leases > 0)
    error = fc_encode_leases(buf, get->leases, get->n_leases);
  return error ? error : finish(buf, start);
}

int proto_encode_reply(struct fc_buf *buf, const struct fc_reply *reply) {
  uint32_t id = reply->id;

  switch ((unsigned)reply->type) {
  case FC_REPLY | FC_HELLO:
    return fc_encode_welcome(buf, id, &reply->welcome);
  case FC_REPLY | FC_GET:
    return encode_get_reply(buf, id, &reply->get);
  case FC_REPLY | FC_PUT:
    return fc_encode_put_reply(buf, id, reply->put);
  case FC_REPLY | FC_GET_MANY:
    return encode_get_many_reply(buf, id, &reply->get_many);
  case FC_REPLY | FC_PUT_MANY:
    return fc_encode_put_many_reply(buf, id, &reply->put_many);
  case FC_REPLY | FC_STATS:
    return encode_stats(buf, id, &reply->stats);
  case FC_REPLY | FC_CLEAR:
    return fc_encode_cleared(buf, id, reply->removed);
  case FC_REPLY | FC_LIST:
  case FC_REPLY | FC_LEASES:
  case FC_REPLY | FC_CLIENTS:
  case FC_REPLY | FC_NAMESPACES:
  case FC_REPLY | FC_USAGE:
  case FC_REPLY | FC_SETTINGS:
    return encode_list_reply(buf, (enum fc_type)(reply->type & ~FC_REPLY), id, reply->list);
  case FC_REPLY | FC_DELETE:
    return fc_encode_deleted(buf, id, reply->existed);
  case FC_REPLY | FC_KILL:
    return fc_encode_killed(buf, id, reply->killed);
  case FC_REPLY | FC_SNAPSHOT:
    return fc_encode_snapshot_reply(buf, id, &reply->snapshot);
  case FC_REPLY | FC_SET:
    return fc_encode_set_reply(buf, id, &reply->set);
  case FC_REPLY | FC_RELOAD:
    return fc_encode_reload_reply(buf, id, &reply->reload);
  case FC_REPLY | FC_LATENCY:
  case FC_REPLY | FC_SLOWEST:
    return encode_times_reply(buf, reply->type & ~(unsigned)FC_REPLY, id, reply->times);
  case FC_REPLY | FC_TIER:
    return encode_tier_reply(buf, id, reply->tier);
  case FC_REPLY | FC_WATCH:
    return fc_encode_watching(buf, id, &reply->watching);
  case FC_REPLY | FC_EVENTS:
    return encode_events_reply(buf, id, reply->list);
  case FC_REPLY | FC_GIVE_UP:
    return fc_encode_given_up(buf, id, reply->given_up);
  case FC_REPLY | FC_TRACE:
    return fc_encode_trace_reply(buf, id, &reply->trace);
  case FC_REPLY | FC_RING:
    return fc_encode_ring_reply(buf, id, &reply->ring);
  case FC_ERROR:
    return fc_encode_error(buf, id, reply->error.code, reply->error.text);
  default:
    return fc_encode_simple(buf, reply->type, id);
  }
}
