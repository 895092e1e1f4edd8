/* fcachectl kill */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ctl.h"

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
  const char *text;
  bool is_pid;
  uint64_t number; /* a client's id, or a process's */
};

/* "123" or "pid:123". */
static bool read_client(struct args *args, const char *text) {
  char *end;

  args->is_pid = strncmp(text, "pid:", 4) == 0;
  text += args->is_pid ? 4 : 0;
  errno = 0;
  args->number = strtoull(text, &end, 10);
  return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  CTL_PARSE(key, state);
  switch (key) {
  case ARGP_KEY_ARG:
    if (args->text)
      ctl_usage(state, "kill takes one client, and no \"%s\"", arg);
    if (!read_client(args, arg))
      ctl_usage(state,
                "\"%s\" is not a client: give its id, as fcachectl clients lists it, or "
                "pid:NUMBER",
                arg);
    args->text = arg;
    return 0;
  case ARGP_KEY_END:
    if (!args->text)
      ctl_usage(state, "which client? Give its id, as fcachectl clients lists it, or pid:NUMBER");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "CLIENT",
    .doc = "Close the connection of a client: CLIENT is its id, as fcachectl clients lists it, or "
           "pid:NUMBER for all connections of a process. What it computes is another's to compute. "
           "The client goes on without sharing, and connects again with a back-off. For the "
           "daemon's own user, root and its admin group.",
    .children = ctl_children};

/* The ids of a process's clients. */
struct ids {
  int64_t pid;
  uint64_t *ids; /* owned */
  size_t n;
  bool failed;
};

static void add_id(void *arg, const struct fc_client_entry *client) {
  struct ids *ids = arg;
  uint64_t *more;

  if (client->pid != ids->pid || ids->failed)
    return;
  more = realloc(ids->ids, (ids->n + 1) * sizeof *more);
  ids->failed = !more;
  if (!more)
    return;
  ids->ids = more;
  ids->ids[ids->n++] = client->client_id;
}

static int find_ids(struct admin *admin, const struct args *args, struct ids *ids) {
  int result;

  if (!args->is_pid) {
    add_id(ids, &(struct fc_client_entry){.client_id = args->number});
    return ids->failed ? ctl_error("out of memory") : CTL_DONE;
  }
  if (args->number == 0 || args->number > INT64_MAX) /* 0 is of another pid namespace */
    return CTL_DONE;
  ids->pid = (int64_t)args->number;
  result = admin_clients(admin, NULL, 0, add_id, ids);
  return ids->failed ? ctl_error("out of memory") : ctl_result(admin, result);
}

static int kill_all(struct admin *admin, const struct ids *ids, uint64_t *n) {
  int status = CTL_DONE;

  for (size_t i = 0; i < ids->n && status == CTL_DONE; i++) {
    bool killed = false;

    status = ctl_result(admin, admin_kill(admin, ids->ids[i], &killed));
    *n += killed;
  }
  return status;
}

static int run(struct admin *admin, const struct args *args) {
  struct ids ids = {.pid = 0};
  uint64_t n = 0;
  int status = find_ids(admin, args, &ids);

  if (status == CTL_DONE)
    status = kill_all(admin, &ids, &n);
  free(ids.ids);
  if (n > 0)
    (void)printf("closed %" PRIu64 " connection%s\n", n, n == 1 ? "" : "s");
  else if (status == CTL_DONE)
    status = ctl_error("there is no client %s: see fcachectl clients", args->text);
  return status;
}

int kill_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl};
  struct admin *admin;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  status = ctl_open(ctl, NULL, &admin);
  if (status != CTL_DONE)
    return status;
  status = run(admin, &args);
  admin_close(admin);
  return status;
}
