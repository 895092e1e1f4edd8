/* fcachectl shutdown */
#include <stdio.h>

#include "client/ctl/ctl.h"

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  CTL_PARSE(key, state);
  if (key != ARGP_KEY_ARG)
    return ARGP_ERR_UNKNOWN;
  ctl_usage(state, "shutdown takes no \"%s\"", arg);
  return 0;
}

static const struct argp argp = {
    .parser = parse,
    .doc = "Let the daemon finish what it accepted, and end. For its own user, root and its admin "
           "group.",
    .children = ctl_children};

int shutdown_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl};
  struct admin *admin;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  status = ctl_open(ctl, NULL, &admin);
  if (status != CTL_DONE)
    return status;
  status = ctl_result(admin, admin_shutdown(admin));
  if (status == CTL_DONE)
    (void)puts("the daemon is shutting down");
  admin_close(admin);
  return status;
}
