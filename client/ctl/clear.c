/* fcachectl clear */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/select.h"

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
    argp_error(state, "clear takes no \"%s\"", arg);
    return 0;
  case ARGP_KEY_END:
    if (!args->select.name_space == !args->all)
      argp_error(state, "say what to clear: either --namespace NAME or --all");
    return 0;
  default:
    return select_parse(&args->select, key, arg, state);
  }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Remove entries: of a namespace, which anyone may, or of all, which is for the daemon's "
           "own user, root and its admin group. What is being computed meanwhile is not stored "
           "after.",
    .children = ctl_children};

int clear_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl};
  struct fc_select select;
  struct admin *admin;
  uint64_t removed;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  select = select_of(&args.select);
  /* As a client of the namespace: anyone may clear his own. */
  status = ctl_open(ctl, args.select.name_space, &admin);
  if (status != CTL_DONE)
    return status;
  status = ctl_result(admin, admin_clear(admin, &select, &removed));
  if (status == CTL_DONE)
    (void)printf("removed %" PRIu64 " %s\n", removed, removed == 1 ? "entry" : "entries");
  admin_close(admin);
  return status;
}
