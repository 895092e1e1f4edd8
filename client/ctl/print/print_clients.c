#include "client/ctl/print/print_clients.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/render.h"

#define USER_SIZE 64u
#define INDENT "    " /* of what stands below a client's row */

static const char *plane_of(const struct fc_client_entry *client) {
  return client->region ? "region" : "socket";
}

/* The user's name, or its number where it has none here. */
static const char *user_of(uint32_t uid, char text[USER_SIZE]) {
  const struct passwd *user = getpwuid(uid);

  if (user)
    (void)render_clean(text, USER_SIZE, user->pw_name);
  else
    (void)snprintf(text, USER_SIZE, "%" PRIu32, uid);
  return text;
}

/* ---- for people ---- */

/* What the figures, at their widest, leave of RENDER_COLUMNS. */
struct layout {
  size_t client, name_space;
};

static struct layout layout_of(const struct rows *rows) {
  return rows->one_namespace ? (struct layout){41, 0} : (struct layout){21, 19};
}

#define ID_COLUMNS 7

static void print_header(const struct rows *rows) {
  struct layout layout = layout_of(rows);

  (void)fprintf(rows->out, "%*s %7s ", ID_COLUMNS, "ID", "PID");
  rows_name(rows->out, fc_str_of("CLIENT"), layout.client);
  rows_name(rows->out, fc_str_of("NAMESPACE"), layout.name_space);
  (void)fprintf(rows->out, "%-6s %7s %7s\n", "PLANE", "HITS", "SHARED");
}

/* The id is never cut, as `kill` takes it: one that is longer than usual takes from the name. */
static void print_line(FILE *out, struct layout layout, const struct fc_client_entry *client) {
  char pid[RENDER_SIZE], hits[RENDER_SIZE], shared[RENDER_SIZE];
  struct fc_str name_space = client->name_space.data ? client->name_space : fc_str_of("-");
  int columns = fprintf(out, "%*" PRIu64, ID_COLUMNS, client->client_id);

  if (columns > ID_COLUMNS)
    layout.client -= (size_t)columns - ID_COLUMNS;
  (void)fprintf(out, " %7s ", render_pid(client->pid, pid));
  rows_name(out, client->client, layout.client);
  rows_name(out, name_space, layout.name_space);
  (void)fprintf(out, "%-6s %7s %7s\n", plane_of(client), render_count(client->hits, hits),
                render_count(client->shared_hits, shared));
}

/* Cuts the widest of the names until all have room together. */
static void share_room(size_t widths[], size_t n, size_t room) {
  for (;;) {
    size_t sum = 0, widest = 0;

    for (size_t i = 0; i < n; i++) {
      sum += widths[i];
      if (widths[i] > widths[widest])
        widest = i;
    }
    if (sum <= room || widths[widest] <= 1)
      return;
    widths[widest]--;
  }
}

/* A line below a client's row: `before`, the key, `middle` and a name (where there is one), and
 * `after`; the names are cut, the rest is not. */
static void print_below(FILE *out, const char *before, const struct fc_key *key, const char *middle,
                        struct fc_str name, const char *after) {
  char names[3][FC_NAME_MAX + 1], hash[FC_HASH_HEX_SIZE];
  size_t widths[3], room = RENDER_COLUMNS - 2 - ROWS_HASH_DIGITS;

  rows_text(key->op, names[0]);
  rows_text(key->view, names[1]);
  rows_text(name, names[2]);
  for (size_t i = 0; i < 3; i++)
    widths[i] = render_width(names[i]);
  share_room(widths, 3, room - strlen(before) - strlen(middle) - strlen(after));
  fc_hash_hex(&key->prompt, hash);
  (void)fputs(before, out);
  render_fit(out, names[0], widths[0], 0);
  (void)fputc(' ', out);
  render_fit(out, names[1], widths[1], 0);
  (void)fprintf(out, " %.*s%s", ROWS_HASH_DIGITS, hash, middle);
  render_fit(out, names[2], widths[2], 0);
  (void)fprintf(out, "%s\n", after);
}

/* ", +2 more" than the one that is shown, or nothing; the longest has 15 columns. */
static const char *more_than_one(uint32_t n, char text[RENDER_SIZE]) {
  char count[RENDER_SIZE];

  text[0] = '\0';
  if (n > 1)
    (void)snprintf(text, RENDER_SIZE, ", +%.16s more", render_count(n - 1, count));
  return text;
}

static void print_held(FILE *out, const struct fc_client_entry *client) {
  char more[RENDER_SIZE];

  print_below(out, INDENT "computes ", &client->held, "", (struct fc_str){0},
              more_than_one(client->leases, more));
}

static void print_wait(FILE *out, const struct fc_client_entry *client) {
  char before[RENDER_SIZE], after[RENDER_SIZE], time[RENDER_SIZE], pid[RENDER_SIZE],
      more[RENDER_SIZE];

  (void)snprintf(before, sizeof before, INDENT "waits %.16s for ",
                 render_seconds((double)client->wait.waited_ns / 1e9, time));
  (void)snprintf(after, sizeof after, " (pid %.16s)%.24s", render_pid(client->wait.owner_pid, pid),
                 more_than_one(client->waits, more));
  print_below(out, before, &client->wait.key, " of ", client->wait.owner, after);
}

/* ---- for programs ---- */

static json_t *held_of(const struct fc_client_entry *client) {
  return client->held.op.data ? rows_with_key(NULL, &client->held, json_object()) : json_null();
}

static json_t *wait_of(const struct fc_client_entry *client) {
  json_t *rest;

  if (!client->wait.key.op.data)
    return json_null();
  rest =
      json_pack("{s:o, s:o, s:o, s:o}", "waited_s", rows_seconds(client->wait.waited_ns), "owner",
                rows_string(client->wait.owner), "owner_id", rows_integer(client->wait.owner_id),
                "owner_pid", rows_pid(client->wait.owner_pid));
  return rows_with_key(NULL, &client->wait.key, rest);
}

/* Of all clients of the user; null where the daemon is too old to say. */
static json_t *user_holds(const struct fc_client_entry *client) {
  const struct fc_user_entry *user = &client->user;

  if (!client->has_user)
    return json_null();
  return json_pack(
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "connections", rows_integer(user->connections),
      "namespaces", rows_integer(user->namespaces), "leases", rows_integer(user->leases), "waits",
      rows_integer(user->waits), "ring_bytes", rows_integer(user->ring_bytes), "message_bytes",
      rows_integer(user->message_bytes), "manifest_bytes", rows_integer(user->manifest_bytes));
}

static json_t *object_of(const struct fc_client_entry *client) {
  char user[USER_SIZE];

  return json_pack(
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "client",
      rows_string(client->client), "client_id", rows_integer(client->client_id), "pid",
      rows_pid(client->pid), "uid", rows_integer(client->uid), "user",
      rows_string(fc_str_of(user_of(client->uid, user))), "user_holds", user_holds(client),
      "namespace", rows_string(client->name_space), "plane", plane_of(client), "connected_s",
      rows_seconds(client->connected_ns), "hits", rows_integer(client->hits), "shared_hits",
      rows_integer(client->shared_hits), "leases", rows_integer(client->leases), "held",
      held_of(client), "waits", rows_integer(client->waits), "wait", wait_of(client));
}

/* ---- groups ---- */

struct clients_group {
  uint32_t uid;
  struct fc_user_entry holds; /* of all its clients; of a daemon that is too old: of those listed */
  uint64_t listed;            /* clients that came */
  char **rows;                /* the first of them, as text; owned */
  size_t n_rows;
};

/* NULL without memory. */
static struct clients_group *group_of(struct clients_view *view, uint32_t uid) {
  struct clients_group *groups;

  for (size_t i = view->n_groups; i > 0; i--) /* clients of one user often come together */
    if (view->groups[i - 1].uid == uid)
      return &view->groups[i - 1];
  groups = realloc(view->groups, (view->n_groups + 1) * sizeof *groups);
  if (!groups)
    return NULL;
  view->groups = groups;
  groups[view->n_groups] = (struct clients_group){.uid = uid};
  return &groups[view->n_groups++];
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

/* The client's row and what is below it; the caller's. NULL without memory. */
static char *text_of(const struct rows *rows, const struct fc_client_entry *client) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  if (!out)
    return NULL;
  print_line(out, layout_of(rows), client);
  if (client->held.op.data)
    print_held(out, client);
  if (client->wait.key.op.data)
    print_wait(out, client);
  if (fclose(out) == 0)
    return text;
  free(text);
  return NULL;
}

/* Makes room for a row more: the numbers of rows double. */
static bool grow(struct clients_group *group) {
  char **rows;

  if (group->n_rows & (group->n_rows - 1)) /* there is room up to the next power of two */
    return true;
  rows = realloc(group->rows, (group->n_rows ? 2 * group->n_rows : 1) * sizeof *rows);
  if (rows)
    group->rows = rows;
  return rows != NULL;
}

static bool collect(struct clients_view *view, const struct fc_client_entry *client) {
  struct clients_group *group = group_of(view, client->uid);
  char *text;

  if (!group)
    return false;
  add_up(group, client);
  if (view->limit > 0 && group->n_rows == view->limit)
    return true;
  text = grow(group) ? text_of(view->rows, client) : NULL;
  if (text)
    group->rows[group->n_rows++] = text;
  return text != NULL;
}

static int most_connections_first(const void *one, const void *other) {
  const struct clients_group *a = one, *b = other;

  if (a->holds.connections != b->holds.connections)
    return a->holds.connections > b->holds.connections ? -1 : 1;
  return a->uid < b->uid ? -1 : 1;
}

static const char *plural(uint64_t n) {
  return n == 1 ? "" : "s";
}

static void print_user(FILE *out, const struct clients_group *group) {
  char name[USER_SIZE], clients[RENDER_SIZE], leases[RENDER_SIZE], waits[RENDER_SIZE],
      rings[RENDER_SIZE];
  const struct fc_user_entry *holds = &group->holds;

  render_fit(out, user_of(group->uid, name), 16, 0); /* with the rest at its widest: 80 columns */
  (void)fprintf(out, ": %s client%s, %s lease%s, %s wait%s, rings %s\n",
                render_count(holds->connections, clients), plural(holds->connections),
                render_count(holds->leases, leases), plural(holds->leases),
                render_count(holds->waits, waits), plural(holds->waits),
                render_bytes(holds->ring_bytes, rings));
}

/* Its first `most` rows, and how many are left out. */
static void print_group(FILE *out, const struct clients_group *group, uint64_t most) {
  char left[RENDER_SIZE];
  size_t n = group->n_rows < most ? group->n_rows : (size_t)most;

  print_user(out, group);
  for (size_t i = 0; i < n; i++)
    (void)fputs(group->rows[i], out);
  if (group->listed > n)
    (void)fprintf(out, INDENT "%s more: --limit 0 lists all\n",
                  render_count(group->listed - n, left));
}

/* The rows that each user may have, so that those with few do not lose them to one with many. */
static uint64_t rows_each(const struct clients_view *view) {
  uint64_t left = view->limit;

  for (size_t n = view->n_groups; n > 0 && view->limit > 0; n--) { /* those with few come last */
    uint64_t listed = view->groups[n - 1].listed;

    if (listed > left / n)
      return left / n;
    left -= listed;
  }
  return UINT64_MAX;
}

/* ---- both ---- */

void clients_print_client(void *arg, const struct fc_client_entry *client) {
  struct clients_view *view = arg;

  if (view->rows->json)
    rows_object(view->rows, object_of(client));
  else if (collect(view, client))
    view->rows->n++;
  else
    view->rows->failed = true;
}

void clients_print_end(struct clients_view *view) {
  uint64_t each;

  if (view->n_groups > 0) {
    qsort(view->groups, view->n_groups, sizeof *view->groups, most_connections_first);
    print_header(view->rows);
  }
  each = rows_each(view);
  for (size_t i = 0; i < view->n_groups; i++) {
    struct clients_group *group = &view->groups[i];

    print_group(view->rows->out, group, each);
    for (size_t row = 0; row < group->n_rows; row++)
      free(group->rows[row]);
    free(group->rows);
  }
  free(view->groups);
  view->groups = NULL;
  view->n_groups = 0;
}
