#include "client/lib/doctor/doctor_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/utf8.h"

const char *const doctor_level_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARNING] = "warning", [DOCTOR_PROBLEM] = "problem"};

static const struct {
  const char *name;
  void (*run)(struct doctor *doctor);
  enum { NOTHING, DAEMON, STATISTICS } needs;
} checks[] = {
    {"environment", doctor_check_environment, NOTHING},
    {"socket", doctor_check_socket, NOTHING},
    {"group", doctor_check_group, NOTHING},
    {"libraries", doctor_check_libraries, NOTHING},
    {"limits", doctor_check_process_limits, NOTHING},
    {"versions", doctor_check_versions, DAEMON},
    {"statistics", doctor_check_statistics, DAEMON},
    {"shared memory", doctor_check_shared_memory, STATISTICS},
    {"rings", doctor_check_rings, STATISTICS},
    {"values", doctor_check_values, STATISTICS},
    {"evictions", doctor_check_evictions, STATISTICS},
    {"memory", doctor_check_memory, STATISTICS},
    {"settings", doctor_check_settings, STATISTICS},
    {"names", doctor_check_names, STATISTICS},
    {"manifests", doctor_check_manifests, STATISTICS},
    {"tier", doctor_check_tier, STATISTICS},
    {"trace", doctor_check_trace, STATISTICS},
    {"snapshot", doctor_check_snapshot, STATISTICS},
    {"restarts", doctor_check_restarts, STATISTICS},
};

static void clean(char *text) {
  text[fc_utf8_clean(text, strlen(text))] = '\0';
}

__attribute__((format(printf, 4, 0))) static void report(struct doctor *doctor,
                                                         enum doctor_level level,
                                                         const char *advice, const char *format,
                                                         va_list args) {
  struct doctor_finding finding = {.level = level, .check = doctor->check};
  (void)vsnprintf(finding.text, sizeof finding.text, format, args); /* may cut the text */
  (void)snprintf(finding.advice, sizeof finding.advice, "%s", advice);
  clean(finding.text);
  clean(finding.advice);
  if (doctor->worst < level)
    doctor->worst = level;
  doctor->fn(doctor->arg, &finding);
}

void doctor_ok(struct doctor *doctor, const char *format, ...) {
  va_list args;
  va_start(args, format);
  report(doctor, DOCTOR_OK, "", format, args);
  va_end(args);
}

void doctor_report(struct doctor *doctor, enum doctor_level level, const char *advice,
                   const char *format, ...) {
  va_list args;
  va_start(args, format);
  report(doctor, level, advice, format, args);
  va_end(args);
}

enum doctor_result doctor_run(const struct doctor_options *options, doctor_fn *fn, void *arg) {
  struct doctor doctor = {.options = options, .fn = fn, .arg = arg};
  doctor_look_at_sockets(&doctor);
  doctor_ask_daemon(&doctor);
  int has = doctor.admin == NULL ? NOTHING : doctor.has_stats ? STATISTICS : DAEMON;
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
    doctor.check = checks[i].name;
    if (has >= (int)checks[i].needs)
      checks[i].run(&doctor);
  }
  doctor_forget(&doctor);
  if (has == NOTHING)
    return DOCTOR_NO_DAEMON;
  return doctor.worst == DOCTOR_OK ? DOCTOR_ALL_WELL : DOCTOR_NOT_WELL;
}
