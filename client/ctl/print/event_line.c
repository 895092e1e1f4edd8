#include "client/ctl/print/event_line.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/ctl/print/json_value.h"
#include "client/ctl/print/table.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"
#include "proto/limits.h"

#define NS_PER_S 1000000000u
#define DETAILS 5u
#define TIME_DIGITS 16        /* of ts: microseconds */
#define SHORT_TIME_BELOW 100u /* columns: no milliseconds */
#define LINE_FIXED 44u        /* columns between the time and the names, on a terminal */

/* `details` are those of the JSON. On a line they have a column of 9. */
static const struct {
  const char *name;
  const char *details[DETAILS];
  const char *cost; /* the meaning of cost_ns, in JSON; NULL: none */
} kinds[FC_EVENT_KINDS] = {
    [FC_EVENT_LOST] = {"lost", {""}, NULL},
    [FC_EVENT_HIT] = {"hit", {"region", "message", "waited", "tier"}, "saved_s"},
    [FC_EVENT_MISS] = {"miss", {"", "granted", "taken", "waits"}, NULL},
    [FC_EVENT_PUT] = {"put", {"stored", "kept", "stale", "too_big", "no_memory"}, "compute_s"},
    [FC_EVENT_EVICTION] = {"evict",
                           {"entries", "bytes", "own_bytes", "forced", "chain"},
                           "compute_s"},
    [FC_EVENT_CLEAR] = {"clear", {""}, NULL},
    [FC_EVENT_DELETE] = {"delete", {""}, NULL},
    [FC_EVENT_LEASE] = {"lease", {"begins", "put", "ended", "expired"}, "held_s"},
};

/* A later daemon may know other details. */
static const char *detail_of(const struct fc_event *event) {
  const char *detail = event->detail < DETAILS ? kinds[event->kind].details[event->detail] : NULL;

  return detail ? detail : "";
}

/* ---- for people ---- */

static void format_time(const struct fc_event *event, char text[16]) {
  time_t seconds = (time_t)(event->time_ns / NS_PER_S);
  unsigned ms = (unsigned)(event->time_ns % NS_PER_S / 1000000u);
  struct tm local = {0};
  size_t size;

  (void)localtime_r(&seconds, &local); /* a time that does not exist stays 0 */
  size = strftime(text, 16, "%H:%M:%S", &local);
  (void)snprintf(text + size, 16 - size, ".%03u", ms);
}

static size_t append(char *line, size_t size, size_t at, struct fc_str name) {
  int n = snprintf(line + at, size - at, "%.*s", name.data ? (int)name.size : 1,
                   name.data ? name.data : "*");

  return at + (n > 0 ? (size_t)n : 0); /* `line` has room for all names */
}

/* NAMESPACE/OP/VIEW/TOP_K. A clear has "*" for any name. */
#define KEY_SIZE (3 * (FC_NAME_MAX + 1) + 16)
static void format_key(const struct fc_event *event, char text[KEY_SIZE]) {
  size_t at = append(text, KEY_SIZE, 0, event->name_space);

  if (event->kind == FC_EVENT_EVICTION && !event->has_prompt)
    return; /* its key is not known */
  text[at++] = '/';
  at = append(text, KEY_SIZE, at, event->key.op);
  text[at++] = '/';
  at = append(text, KEY_SIZE, at, event->key.view);
  if (event->has_prompt)
    (void)snprintf(text + at, KEY_SIZE - at, "/%" PRIu32, event->key.top_k);
}

/* The names share the rest of the line. */
static void print_names(FILE *out, const struct fc_event *event, size_t room) {
  static const size_t least[] = {8, 4};
  char key[KEY_SIZE], safe_key[KEY_SIZE], client[FC_NAME_MAX + 1], safe_client[FC_NAME_MAX + 1];
  size_t widths[2];

  format_key(event, key);
  client[append(client, sizeof client, 0, event->client)] = '\0';
  if (!event->client.data)
    client[0] = '\0';
  (void)text_clean(safe_key, sizeof safe_key, key);
  (void)text_clean(safe_client, sizeof safe_client, client);
  widths[0] = text_width(safe_key);
  widths[1] = text_width(safe_client);
  text_share_columns(widths, least, 2, room - 1);
  text_cut_middle(out, safe_key, widths[0]);
  if (widths[1] > 0) {
    (void)fputc(' ', out); /* main checks the stream at the end, as for all prints here */
    text_cut_middle(out, safe_client, widths[1]);
  }
}

static int time_digits(size_t columns) {
  return columns < SHORT_TIME_BELOW ? 8 : 12;
}

/* A pipe gets the whole hash, as from the other commands. */
static int hash_digits(size_t columns) {
  return columns == TEXT_UNLIMITED ? (int)FC_HASH_HEX_SIZE - 1 : (int)TABLE_HASH_DIGITS;
}

void event_line_header(FILE *out) {
  size_t columns = text_columns_of(out);

  (void)fprintf(out, "%-*s %-6s %-9s %8s %7s %-*s %s\n", time_digits(columns), "TIME", "EVENT",
                "WHY", "SIZE", "COST", hash_digits(columns), "PROMPT", "KEY CLIENT");
}

static void print_lost(FILE *out, const struct fc_event *event, const char *time, int digits) {
  (void)fprintf(out, "%.*s lost   %" PRIu64 " event%s: this watcher was too slow\n", digits, time,
                event->count, units_plural(event->count));
}

void event_line_print(FILE *out, const struct fc_event *event) {
  size_t columns = text_columns_of(out);
  int digits = time_digits(columns), hash_width = hash_digits(columns);
  char time[16], size[UNITS_SIZE] = "", cost[UNITS_SIZE] = "", hash[FC_HASH_HEX_SIZE] = "";
  char removed[UNITS_SIZE];
  const char *why = detail_of(event);

  format_time(event, time);
  if (event->kind == FC_EVENT_LOST) {
    print_lost(out, event, time, digits);
    return;
  }
  if (event->bytes > 0)
    (void)units_bytes(event->bytes, size);
  if (event->cost_ns > 0)
    (void)units_ns(event->cost_ns, cost);
  if (event->has_prompt)
    fc_hash_hex(&event->key.prompt, hash);
  if (event->kind == FC_EVENT_CLEAR || event->kind == FC_EVENT_DELETE)
    why = units_count(event->count, removed);
  (void)fprintf(out, "%.*s %-6s %-9s %8s %7s %-*.*s ", digits, time, kinds[event->kind].name, why,
                size, cost, hash_width, hash_width, hash);
  print_names(out, event, columns - (size_t)digits - LINE_FIXED);
  (void)fputc('\n', out);
}

/* ---- JSON ---- */

static json_t *prompt_of(const struct fc_event *event) {
  char hash[FC_HASH_HEX_SIZE];

  fc_hash_hex(&event->key.prompt, hash);
  return event->has_prompt ? json_string(hash) : json_null();
}

/* The members that depend on the kind. Each call fails for NULL. */
static int add_rest(json_t *object, const struct fc_event *event) {
  const char *detail = detail_of(event), *cost = kinds[event->kind].cost;
  int failed = 0;

  if (detail[0] != '\0')
    failed |= json_object_set_new(object, "detail", json_string(detail));
  if (event->kind == FC_EVENT_HIT || event->kind == FC_EVENT_PUT ||
      event->kind == FC_EVENT_EVICTION)
    failed |= json_object_set_new(object, "bytes", json_value_count(event->bytes));
  if (cost)
    failed |= json_object_set_new(object, cost, json_value_seconds(event->cost_ns));
  if (event->kind == FC_EVENT_CLEAR || event->kind == FC_EVENT_DELETE)
    failed |= json_object_set_new(object, "removed", json_value_count(event->count));
  if (event->kind == FC_EVENT_EVICTION)
    failed |= json_object_set_new(object, "hits", json_value_count(event->count));
  if (event->kind == FC_EVENT_LOST)
    failed |= json_object_set_new(object, "lost", json_value_count(event->count));
  return failed;
}

static int add_key(json_t *object, const struct fc_event *event) {
  int failed = 0;

  failed |= json_object_set_new(object, "namespace", json_value_name(event->name_space));
  failed |= json_object_set_new(object, "op", json_value_name(event->key.op));
  failed |= json_object_set_new(object, "view", json_value_name(event->key.view));
  failed |= json_object_set_new(object, "prompt_hash", prompt_of(event));
  if (event->has_prompt)
    failed |= json_object_set_new(object, "top_k", json_value_count(event->key.top_k));
  failed |= json_object_set_new(object, "client", json_value_name(event->client));
  return failed;
}

int event_line_json(FILE *out, const struct fc_event *event) {
  json_t *object = json_object();
  int failed = json_object_set_new(object, "ts", json_value_seconds(event->time_ns));

  failed |= json_object_set_new(object, "event", json_string(kinds[event->kind].name));
  if (event->kind != FC_EVENT_LOST)
    failed |= add_key(object, event);
  failed |= add_rest(object, event);
  if (failed) {
    json_decref(object);
    return -1;
  }
  (void)json_value_print(out, object, JSON_COMPACT | JSON_REAL_PRECISION(TIME_DIGITS));
  (void)fputc('\n', out);
  return 0;
}
