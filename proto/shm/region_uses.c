#include "proto/shm/region_uses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/shm/region_layout.h"

/* A line that maps a file of a region. */
struct line {
  uint64_t region; /* the inode of its index */
  uint64_t bytes;
  bool is_index, is_writable;
  unsigned segment; /* unless it is the index */
};

/* Reads "INODE-NUMBER (deleted)", the rest of a segment's name. */
static bool read_segment(const char *text, struct line *line) {
  char *at;
  line->region = strtoull(text, &at, 10);
  if (at == text || *at != '-' || strchr("0123456789", at[1]) == NULL || at[1] == '\0')
    return false;
  unsigned long segment = strtoul(at + 1, &at, 10);
  line->segment = (unsigned)segment;
  return segment < FC_REGION_SEGMENTS_MAX && strchr(" \n", *at) != NULL; /* or the line's NUL */
}

/* Returns the bytes of `name` if `path` begins with it, else 0. */
static size_t prefix(const char *path, const char *name) {
  size_t n = strlen(name);
  return strncmp(path, name, n) == 0 ? n : 0;
}

/* "START-END PERMS OFFSET DEVICE INODE   /memfd:NAME (deleted)" */
static bool read_line(const char *text, struct line *line) {
  const char *path = strchr(text, '/');
  char *at;
  if (path == NULL)
    return false;
  size_t index = prefix(path, "/memfd:" FC_REGION_MEMFD);
  size_t segment = prefix(path, "/memfd:" FC_REGION_SEGMENT_MEMFD);
  line->is_index = index > 0 && strchr(" \n", path[index]) != NULL; /* or the line's NUL */
  if (!line->is_index && (segment == 0 || !read_segment(path + segment, line)))
    return false;
  uint64_t start = strtoull(text, &at, 16);
  uint64_t end = *at == '-' ? strtoull(at + 1, &at, 16) : 0;
  if (end <= start || path - at < 6)
    return false;
  line->bytes = end - start;
  line->is_writable = at[2] == 'w';
  (void)strtoull(at + 5, &at, 16);                            /* the offset */
  at += strspn(at, " ") + strcspn(at + strspn(at, " "), " "); /* the device */
  uint64_t inode = strtoull(at, &at, 10);
  if (line->is_index)
    line->region = inode;
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

/* Adds the bytes of a file that no line before had. */
static void count_file(struct fc_region_use *use, const struct line *line) {
  uint64_t bit = line->is_index ? 0 : UINT64_C(1) << line->segment;
  if (line->is_index ? use->has_index : (use->segments & bit) != 0)
    return;
  use->has_index = use->has_index || line->is_index;
  use->segments |= bit;
  use->bytes += line->bytes;
}

void fc_region_uses_add(struct fc_region_uses *uses, long pid, const char *line) {
  struct line seen = {0};
  if (!read_line(line, &seen))
    return;
  struct fc_region_use *use = find(uses, seen.region);
  if (use == NULL)
    return;
  count_file(use, &seen);
  use->has_daemon = use->has_daemon || seen.is_writable;
  if (use->last_pid == pid) /* a process maps several files, and may map each twice: two handles */
    return;
  use->last_pid = pid;
  if (use->n_pids < FC_REGION_USES_PIDS)
    use->pids[use->n_pids] = pid;
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
