#include "client/ctl/print/json_value.h"
#include "client/ctl/print/latency_report.h"
#include "client/ctl/print/tier_print.h"

#define COUNT(name) json_value_count(is->name)

static json_t *fills(const struct fc_tier_entry *is) {
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "begun", COUNT(fills),
                   "failed", COUNT(fills_failed), "late", COUNT(fills_late), "skipped_down",
                   COUNT(skipped_down), "skipped_full", COUNT(skipped_full), "asking",
                   COUNT(asking), "leasing", COUNT(leasing), "offered", COUNT(offered), "held",
                   COUNT(held), "remote", COUNT(remote));
}

static json_t *queue(const struct fc_tier_entry *is) {
  return json_pack("{s:o, s:o, s:o, s:o}", "entries", COUNT(queue_entries), "bytes",
                   COUNT(queue_bytes), "bytes_max", COUNT(queue_bytes_max), "oldest_s",
                   json_value_seconds(is->queue_age_ns));
}

static json_t *dropped(const struct fc_tier_entry *is) {
  return json_pack("{s:o, s:o, s:o, s:o, s:o}", "full", COUNT(dropped_full), "old",
                   COUNT(dropped_old), "refused", COUNT(dropped_refused), "cleared",
                   COUNT(dropped_cleared), "stop", COUNT(dropped_stop));
}

static json_t *fleet(const struct tier_reading *reading, json_t *servers) {
  const struct fc_tier_entry *is = &reading->is;

  return json_pack(
      "{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
      "s:o, s:o, s:o}",
      "url", reading->url, "mode", reading->mode, "prefix", reading->prefix, "namespaces",
      reading->namespaces, "id", reading->id, "clear_version", COUNT(clear_version),
      "clears_learned", COUNT(clears_learned), "hits", COUNT(hits), "misses", COUNT(misses),
      "bad_values", COUNT(bad_values), "fills", fills(is), "waits", COUNT(waits), "leases",
      json_value_count(is->offered + is->held), "leases_taken", COUNT(leases), "leases_lost",
      COUNT(leases_lost), "remote_fills", COUNT(remote_fills), "remote_hits", COUNT(remote_hits),
      "writes", json_pack("{s:o, s:o}", "stored", COUNT(writes), "kept", COUNT(kept)), "queue",
      queue(is), "dropped", dropped(is), "servers", servers);
}

static json_t *class_object(const struct tier_server_reading *server, int class) {
  const struct fc_tier_class *is = class == 0 ? &server->is.read : &server->is.write;
  json_t *object = json_pack("{s:s, s:o, s:s}", "state", server->states[class], "since_s",
                             json_value_seconds(is->since_ns), "error", server->errors[class]);

  return object ? latency_report_histogram_json(object, &is->times) : NULL;
}

static json_t *server_object(const struct tier_server_reading *server) {
  const struct fc_tier_server_entry *is = &server->is;

  return json_pack("{s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                   "address", server->address, "role", server->role, "slots", COUNT(slots),
                   "connected", is->connected, "in_flight", COUNT(in_flight), "read",
                   class_object(server, 0), "write", class_object(server, 1), "reads", COUNT(reads),
                   "hits", COUNT(hits), "misses", COUNT(misses), "writes", COUNT(writes),
                   "timeouts", COUNT(timeouts), "errors", COUNT(errors), "reconnects",
                   COUNT(reconnects), "redirects", COUNT(redirects));
}

json_t *tier_print_json(const struct tier_reading *reading) {
  json_t *servers;

  if (!reading->has_tier)
    return json_null();
  servers = json_array();
  for (size_t i = 0; i < reading->n && servers; i++)
    if (json_array_append_new(servers, server_object(&reading->servers[i])) < 0) {
      json_decref(servers);
      return NULL;
    }
  return fleet(reading, servers);
}
