/* fcachectl metrics */
#include <stdio.h>

#include "client/ctl/command.h"
#include "client/ctl/metrics/metrics_read.h"
#include "client/ctl/metrics/metrics_stats.h"

/* Without a daemon there is one metric, which says so, and the error as for every command. */
static int run_at(const char *socket) {
  struct admin *admin;
  int status = command_connect(socket, &admin);

  if (status == CTL_DONE)
    status = report_result(admin, metrics_read(admin, stdout));
  if (status != CTL_DONE)
    metrics_print_down(stdout);
  admin_close(admin);
  return status;
}

const struct command metrics_command = {
    .name = "metrics",
    .summary = "print the statistics as Prometheus metrics",
    .doc =
        "Print the statistics as Prometheus metrics, in the text format 0.0.4. The exporter "
        "serves the same metrics over HTTP. If no daemon replies, the only metric is fcached_up 0."
        "\v"
        "Example, for the textfile collector of the node exporter:\n\n"
        "  fcachectl metrics >fcached.prom.new; mv fcached.prom.new fcached.prom",
    .purpose = COMMAND_LOOK,
    .run_at = run_at};
