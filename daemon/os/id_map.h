/* id_map.h - the user namespace's id maps: which uids and gids of peers identify a user or group.
 *
 * In a user namespace that maps only some ids, the kernel shows every unmapped id as the overflow
 * id (usually 65534, "nobody"). That id identifies no user, even where it equals the daemon's own
 * uid or the admin group's gid. */
#ifndef FC_DAEMON_ID_MAP_H
#define FC_DAEMON_ID_MAP_H

#include <stdbool.h>
#include <sys/types.h>

/* Zeroed: every id is mapped. */
struct id_map {
  bool uids_partial, gids_partial; /* some ids are not mapped */
  uid_t overflow_uid;
  gid_t overflow_gid;
};

/* Reads the maps of this process from ROOT/proc, where `root` is "" for the real one. A file that
 * cannot be read counts as a partial map, or as the overflow id 65534. */
void id_map_read(struct id_map *map, const char *root);

/* Return false if the id may be any unmapped user's or group's. */
static inline bool id_map_knows_uid(const struct id_map *map, uid_t uid) {
  return !map->uids_partial || uid != map->overflow_uid;
}
static inline bool id_map_knows_gid(const struct id_map *map, gid_t gid) {
  return !map->gids_partial || gid != map->overflow_gid;
}

#endif
