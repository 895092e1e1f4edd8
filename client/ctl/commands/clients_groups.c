#include "client/ctl/commands/clients_groups.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/json_value.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"
#include "proto/limits.h"

#define USER_SIZE 64u
#define USER_COLUMNS 16u /* leaves room for the widest numbers in 80 columns */
#define INDENT "    "

static const struct table_column columns[] = {
    {"ID", TABLE_NUMBER},      {"PID", TABLE_NUMBER},    {"CLIENT", TABLE_NAME},
    {"NAMESPACE", TABLE_NAME}, {"VIA", TABLE_TEXT},      {"HITS", TABLE_NUMBER},
    {"SHARED", TABLE_NUMBER},  {"REMOTE", TABLE_NUMBER},
};

const struct listing_kind clients_kind = {.columns = columns,
                                          .n_columns = sizeof columns / sizeof columns[0],
                                          .namespace_column = 3,
                                          .none = "no clients connected",
                                          .none_matching =
                                              "no clients connected to this namespace"};

static const char *via(const struct fc_client_entry *client) {
  return client->region ? "region" : "socket";
}

/* Returns the user's name, or its number if it has none on this machine. */
static const char *user_name(uint32_t uid, char text[USER_SIZE]) {
  const struct passwd *user = getpwuid(uid);

  if (user)
    (void)text_clean(text, USER_SIZE, user->pw_name);
  else
    (void)snprintf(text, USER_SIZE, "%" PRIu32, uid);
  return text;
}

/* ---- rows ---- */

/* Prints `before`, the key, `middle`, a name (maybe none) and `after`. Only names are cut, and the
 * hash. */
static void print_key_line(FILE *out, size_t line_columns, const char *before,
                           const struct fc_key *key, const char *middle, struct fc_str name,
                           const char *after) {
  const struct fc_str parts[] = {key->op, key->view, name};
  char names[3][FC_NAME_MAX + 1], hash[FC_HASH_HEX_SIZE];
  static const size_t least[] = {1, 1, 1};
  size_t widths[3], fixed = strlen(before) + strlen(middle) + strlen(after) + 2;

  fc_hash_hex(&key->prompt, hash);
  for (size_t i = 0; i < 3; i++) {
    (void)snprintf(names[i], sizeof names[i], "%.*s", (int)parts[i].size,
                   parts[i].data ? parts[i].data : "");
    widths[i] = text_width(names[i]);
  }
  if (line_columns != TEXT_UNLIMITED)
    hash[TABLE_HASH_DIGITS] = '\0';
  fixed += strlen(hash);
  text_share_columns(widths, least, 3, line_columns > fixed ? line_columns - fixed : 0);
  (void)fputs(before, out);
  text_cut_middle(out, names[0], widths[0]);
  (void)fputc(' ', out);
  text_cut_middle(out, names[1], widths[1]);
  (void)fprintf(out, " %s%s", hash, middle);
  text_cut_middle(out, names[2], widths[2]);
  (void)fprintf(out, "%s\n", after);
}

/* Formats ", +2 more" for 3, and "" for 1. */
static const char *more(uint32_t n, char text[UNITS_SIZE]) {
  char count[UNITS_SIZE];

  text[0] = '\0';
  if (n > 1)
    (void)snprintf(text, UNITS_SIZE, ", +%.16s more", units_count(n - 1, count));
  return text;
}

static void print_held(FILE *out, size_t width, const struct fc_client_entry *client) {
  char after[UNITS_SIZE];

  print_key_line(out, width, INDENT "holds ", &client->held, "", (struct fc_str){0},
                 more(client->leases, after));
}

static void print_wait(FILE *out, size_t width, const struct fc_client_entry *client) {
  char before[UNITS_SIZE], after[UNITS_SIZE], time[UNITS_SIZE], pid[UNITS_SIZE], rest[UNITS_SIZE];

  (void)snprintf(before, sizeof before, INDENT "waits %.16s for ",
                 units_ns(client->wait.waited_ns, time));
  (void)snprintf(after, sizeof after, " (pid %.16s)%.24s", units_pid(client->wait.owner_pid, pid),
                 more(client->waits, rest));
  print_key_line(out, width, before, &client->wait.key, " of ", client->wait.owner, after);
}

static void add_note(struct table *table, size_t width, const struct fc_client_entry *client) {
  char *lines = NULL;
  size_t size;
  FILE *out = open_memstream(&lines, &size);

  if (!out) {
    table->failed = true;
    return;
  }
  if (client->held.op.data)
    print_held(out, width, client);
  if (client->wait.key.op.data)
    print_wait(out, width, client);
  if (fclose(out) != 0) {
    free(lines);
    lines = NULL;
  }
  table_note(table, lines);
}

static void add_row(struct table *table, size_t width, const struct fc_client_entry *client) {
  char text[UNITS_SIZE];

  table_row(table);
  (void)snprintf(text, sizeof text, "%" PRIu64, client->client_id); /* exact: kill takes it */
  table_cell(table, text);
  table_cell(table, units_pid(client->pid, text));
  table_name(table, client->client);
  table_name(table, client->name_space.data ? client->name_space : fc_str_of("-"));
  table_cell(table, via(client));
  table_cell(table, units_count(client->hits, text));
  table_cell(table, units_count(client->shared_hits, text));
  table_cell(table, units_count(client->tier_waits, text));
  if (client->held.op.data || client->wait.key.op.data)
    add_note(table, width, client);
}

/* ---- JSON ---- */

static json_t *held_object(const struct fc_client_entry *client) {
  return client->held.op.data ? json_value_key(NULL, &client->held, json_object()) : json_null();
}

static json_t *wait_object(const struct fc_client_entry *client) {
  json_t *rest;

  if (!client->wait.key.op.data)
    return json_null();
  rest = json_pack("{s:o, s:o, s:o, s:o}", "waited_s", json_value_seconds(client->wait.waited_ns),
                   "owner", json_value_name(client->wait.owner), "owner_id",
                   json_value_count(client->wait.owner_id), "owner_pid",
                   json_value_pid(client->wait.owner_pid));
  return json_value_key(NULL, &client->wait.key, rest);
}

/* Returns what all clients of the user hold, or null if the daemon is too old to report it. */
static json_t *user_object(const struct fc_client_entry *client) {
  const struct fc_user_entry *user = &client->user;

  if (!client->has_user)
    return json_null();
  return json_pack(
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "connections", json_value_count(user->connections),
      "namespaces", json_value_count(user->namespaces), "leases", json_value_count(user->leases),
      "waits", json_value_count(user->waits), "ring_bytes", json_value_count(user->ring_bytes),
      "message_bytes", json_value_count(user->message_bytes), "manifest_bytes",
      json_value_count(user->manifest_bytes));
}

static json_t *client_object(const struct fc_client_entry *client) {
  char user[USER_SIZE];

  return json_pack(
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "client",
      json_value_name(client->client), "client_id", json_value_count(client->client_id), "pid",
      json_value_pid(client->pid), "uid", json_value_count(client->uid), "user",
      json_value_name(fc_str_of(user_name(client->uid, user))), "user_holds", user_object(client),
      "namespace", json_value_name(client->name_space), "plane", via(client), "connected_s",
      json_value_seconds(client->connected_ns), "hits", json_value_count(client->hits),
      "shared_hits", json_value_count(client->shared_hits), "leases",
      json_value_count(client->leases), "held", held_object(client), "waits",
      json_value_count(client->waits), "wait", wait_object(client), "tier_waits",
      json_value_count(client->tier_waits));
}

/* ---- groups ---- */

struct clients_group {
  uint32_t uid;
  struct fc_user_entry holds; /* all clients of the user; from an older daemon: those in the list */
  uint64_t listed;            /* clients in the list */
  struct table table;         /* the first of them */
};

/* Returns NULL without memory. */
static struct clients_group *find_group(struct clients_groups *groups, uint32_t uid) {
  struct clients_group *grown;

  for (size_t i = groups->n; i > 0; i--) /* clients of one user are often adjacent */
    if (groups->groups[i - 1].uid == uid)
      return &groups->groups[i - 1];
  grown = realloc(groups->groups, (groups->n + 1) * sizeof *grown);
  if (!grown)
    return NULL;
  groups->groups = grown;
  grown[groups->n] = (struct clients_group){.uid = uid};
  listing_table_init(groups->listing, &clients_kind, &grown[groups->n].table);
  return &grown[groups->n++];
}

static void add_up(struct clients_group *group, const struct fc_client_entry *client) {
  group->listed++;
  if (client->has_user) {
    group->holds = client->user;
    return;
  }
  group->holds.connections++;
  group->holds.leases += client->leases;
  group->holds.waits += client->waits;
}

void clients_groups_add(void *arg, const struct fc_client_entry *client) {
  struct clients_groups *groups = arg;
  struct listing *listing = groups->listing;
  struct clients_group *group;

  if (listing->json) {
    listing_object(listing, client_object(client));
    return;
  }
  group = find_group(groups, client->uid);
  if (!group) {
    listing->failed = true;
    return;
  }
  listing->n++;
  add_up(group, client);
  if (listing->limit == 0 || group->table.n_rows < listing->limit)
    add_row(&group->table, text_columns_of(listing->out), client);
}

/* Orders the user with the most connections first. */
static int compare_groups(const void *one, const void *other) {
  const struct clients_group *a = one, *b = other;

  if (a->holds.connections != b->holds.connections)
    return a->holds.connections > b->holds.connections ? -1 : 1;
  return a->uid < b->uid ? -1 : 1;
}

static void print_user(FILE *out, const struct clients_group *group) {
  char name[USER_SIZE], clients[UNITS_SIZE], leases[UNITS_SIZE], waits[UNITS_SIZE],
      rings[UNITS_SIZE];
  const struct fc_user_entry *holds = &group->holds;

  text_cut_middle(out, user_name(group->uid, name),
                  text_columns_of(out) == TEXT_UNLIMITED ? TEXT_UNLIMITED : USER_COLUMNS);
  (void)fprintf(out, ": %s client%s, %s lease%s, %s wait%s, rings %s\n",
                units_count(holds->connections, clients), units_plural(holds->connections),
                units_count(holds->leases, leases), units_plural(holds->leases),
                units_count(holds->waits, waits), units_plural(holds->waits),
                units_bytes(holds->ring_bytes, rings));
}

/* Returns the rows that each user may have, so that a user with few clients loses none to a user
 * with many. The groups are in the order of compare_groups. */
static uint64_t rows_each(const struct clients_groups *groups) {
  uint64_t left = groups->listing->limit;

  for (size_t n = groups->n; n > 0 && groups->listing->limit > 0; n--) {
    uint64_t listed = groups->groups[n - 1].listed;

    if (listed > left / n)
      return left / n;
    left -= listed;
  }
  return UINT64_MAX;
}

static void print_group(struct listing *listing, struct clients_group *group, uint64_t rows) {
  char left[UNITS_SIZE];

  print_user(listing->out, group);
  table_keep(&group->table, rows < group->table.n_rows ? (size_t)rows : group->table.n_rows);
  rows = group->table.n_rows;
  table_print(&group->table, listing->out);
  listing->failed |= group->table.failed;
  if (group->listed > rows)
    (void)fprintf(listing->out, INDENT "%s more: --limit 0 lists all\n",
                  units_count(group->listed - rows, left));
}

void clients_groups_print(struct clients_groups *groups) {
  uint64_t rows;

  if (groups->n > 0)
    qsort(groups->groups, groups->n, sizeof *groups->groups, compare_groups);
  rows = rows_each(groups);
  for (size_t i = 0; i < groups->n; i++) {
    if (i > 0)
      (void)fputc('\n', groups->listing->out);
    print_group(groups->listing, &groups->groups[i], rows);
    table_deinit(&groups->groups[i].table);
  }
  free(groups->groups);
  *groups = (struct clients_groups){.listing = groups->listing};
}
