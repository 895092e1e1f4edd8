#include "daemon/base/error_text.h"

#include <stdarg.h>
#include <stdio.h>

int fault_set(struct fault *fault, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (vsnprintf(fault->text, sizeof fault->text, format, args) < 0)
    fault->text[0] = '\0';
  va_end(args);
  return code;
}
