#include "client/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/print/render.h"
#include "client/lib/util/socket_paths.h"
#include "proto/errors.h"
#include "proto/key.h"

/* A person waits: longer than a worker would, still no hang on a stopped daemon. */
#define DEADLINE_MS 3000u
#define LINE_SIZE 2048u

/* One line, without control characters; a longer one is cut. */
__attribute__((format(printf, 2, 0))) static void clean_line(char line[LINE_SIZE],
                                                             const char *format, va_list args) {
  char raw[LINE_SIZE];

  (void)vsnprintf(raw, sizeof raw, format, args);
  (void)render_clean(line, LINE_SIZE, raw);
}

/* ---- options ---- */

void ctl_usage(const struct argp_state *state, const char *format, ...) {
  char line[LINE_SIZE];
  va_list args;

  va_start(args, format);
  clean_line(line, format, args);
  va_end(args);
  argp_error(state, "%s", line);
}

static void check_socket(const struct argp_state *state, const char *path) {
  size_t size = strlen(path);

  if (size == 0)
    ctl_usage(state, "--socket is empty: give the path of the daemon's socket, or leave it out");
  if (size >= SOCKET_PATH_MAX)
    ctl_usage(state, "--socket is %zu bytes long: give a path of at most %u, which may be relative",
              size, SOCKET_PATH_MAX - 1);
}

static const struct argp_option common_options[] = {
    {"socket", 'S', "PATH", 0,
     "Ask the daemon on this socket only; default: $FCACHE_SOCKET alone if set, else "
     "$XDG_RUNTIME_DIR/fcached.sock, then /run/fcached/fcached.sock",
     0},
    {NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0}, /* as --help */
    {0}};

static error_t parse_common(int key, char *arg, struct argp_state *state) {
  struct ctl *ctl = state->input;

  if (key == 'h')
    argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); /* ends the process */
  if (key != 'S')
    return ARGP_ERR_UNKNOWN;
  check_socket(state, arg);
  ctl->socket = arg;
  return 0;
}

static const struct argp common_argp = {.options = common_options, .parser = parse_common};
const struct argp_child ctl_children[] = {{&common_argp, 0, NULL, 0}, {0}};

const char *ctl_name(struct argp_state *state, const char *option, const char *arg) {
  if (!fc_name_valid(fc_str_of(arg)))
    ctl_usage(state, "--%s \"%s\": %s", option, arg, fc_error_text(FC_ENAME));
  return arg;
}

unsigned long ctl_number(struct argp_state *state, const char *option, const char *arg,
                         unsigned long min, unsigned long max) {
  unsigned long number;
  char *end;

  errno = 0;
  number = strtoul(arg, &end, 10);
  if (arg[0] < '0' || arg[0] > '9' || *end != '\0' || errno != 0 || number < min || number > max)
    ctl_usage(state, "--%s takes a whole number from %lu to %lu; got \"%s\"", option, min, max,
              arg);
  return number;
}

/* ---- failures ---- */

int ctl_error(const char *format, ...) {
  char line[LINE_SIZE];
  va_list args;

  va_start(args, format);
  clean_line(line, format, args);
  va_end(args);
  (void)fprintf(stderr, "fcachectl: %s\n", line); /* nobody to tell if that fails */
  return CTL_FAILED;
}

static int status_of(int code, const char *text) {
  (void)ctl_error("%s", text && *text ? text : fc_error_text(code));
  return code == FC_EUNAVAILABLE ? CTL_NO_DAEMON : CTL_FAILED;
}

int ctl_open(const struct ctl *ctl, const char *name_space, struct admin **admin) {
  struct fcache_error error = {0};
  int result = admin_open(ctl->socket, name_space, DEADLINE_MS, admin, &error);

  return result == 0 ? CTL_DONE : status_of(result, error.text);
}

int ctl_result(struct admin *admin, int result) {
  return result == 0 ? CTL_DONE : status_of(result, admin_error(admin));
}

char *ctl_absolute(const char *path) {
  char *folder, *whole = NULL;

  if (path[0] == '/') {
    whole = strdup(path);
  } else {
    folder = getcwd(NULL, 0);
    if (folder && asprintf(&whole, "%s/%s", folder, path) < 0)
      whole = NULL;
    free(folder);
  }
  if (!whole)
    (void)ctl_error("cannot make %s absolute: %s", path, strerror(errno));
  return whole;
}
