/* doctor.h - finds out why a worker shares nothing, or less than it could: from the caller's
 * process, the socket, and the daemon's replies. Most useful without a daemon.
 *
 * Each check is a function that reports findings. None changes anything: it makes no namespace, and
 * its gets and puts are none. A few deadlines at most. One thread. */
#ifndef FC_CLIENT_DOCTOR_H
#define FC_CLIENT_DOCTOR_H

#include <stdint.h>

enum doctor_level {
  DOCTOR_OK,      /* as it should be */
  DOCTOR_WARNING, /* sharing works, but less well than it could, or not for all */
  DOCTOR_PROBLEM, /* workers share nothing, or lose something */
};
extern const char *const doctor_level_names[]; /* "ok", "warning", "problem" */

struct doctor_finding {
  enum doctor_level level;
  const char *check; /* static: the name of the check, as "socket" */
  char text[480];    /* the finding, in one line of UTF-8 without control characters */
  char advice[320];  /* the remedy, likewise. "" if the finding is ok */
};
typedef void doctor_fn(void *arg, const struct doctor_finding *finding);

struct doctor_options {
  const char *socket;  /* NULL: the default paths */
  const char *program; /* the caller's name and version for texts: "fcachectl", "0.1.0" */
  const char *version;
  uint32_t deadline_ms; /* 0: a second */
};

enum doctor_result {
  DOCTOR_ALL_WELL = 0,
  DOCTOR_NOT_WELL = 1,  /* a warning or a problem */
  DOCTOR_NO_DAEMON = 3, /* no daemon answers */
};

/* Runs all checks, and calls `fn` for each finding, in the order of the checks. */
enum doctor_result doctor_run(const struct doctor_options *options, doctor_fn *fn, void *arg);

#endif
