#include "daemon/config/config.h"
#include "daemon/config/option_value.h"
#include "daemon/config/tier_files.h"
#include "proto/errors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

struct check {
  const struct config *config;
  config_problem_fn *problem;
  void *arg;
  int rc;
};

/* Reports at the option's source: "FILE:LINE: KEY: ...", or "--OPTION: ...". */
static void report_path(struct check *check, const char *option, const char *path,
                        const char *wrong) {
  char source[CONFIG_SOURCE_TEXT_SIZE], text[2 * CONFIG_SOURCE_TEXT_SIZE + 256];
  size_t place = option_index(option_find(option));
  bool of_file = check->config->sources[place].kind == SOURCE_FILE;
  (void)config_source_text(check->config, place, source);
  (void)snprintf(text, sizeof text, "%s%s%s: %.*s: %s", of_file ? source : "--",
                 of_file ? ": " : "", option, (int)CONFIG_SOURCE_TEXT_SIZE, path, wrong);
  check->problem(check->arg, text);
  check->rc = FC_EINVAL;
}

/* Removes the last component of an absolute path. */
static void cut_last(char *path) {
  char *slash = strrchr(path, '/');
  if (slash != NULL)
    slash[slash == path] = '\0';
}

/* Reports a part of the path above its last component that is there and no directory: fcached could
 * not make the rest. What this user may not look at is not judged. */
static void check_parents(struct check *check, const char *option, const char *path) {
  char *parent = strdup(path);
  struct stat st;
  if (parent == NULL || path[0] != '/') {
    free(parent);
    return;
  }
  do {
    cut_last(parent);
  } while (stat(parent, &st) < 0 && errno == ENOENT && strcmp(parent, "/") != 0);
  if ((stat(parent, &st) == 0 && !S_ISDIR(st.st_mode)) || errno == ENOTDIR)
    report_path(check, option, path, "a part of the path is not a directory: give another path");
  free(parent);
}

static void check_directory(struct check *check, const char *option, const char *path) {
  struct stat st;
  if (path == NULL)
    return;
  if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
    report_path(check, option, path, "it is not a directory: give the path of one");
  else
    check_parents(check, option, path);
}

static void check_trace(struct check *check, const char *path) {
  struct stat st;
  if (path == NULL)
    return;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
    report_path(check, "trace", path, "it is a directory: give the path of a file");
  else
    check_parents(check, "trace", path);
}

static void check_socket(struct check *check, const char *path) {
  char *parent = path != NULL ? strdup(path) : NULL;
  struct stat st;
  if (parent == NULL)
    return;
  cut_last(parent);
  if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
    report_path(check, "socket", path, "it is too long for a socket: give a shorter path");
  else if (strchr(path, '/') != NULL && stat(parent, &st) < 0 && errno == ENOENT)
    report_path(check, "socket", path, "its directory does not exist: create it");
  else
    check_parents(check, "socket", path);
  free(parent);
}

static void on_wrong_file(void *arg, const char *option, const char *path, const char *wrong) {
  report_path(arg, option, path, wrong);
}

int config_check(const struct config *config, config_problem_fn *problem, void *arg) {
  struct check check = {.config = config, .problem = problem, .arg = arg};
  const struct options *options = &config->options;
  check_socket(&check, options->socket);
  check_trace(&check, options->trace);
  check_directory(&check, "trace-dir", options->trace_dir);
  check_directory(&check, "state", options->state);
  tier_files_check(options, on_wrong_file, &check);
  return check.rc;
}
