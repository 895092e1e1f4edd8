#include "proto/shm/region_uses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "START-END PERMS OFFSET DEVICE INODE   /memfd:NAME (deleted)" */
static bool read_line(const char *line, struct fc_region_use *use) {
  static const char name[] = "/memfd:" FC_REGION_MEMFD;
  const char *path = strchr(line, '/');
  char *at;
  if (path == NULL || strncmp(path, name, sizeof name - 1) != 0 ||
      strchr(" \n", path[sizeof name - 1]) == NULL) /* or the line's NUL */
    return false;
  uint64_t start = strtoull(line, &at, 16);
  uint64_t end = *at == '-' ? strtoull(at + 1, &at, 16) : 0;
  if (end <= start || path - at < 6)
    return false;
  use->bytes = end - start;
  use->has_daemon = at[2] == 'w';
  (void)strtoull(at + 5, &at, 16);                            /* the offset */
  at += strspn(at, " ") + strcspn(at + strspn(at, " "), " "); /* the device */
  use->inode = strtoull(at, &at, 10);
  return *at == ' ' && at < path;
}

static struct fc_region_use *find(struct fc_region_uses *uses, uint64_t inode) {
  for (unsigned i = 0; i < uses->n; i++)
    if (uses->list[i].inode == inode)
      return &uses->list[i];
  if (uses->n == FC_REGION_USES_MAX)
    return NULL;
  uses->list[uses->n] = (struct fc_region_use){.inode = inode};
  return &uses->list[uses->n++];
}

void fc_region_uses_add(struct fc_region_uses *uses, long pid, const char *line) {
  struct fc_region_use seen;
  if (!read_line(line, &seen))
    return;
  struct fc_region_use *use = find(uses, seen.inode);
  if (use == NULL)
    return;
  use->bytes = seen.bytes > use->bytes ? seen.bytes : use->bytes;
  use->has_daemon = use->has_daemon || seen.has_daemon;
  /* A process may map it twice: two handles. */
  unsigned kept = use->n_pids < FC_REGION_USES_PIDS ? use->n_pids : FC_REGION_USES_PIDS;
  if (kept > 0 && use->pids[kept - 1] == pid)
    return;
  if (kept < FC_REGION_USES_PIDS)
    use->pids[kept] = pid;
  use->n_pids++;
}

void fc_region_uses_keep_dead(struct fc_region_uses *uses, uint64_t live_inode) {
  unsigned n = 0;
  for (unsigned i = 0; i < uses->n; i++)
    if (!uses->list[i].has_daemon && uses->list[i].inode != live_inode)
      uses->list[n++] = uses->list[i];
  uses->n = n;
}

uint64_t fc_region_uses_bytes(const struct fc_region_uses *uses) {
  uint64_t bytes = 0;
  for (unsigned i = 0; i < uses->n; i++)
    bytes += uses->list[i].bytes;
  return bytes;
}

/* Returns whether one of the first `before` regions lists the process. */
static bool is_known(const struct fc_region_uses *uses, unsigned before, long pid) {
  for (unsigned i = 0; i < before; i++)
    for (unsigned k = 0; k < FC_REGION_USES_PIDS && k < uses->list[i].n_pids; k++)
      if (uses->list[i].pids[k] == pid)
        return true;
  return false;
}

void fc_region_uses_pids(const struct fc_region_uses *uses, char *text, size_t size) {
  static const char more[] = ", ...";
  size_t used = 0;
  bool left_out = false;
  text[0] = '\0';
  for (unsigned i = 0; i < uses->n; i++) {
    const struct fc_region_use *use = &uses->list[i];
    left_out = left_out || use->n_pids > FC_REGION_USES_PIDS;
    for (unsigned k = 0; k < FC_REGION_USES_PIDS && k < use->n_pids; k++) {
      char one[32];
      int n = snprintf(one, sizeof one, "%s%ld", used > 0 ? ", " : "", use->pids[k]);
      if (is_known(uses, i, use->pids[k]))
        continue;
      if (n < 0 || used + (size_t)n + sizeof more > size) {
        left_out = true;
        continue;
      }
      memcpy(text + used, one, (size_t)n + 1);
      used += (size_t)n;
    }
  }
  if (left_out && used + sizeof more <= size)
    memcpy(text + used, more, sizeof more);
}
