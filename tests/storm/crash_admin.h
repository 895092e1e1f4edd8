/* crash_admin.h - requests of an administrator in the crash storm: clears as of fcachectl,
 * snapshots, and changes of max_bytes. Each opens a connection of its own. Usable in children. */
#ifndef FC_TESTS_CRASH_ADMIN_H
#define FC_TESTS_CRASH_ADMIN_H

#include "crash_board.h"
#include "tests/support/raw.h"

/* A snapshot that was requested, and whose end is awaited. Zero: none. */
struct crash_snapshot {
  bool is_awaited;
  struct raw raw;
  uint64_t number; /* by the daemon */
  uint64_t begun;  /* tick before the request */
};

/* Clears. Numbers past the last name select any. Returns whether the clear is acknowledged. */
bool crash_admin_clear(const char *socket, struct crash_place place);
/* Deletes a key, as crash_admin_clear. */
bool crash_admin_delete(const char *socket, uint32_t key);

/* Requests a snapshot, unless one is awaited. Otherwise looks whether that one has ended, and
 * enters it on the board. A snapshot that fails is a fault. Forgets it if the daemon died. */
void crash_admin_snapshot(struct crash_snapshot *snapshot, struct crash_board *board,
                          const char *socket);
void crash_admin_snapshot_forget(struct crash_snapshot *snapshot);

/* Sets max_bytes ("64M"). A daemon that refuses it is a fault. */
void crash_admin_resize(struct crash_board *board, const char *socket, const char *max_bytes);

#endif
