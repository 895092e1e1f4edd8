#include "daemon/base/error_text.h"

#include <stdarg.h>
#include <stdio.h>

int error_text_set(struct error_text *error, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (vsnprintf(error->text, sizeof error->text, format, args) < 0)
    error->text[0] = '\0';
  va_end(args);
  return code;
}
