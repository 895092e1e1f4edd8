#include "daemon/memory_check.h"

#include "daemon/base/parse.h"
#include "proto/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILE_MAX 65536u

/* The tightest limit so far. */
struct tightest {
  uint64_t held_bytes;  /* in use by this daemon already, see memory_check */
  uint64_t bytes;       /* still available, and held */
  uint64_t limit_bytes; /* the limit itself: larger if some of it is in use */
  bool lasting;         /* a configured limit, not the memory that is free at the moment */
  char what[PATH_MAX + 64];
};

/* Returns the first FILE_MAX bytes of a file with a NUL at the end, to be freed, or NULL if it
 * cannot be read. O_NONBLOCK: a FIFO of that name must not block the start. */
static char *read_file(const char *root, const char *path) {
  char full[2 * PATH_MAX];
  int n = snprintf(full, sizeof full, "%s%s", root, path);
  if (n < 0 || (size_t)n >= sizeof full)
    return NULL;
  int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return NULL;
  char *text = malloc(FILE_MAX + 1);
  size_t size = 0;
  while (text != NULL && size < FILE_MAX) {
    ssize_t got = read(fd, text + size, FILE_MAX - size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      free(text);
      text = NULL;
    } else if (got == 0) {
      break;
    } else {
      size += (size_t)got;
    }
  }
  (void)close(fd); /* only read */
  if (text != NULL)
    text[size] = '\0';
  return text;
}

/* Applies a limit of which `used` bytes are taken, those that this daemon holds perhaps included.
 * `what` names it. */
static void narrow(struct tightest *tightest, uint64_t limit, uint64_t used, bool lasting,
                   const char *what) {
  used = used > tightest->held_bytes ? used - tightest->held_bytes : 0;
  uint64_t bytes = limit > used ? limit - used : 0;
  if (bytes >= tightest->bytes)
    return;
  tightest->bytes = bytes;
  tightest->limit_bytes = limit;
  tightest->lasting = lasting;
  (void)snprintf(tightest->what, sizeof tightest->what, "%s", what); /* a cut text is harmless */
}

/* The file names of a version of control groups, and the fields of memory.stat that count
 * reclaimable memory, child groups included. The shared memory of a region is not reclaimable. */
struct cgroup_files {
  const char *limit, *usage;
  const char *reclaimable[3];
};
static const struct cgroup_files version_1 = {
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    {"total_inactive_file", "total_active_file", "total_slab_reclaimable"}};
static const struct cgroup_files version_2 = {
    "memory.max", "memory.current", {"inactive_file", "active_file", "slab_reclaimable"}};

/* Finds the line "FIELD NUMBER", with blanks between. Returns false if there is none. */
static bool find_field(const char *text, const char *field, uint64_t *out) {
  size_t size = strlen(field);
  for (const char *at = text; (at = strstr(at, field)) != NULL; at += size)
    if ((at == text || at[-1] == '\n') && (at[size] == ' ' || at[size] == '\t'))
      return parse_number_field(at + size + strspn(at + size, " \t"), out);
  return false;
}

static bool read_group_number(const char *root, const char *group, const char *file,
                              uint64_t *out) {
  char path[PATH_MAX + 64];
  (void)snprintf(path, sizeof path, "%s/%s", group, file); /* fits */
  char *text = read_file(root, path);
  bool is_number = text != NULL && parse_number_field(text, out);
  free(text);
  return is_number;
}

/* Returns the memory in use in the group and its children that cannot be reclaimed. An unreadable
 * file counts as 0. */
static uint64_t group_used(const char *root, const char *group, const struct cgroup_files *files) {
  char path[PATH_MAX + 64];
  uint64_t used, bytes;
  if (!read_group_number(root, group, files->usage, &used))
    return 0;
  (void)snprintf(path, sizeof path, "%s/memory.stat", group); /* fits */
  char *stat = read_file(root, path);
  for (size_t i = 0; stat != NULL && i < sizeof files->reclaimable / sizeof(char *); i++)
    if (find_field(stat, files->reclaimable[i], &bytes))
      used = used > bytes ? used - bytes : 0;
  free(stat);
  return used;
}

/* Applies the limits of `group` and its ancestors up to the mount. In a container the path may not
 * exist below the mount: a missing file sets no limit, and the mount itself is the container's
 * group. */
static void walk_up(struct tightest *tightest, const char *root, const char *mount,
                    const char *group, const struct cgroup_files *files) {
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s%s", mount, group);
  if (n < 0 || (size_t)n >= sizeof path || strstr(group, "..") != NULL)
    (void)snprintf(path, sizeof path, "%s", mount); /* fits: a literal of this file */
  size_t bottom = strlen(mount), size = strlen(path);
  for (;;) {
    while (size > bottom && path[size - 1] == '/')
      size--;
    path[size] = '\0';
    char name[PATH_MAX + 64];
    uint64_t limit;
    (void)snprintf(name, sizeof name, "%s/%s", path, files->limit); /* fits */
    if (read_group_number(root, path, files->limit, &limit))
      narrow(tightest, limit, group_used(root, path, files), true, name);
    if (size <= bottom)
      return;
    while (size > bottom && path[size - 1] != '/')
      size--;
  }
}

/* Parses a line "ID:CONTROLLERS:PATH". Version 2 has no controllers. */
static void cgroup_line(struct tightest *tightest, const char *root, char *line) {
  char *controllers = strchr(line, ':');
  char *group = controllers == NULL ? NULL : strchr(++controllers, ':');
  if (group == NULL || group[1] != '/')
    return;
  *group++ = '\0';
  if (controllers[0] == '\0') {
    walk_up(tightest, root, "/sys/fs/cgroup", group, &version_2);
    return;
  }
  char *rest = NULL;
  for (char *name = strtok_r(controllers, ",", &rest); name != NULL;
       name = strtok_r(NULL, ",", &rest)) {
    if (strcmp(name, "memory") == 0)
      walk_up(tightest, root, "/sys/fs/cgroup/memory", group, &version_1);
  }
}

static void check_cgroups(struct tightest *tightest, const char *root) {
  char *text = read_file(root, "/proc/self/cgroup");
  char *rest = NULL;
  for (char *line = text == NULL ? NULL : strtok_r(text, "\n", &rest); line != NULL;
       line = strtok_r(NULL, "\n", &rest))
    cgroup_line(tightest, root, line);
  free(text);
}

static void check_available(struct tightest *tightest, const char *root) {
  char *text = read_file(root, "/proc/meminfo");
  uint64_t kib;
  if (text != NULL && find_field(text, "MemAvailable:", &kib) &&
      kib <= (UINT64_MAX - tightest->held_bytes) / 1024) /* the held bytes are not free */
    narrow(tightest, kib * 1024 + tightest->held_bytes, 0, false, "MemAvailable in /proc/meminfo");
  free(text);
}

static void check_rlimit(struct tightest *tightest, __rlimit_resource_t resource,
                         const char *what) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    narrow(tightest, limit.rlim_cur, 0, true, what);
}

/* Formats "100 MiB (104857600 bytes) are allowed by FILE: lower --max-bytes, or raise that limit".
 */
static void describe(const struct tightest *tightest, char *text, size_t size) {
  char left[FORMAT_SIZE_MAX], limit[FORMAT_SIZE_MAX], used[FORMAT_SIZE_MAX];
  uint64_t used_bytes = tightest->limit_bytes - tightest->bytes;
  (void)format_size(tightest->bytes, left);
  if (used_bytes > 0) /* a cut text is harmless, here and below */
    (void)snprintf(text, size,
                   "%s (%" PRIu64
                   " bytes) are left of the %s allowed by %.400s, where %s are in use: lower "
                   "--max-bytes, free memory in that group, or raise that limit",
                   left, tightest->bytes, format_size(tightest->limit_bytes, limit), tightest->what,
                   format_size(used_bytes, used));
  else
    (void)snprintf(text, size, "%s (%" PRIu64 " bytes) are %s by %.400s: lower --max-bytes, or %s",
                   left, tightest->bytes, tightest->lasting ? "allowed" : "available",
                   tightest->what, tightest->lasting ? "raise that limit" : "free some memory");
}

/* The option that bounds each part. */
static const char *const causes[MEMORY_PARTS] = {
    [MEMORY_REGION] = "--max-bytes",
    [MEMORY_MESSAGES] = "--client-budget",
    [MEMORY_SOCKETS] = "--client-budget and --max-clients",
    [MEMORY_RINGS] = "--client-budget",
    [MEMORY_CLIENTS] = "--max-clients",
    [MEMORY_NAMESPACES] = "--max-namespaces",
    [MEMORY_LEASES] = "--max-leases",
    [MEMORY_TIER] = "--tier, --tier-queue and --max-value",
};

/* Formats "region 262.6 MiB (--max-bytes), messages 64 MiB (--client-budget), ...". */
static void list_parts(const struct memory_amounts *bounds, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (int part = 0; part < MEMORY_PARTS; part++) {
    char bytes[FORMAT_SIZE_MAX];
    const char *cause = causes[part];
    if (part == MEMORY_TIER && bounds->bytes[part] == 0)
      continue;
    int n =
        snprintf(text + used, size - used, "%s%s %s%s%s%s", part == 0 ? "" : ", ",
                 memory_part_name((enum memory_part)part), format_size(bounds->bytes[part], bytes),
                 cause == NULL ? "" : " (", cause == NULL ? "" : cause, cause == NULL ? "" : ")");
    if (n < 0 || (size_t)n >= size - used)
      return; /* a cut text is harmless */
    used += (size_t)n;
  }
}

int memory_check(const struct memory_amounts *bounds, uint64_t held_bytes, const char *root,
                 struct error_text *error) {
  struct tightest tightest = {.held_bytes = held_bytes, .bytes = UINT64_MAX};
  uint64_t total = memory_total_sum(bounds);
  char size[FORMAT_SIZE_MAX], parts[ERROR_TEXT_SIZE], there_is[ERROR_TEXT_SIZE];
  check_cgroups(&tightest, root);
  check_available(&tightest, root);
  check_rlimit(&tightest, RLIMIT_AS, "the limit on address space (RLIMIT_AS, ulimit -v)");
  check_rlimit(&tightest, RLIMIT_DATA, "the limit on data (RLIMIT_DATA, ulimit -d)");
  if (total <= tightest.bytes)
    return 0;
  describe(&tightest, there_is, sizeof there_is);
  list_parts(bounds, parts, sizeof parts);
  return error_text_set(error, FC_ENOMEM,
                        "not enough memory: %s are needed (%" PRIu64
                        " bytes), and %s; of these: %s",
                        format_size(total, size), total, there_is, parts);
}
