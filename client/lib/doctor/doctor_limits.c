/* Checks of the daemon's limits: values, entries, memory, and settings of clients. The counters are
 * those since the daemon's start. */
#include "client/lib/doctor/doctor_internal.h"

void doctor_check_values(struct doctor *doctor) {
  double refused = doctor_number(doctor, "daemon_puts_too_big");
  if (refused > 0)
    doctor_report(doctor, DOCTOR_WARNING,
                  "raise --max-value of the daemon, or the limit of the namespace",
                  "%.0f values were too large to be stored: --max-value is %.0f bytes", refused,
                  doctor_number(doctor, "max_value"));
  else
    doctor_ok(doctor, "no value was too large");
}

static void check_namespace_limits(struct doctor *doctor) {
  for (size_t i = 0; i < doctor->n_namespaces; i++) {
    const struct doctor_namespace *ns = &doctor->namespaces[i];
    if (ns->max_bytes > 0 && ns->bytes > ns->max_bytes - ns->max_bytes / 20)
      doctor_report(doctor, DOCTOR_WARNING, "raise max_bytes where the workers open it",
                    "namespace %s is full: %llu of max_bytes %llu", ns->name,
                    (unsigned long long)ns->bytes, (unsigned long long)ns->max_bytes);
  }
}

void doctor_check_evictions(struct doctor *doctor) {
  double evicted = doctor_number(doctor, "daemon_evictions_bytes");
  double puts = doctor_number(doctor, "daemon_forward_passes");
  if (evicted > 0 && evicted > puts / 4)
    doctor_report(doctor, DOCTOR_WARNING,
                  "raise --max-bytes, also live: fcachectl set max-bytes SIZE",
                  "the cache is too small: %.0f entries were evicted for %.0f that were computed",
                  evicted, puts);
  else
    doctor_ok(doctor, "the entries have room: %.0f were evicted for max_bytes", evicted);
  check_namespace_limits(doctor);
}

void doctor_check_memory(struct doctor *doctor) {
  double used = doctor_number(doctor, "memory_used"), bound = doctor_number(doctor, "memory_bound");
  if (bound > 0 && used > bound * 0.95)
    doctor_report(doctor, DOCTOR_WARNING,
                  "raise --client-budget or --max-clients, and the MemoryMax= of the unit",
                  "the daemon uses %.0f MiB of its bound of %.0f MiB", used / 1048576,
                  bound / 1048576);
  else
    doctor_ok(doctor, "the daemon uses %.0f MiB of its bound of %.0f MiB", used / 1048576,
              bound / 1048576);
}

void doctor_check_settings(struct doctor *doctor) {
  double ignored = doctor_number(doctor, "daemon_settings_ignored");
  double refused = doctor_number(doctor, "daemon_refused");
  if (ignored > 0)
    doctor_report(doctor, DOCTOR_WARNING,
                  "let the user that made the namespace set its limits and manifest",
                  "%.0f limits or manifests of clients were ignored, because another user made "
                  "their namespace",
                  ignored);
  if (refused > 0)
    doctor_report(doctor, DOCTOR_WARNING,
                  "start fcached with --verbose to see which, and raise --max-clients if they are "
                  "too many",
                  "%.0f connections were refused", refused);
  if (ignored == 0 && refused == 0)
    doctor_ok(doctor, "no client was refused, and no setting of a client ignored");
}
