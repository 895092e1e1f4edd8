#include "daemon/snapshot/clear_journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "daemon/base/check.h"
#include "proto/image/image_bytes.h"

#define MAGIC 0x524c4346u /* "FCLR" */
#define VERSION 1u
#define SEED UINT64_C(0x636c656172733031)
#define COPY_BYTES (CLEAR_JOURNAL_RECORD_BYTES / 2)

/* Offsets in a copy. Then the three names, in order. */
enum {
  AT_MAGIC = 8,
  AT_VERSION = 12,
  AT_CACHE_ID = 16,
  AT_STAMP = 24,
  AT_GENERATION = 32,
  AT_NAMES = 40, /* per name: size, and whether it is given; 2 bytes each */
  AT_DATA = 64,
};
static_assert(AT_DATA + 3 * FC_NAME_MAX <= COPY_BYTES, "all names fit");

void clear_journal_init(struct clear_journal *journal) {
  *journal = (struct clear_journal){.fd = -1};
}

void clear_journal_close(struct clear_journal *journal) {
  if (journal->fd >= 0)
    (void)close(journal->fd); /* each write was synced */
  clear_journal_init(journal);
}

/* ---- records ---- */

static uint64_t checksum(const uint8_t *copy) {
  return XXH3_64bits_withSeed(copy + 8, COPY_BYTES - 8, SEED);
}

void clear_journal_append(struct fc_buf *buf, const struct clear_journal_record *record) {
  uint8_t copy[COPY_BYTES] = {0};
  struct fc_str names[] = {record->name_space, record->view, record->op};
  image_put32(copy + AT_MAGIC, MAGIC);
  image_put32(copy + AT_VERSION, VERSION);
  image_put64(copy + AT_CACHE_ID, record->cache_id);
  image_put64(copy + AT_STAMP, record->stamp);
  image_put64(copy + AT_GENERATION, record->generation);
  uint8_t *at = copy + AT_DATA;
  for (size_t i = 0; i < 3; i++) {
    check_le(names[i].size, FC_NAME_MAX);
    image_put16(copy + AT_NAMES + i * 4, (uint16_t)names[i].size);
    image_put16(copy + AT_NAMES + i * 4 + 2, names[i].data != NULL);
    if (names[i].data != NULL)
      memcpy(at, names[i].data, names[i].size);
    at += names[i].size;
  }
  image_put64(copy, checksum(copy));
  (void)fc_buf_append(buf, copy, sizeof copy); /* a failure is in buf->failed */
  (void)fc_buf_append(buf, copy, sizeof copy);
}

static bool decode(const uint8_t *copy, struct clear_journal_record *record) {
  if (image_get32(copy + AT_MAGIC) != MAGIC || image_get32(copy + AT_VERSION) != VERSION ||
      image_get64(copy) != checksum(copy))
    return false;
  struct fc_str names[3];
  const char *at = (const char *)copy + AT_DATA;
  for (size_t i = 0; i < 3; i++) {
    uint32_t size = image_get16(copy + AT_NAMES + i * 4);
    bool given = image_get16(copy + AT_NAMES + i * 4 + 2) != 0;
    if (size > FC_NAME_MAX)
      return false;
    names[i] = (struct fc_str){given ? at : NULL, given ? size : 0};
    at += size;
  }
  *record = (struct clear_journal_record){.cache_id = image_get64(copy + AT_CACHE_ID),
                                          .stamp = image_get64(copy + AT_STAMP),
                                          .generation = image_get64(copy + AT_GENERATION),
                                          .name_space = names[0],
                                          .view = names[1],
                                          .op = names[2]};
  return true;
}

/* ---- the file ---- */

static int read_record(int fd, uint64_t n, uint8_t both[CLEAR_JOURNAL_RECORD_BYTES]) {
  size_t done = 0;
  while (done < CLEAR_JOURNAL_RECORD_BYTES) {
    ssize_t got = pread(fd, both + done, CLEAR_JOURNAL_RECORD_BYTES - done,
                        (off_t)(n * CLEAR_JOURNAL_RECORD_BYTES + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return got < 0 ? errno : EIO;
    done += (size_t)got;
  }
  return 0;
}

static int write_at(int fd, const uint8_t *data, size_t size, uint64_t offset) {
  while (size > 0) {
    ssize_t n = pwrite(fd, data, size, (off_t)offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : EIO;
    data += n;
    size -= (size_t)n;
    offset += (uint64_t)n;
  }
  return 0;
}

/* Zeros at the end: the size reached the disk before the bytes, so no sync had completed. */
static bool is_zero(const uint8_t both[CLEAR_JOURNAL_RECORD_BYTES]) {
  for (size_t i = 0; i < CLEAR_JOURNAL_RECORD_BYTES; i++)
    if (both[i] != 0)
      return false;
  return true;
}

static int read_all(struct clear_journal *journal, uint64_t n, uint64_t cache_id,
                    clear_journal_fn *fn, void *arg) {
  uint8_t both[CLEAR_JOURNAL_RECORD_BYTES];
  struct clear_journal_record record;
  for (uint64_t i = 0; i < n; i++) {
    int error = read_record(journal->fd, i, both);
    if (error != 0)
      return error;
    if (decode(both, &record) || decode(both + COPY_BYTES, &record)) {
      if (cache_id == 0 || record.cache_id == cache_id)
        fn(arg, &record);
    } else if (i + 1 < n || !is_zero(both)) {
      journal->damaged = true;
    }
  }
  return 0;
}

int clear_journal_open(struct clear_journal *journal, const struct state_dir *dir,
                       uint64_t cache_id, clear_journal_fn *fn, void *arg) {
  struct stat status;
  clear_journal_init(journal);
  int fd = state_dir_open_file(dir, STATE_CLEARS, dir->read_only ? O_RDONLY : O_RDWR | O_CREAT);
  if (fd < 0)
    return dir->read_only && errno == ENOENT ? 0 : errno;
  journal->fd = fd;
  int error = fstat(fd, &status) == 0 ? 0 : errno;
  uint64_t n = error == 0 ? (uint64_t)status.st_size / CLEAR_JOURNAL_RECORD_BYTES : 0;
  if (error == 0 && n > CLEAR_JOURNAL_MAX)
    error = EFBIG;
  if (error == 0)
    error = read_all(journal, n, cache_id, fn, arg);
  if (error == 0 && !dir->read_only && (uint64_t)status.st_size != n * CLEAR_JOURNAL_RECORD_BYTES &&
      ftruncate(fd, (off_t)(n * CLEAR_JOURNAL_RECORD_BYTES)) < 0)
    error = errno;
  journal->n = n;
  return error;
}

int clear_journal_write(struct clear_journal *journal, const struct fc_buf *records) {
  uint64_t end = journal->n * CLEAR_JOURNAL_RECORD_BYTES;
  if (journal->fd < 0)
    return EROFS;
  int error = write_at(journal->fd, records->data, records->size, end);
  if (error == 0 && fdatasync(journal->fd) < 0)
    error = errno;
  if (error == 0)
    journal->n += records->size / CLEAR_JOURNAL_RECORD_BYTES;
  else if (ftruncate(journal->fd, (off_t)end) < 0) /* incomplete records would be in the way */
    clear_journal_close(journal);
  return error;
}

/* Copies the records from number `first` on to a new file. */
static int copy_rest(const struct clear_journal *journal, uint64_t first, int to) {
  uint8_t both[CLEAR_JOURNAL_RECORD_BYTES];
  for (uint64_t i = first; i < journal->n; i++) {
    int error = read_record(journal->fd, i, both);
    if (error == 0)
      error = write_at(to, both, sizeof both, (i - first) * sizeof both);
    if (error != 0)
      return error;
  }
  return fdatasync(to) == 0 ? 0 : errno;
}

int clear_journal_cut(struct clear_journal *journal, const struct state_dir *dir, uint64_t n) {
  if (n == 0 || journal->fd < 0)
    return 0;
  int fd = state_dir_create(dir, STATE_CLEARS_NEW);
  if (fd < 0)
    return errno;
  int error = copy_rest(journal, n, fd);
  if (error == 0)
    error = state_dir_rename(dir, STATE_CLEARS_NEW, STATE_CLEARS);
  if (error != 0) {
    (void)close(fd); /* it is not used */
    return error;
  }
  (void)close(journal->fd); /* its records are obsolete, or in the new file */
  journal->fd = fd;
  journal->n -= n;
  journal->damaged = false;
  return state_dir_sync(dir);
}
