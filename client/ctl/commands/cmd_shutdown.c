/* fcachectl shutdown */
#include <stdio.h>

#include "client/ctl/command.h"
#include "client/ctl/report.h"

static int run(struct admin *admin) {
  int status = report_result(admin, admin_shutdown(admin));

  if (status == CTL_DONE)
    (void)puts("fcached is shutting down");
  return status;
}

const struct command shutdown_command = {
    .name = "shutdown",
    .summary = "finish the accepted requests and stop fcached",
    .purpose = COMMAND_CHANGE,
    .doc = "Finish the accepted requests and stop fcached. Allowed for fcached's own user, root "
           "and the admin group."
           "\v"
           "Example:\n"
           "  fcachectl shutdown",
    .run = run};
