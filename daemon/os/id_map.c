#include "daemon/os/id_map.h"

#include "daemon/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define ALL_IDS UINT32_MAX /* 0 to 2^32 - 2. -1 is no id */
#define OVERFLOW_DEFAULT 65534u
#define TEXT_SIZE 16384u /* a map has at most 340 lines, 11,900 bytes */

/* Reads a file of /proc with a NUL at its end. Returns false if it cannot be read whole. */
static bool read_text(const char *root, const char *path, char text[TEXT_SIZE]) {
  char full[PATH_MAX];
  int n = snprintf(full, sizeof full, "%s%s", root, path);
  if (n < 0 || (size_t)n >= sizeof full)
    return false;
  int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return false;
  size_t size = 0;
  ssize_t got;
  do {
    got = read(fd, text + size, TEXT_SIZE - 1 - size);
    size += got > 0 ? (size_t)got : 0;
  } while ((got > 0 && size < TEXT_SIZE - 1) || (got < 0 && errno == EINTR));
  (void)close(fd); /* only read */
  text[size] = '\0';
  return got == 0;
}

static const char *skip_spaces(const char *text) {
  while (*text == ' ')
    text++;
  return text;
}

/* Returns the sum of the lengths (the third number of each line), or 0 if the text is no map. The
 * ranges of a map do not overlap. */
static uint64_t count_ids(const char *text) {
  uint64_t count = 0, inside, outside, length;
  while (*text != '\0') {
    const char *at = parse_number(skip_spaces(text), &inside);
    at = at == NULL ? NULL : parse_number(skip_spaces(at), &outside);
    at = at == NULL ? NULL : parse_number(skip_spaces(at), &length);
    if (at == NULL || *at != '\n' || length > ALL_IDS)
      return 0;
    count += length;
    text = at + 1;
  }
  return count;
}

static bool is_partial(const char *root, const char *path) {
  char text[TEXT_SIZE];
  return !read_text(root, path, text) || count_ids(text) < ALL_IDS;
}

static uint32_t overflow_id(const char *root, const char *path) {
  char text[TEXT_SIZE];
  uint64_t id;
  if (!read_text(root, path, text))
    return OVERFLOW_DEFAULT;
  const char *end = parse_number(text, &id);
  return end == NULL || *end != '\n' || id > UINT32_MAX ? OVERFLOW_DEFAULT : (uint32_t)id;
}

void id_map_read(struct id_map *map, const char *root) {
  *map = (struct id_map){
      .uids_partial = is_partial(root, "/proc/self/uid_map"),
      .gids_partial = is_partial(root, "/proc/self/gid_map"),
      .overflow_uid = overflow_id(root, "/proc/sys/kernel/overflowuid"),
      .overflow_gid = overflow_id(root, "/proc/sys/kernel/overflowgid"),
  };
}
