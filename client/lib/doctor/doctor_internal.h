/* doctor_internal.h - shared by the checks of the doctor: the facts, which are read once, and the
 * functions that report. */
#ifndef FC_CLIENT_DOCTOR_INTERNAL_H
#define FC_CLIENT_DOCTOR_INTERNAL_H

#include <stdbool.h>

#include "client/lib/admin/admin.h"
#include "client/lib/doctor/doctor.h"
#include "client/lib/util/socket_paths.h"
#include "proto/limits.h"

#define DOCTOR_NAMESPACES_MAX 512u /* that are compared with each other */

struct doctor_namespace {
  char name[FC_NAME_MAX + 1];
  char *manifest; /* owned; NULL: none */
  uint64_t entries, bytes, max_bytes;
  uint32_t clients;
  uint64_t idle_ns;
};

struct doctor_stat {
  char name[64];
  double number;
  char text[256]; /* "" for a number */
};

/* One place where a daemon may be. */
struct doctor_socket {
  int error;    /* errno of the connection; 0: a daemon listens */
  bool missing; /* there is no file */
  bool is_socket;
  uint32_t uid, gid, mode; /* of the file */
};

struct doctor {
  const struct doctor_options *options;
  doctor_fn *fn;
  void *arg;
  enum doctor_level worst;
  const char *check; /* that runs */
  struct socket_paths paths;
  struct doctor_socket sockets[SOCKET_PATHS_MAX];
  struct admin *admin; /* NULL: no daemon answers */
  struct fcache_error error;
  bool has_stats;
  struct doctor_stat *stats; /* of the daemon */
  size_t n_stats;
  struct doctor_namespace *namespaces;
  size_t n_namespaces;
  uint32_t workers, workers_without_region;
};

/* Report a finding of the check that runs, printf-like. `advice`: what to do. */
void doctor_ok(struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void doctor_report(struct doctor *doctor, enum doctor_level level, const char *advice,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Fill in the facts. */
void doctor_look_at_sockets(struct doctor *doctor);
void doctor_ask_daemon(struct doctor *doctor);
void doctor_forget(struct doctor *doctor); /* frees them */

/* Return a statistic of the daemon, 0 or "" if it has none of that name. */
double doctor_number(const struct doctor *doctor, const char *name);
const char *doctor_text(const struct doctor *doctor, const char *name);

/* The checks: doctor.c has what each needs. */
void doctor_check_environment(struct doctor *doctor);
void doctor_check_socket(struct doctor *doctor);
void doctor_check_group(struct doctor *doctor);
void doctor_check_libraries(struct doctor *doctor);
void doctor_check_process_limits(struct doctor *doctor);
void doctor_check_versions(struct doctor *doctor);
void doctor_check_statistics(struct doctor *doctor);
void doctor_check_shared_memory(struct doctor *doctor);
void doctor_check_rings(struct doctor *doctor);
void doctor_check_values(struct doctor *doctor);
void doctor_check_evictions(struct doctor *doctor);
void doctor_check_memory(struct doctor *doctor);
void doctor_check_settings(struct doctor *doctor);
void doctor_check_names(struct doctor *doctor);
void doctor_check_manifests(struct doctor *doctor);
void doctor_check_tier(struct doctor *doctor);
void doctor_check_trace(struct doctor *doctor);
void doctor_check_snapshot(struct doctor *doctor);
void doctor_check_restarts(struct doctor *doctor);

#endif
