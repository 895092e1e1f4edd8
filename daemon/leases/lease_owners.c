#include "daemon/leases/lease_owners.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "daemon/leases/leases_internal.h"
#include "daemon/os/peer.h"
#include "daemon/os/proc_stat.h"

#define DEATHS_A_CALL 64

struct lease_owner {
  struct lease_client client; /* first */
  struct process *process;    /* counted as a connection of it; NULL: not seen */
  struct namespace *ns;       /* counted as a client of it */
  int pidfd;                  /* in owners->deaths_fd; -1: not seen */
  bool gone;                  /* its process has exited before the adoption: it holds nothing */
  struct lease_owner *next;
};

void lease_owners_init(struct lease_owners *owners, const struct lease_owners_config *config) {
  *owners = (struct lease_owners){.config = *config, .deaths_fd = -1};
}

/* ---- the end of an owner ---- */

/* Frees an owner without leases, which is in no list any more. */
static void free_owner(struct lease_owners *owners, struct lease_owner *owner) {
  check_eq(owner->client.held, 0);
  if (owner->pidfd >= 0)
    (void)close(owner->pidfd); /* which removes it from the epoll */
  if (owner->process != NULL)
    processes_leave(owners->config.processes, owner->process);
  namespace_table_close(owners->config.namespaces, owner->ns);
  user_unref(owner->client.user);
  free(owner);
}

static void unlink_owner(struct lease_owners *owners, struct lease_owner *owner) {
  struct lease_owner **at = &owners->first;
  while (*at != owner)
    at = &(*at)->next;
  *at = owner->next;
  owners->n--;
  free_owner(owners, owner);
}

void lease_owners_sweep(struct lease_owners *owners) {
  for (struct lease_owner *owner = owners->first, *next; owner != NULL; owner = next) {
    next = owner->next;
    if (owner->client.held == 0)
      unlink_owner(owners, owner);
  }
}

void lease_owners_check_deaths(struct lease_owners *owners, uint64_t now_ns) {
  struct epoll_event events[DEATHS_A_CALL];
  int n = owners->deaths_fd < 0 ? 0 : epoll_wait(owners->deaths_fd, events, DEATHS_A_CALL, 0);
  for (int i = 0; i < n; i++) {
    struct lease_owner *owner = events[i].data.ptr;
    leases_client_gone(owners->config.leases, &owner->client, now_ns);
    unlink_owner(owners, owner);
  }
}

void lease_owners_deinit(struct lease_owners *owners, uint64_t now_ns) {
  for (struct lease_owner *owner = owners->first; owner != NULL; owner = owner->next)
    leases_client_gone(owners->config.leases, &owner->client, now_ns);
  lease_owners_sweep(owners);
  check_eq(owners->n, 0);
  if (owners->deaths_fd >= 0)
    (void)close(owners->deaths_fd); /* an epoll without descriptors */
  owners->deaths_fd = -1;
}

/* ---- processes ---- */

enum sight {
  SIGHT_GONE,   /* the process has exited */
  SIGHT_UNSEEN, /* it may be alive */
  SIGHT_ALIVE,
};

static bool has_exited(int pidfd) {
  struct pollfd death = {.fd = pidfd, .events = POLLIN};
  return poll(&death, 1, 0) != 0;
}

/* Finds the process of a record, and opens its pidfd if it is SIGHT_ALIVE. The pid may have been
 * reused: not if a process with that start time is alive after the pidfd was opened. */
static enum sight find_process(const struct lease_record *record, int *pidfd) {
  struct proc_stat stat;
  *pidfd = -1;
  if (record->pid == 0 || record->start_time == 0)
    return SIGHT_UNSEEN;
  long opened = syscall(SYS_pidfd_open, record->pid, 0); /* always close-on-exec */
  if (opened < 0)
    return errno == ESRCH ? SIGHT_GONE : SIGHT_UNSEEN;
  bool known = proc_stat_read(record->pid, &stat);
  bool same = known && peer_start_time(stat.start_ticks) == record->start_time;
  if (same && !has_exited((int)opened)) {
    *pidfd = (int)opened;
    return SIGHT_ALIVE;
  }
  (void)close((int)opened); /* nothing was written */
  return known ? SIGHT_GONE : SIGHT_UNSEEN;
}

/* Adds the pidfd to the epoll. Without it, its death would not be seen: it counts as not seen. */
static bool watch(struct lease_owners *owners, struct lease_owner *owner) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
  if (owners->deaths_fd < 0)
    owners->deaths_fd = epoll_create1(EPOLL_CLOEXEC);
  return owners->deaths_fd >= 0 &&
         epoll_ctl(owners->deaths_fd, EPOLL_CTL_ADD, owner->pidfd, &event) == 0;
}

/* ---- adoption ---- */

static struct namespace *find_namespace(const struct lease_owners *owners, uint64_t id) {
  struct namespace *ns = owners->config.namespaces->first;
  while (ns != NULL && ns->seed != id)
    ns = ns->next;
  return ns;
}

static bool is_of(const struct lease_owner *owner, const struct lease_record *record) {
  const struct lease_client *client = &owner->client;
  return owner->ns->seed == record->namespace_id &&
         memcmp(client->handle.bytes, record->handle, sizeof record->handle) == 0 &&
         client->pid == record->pid && client->start_time == record->start_time &&
         (client->user == NULL) == (record->has_uid == 0) &&
         (client->user == NULL || client->user->uid == record->uid);
}

static struct lease_owner *find_owner(const struct lease_owners *owners,
                                      const struct lease_record *record) {
  struct lease_owner *owner = owners->first;
  while (owner != NULL && !is_of(owner, record))
    owner = owner->next;
  return owner;
}

/* Sets user and process of a new owner. Returns false if memory is out. */
static bool fill_owner(struct lease_owners *owners, struct lease_owner *owner,
                       const struct lease_record *record) {
  const struct lease_owners_config *config = &owners->config;
  owner->client =
      (struct lease_client){.pid = record->pid, .start_time = record->start_time, .absent = true};
  memcpy(owner->client.handle.bytes, record->handle, sizeof record->handle);
  owner->gone = find_process(record, &owner->pidfd) == SIGHT_GONE;
  if (owner->pidfd >= 0 && !watch(owners, owner)) {
    (void)close(owner->pidfd); /* nothing was written */
    owner->pidfd = -1;
  }
  if (record->has_uid && config->users != NULL) {
    owner->client.user = users_ref(config->users, record->uid, record->is_limited);
    if (owner->client.user == NULL)
      return false;
  }
  if (owner->pidfd >= 0)
    owner->process = processes_join(config->processes, record->pid, record->start_time,
                                    *config->last_number + 1);
  if (owner->process != NULL) {
    *config->last_number += owner->process->number == *config->last_number + 1;
    owner->client.process = &owner->process->leases;
  }
  return true;
}

static struct lease_owner *make_owner(struct lease_owners *owners,
                                      const struct lease_record *record) {
  struct namespace *ns = find_namespace(owners, record->namespace_id);
  struct lease_owner *owner = ns == NULL ? NULL : calloc(1, sizeof *owner);
  if (owner == NULL)
    return NULL;
  owner->ns = ns;
  ns->clients++;
  if (!fill_owner(owners, owner, record)) {
    free_owner(owners, owner);
    return NULL;
  }
  owner->next = owners->first;
  owners->first = owner;
  owners->n++;
  return owner;
}

static bool adopt(struct lease_owners *owners, uint32_t number, uint64_t now_ns) {
  const struct lease_owners_config *config = &owners->config;
  const struct lease_record *record = &config->leases->records->all[number];
  struct fc_key key = lease_record_key(record);
  struct lease_owner *owner = find_owner(owners, record);
  if (owner == NULL)
    owner = make_owner(owners, record);
  if (owner == NULL || owner->gone ||
      store_peek(config->namespaces->store, owner->ns, &key) != NULL)
    return false;
  uint64_t digest = fc_key_digest(owner->ns->seed ^ config->secret, &key);
  bool adopted = leases_adopt(config->leases, &owner->client, owner->ns, digest, number, now_ns);
  if (adopted && owner->pidfd < 0)
    leases_limit_terms(config->leases, &owner->client, now_ns + LEASE_OWNERS_UNSEEN_NS);
  return adopted;
}

/* A record to adopt. */
struct candidate {
  uint64_t granted_ns;
  uint32_t number;
};

static int compare_grants(const void *a, const void *b) {
  const struct candidate *left = a, *right = b;
  if (left->granted_ns != right->granted_ns)
    return left->granted_ns < right->granted_ns ? -1 : 1;
  return left->number < right->number ? -1 : left->number > right->number;
}

/* Lists the valid records, and frees the others. Returns their number. */
static uint32_t list_candidates(struct lease_records *records, struct candidate *list,
                                uint32_t *dropped) {
  uint32_t n = 0, end = lease_records_end(records);
  for (uint32_t number = 1; number < end; number++) {
    struct lease_record *record = &records->all[number];
    if (atomic_load_explicit(&record->in_use, memory_order_relaxed) == 0)
      continue;
    if (list != NULL && lease_records_is_valid(records, number)) {
      list[n++] = (struct candidate){record->granted_ns, number};
    } else {
      lease_records_remove(records, number);
      ++*dropped;
    }
  }
  return n;
}

/* In the order of their grants, because a helper is recognized if its creator computes already.
 * Without memory for the list, all leases end with the former daemon. */
struct lease_owners_report lease_owners_adopt(struct lease_owners *owners, uint64_t now_ns) {
  struct lease_owners_report report = {0};
  struct lease_records *records = owners->config.leases->records;
  uint32_t end = records == NULL ? 0 : lease_records_end(records);
  if (end == 0)
    return report;
  struct candidate *list = calloc(end, sizeof *list);
  uint32_t n = list_candidates(records, list, &report.dropped);
  if (n > 0)
    qsort(list, n, sizeof *list, compare_grants);
  for (uint32_t i = 0; i < n; i++) {
    if (adopt(owners, list[i].number, now_ns)) {
      report.adopted++;
      continue;
    }
    lease_records_remove(records, list[i].number);
    report.dropped++;
  }
  free(list);
  lease_owners_sweep(owners);
  return report;
}

/* ---- an owner is back ---- */

static bool is_same(const struct lease_client *owner, const struct lease_client *client) {
  bool same_user = owner->user == client->user || (owner->user != NULL && client->user != NULL &&
                                                   owner->user->uid == client->user->uid);
  return memcmp(&owner->handle, &client->handle, sizeof owner->handle) == 0 &&
         owner->pid == client->pid && same_user;
}

void lease_owners_claim(struct lease_owners *owners, struct lease_client *client,
                        const struct namespace *ns, uint64_t now_ns) {
  struct lease_owner *owner = leases_has_handle(client) ? owners->first : NULL;
  while (owner != NULL && !(owner->ns == ns && is_same(&owner->client, client)))
    owner = owner->next;
  if (owner == NULL)
    return;
  leases_transfer(owners->config.leases, &owner->client, client, now_ns);
  unlink_owner(owners, owner);
}
