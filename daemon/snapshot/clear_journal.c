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
#define VERSION_CLEAR 1u
#define VERSION_DELETES 2u /* a daemon before it puts the snapshot aside */
#define SEED UINT64_C(0x636c656172733031)
#define COPY_BYTES (CLEAR_JOURNAL_RECORD_BYTES / 2)

/* Offsets in a copy. Then a clear has its three names, in order, and deletes have their keys: hash
 * and stamp. */
enum {
  AT_MAGIC = 8,
  AT_VERSION = 12,
  AT_CACHE_ID = 16,
  AT_STAMP = 24,
  AT_GENERATION = 32,
  AT_NAMES = 40, /* per name: size, and whether it is given; 2 bytes each */
  AT_COUNT = 40, /* of deletes: how many */
  AT_DATA = 64,
  KEY_BYTES = FC_HASH_SIZE + 8,
};
static_assert(AT_DATA + CLEAR_JOURNAL_KEYS * KEY_BYTES <= COPY_BYTES, "all keys fit");
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

static void encode_names(uint8_t *copy, const struct clear_journal_record *record) {
  struct fc_str names[] = {record->name_space, record->view, record->op};
  uint8_t *at = copy + AT_DATA;
  for (size_t i = 0; i < 3; i++) {
    check_le(names[i].size, FC_NAME_MAX);
    image_put16(copy + AT_NAMES + i * 4, (uint16_t)names[i].size);
    image_put16(copy + AT_NAMES + i * 4 + 2, names[i].data != NULL);
    if (names[i].data != NULL)
      memcpy(at, names[i].data, names[i].size);
    at += names[i].size;
  }
}

/* Adds a delete to a copy that has a place left. */
static void add_key(uint8_t *copy, const struct clear_journal_record *record) {
  uint32_t n = image_get32(copy + AT_COUNT);
  check_lt(n, CLEAR_JOURNAL_KEYS);
  uint8_t *at = copy + AT_DATA + (size_t)n * KEY_BYTES;
  memcpy(at, record->key.bytes, FC_HASH_SIZE);
  image_put64(at + FC_HASH_SIZE, record->stamp);
  image_put32(copy + AT_COUNT, n + 1);
}

static void encode(uint8_t *copy, const struct clear_journal_record *record) {
  memset(copy, 0, COPY_BYTES);
  image_put32(copy + AT_MAGIC, MAGIC);
  image_put32(copy + AT_VERSION, record->is_delete ? VERSION_DELETES : VERSION_CLEAR);
  image_put64(copy + AT_CACHE_ID, record->cache_id);
  image_put64(copy + AT_STAMP, record->stamp);
  image_put64(copy + AT_GENERATION, record->generation);
  if (record->is_delete)
    add_key(copy, record);
  else
    encode_names(copy, record);
  image_put64(copy, checksum(copy));
}

/* Returns the version of a copy that is intact, or 0. */
static uint32_t version_of(const uint8_t *copy) {
  uint32_t version = image_get32(copy + AT_VERSION);
  if (image_get32(copy + AT_MAGIC) != MAGIC || image_get64(copy) != checksum(copy))
    return 0;
  if (version == VERSION_DELETES)
    return image_get32(copy + AT_COUNT) <= CLEAR_JOURNAL_KEYS ? version : 0;
  for (size_t i = 0; i < 3; i++)
    if (image_get16(copy + AT_NAMES + i * 4) > FC_NAME_MAX)
      return 0;
  return version == VERSION_CLEAR ? version : 0;
}

/* Adds the deletes of the intact copy `from` to `copy`. Returns false, with nothing changed, unless
 * both are deletes of one cache and there is room. */
static bool join(uint8_t *copy, const uint8_t *from) {
  uint32_t n = image_get32(copy + AT_COUNT), more = image_get32(from + AT_COUNT);
  if (version_of(copy) != VERSION_DELETES || version_of(from) != VERSION_DELETES ||
      image_get64(copy + AT_CACHE_ID) != image_get64(from + AT_CACHE_ID) ||
      n + more > CLEAR_JOURNAL_KEYS)
    return false;
  memcpy(copy + AT_DATA + (size_t)n * KEY_BYTES, from + AT_DATA, (size_t)more * KEY_BYTES);
  image_put32(copy + AT_COUNT, n + more);
  if (image_get64(copy + AT_STAMP) < image_get64(from + AT_STAMP))
    image_put64(copy + AT_STAMP, image_get64(from + AT_STAMP));
  if (image_get64(copy + AT_GENERATION) < image_get64(from + AT_GENERATION))
    image_put64(copy + AT_GENERATION, image_get64(from + AT_GENERATION));
  image_put64(copy, checksum(copy));
  return true;
}

bool clear_journal_append(struct fc_buf *buf, const struct clear_journal_record *record,
                          bool may_join) {
  uint8_t copy[COPY_BYTES];
  encode(copy, record);
  if (may_join && record->is_delete && buf->size > 0) {
    uint8_t *last = buf->data + buf->size - CLEAR_JOURNAL_RECORD_BYTES;
    if (join(last, copy)) {
      memcpy(last + COPY_BYTES, last, COPY_BYTES);
      return false;
    }
  }
  (void)fc_buf_append(buf, copy, sizeof copy); /* a failure is in buf->failed */
  (void)fc_buf_append(buf, copy, sizeof copy);
  return true;
}

static void report_clear(const uint8_t *copy, struct clear_journal_record *record,
                         clear_journal_fn *fn, void *arg) {
  struct fc_str names[3];
  const char *at = (const char *)copy + AT_DATA;
  for (size_t i = 0; i < 3; i++) {
    uint32_t size = image_get16(copy + AT_NAMES + i * 4);
    bool given = image_get16(copy + AT_NAMES + i * 4 + 2) != 0;
    names[i] = (struct fc_str){given ? at : NULL, given ? size : 0};
    at += size;
  }
  record->name_space = names[0];
  record->view = names[1];
  record->op = names[2];
  fn(arg, record);
}

/* Calls `fn` for what an intact copy has, if it is of that cache (0: of any). */
static void report(const uint8_t *copy, uint64_t cache_id, clear_journal_fn *fn, void *arg) {
  struct clear_journal_record record = {.cache_id = image_get64(copy + AT_CACHE_ID),
                                        .stamp = image_get64(copy + AT_STAMP),
                                        .generation = image_get64(copy + AT_GENERATION),
                                        .is_delete = version_of(copy) == VERSION_DELETES};
  if (cache_id != 0 && record.cache_id != cache_id)
    return;
  if (!record.is_delete)
    report_clear(copy, &record, fn, arg);
  for (uint32_t i = 0; record.is_delete && i < image_get32(copy + AT_COUNT); i++) {
    const uint8_t *at = copy + AT_DATA + (size_t)i * KEY_BYTES;
    memcpy(record.key.bytes, at, FC_HASH_SIZE);
    record.stamp = image_get64(at + FC_HASH_SIZE);
    fn(arg, &record);
  }
}

/* Returns a copy of the record that is intact, or NULL. */
static const uint8_t *intact(const uint8_t both[CLEAR_JOURNAL_RECORD_BYTES]) {
  if (version_of(both) != 0)
    return both;
  return version_of(both + COPY_BYTES) != 0 ? both + COPY_BYTES : NULL;
}

struct fc_hash clear_journal_key(struct fc_str name_space, const struct fc_key *key) {
  struct {
    struct fc_hash name_space, op, view, prompt;
    uint64_t top_k;
  } parts = {fc_hash_prompt(name_space.data, name_space.size),
             fc_hash_prompt(key->op.data, key->op.size),
             fc_hash_prompt(key->view.data, key->view.size), key->prompt, key->top_k};
  return fc_hash_prompt(&parts, sizeof parts);
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
  for (uint64_t i = 0; i < n; i++) {
    int error = read_record(journal->fd, i, both);
    if (error != 0)
      return error;
    const uint8_t *copy = intact(both);
    if (copy != NULL) {
      report(copy, cache_id, fn, arg);
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

/* Appends a record to a new file, or joins it to the one in `last`, which follows the records in
 * the file. Order and damaged records stay. */
static int copy_joined(int to, uint64_t *n, uint8_t last[CLEAR_JOURNAL_RECORD_BYTES],
                       const uint8_t both[CLEAR_JOURNAL_RECORD_BYTES]) {
  const uint8_t *copy = intact(both);
  if (*n > 0 && copy != NULL && join(last, copy)) {
    memcpy(last + COPY_BYTES, last, COPY_BYTES);
    return 0;
  }
  int error = *n == 0 ? 0
                      : write_at(to, last, CLEAR_JOURNAL_RECORD_BYTES,
                                 (*n - 1) * CLEAR_JOURNAL_RECORD_BYTES);
  memcpy(last, both, CLEAR_JOURNAL_RECORD_BYTES);
  ++*n;
  return error;
}

/* Makes the file current that was written to `fd`, which it then owns. */
static int replace_file(struct clear_journal *journal, const struct state_dir *dir, int fd,
                        uint64_t n, int error) {
  if (error == 0)
    error = fdatasync(fd) == 0 ? 0 : errno;
  if (error == 0)
    error = state_dir_rename(dir, STATE_CLEARS_NEW, STATE_CLEARS);
  if (error != 0) {
    (void)close(fd); /* it is not used */
    return error;
  }
  (void)close(journal->fd); /* its records are obsolete, or in the new file */
  journal->fd = fd;
  journal->n = n;
  return state_dir_sync(dir);
}

/* Joins records of deletes that follow each other. Returns 0 or an errno: EFBIG if that frees less
 * than an eighth of the file, because the next deletes would fill it again at once. */
static int compact(struct clear_journal *journal, const struct state_dir *dir) {
  uint8_t both[CLEAR_JOURNAL_RECORD_BYTES], last[CLEAR_JOURNAL_RECORD_BYTES];
  uint64_t n = 0;
  int error = 0, fd = state_dir_create(dir, STATE_CLEARS_NEW);
  if (fd < 0)
    return errno;
  for (uint64_t i = 0; i < journal->n && error == 0; i++) {
    error = read_record(journal->fd, i, both);
    if (error == 0)
      error = copy_joined(fd, &n, last, both);
  }
  if (error == 0 && n > CLEAR_JOURNAL_MAX - CLEAR_JOURNAL_MAX / 8)
    error = EFBIG;
  if (error == 0)
    error = write_at(fd, last, sizeof last, (n - 1) * sizeof last);
  return replace_file(journal, dir, fd, n, error);
}

int clear_journal_write(struct clear_journal *journal, const struct state_dir *dir,
                        const struct fc_buf *records) {
  uint64_t more = records->size / CLEAR_JOURNAL_RECORD_BYTES;
  int error = journal->fd < 0 ? EROFS : 0;
  if (error == 0 && journal->n + more > CLEAR_JOURNAL_MAX)
    error = journal->n == 0 ? EFBIG : compact(journal, dir);
  if (error == 0 && journal->n + more > CLEAR_JOURNAL_MAX)
    error = EFBIG;
  if (error != 0)
    return error;
  uint64_t end = journal->n * CLEAR_JOURNAL_RECORD_BYTES;
  error = write_at(journal->fd, records->data, records->size, end);
  if (error == 0 && fdatasync(journal->fd) < 0)
    error = errno;
  if (error == 0)
    journal->n += more;
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
  return 0;
}

int clear_journal_cut(struct clear_journal *journal, const struct state_dir *dir, uint64_t n) {
  if (n == 0 || journal->fd < 0)
    return 0;
  int fd = state_dir_create(dir, STATE_CLEARS_NEW);
  if (fd < 0)
    return errno;
  int was = journal->fd,
      error = replace_file(journal, dir, fd, journal->n - n, copy_rest(journal, n, fd));
  if (journal->fd != was)
    journal->damaged = false;
  return error;
}
