#include "daemon/config/config.h"

#include "daemon/config/config_text.h"
#include "daemon/config/option_value.h"
#include "daemon/config/options_set.h"
#include "proto/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEM_SIZE (ERROR_TEXT_SIZE + CONFIG_SOURCE_TEXT_SIZE)

/* One config_load. */
struct load {
  struct config *config;
  config_problem_fn *problem;
  void *arg;
  int rc;                      /* of the load: the first error */
  const char *path;            /* of the file that is being parsed */
  unsigned lines[OPTIONS_MAX]; /* of each key in that file; 0: not yet */
};

static void report(struct load *load, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void report(struct load *load, int rc, const char *format, ...) {
  char text[PROBLEM_SIZE];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args); /* cut if it is longer */
  va_end(args);
  load->problem(load->arg, text);
  if (load->rc == 0)
    load->rc = rc;
}

/* ---- files ---- */

static void on_wrong(void *arg, unsigned line, const char *text) {
  struct load *load = arg;
  report(load, FC_EINVAL, "%s:%u: %s", load->path, line, text);
}

static void report_unknown(struct load *load, unsigned line, const char *key) {
  const char *nearest = option_nearest(key);
  if (nearest != NULL)
    report(load, FC_EINVAL, "%s:%u: there is no key \"%s\": did you mean %s?", load->path, line,
           key, nearest);
  else
    report(load, FC_EINVAL, "%s:%u: there is no key \"%s\": see fcached.conf(5) for all keys",
           load->path, line, key);
}

/* The daemon's directory is "/" under systemd: a relative path in a file would surprise. */
static bool is_relative(const struct option_row *row, const char *value) {
  return row->kind == OPTION_PATH && value[0] != '/' && value[0] != '\0' &&
         !(row->may_be_none && strcmp(value, OPTION_NONE) == 0);
}

static void on_key(void *arg, unsigned line, const char *key, const char *value) {
  struct load *load = arg;
  struct config *config = load->config;
  const struct option_row *row = option_find(key);
  struct error_text error;
  int rc;
  if (row == NULL) {
    report_unknown(load, line, key);
    return;
  }
  size_t option = option_index(row);
  if (load->lines[option] != 0) {
    report(load, FC_EINVAL, "%s:%u: %s: it is set in line %u already: remove one of them",
           load->path, line, key, load->lines[option]);
    return;
  }
  load->lines[option] = line;
  if (is_relative(row, value)) {
    report(load, FC_EINVAL,
           "%s:%u: %s: \"%s\" is not an absolute path: give one that begins with "
           "\"/\"%s",
           load->path, line, key, value, row->may_be_none ? ", or " OPTION_NONE : "");
    return;
  }
  rc = option_set(&config->options, row, value, &error);
  if (rc < 0)
    report(load, rc, "%s:%u: %s", load->path, line, error.text);
  else
    config->sources[option] = (struct option_source){SOURCE_FILE, line, config->n_files - 1};
}

/* Takes `path`, which is allocated. `missing`: the advice if there is no such file. NULL: it may be
 * missing. */
static void load_file(struct load *load, char *path, const char *missing) {
  const struct config_text_reader reader = {.key = on_key, .wrong = on_wrong, .arg = load};
  struct config *config = load->config;
  struct error_text error;
  char *bytes;
  size_t size;
  int rc = config_file_read(path, &bytes, &size, &error);
  if (rc == CONFIG_FILE_MISSING && missing != NULL)
    report(load, FC_EINVAL, "%s: there is no such file: %s", path, missing);
  else if (rc < 0)
    report(load, rc, "%s", error.text);
  if (rc != CONFIG_FILE_READ) {
    free(path);
    return;
  }
  config->files[config->n_files++] = path;
  load->path = path;
  memset(load->lines, 0, sizeof load->lines);
  config_text_parse(bytes, size, &reader);
  free(bytes);
}

static void load_dropins(struct load *load, const char *path) {
  char *names[CONFIG_DROPINS_MAX];
  struct error_text error;
  int n = config_dropins(path, names, &error);
  if (n < 0)
    report(load, n, "%s", error.text);
  for (int i = 0; i < n; i++)
    load_file(load, names[i],
              "it was removed at this moment, or is a link to a missing one: remove the link");
}

static void load_files(struct load *load, const char *explicit) {
  struct config *config = load->config;
  if (explicit != NULL && strcmp(explicit, OPTION_NONE) == 0)
    return;
  config->path = explicit != NULL ? strdup(explicit) : config_default_path();
  char *main_file = config->path != NULL ? strdup(config->path) : NULL;
  if (main_file == NULL) {
    report(load, FC_ENOMEM, "the configuration: out of memory");
    return;
  }
  load_file(load, main_file, explicit != NULL ? "create it, or give another with --config" : NULL);
  load_dropins(load, config->path);
}

/* ---- the other sources ---- */

static void set_from_systemd(struct load *load, const char *variable, const char *name,
                             const char *path) {
  const struct option_row *row = option_find(name);
  struct error_text error;
  int rc = option_set(&load->config->options, row, path, &error);
  if (rc < 0)
    report(load, rc, "$%s: %s", variable, error.text);
  load->config->sources[option_index(row)].kind = SOURCE_SYSTEMD;
}

static void load_systemd(struct load *load) {
  static const struct {
    const char *variable, *option;
    const char *file; /* in the directory, if there is one; NULL: the directory itself */
  } passed[] = {{"STATE_DIRECTORY", "state", NULL},
                {"LOGS_DIRECTORY", "trace-dir", NULL},
                {"CREDENTIALS_DIRECTORY", "tier-password-file", "tier-password"}};
  for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
    const char *variable = passed[i].variable, *file = passed[i].file;
    char *path =
        file != NULL ? config_systemd_file(variable, file) : config_systemd_directory(variable);
    if (path != NULL)
      set_from_systemd(load, variable, passed[i].option, path);
    free(path);
  }
}

static void load_command_line(struct load *load, const struct command_line *command_line) {
  struct config *config = load->config;
  struct error_text error;
  for (size_t i = 0; i < option_count; i++) {
    const char *value = command_line->values[i];
    if (value == NULL)
      continue;
    int rc = option_set(&config->options, &option_table[i], value, &error);
    if (rc < 0)
      report(load, rc, "--%s", error.text);
    config->sources[i] = (struct option_source){.kind = SOURCE_COMMAND_LINE};
  }
}

/* A contradiction is reported at the place of the option with which its text begins. */
static void resolve(struct load *load) {
  struct config *config = load->config;
  struct error_text error;
  char name[64], source[CONFIG_SOURCE_TEXT_SIZE];
  int rc = options_resolve(&config->options, &error);
  if (rc == 0)
    return;
  (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(error.text, ":"), error.text);
  const struct option_row *row = option_find(name);
  if (row == NULL || config->sources[option_index(row)].kind != SOURCE_FILE)
    report(load, rc, "--%s", error.text);
  else
    report(load, rc, "%s: %s", config_source_text(config, option_index(row), source), error.text);
}

int config_load(struct config *config, const struct command_line *command_line,
                config_problem_fn *problem, void *arg) {
  struct load load = {.config = config, .problem = problem, .arg = arg};
  *config = (struct config){0};
  options_init(&config->options);
  load_systemd(&load);
  load_files(&load, command_line->config);
  load_command_line(&load, command_line);
  if (load.rc == 0)
    resolve(&load);
  return load.rc;
}

void config_deinit(struct config *config) {
  options_deinit(&config->options);
  for (size_t i = 0; i < config->n_files; i++)
    free(config->files[i]);
  config->n_files = 0;
  free(config->path);
  config->path = NULL;
}

/* ---- texts ---- */

const char *config_source_text(const struct config *config, size_t option,
                               char text[CONFIG_SOURCE_TEXT_SIZE]) {
  const struct option_source *source = &config->sources[option];
  switch (source->kind) {
  case SOURCE_FILE:
    (void)snprintf(text, CONFIG_SOURCE_TEXT_SIZE, "%s:%u", config->files[source->file],
                   source->line);
    break;
  case SOURCE_COMMAND_LINE:
    (void)snprintf(text, CONFIG_SOURCE_TEXT_SIZE, "--%s", option_table[option].name);
    break;
  case SOURCE_SYSTEMD:
    (void)snprintf(text, CONFIG_SOURCE_TEXT_SIZE, "systemd");
    break;
  case SOURCE_DEFAULT:
  default:
    (void)snprintf(text, CONFIG_SOURCE_TEXT_SIZE, "default");
    break;
  }
  return text;
}

const char *config_files_text(const struct config *config, char text[CONFIG_FILES_TEXT_SIZE]) {
  size_t used = 0;
  if (config->n_files == 0) {
    (void)snprintf(text, CONFIG_FILES_TEXT_SIZE, "no file%s%s%s",
                   config->path != NULL ? " (there is no " : "",
                   config->path != NULL ? config->path : "", config->path != NULL ? ")" : "");
    return text;
  }
  text[0] = '\0';
  for (size_t i = 0; i < config->n_files && used < CONFIG_FILES_TEXT_SIZE; i++)
    used += (size_t)snprintf(text + used, CONFIG_FILES_TEXT_SIZE - used, "%s%s", i > 0 ? ", " : "",
                             config->files[i]);
  return text;
}
