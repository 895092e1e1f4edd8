/* Checks the needs of a hit without a message: the region, a ring, and room in the process. */
#include <sys/resource.h>

#include "client/lib/admin/admin_internal.h"
#include "client/lib/doctor/doctor_internal.h"
#include "client/lib/util/clock.h"

/* Descriptors that a worker should be allowed at least: the region has up to 65 files, which come
 * with one message. */
#define FILES_MIN 128u

void doctor_check_process_limits(struct doctor *doctor) {
  struct rlimit limit;
  bool fine = true;
  double region = doctor_number(doctor, "region_bytes");
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES_MIN) {
    fine = false;
    doctor_report(doctor, DOCTOR_WARNING, "raise it: ulimit -n 1024",
                  "this process may open %llu files, and the daemon's memory may be 65 of them",
                  (unsigned long long)limit.rlim_cur);
  }
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      (double)limit.rlim_cur < 2 * region + (64u << 20)) {
    fine = false;
    doctor_report(doctor, DOCTOR_WARNING, "raise it: ulimit -v unlimited",
                  "the address space is limited to %llu MiB, and the region takes %.0f MiB: it "
                  "may not be mapped",
                  (unsigned long long)limit.rlim_cur >> 20, region / 1048576.0);
  }
  if (fine)
    doctor_ok(doctor, "files and address space of this process suffice");
}

/* Connects as a worker of a namespace that exists, so that none is made. */
static void try_region(struct doctor *doctor, const char *name_space) {
  struct connection_options options = {.socket = doctor->admin->connection.path,
                                       .name_space = name_space,
                                       .client = "doctor",
                                       .deadline_ns = 1000 * CLOCK_MS_NS,
                                       .quiet = true,
                                       .region = true};
  struct fcache_error error;
  struct admin *worker;
  if (admin_open_options(&options, &worker, &error) < 0) {
    doctor_report(doctor, DOCTOR_PROBLEM, "see the reason", "a worker of %s gets no connection: %s",
                  name_space, error.text);
    return;
  }
  const struct shm *shm = &worker->connection.shm;
  if (shm->region.base == NULL)
    doctor_report(doctor, DOCTOR_WARNING,
                  "run workers where they can map the daemon's memory files: not in another kernel "
                  "(gVisor), not under a seccomp filter without mmap or recvmsg of descriptors",
                  "the daemon shares its memory, and this process cannot map it: hits go over the "
                  "socket");
  else if (!shm->ring_read)
    doctor_report(doctor, DOCTOR_WARNING,
                  "raise --client-budget, or start fewer clients: see rings in fcachectl stats",
                  "this process maps the region and gets no ring: hits are only counted");
  else
    doctor_ok(doctor, "this process maps the region (%zu MiB) and has a ring",
              shm->region.size >> 20);
  admin_close(worker);
}

void doctor_check_shared_memory(struct doctor *doctor) {
  if (doctor_number(doctor, "region_shared") == 0)
    doctor_report(doctor, DOCTOR_WARNING,
                  "start fcached without --no-region. In a container allow memfd_create and seals",
                  "the daemon shares no memory: each hit is a message");
  else if (doctor->n_namespaces > 0)
    try_region(doctor, doctor->namespaces[0].name);
  else
    doctor_ok(doctor, "the daemon shares its memory. There is no namespace yet to try it with");
}

void doctor_check_rings(struct doctor *doctor) {
  if (doctor->workers == 0)
    doctor_ok(doctor, "no worker is connected now");
  else if (doctor->workers_without_region > 0)
    doctor_report(doctor, DOCTOR_WARNING,
                  "see VIA socket in fcachectl clients, and run doctor as that user, there",
                  "%u of %u workers do not read from shared memory", doctor->workers_without_region,
                  doctor->workers);
  else
    doctor_ok(doctor, "all %u workers read from shared memory", doctor->workers);
}
