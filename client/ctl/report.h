/* report.h - error lines on stderr, "fcachectl: ...", and the exit status of an error. */
#ifndef FC_CTL_REPORT_H
#define FC_CTL_REPORT_H

#include <stdarg.h>

#include "client/lib/admin/admin.h"

#define REPORT_LINE_SIZE 2048u

/* Exit statuses. */
enum ctl_status {
  CTL_DONE = 0,
  CTL_FAILED = 1,
  CTL_USAGE = 2,     /* argp's exit status for it, too */
  CTL_NO_DAEMON = 3, /* no daemon answers */
};

/* Prints one line, without control characters. Returns CTL_FAILED. */
int report_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Returns CTL_DONE for 0. For an error code it prints `text`, or the code's own text if that is
 * empty, and returns CTL_NO_DAEMON or CTL_FAILED. */
int report_code(int code, const char *text);

/* Calls report_code with the text of the connection's last error. */
int report_result(struct admin *admin, int result);

/* Formats one line without control characters. A longer line is cut. */
void report_format(char line[REPORT_LINE_SIZE], const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

#endif
