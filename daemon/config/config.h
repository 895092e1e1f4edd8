/* config.h - the configuration: the options of all sources together, and the source of each.
 *
 * In order of strength:
 *
 *   the command line
 *   the files FILE.d/NAME.conf, of which the last in byte order is the strongest
 *   FILE
 *   the directories that systemd passes
 *   the built-in defaults */
#ifndef FC_DAEMON_CONFIG_H
#define FC_DAEMON_CONFIG_H

#include "daemon/base/error_text.h"
#include "daemon/config/config_file.h"
#include "daemon/config/option_table.h"
#include "daemon/config/options.h"

#include <stdbool.h>
#include <stddef.h>

/* The values of the command line. The strings are borrowed from argv, for as long as the process.
 */
struct command_line {
  const char *values[OPTIONS_MAX]; /* by the row of the option; NULL: not given */
  const char *config;              /* --config; NULL: the default path; "none": no file */
  bool check_config;               /* --check-config */
};

enum option_source_kind { SOURCE_DEFAULT, SOURCE_SYSTEMD, SOURCE_FILE, SOURCE_COMMAND_LINE };

struct option_source {
  enum option_source_kind kind;
  unsigned line; /* of a file; 0 otherwise */
  size_t file;   /* its place in config->files */
};

#define CONFIG_FILES_MAX (CONFIG_DROPINS_MAX + 1u)

struct config {
  struct options options;
  struct option_source sources[OPTIONS_MAX];
  char *path;                    /* of the main file, also if it is missing; NULL: none */
  char *files[CONFIG_FILES_MAX]; /* that were read */
  size_t n_files;
};

/* Called for each mistake, with one line: "FILE:LINE: KEY: ..." or "--OPTION: ...". */
typedef void config_problem_fn(void *arg, const char *text);

/* Reads all sources. Returns 0, or FC_EINVAL or FC_ENOMEM after it has reported each problem. The
 * caller calls config_deinit in both cases. Reads files: a hanging file system blocks it. */
int config_load(struct config *config, const struct command_line *command_line,
                config_problem_fn *problem, void *arg);

/* Checks what --check-config can tell beyond config_load: the directories of the paths, and the
 * files of the tier. Reports each problem. Returns 0, or FC_EINVAL if there is one. */
int config_check(const struct config *config, config_problem_fn *problem, void *arg);

void config_deinit(struct config *config); /* idempotent */

/* Formats where the option has its value from: "default", "systemd", "/etc/x.conf:3",
 * "--max-bytes". Cut if it is longer. Returns `text`. */
#define CONFIG_SOURCE_TEXT_SIZE 512u
const char *config_source_text(const struct config *config, size_t option,
                               char text[CONFIG_SOURCE_TEXT_SIZE]);

/* Formats the files that were read, separated by commas, or that there are none. Cut if it is
 * longer. Returns `text`. */
#define CONFIG_FILES_TEXT_SIZE 768u
const char *config_files_text(const struct config *config, char text[CONFIG_FILES_TEXT_SIZE]);

#endif
