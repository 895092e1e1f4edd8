#include "client/ctl/report.h"

#include <stdio.h>

#include "client/ctl/print/text.h"
#include "proto/errors.h"

void report_format(char line[REPORT_LINE_SIZE], const char *format, va_list args) {
  char raw[REPORT_LINE_SIZE];

  (void)vsnprintf(raw, sizeof raw, format, args);
  (void)text_clean(line, REPORT_LINE_SIZE, raw);
}

int report_error(const char *format, ...) {
  char line[REPORT_LINE_SIZE];
  va_list args;

  va_start(args, format);
  report_format(line, format, args);
  va_end(args);
  (void)fprintf(stderr, "fcachectl: %s\n", line); /* a failure cannot be reported */
  return CTL_FAILED;
}

int report_code(int code, const char *text) {
  if (code == 0)
    return CTL_DONE;
  (void)report_error("%s", text && *text ? text : fc_error_text(code));
  return code == FC_EUNAVAILABLE ? CTL_NO_DAEMON : CTL_FAILED;
}

int report_result(struct admin *admin, int result) {
  return report_code(result, admin_error(admin));
}
