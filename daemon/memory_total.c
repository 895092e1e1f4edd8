#include "daemon/memory_total.h"

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"

#include "daemon/latency/latency.h"
#include "daemon/net/conn.h"
#include "daemon/net/conns.h"
#include "daemon/region/region_writer.h"
#include "daemon/requests/handlers.h"
#include "daemon/snapshot/snapshot.h"
#include "daemon/trace/trace.h"
#include "daemon/usage/usage.h"
#include "proto/limits.h"

/* The kernel's memory for a client besides its send buffer: the socket, two descriptors and two
 * epoll watches; for a ring, the memory file and a page of page table. Measured 2.2 KiB without a
 * ring on Linux 6.18; about twice that allows for other kernels. */
#define KERNEL_CLIENT_BYTES (4096u + 4096u)

/* Measured: 2.6 MiB of program, libraries and stacks are resident after the start, plus 0.3 MiB in
 * the kernel. */
#define PROGRAM_BYTES (5u << 20)

/* Pages and statistics are encoded in the daemon's memory: a reply of up to FC_FRAME_SLACK in a
 * buffer that doubles, and its parts in another. */
#define WORK_BYTES (4u * FC_FRAME_SLACK)

/* The catalog's header and single elements, and the part of its directory that it allocates early.
 */
#define CATALOG_BYTES (4u * CATALOG_ALIGN)

/* A page of 4 KiB takes 8 bytes of page table and 9 bytes of a memory file's index. */
#define TABLE_SHARE 240u
#define HOLES_SHARE 8u /* share of the malloc heap lost between blocks in use */

static uint64_t add(uint64_t a, uint64_t b) {
  return a <= UINT64_MAX - b ? a + b : UINT64_MAX;
}

uint64_t memory_total_socket_bytes(void) {
  return SEND_BUFFER_SMALL_BYTES + KERNEL_CLIENT_BYTES;
}

uint64_t memory_total_client_bytes(void) {
  return conn_bytes_max() + sizeof(struct clear_job) + sizeof(struct process) +
         2 * ALLOCATOR_OVERHEAD_BYTES;
}

/* Each user has at least a connection, a namespace, or a row of the usage, which outlives both. */
static uint64_t bytes_of_users(const struct memory_settings *settings) {
  uint64_t users = (uint64_t)settings->max_clients + CONN_REFUSED_MAX + settings->max_namespaces +
                   USAGE_ROWS_MAX;
  return users * (sizeof(struct user) + ALLOCATOR_OVERHEAD_BYTES);
}

static uint64_t bytes_of_daemon(const struct memory_settings *settings,
                                const struct memory_amounts *bounds) {
  uint64_t heap = bounds->bytes[MEMORY_CLIENTS] + bounds->bytes[MEMORY_NAMESPACES] +
                  bounds->bytes[MEMORY_LEASES] + bounds->bytes[MEMORY_TIER];
  uint64_t mapped = add(bounds->bytes[MEMORY_REGION], bounds->bytes[MEMORY_MESSAGES]);
  uint64_t remembered = PROCESSES_IDLE_MAX * (sizeof(struct process) + ALLOCATOR_OVERHEAD_BYTES) +
                        (CLEAR_REQUESTS_QUEUED_MAX + STORE_CLEARS_MAX) *
                            (sizeof(struct clear_job) + ALLOCATOR_OVERHEAD_BYTES);
  uint64_t chunks = bounds->bytes[MEMORY_REGION] / SLOTS_CHUNK_BYTES;
  uint64_t snapshot = settings->snapshots ? snapshot_bytes_max(settings->max_namespaces) : 0;
  return PROGRAM_BYTES + WORK_BYTES + CATALOG_BYTES + sizeof(struct latency) + usage_bytes_max() +
         watch_bytes_max() + DELETE_LOG_BYTES + remembered + bytes_of_users(settings) + snapshot +
         heap / HOLES_SHARE + mapped / TABLE_SHARE +
         chunks * (sizeof(struct slots_chunk *) + sizeof(uint64_t)); /* and its directory word */
}

void memory_total_bounds(const struct memory_settings *settings, struct memory_amounts *bounds) {
  uint64_t *bytes = bounds->bytes, budget = settings->client_budget;
  uint64_t conns = (uint64_t)settings->max_clients + CONN_REFUSED_MAX;
  struct leases_limits leases = leases_limits_of(settings->max_leases, 0);
  bytes[MEMORY_REGION] =
      add(settings->max_bytes, region_writer_overhead_bytes(settings->max_bytes) +
                                   region_writer_segment_bytes(settings->max_bytes));
  bytes[MEMORY_MESSAGES] = add(conns_frames_bytes(budget, settings->max_value), budget / 2);
  bytes[MEMORY_SOCKETS] = add(conns * memory_total_socket_bytes(), conns_send_bytes(budget));
  bytes[MEMORY_RINGS] = settings->shares ? rings_pool_bytes(budget, settings->max_clients) : 0;
  bytes[MEMORY_CLIENTS] = conns * memory_total_client_bytes();
  bytes[MEMORY_NAMESPACES] = namespace_table_bytes_max(settings->max_namespaces);
  bytes[MEMORY_LEASES] = leases_bytes_max(&leases);
  bytes[MEMORY_TRACE] = trace_bytes_max();
  bytes[MEMORY_TIER] = settings->tier_bytes;
  bytes[MEMORY_DAEMON] = bytes_of_daemon(settings, bounds);
}

uint64_t memory_total_sum(const struct memory_amounts *amounts) {
  uint64_t sum = 0;
  for (int part = 0; part < MEMORY_PARTS; part++)
    sum = add(sum, amounts->bytes[part]);
  return sum;
}

const char *memory_part_name(enum memory_part part) {
  static const char *const names[MEMORY_PARTS] = {
      [MEMORY_REGION] = "region",   [MEMORY_MESSAGES] = "messages",
      [MEMORY_SOCKETS] = "sockets", [MEMORY_RINGS] = "rings",
      [MEMORY_CLIENTS] = "clients", [MEMORY_NAMESPACES] = "namespaces",
      [MEMORY_LEASES] = "leases",   [MEMORY_TRACE] = "trace",
      [MEMORY_TIER] = "tier",       [MEMORY_DAEMON] = "daemon",
  };
  check_lt(part, MEMORY_PARTS);
  return names[part];
}
