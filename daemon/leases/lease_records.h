/* lease_records.h - the active leases in memory that survives the daemon (region/catalog.h), from
 * which the next daemon adopts them (lease_owners.h).
 *
 * A lease has a record from its grant to its end. The grant sets `in_use` by the last store, and
 * the end clears it by the first one. Memory keeps the order of the program when the process is
 * killed, so a record in use is complete.
 *
 * The lowest free record is used first, and the head has the number of records that were ever used:
 * the next daemon reads no further, and the rest of the memory is never committed. A lease without
 * a record is a lease like others, but ends with the daemon: its names are too long, or there is no
 * free record or memory. One thread. */
#ifndef FC_DAEMON_LEASE_RECORDS_H
#define FC_DAEMON_LEASE_RECORDS_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"

#define LEASE_RECORDS_MAX 65536u /* with the head */
#define LEASE_RECORD_NAMES_MAX 168u

/* A change of the layout needs another CATALOG_LAYOUT. */
struct lease_record {
  _Atomic uint32_t in_use; /* of the first record, the head: 1 + the highest number ever in use */
  uint32_t top_k;
  uint64_t namespace_id;       /* the namespace's seed: its name may be reused */
  uint64_t granted_ns, end_ns; /* CLOCK_MONOTONIC */
  uint64_t start_time;         /* of the process, as peer.h has it; 0: not known */
  int32_t pid;                 /* 0: of another pid namespace */
  uint32_t uid;
  uint8_t has_uid, is_limited; /* the owner has a user; the user has a share (users.h) */
  uint8_t op_size, view_size;
  uint8_t reserved[4];
  uint8_t handle[FC_HASH_SIZE]; /* of the owner's hello; 0: none */
  uint8_t prompt[FC_HASH_SIZE];
  char names[LEASE_RECORD_NAMES_MAX]; /* op, then view */
};
static_assert(sizeof(struct lease_record) == 256, "the layout is fixed");

/* Makes the records up to number `n` usable (commits their memory). Returns false if it cannot. */
typedef bool lease_records_commit_fn(void *arg, uint32_t n);

struct lease_records {
  struct lease_record *all; /* borrowed; the first one is the head. NULL: no records */
  uint32_t n;
  uint32_t n_committed;
  lease_records_commit_fn *commit; /* NULL: all are usable */
  void *commit_arg;
  uint32_t lowest; /* no record below it is free */
  uint64_t used[LEASE_RECORDS_MAX / 64];
};

/* Uses `n` records (2 to LEASE_RECORDS_MAX) at `all`, which are zero, or those of a former daemon.
 * Records in use stay so until lease_records_remove: call lease_owners_adopt before the first
 * lease_records_add. */
void lease_records_init(struct lease_records *records, struct lease_record *all, uint32_t n,
                        lease_records_commit_fn *commit, void *commit_arg);

/* Returns 1 + the highest record number that was ever in use, at most `n`. */
uint32_t lease_records_end(const struct lease_records *records);

/* Returns whether the record is in use, and complete and plausible: its names are valid and its
 * process may exist. */
bool lease_records_is_valid(const struct lease_records *records, uint32_t number);

/* Returns the key of a valid record. Its names point into the record. */
struct fc_key lease_record_key(const struct lease_record *record);

/* Copies a key into the content of a record. Returns false if its names are too long. */
bool lease_record_set_key(struct lease_record *record, const struct fc_key *key);

/* Uses a free record, and copies all of `content` but `in_use` into it. Returns its number, or 0:
 * none. */
uint32_t lease_records_add(struct lease_records *records, const struct lease_record *content);

/* Marks a record of a former daemon as used by a lease. */
void lease_records_keep(struct lease_records *records, uint32_t number);

/* Frees a record. 0: does nothing. */
void lease_records_remove(struct lease_records *records, uint32_t number);

/* Returns the most memory that the records of so many leases take, in bytes. */
size_t lease_records_bytes_max(uint32_t leases);
/* Returns the memory that the records take now, in bytes. */
size_t lease_records_bytes(const struct lease_records *records);

#endif
