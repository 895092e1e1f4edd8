#include "client/ctl/arguments.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "client/ctl/report.h"
#include "proto/cli/usage_error.h"
#include "proto/errors.h"
#include "proto/key.h"

void argument_error(const struct argp_state *state, const char *format, ...) {
  char line[REPORT_LINE_SIZE];
  va_list args;

  va_start(args, format);
  report_format(line, format, args);
  va_end(args);
  fc_usage_error(state->name, "%s", line);
}

const char *argument_name(struct argp_state *state, const char *option, const char *arg) {
  if (!fc_name_valid(fc_str_of(arg)))
    argument_error(state, "--%s \"%s\": %s", option, arg, fc_error_text(FC_ENAME));
  return arg;
}

void argument_only(struct argp_state *state, const char **to, const char *arg, const char *takes) {
  if (*to)
    argument_error(state, "unexpected argument \"%s\": %s", arg, takes);
  *to = arg;
}

const char *argument_namespace(struct argp_state *state, const char *arg) {
  if (!fc_name_valid(fc_str_of(arg)))
    argument_error(state, "\"%s\" is no namespace: %s", arg, fc_error_text(FC_ENAME));
  return arg;
}

unsigned long argument_number(struct argp_state *state, const char *option, const char *arg,
                              unsigned long min, unsigned long max) {
  unsigned long number;
  char *end;

  errno = 0;
  number = strtoul(arg, &end, 10);
  if (arg[0] < '0' || arg[0] > '9' || *end != '\0' || errno != 0 || number < min || number > max)
    argument_error(state, "--%s takes a whole number from %lu to %lu, not \"%s\"", option, min, max,
                   arg);
  return number;
}
