/* id_map.h - which uids and gids of peers name a user, and which stand for all users that this
 * process's user namespace does not map.
 *
 * In a user namespace that maps a part of the ids, the kernel shows every other id as the overflow
 * id (usually 65534, "nobody"). That number then says nothing about the peer, not even where it
 * equals the daemon's own or the admin group's. */
#ifndef FC_DAEMON_ID_MAP_H
#define FC_DAEMON_ID_MAP_H

#include <stdbool.h>
#include <sys/types.h>

/* Zeroed: every id is mapped. */
struct id_map {
  bool uids_partial, gids_partial; /* some are not mapped */
  uid_t overflow_uid;
  gid_t overflow_gid;
};

/* Reads the maps of this process. `root` is the folder that stands before /proc: "" for the system
 * itself. A file that cannot be read counts as a partial map, or as the overflow id 65534. */
void id_map_read(struct id_map *map, const char *root);

/* False where the id may be anybody's. */
static inline bool id_map_knows_uid(const struct id_map *map, uid_t uid) {
  return !map->uids_partial || uid != map->overflow_uid;
}
static inline bool id_map_knows_gid(const struct id_map *map, gid_t gid) {
  return !map->gids_partial || gid != map->overflow_gid;
}

#endif
