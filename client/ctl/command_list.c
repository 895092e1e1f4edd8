#include "client/ctl/command_list.h"

#include <assert.h>
#include <string.h>

#include "proto/nearest.h"

/* Within a purpose, the most used command first. Each has a line of its own. */
/* clang-format off */
const struct command *const command_list[] = {
    &stats_command,
    &top_command,
    &metrics_command,
    &list_command,
    &namespaces_command,
    &clients_command,
    &leases_command,
    &latency_command,
    &slowest_command,
    &tier_command,
    &watch_command,
    &settings_command,
    &ping_command,
    &doctor_command,
    &clear_command,
    &delete_command,
    &set_command,
    &reload_command,
    &trace_command,
    &kill_command,
    &shutdown_command,
    &snapshot_command,
    &export_command,
    &import_command,
    &image_command,
    &run_command,
    &exporter_command,
    &completion_command,
    NULL,
};
/* clang-format on */
#define N_COMMANDS (sizeof command_list / sizeof command_list[0] - 1)

static const char *const titles[] = {
    [COMMAND_LOOK] = "Look at a running fcached:",
    [COMMAND_CHANGE] = "Change it:",
    [COMMAND_DATA] = "Keep and move entries:",
    [COMMAND_RUN] = "Run, and get help:",
};
#define N_PURPOSES (sizeof titles / sizeof titles[0])

const struct command *command_list_find(const char *name) {
  for (size_t i = 0; i < N_COMMANDS; i++)
    if (strcmp(name, command_list[i]->name) == 0)
      return command_list[i];
  return strcmp(name, complete_values_command.name) == 0 ? &complete_values_command : NULL;
}

const char *command_list_nearest(const char *name) {
  const char *names[N_COMMANDS + 1] = {"help"};

  for (size_t i = 0; i < N_COMMANDS; i++)
    names[i + 1] = command_list[i]->name;
  return fc_nearest(name, names, N_COMMANDS + 1);
}

static void print_summary(FILE *out, const char *name, const char *summary) {
  assert(strlen(summary) <= COMMAND_SUMMARY_MAX);
  (void)fprintf(out, "  %-12s %s\n", name, summary); /* main checks the stream at the end */
}

void command_list_print(FILE *out) {
  for (size_t purpose = 0; purpose < N_PURPOSES; purpose++) {
    (void)fprintf(out, "%s%s\n", purpose > 0 ? "\n" : "", titles[purpose]);
    for (size_t i = 0; i < N_COMMANDS; i++)
      if (command_list[i]->purpose == purpose)
        print_summary(out, command_list[i]->name, command_list[i]->summary);
    if (purpose == COMMAND_RUN)
      print_summary(out, "help", COMMAND_HELP_SUMMARY);
  }
}
