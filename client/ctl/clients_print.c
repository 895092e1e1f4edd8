#include "client/ctl/clients_print.h"

#include <inttypes.h>
#include <pwd.h>
#include <string.h>

#include "client/ctl/render.h"

#define USER_SIZE 64u
#define INDENT "    " /* of what stands below a client's row */

static const char *plane_of(const struct fc_client_entry *client) {
  return client->region ? "region" : "socket";
}

/* The user's name, or its number where it has none here. */
static const char *user_of(const struct fc_client_entry *client, char text[USER_SIZE]) {
  const struct passwd *user = getpwuid(client->uid);

  if (user)
    (void)render_clean(text, USER_SIZE, user->pw_name);
  else
    (void)snprintf(text, USER_SIZE, "%" PRIu32, client->uid);
  return text;
}

/* ---- for people ---- */

/* What the figures, at their widest, leave of RENDER_COLUMNS. */
struct layout {
  size_t user, client, name_space;
};

static struct layout layout_of(const struct rows *rows) {
  return rows->one_namespace ? (struct layout){16, 30, 0} : (struct layout){10, 18, 19};
}

static void print_header(const struct rows *rows) {
  struct layout layout = layout_of(rows);

  (void)fprintf(rows->out, "%7s ", "PID");
  rows_name(rows->out, fc_str_of("USER"), layout.user);
  rows_name(rows->out, fc_str_of("CLIENT"), layout.client);
  rows_name(rows->out, fc_str_of("NAMESPACE"), layout.name_space);
  (void)fprintf(rows->out, "%-6s %7s %7s\n", "PLANE", "HITS", "SHARED");
}

static void print_line(const struct rows *rows, const struct fc_client_entry *client) {
  char pid[RENDER_SIZE], hits[RENDER_SIZE], shared[RENDER_SIZE], user[USER_SIZE];
  struct fc_str name_space = client->name_space.data ? client->name_space : fc_str_of("-");
  struct layout layout = layout_of(rows);

  (void)fprintf(rows->out, "%7s ", render_pid(client->pid, pid));
  rows_name(rows->out, fc_str_of(user_of(client, user)), layout.user);
  rows_name(rows->out, client->client, layout.client);
  rows_name(rows->out, name_space, layout.name_space);
  (void)fprintf(rows->out, "%-6s %7s %7s\n", plane_of(client), render_count(client->hits, hits),
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

static json_t *object_of(const struct fc_client_entry *client) {
  char user[USER_SIZE];

  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                   "client", rows_string(client->client), "client_id",
                   rows_integer(client->client_id), "pid", rows_pid(client->pid), "uid",
                   rows_integer(client->uid), "user", rows_string(fc_str_of(user_of(client, user))),
                   "namespace", rows_string(client->name_space), "plane", plane_of(client),
                   "connected_s", rows_seconds(client->connected_ns), "hits",
                   rows_integer(client->hits), "shared_hits", rows_integer(client->shared_hits),
                   "leases", rows_integer(client->leases), "held", held_of(client), "waits",
                   rows_integer(client->waits), "wait", wait_of(client));
}

/* ---- both ---- */

void clients_print_client(void *arg, const struct fc_client_entry *client) {
  struct rows *rows = arg;

  if (rows->json) {
    rows_object(rows, object_of(client));
    return;
  }
  if (rows->n == 0)
    print_header(rows);
  print_line(rows, client);
  if (client->held.op.data)
    print_held(rows->out, client);
  if (client->wait.key.op.data)
    print_wait(rows->out, client);
  rows->n++;
}
