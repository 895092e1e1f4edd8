/* fcachectl clear */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/commands/cmd_stats.h"
#include "client/ctl/ctl.h"
#include "client/ctl/select.h"
#include "proto/errors.h"

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
  struct select_args select;
  bool all;
};

static const struct argp_option options[] = {
    SELECT_OPTIONS, {"all", 'a', NULL, 0, "All namespaces (with --view, --op: of them)", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  CTL_PARSE(key, state);
  switch (key) {
  case 'a':
    args->all = true;
    return 0;
  case ARGP_KEY_ARG:
    ctl_usage(state, "clear takes no \"%s\"", arg);
    return 0;
  case ARGP_KEY_END:
    if (!args->select.name_space == !args->all)
      ctl_usage(state, "say what to clear: either --namespace NAME or --all");
    return 0;
  default:
    return select_parse(&args->select, key, arg, state);
  }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Remove entries: of a namespace, for the user who made it, or of all. The daemon's own "
           "user, "
           "root and its admin group may do both. What is being computed meanwhile is not stored "
           "after.",
    .children = ctl_children};

static void say_removed(uint64_t removed, const char *missing) {
  (void)printf("removed %" PRIu64 " %s", removed, removed == 1 ? "entry" : "entries");
  if (missing)
    (void)printf(": " STATS_NO_NAMESPACE, missing);
  (void)putchar('\n'); /* stdout's error is checked at the end */
}

/* An older daemon lets every client of a namespace clear it, and no tool. To say hello as a
 * client makes a namespace that is not there, for which another may have to go with all its
 * entries. So as a tool first, and as a client only where that is not enough and the namespace is
 * known to exist. */
static int clear(const struct args *args, struct admin **admin) {
  const char *name_space = args->select.name_space;
  struct fc_select select = select_of(&args->select);
  uint64_t removed = 0;
  int result = admin_clear(*admin, &select, &removed), status = CTL_DONE;
  bool exists = true, denied = result == FC_EDENIED && name_space;

  if (denied || (result == 0 && removed == 0 && name_space))
    status = stats_has_namespace(*admin, name_space, &exists);
  if (status == CTL_DONE && denied && exists) {
    admin_close(*admin);
    status = ctl_open(args->ctl, name_space, admin);
    if (status == CTL_DONE)
      result = admin_clear(*admin, &select, &removed);
  }
  if (status == CTL_DONE && exists)
    status = ctl_result(*admin, result);
  if (status == CTL_DONE)
    say_removed(removed, exists ? NULL : name_space);
  return status;
}

int clear_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl};
  struct admin *admin;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  status = ctl_open(ctl, NULL, &admin);
  if (status == CTL_DONE)
    status = clear(&args, &admin);
  admin_close(admin);
  return status;
}
