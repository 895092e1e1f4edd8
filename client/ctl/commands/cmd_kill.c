/* fcachectl kill */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"

static struct {
  const char *client; /* as given */
  bool is_pid;
  uint64_t number; /* a client's id, or a pid */
} args;

/* Parses "123" or "pid:123". */
static bool parse_client(const char *text) {
  char *end;

  args.is_pid = strncmp(text, "pid:", 4) == 0;
  text += args.is_pid ? 4 : 0;
  errno = 0;
  args.number = strtoull(text, &end, 10);
  return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case ARGP_KEY_ARG:
    argument_only(state, &args.client, arg, "kill takes one client");
    if (!parse_client(arg))
      argument_error(state,
                     "\"%s\" is not a client: give an id of fcachectl clients, or pid:NUMBER", arg);
    return 0;
  case ARGP_KEY_END:
    if (!args.client)
      argument_error(state, "no client: give an id of fcachectl clients, or pid:NUMBER");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* The ids of the clients to close. */
struct ids {
  uint64_t *ids; /* owned */
  size_t n;
  bool failed; /* out of memory */
};

static void add_id(struct ids *ids, uint64_t id) {
  uint64_t *more = realloc(ids->ids, (ids->n + 1) * sizeof *more);

  if (!more) {
    ids->failed = true;
    return;
  }
  ids->ids = more;
  ids->ids[ids->n++] = id;
}

static void add_client(void *arg, const struct fc_client_entry *client) {
  if (client->pid > 0 && (uint64_t)client->pid == args.number) /* 0: in another pid namespace */
    add_id(arg, client->client_id);
}

static int find_ids(struct admin *admin, struct ids *ids) {
  int result = 0;

  if (args.is_pid)
    result = admin_clients(admin, NULL, 0, add_client, ids);
  else
    add_id(ids, args.number);
  return ids->failed ? report_error("out of memory") : report_result(admin, result);
}

static int kill_all(struct admin *admin, const struct ids *ids, uint64_t *n) {
  int status = CTL_DONE;

  for (size_t i = 0; i < ids->n && status == CTL_DONE; i++) {
    bool killed = false;

    status = report_result(admin, admin_kill(admin, ids->ids[i], &killed));
    *n += killed;
  }
  return status;
}

static int run(struct admin *admin) {
  struct ids ids = {0};
  uint64_t n = 0;
  int status = find_ids(admin, &ids);

  if (status == CTL_DONE)
    status = kill_all(admin, &ids, &n);
  free(ids.ids);
  if (n > 0)
    (void)printf("closed %" PRIu64 " connection%s\n", n, units_plural(n));
  else if (status == CTL_DONE)
    status = report_error("there is no client %s: see fcachectl clients", args.client);
  return status;
}

const struct command kill_command = {
    .name = "kill",
    .arguments = "CLIENT",
    .summary = "close the connection of a client",
    .purpose = COMMAND_CHANGE,
    .doc = "Close the connection of a client. CLIENT is an id of fcachectl clients, or pid:NUMBER "
           "for all connections of a process. Its leases go to waiters. The client computes "
           "without the cache, and reconnects after a back-off. Allowed for fcached's own user, "
           "root and the admin group."
           "\v"
           "Examples:\n"
           "  fcachectl kill 17\n"
           "  fcachectl kill pid:4711",
    .parse = parse,
    .run = run};
