#include "proto/cli/usage_error.h"

#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"

#define LINE_SIZE 2048

void fc_usage_error(const char *program, const char *format, ...) {
  const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
  char line[LINE_SIZE];
  size_t size;
  va_list args;

  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  size = fc_utf8_clean(line, strlen(line));
  (void)fprintf(stderr, "%s: %.*s%s See %s --help\n", name, (int)size, line,
                size > 0 && line[size - 1] == '?' ? "" : ".", name);
  exit(argp_err_exit_status);
}
