/* fcachectl reload */
#include <stdio.h>

#include "client/ctl/command.h"
#include "client/ctl/report.h"
#include "client/lib/admin/configuration.h"

static int run(struct admin *admin) {
  struct fc_reload_reply reload;
  int status = report_result(admin, admin_reload(admin, &reload));

  if (status != CTL_DONE)
    return status;
  (void)printf("%u %s changed", reload.changed, reload.changed == 1 ? "setting" : "settings");
  if (reload.waiting > 0)
    (void)printf(", and %u %s a restart of fcached: see fcachectl settings", reload.waiting,
                 reload.waiting == 1 ? "needs" : "need");
  (void)putchar('\n'); /* main checks the stream at the end */
  return CTL_DONE;
}

const struct command reload_command = {
    .name = "reload",
    .summary = "make fcached read its configuration again",
    .purpose = COMMAND_CHANGE,
    .doc = "Make fcached read its configuration files again, and apply what can change while it "
           "serves. If a file has a mistake, a limit needs more memory than there is, max-bytes "
           "changes while entries still move, or a trace file cannot be opened, nothing changes "
           "and the command fails with the reason. Allowed for fcached's own user, root and the "
           "admin group."
           "\v"
           "Example:\n"
           "  fcachectl reload",
    .run = run};
