/* target.h - the namespace at one end of an export or import, as the daemon lists it. */
#ifndef FC_CTL_TARGET_H
#define FC_CTL_TARGET_H

#include <stdbool.h>

#include "client/lib/admin/admin.h"
#include "proto/limits.h"

struct target {
  bool exists;
  uint64_t entries, max_bytes; /* max_bytes 0: no limit of its own */
  bool has_manifest;
  uint32_t manifest_size;
  char manifest[FC_MANIFEST_MAX + 1]; /* NUL-terminated */
  uint64_t evictions;                 /* of its entries, ever */
};

/* Reads the namespace's row, and its evictions. Unlike a hello with its name, that does not create
 * it. Returns an exit status and reports an error. */
int target_read(struct admin *admin, const char *name_space, struct target *target);

/* Returns the manifest; without data: none. Borrows. */
struct fc_str target_manifest(const struct target *target);

#endif
