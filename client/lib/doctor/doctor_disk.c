/* Checks of the trace, the snapshot, and the restarts of the daemon. */
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "client/lib/doctor/doctor_internal.h"

#define FREE_MIN_MIB 256u
#define YOUNG_S 60.0 /* a daemon that started so lately, after another */

/* The daemon may see another file under that name, if it has another root or a /tmp of its own. */
static void check_room(struct doctor *doctor, const char *path) {
  struct statvfs disk;
  if (statvfs(path, &disk) != 0) {
    doctor_ok(doctor, "the trace goes to %s, which this process cannot see", path);
    return;
  }
  unsigned long long free_mib =
      (unsigned long long)disk.f_bavail * (disk.f_frsize > 0 ? disk.f_frsize : 1) >> 20;
  if (free_mib < FREE_MIN_MIB)
    doctor_report(doctor, DOCTOR_WARNING,
                  "make room, rotate the trace, or stop it: fcachectl trace off",
                  "the disk of the trace %s has %llu MiB left", path, free_mib);
  else
    doctor_ok(doctor, "the trace goes to %s, with %llu MiB left", path, free_mib);
}

void doctor_check_trace(struct doctor *doctor) {
  double lost = doctor_number(doctor, "daemon_trace_lost");
  if (lost > 0)
    doctor_report(doctor, DOCTOR_WARNING,
                  "look at the daemon's log: the disk is full, failing or too slow",
                  "%.0f lines of the trace are lost", lost);
  if (doctor_number(doctor, "trace_on") != 0)
    check_room(doctor, doctor_text(doctor, "trace_path"));
  else if (lost == 0)
    doctor_ok(doctor, "the trace is off");
}

void doctor_check_snapshot(struct doctor *doctor) {
  const char *result = doctor_text(doctor, "snapshot_result");
  double age_s = doctor_number(doctor, "snapshot_age_s");
  if (strcmp(result, "failed") == 0)
    doctor_report(doctor, DOCTOR_PROBLEM,
                  "see the reason in the daemon's log, or try again: fcachectl snapshot. Look at "
                  "the disk of the "
                  "state folder",
                  "the latest snapshot failed: a restart of the machine loses newer entries");
  else if (doctor_number(doctor, "snapshot_late") != 0)
    doctor_report(doctor, DOCTOR_WARNING, "see the daemon's log, and the speed of the disk",
                  "the latest snapshot is %.0f s old, older than twice the interval", age_s);
  else if (result[0] == '\0' || strcmp(result, "none") == 0)
    doctor_ok(doctor, "no snapshot was written by this daemon (--state keeps the cache over a "
                      "restart of the machine)");
  else
    doctor_ok(doctor, "the latest snapshot is %.0f s old: %s", age_s, result);
}

void doctor_check_restarts(struct doctor *doctor) {
  double restarts = doctor_number(doctor, "restarts");
  double uptime_s = doctor_number(doctor, "uptime_s");
  double lost = doctor_number(doctor, "daemon_adopt_dropped");
  if (restarts > 0 && uptime_s < YOUNG_S)
    doctor_report(doctor, DOCTOR_WARNING,
                  "journalctl -u fcached shows why, if you did not restart it",
                  "the daemon started %.0f s ago, after %.0f restarts", uptime_s, restarts);
  else
    doctor_ok(doctor, "the daemon has run for %.0f s, after %.0f restarts", uptime_s, restarts);
  if (lost > 0)
    doctor_report(doctor, DOCTOR_WARNING, "see the daemon's log of its start",
                  "%.0f entries of the daemon before it were damaged or had no room", lost);
}
