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
  bool needs_daemon;
} checks[] = {
    {"environment", doctor_check_environment, false},
    {"socket", doctor_check_socket, false},
    {"group", doctor_check_group, false},
    {"libraries", doctor_check_libraries, false},
    {"limits", doctor_check_process_limits, false},
    {"versions", doctor_check_versions, true},
    {"shared memory", doctor_check_shared_memory, true},
    {"rings", doctor_check_rings, true},
    {"values", doctor_check_values, true},
    {"evictions", doctor_check_evictions, true},
    {"memory", doctor_check_memory, true},
    {"settings", doctor_check_settings, true},
    {"names", doctor_check_names, true},
    {"manifests", doctor_check_manifests, true},
    {"trace", doctor_check_trace, true},
    {"snapshot", doctor_check_snapshot, true},
    {"restarts", doctor_check_restarts, true},
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
  bool has_daemon = doctor.admin != NULL;
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
    doctor.check = checks[i].name;
    if (has_daemon || !checks[i].needs_daemon)
      checks[i].run(&doctor);
  }
  doctor_forget(&doctor);
  if (!has_daemon)
    return DOCTOR_NO_DAEMON;
  return doctor.worst == DOCTOR_OK ? DOCTOR_ALL_WELL : DOCTOR_NOT_WELL;
}
