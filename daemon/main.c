#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/config/command_line.h"
#include "daemon/config/tier_files.h"
#include "daemon/os/descriptors.h"
#include "daemon/os/passed_fds.h"
#include "daemon/refusal.h"
#include "daemon/server.h"
#include "proto/errors.h"

static void report(void *arg, const char *text) {
  log_line(arg, LOG_LEVEL_ERROR, "%s", text);
}

static void warn(const struct config *config, struct log *log) {
  if (tier_files_password_is_public(&config->options))
    log_line(log, LOG_LEVEL_WARNING,
             "tier-password-file: %s: all users can read it: take the right away with chmod o-r",
             config->options.tier_password_file);
}

/* Returns the exit status of --check-config. */
static int check(const struct config *config, struct log *log) {
  char files[CONFIG_FILES_TEXT_SIZE];
  if (config_check(config, report, log) < 0)
    return SERVER_WRONG_USAGE;
  return printf("fcached: the configuration is valid: %s\n", config_files_text(config, files)) <
                     0 ||
                 fflush(stdout) != 0
             ? EXIT_FAILURE
             : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  struct command_line command_line;
  struct config config;
  struct log log;
  struct passed_fds passed;
  struct error_text error;
  int rc, status;
  if (descriptors_fill_standard() < 0)
    return EXIT_FAILURE; /* stderr may be closed */
  log_init(&log, STDERR_FILENO, false);
  rc = passed_fds_receive(&passed, &error); /* first: the numbers are known */
  if (rc < 0) {
    log_line(&log, LOG_LEVEL_ERROR, "%s", error.text);
    return rc == FC_EINVAL ? SERVER_WRONG_USAGE : EXIT_FAILURE;
  }
  refusal_prepare(&passed);
  command_line_parse(argc, argv, &command_line); /* exits with 2 for wrong usage */
  rc = config_load(&config, &command_line, report, &log);
  if (rc == 0)
    warn(&config, &log);
  if (rc < 0)
    status = rc == FC_EINVAL ? SERVER_WRONG_USAGE : EXIT_FAILURE;
  else if (command_line.check_config)
    status = check(&config, &log);
  else
    status = server_run(&config, &command_line, &passed);
  config_deinit(&config);
  passed_fds_deinit(&passed);
  return status;
}
