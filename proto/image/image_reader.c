#include "proto/image/image_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"

#define BUFFER_BYTES (1u << 20) /* at first; it grows to the largest record */

/* Reads up to `size` bytes at `offset`: fewer only at the end of the file. A stream is at the
 * offset already, because it is read in order. Returns -1 with errno. */
static ssize_t read_at(struct image_reader *reader, uint8_t *to, size_t size, uint64_t offset) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = reader->is_stream
                    ? read(reader->fd, to + done, size - done)
                    : pread(reader->fd, to + done, size - done, (off_t)(offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    reader->eof = n == 0;
    if (n == 0)
      break;
    done += (size_t)n;
  }
  return (ssize_t)done;
}

/* ---- preambles ---- */

/* Reads the preamble at `offset`, and makes it the reader's if it is intact. Returns 0 or an error
 * as image_reader_open. */
static int read_preamble(struct image_reader *reader, uint64_t offset) {
  uint8_t start[2 * IMAGE_UNIT];
  struct image_preamble preamble;
  struct fc_buf bytes = {0};
  ssize_t n = read_at(reader, start, sizeof start, offset);
  uint64_t size = n == (ssize_t)sizeof start ? image_preamble_bytes(start) : 0;
  if (n >= 0 && (size == 0 || offset > reader->file_bytes || size > reader->file_bytes - offset))
    return FC_EINVAL;
  if (n >= 0 && fc_buf_reserve(&bytes, size) < 0)
    return FC_ENOMEM;
  if (n >= 0) {
    (void)fc_buf_append(&bytes, start, sizeof start); /* a preamble is longer */
    n = read_at(reader, bytes.data + sizeof start, size - sizeof start, offset + sizeof start);
  }
  size = sizeof start + (n < 0 ? 0 : (size_t)n);
  int rc = n < 0 ? FC_EREFUSED : image_preamble_open(&preamble, bytes.data, size);
  if (n < 0)
    reader->error = errno;
  if (rc == FC_EVERSION)
    reader->info.version = preamble.info.version;
  if (rc < 0) {
    fc_buf_free(&bytes);
    return rc;
  }
  fc_buf_free(&reader->preamble);
  bytes.size = size;
  reader->preamble = bytes;
  reader->info = preamble.info;
  return 0;
}

/* Makes the buffer, and moves to the first record. */
static int begin(struct image_reader *reader) {
  reader->buffer = malloc(BUFFER_BYTES);
  reader->capacity = BUFFER_BYTES;
  image_reader_rewind(reader, false);
  return reader->buffer == NULL ? FC_ENOMEM : 0;
}

int image_reader_open_stream(struct image_reader *reader, int fd, uint32_t max_value) {
  *reader = (struct image_reader){
      .fd = fd, .max_value = max_value, .is_stream = true, .file_bytes = UINT64_MAX};
  int rc = read_preamble(reader, 0);
  reader->has_first = rc == 0;
  if (rc == 0 && reader->info.records_at != reader->info.bytes)
    rc = FC_EINVAL; /* the stream is behind the preamble now */
  return rc < 0 ? rc : begin(reader);
}

int image_reader_open(struct image_reader *reader, int fd, uint32_t max_value) {
  *reader = (struct image_reader){.fd = fd, .max_value = max_value};
  struct stat status;
  uint8_t end[IMAGE_END_BYTES];
  uint64_t at;
  if (fstat(fd, &status) < 0) {
    reader->error = errno;
    return FC_EREFUSED;
  }
  reader->file_bytes = (uint64_t)status.st_size;
  int rc = read_preamble(reader, 0);
  reader->has_first = rc == 0;
  if (rc == FC_EVERSION || rc == FC_EREFUSED || rc == FC_ENOMEM)
    return rc;
  if (reader->file_bytes > IMAGE_END_BYTES &&
      read_at(reader, end, sizeof end, reader->file_bytes - IMAGE_END_BYTES) ==
          (ssize_t)sizeof end &&
      image_end_decode(end, &at)) {
    int last = read_preamble(reader, at);
    reader->has_last = last == 0;
    rc = last == FC_EINVAL ? rc : last;
  }
  return rc < 0 ? rc : begin(reader);
}

void image_reader_close(struct image_reader *reader) {
  fc_buf_free(&reader->preamble);
  free(reader->buffer);
  reader->buffer = NULL;
}

void image_reader_rewind(struct image_reader *reader, bool heads_only) {
  reader->scan = (struct image_scan){.salt = reader->info.salt};
  reader->records = reader->damaged = reader->too_large = 0;
  reader->error = 0;
  reader->eof = false;
  reader->size = reader->at = 0;
  reader->offset = reader->info.records_at;
  reader->ended =
      reader->info.records_at % IMAGE_UNIT != 0 || reader->info.records_at > reader->file_bytes;
  reader->heads_only = heads_only;
}

void image_reader_items(const struct image_reader *reader, struct image_preamble *items) {
  /* It was intact when it was read. */
  (void)image_preamble_open(items, reader->preamble.data, reader->preamble.size);
}

/* ---- records ---- */

/* Moves the bytes from `at` on to the front of the buffer and reads more behind them, `want` bytes
 * in all if the file has them. Returns 0 or FC_ENOMEM. */
static int fill(struct image_reader *reader, uint64_t want) {
  size_t left = reader->size - reader->at;
  memmove(reader->buffer, reader->buffer + reader->at, left);
  reader->offset += reader->at;
  reader->at = 0;
  reader->size = left;
  if (want > reader->capacity) {
    uint8_t *buffer = realloc(reader->buffer, want);
    if (buffer == NULL)
      return FC_ENOMEM;
    reader->buffer = buffer;
    reader->capacity = want;
  }
  ssize_t n =
      read_at(reader, reader->buffer + left, reader->capacity - left, reader->offset + left);
  if (n < 0)
    reader->error = errno;
  reader->size += n < 0 ? 0 : (size_t)n;
  return 0;
}

static bool is_at_end(const struct image_reader *reader) {
  return reader->error != 0 || reader->eof || reader->offset + reader->size >= reader->file_bytes;
}

static void count_damage(struct image_reader *reader, uint64_t offset,
                         const struct image_record *record) {
  reader->damaged++;
  if (reader->on_damage != NULL)
    reader->on_damage(reader->on_damage_arg, offset, record);
}

/* Reads bytes of a stream to no use. The buffer keeps the records of the batch. Returns how many
 * are missing. */
static uint64_t discard(struct image_reader *reader, uint64_t bytes) {
  uint8_t unused[16384];
  while (bytes > 0 && !is_at_end(reader)) {
    size_t some = bytes < sizeof unused ? (size_t)bytes : sizeof unused;
    ssize_t n = read_at(reader, unused, some, 0);
    if (n < 0)
      reader->error = errno;
    bytes -= n < 0 ? 0 : (size_t)n;
  }
  return bytes;
}

/* Leaves a record out whose bytes the buffer need not have. Returns how many a stream has not. */
static uint64_t skip(struct image_reader *reader, uint64_t bytes) {
  uint64_t left = reader->size - reader->at;
  if (bytes <= left) {
    reader->at += bytes;
    return 0;
  }
  uint64_t missing = reader->is_stream ? discard(reader, bytes - left) : 0;
  reader->offset += reader->at + bytes;
  reader->size = reader->at = 0;
  reader->ended = is_at_end(reader);
  return missing;
}

/* Verifies a record that is whole in the buffer. */
static bool verify(struct image_reader *reader, size_t head_bytes, struct image_read *read) {
  const struct image_record *record = &read->record;
  read->value = reader->buffer + reader->at + head_bytes;
  read->digest = fc_key_digest(record->name_space, &record->key);
  return image_value_checksum(read->value, record->value_size, read->digest) ==
         record->value_checksum;
}

enum { TAKE_SKIPPED, TAKE_READ, TAKE_FILL };

/* Ends the records at one that is not whole. */
static int cut_off(struct image_reader *reader, uint64_t offset,
                   const struct image_record *record) {
  count_damage(reader, offset, record);
  reader->ended = true;
  return TAKE_SKIPPED;
}

/* Takes the record at `at`. Returns TAKE_READ if it is in *read, TAKE_SKIPPED, FC_ENOMEM, or
 * TAKE_FILL: look again, after the buffer was filled if `may_fill`. That moves the records before.
 */
static int take(struct image_reader *reader, size_t head_bytes, bool may_fill,
                struct image_read *read) {
  uint32_t value_size = read->record.value_size;
  uint64_t bytes = image_record_bytes(head_bytes, value_size);
  uint64_t unpadded = head_bytes + (uint64_t)value_size;
  uint64_t offset = reader->offset + reader->at;
  if (offset + unpadded > reader->file_bytes)
    return cut_off(reader, offset, &read->record);
  bool is_too_large = !reader->heads_only && value_size > reader->max_value;
  if (reader->heads_only || is_too_large) {
    read->value = NULL;
    if (skip(reader, bytes) > bytes - unpadded)
      return cut_off(reader, offset, &read->record);
    reader->records += !is_too_large;
    reader->too_large += is_too_large;
    return is_too_large ? TAKE_SKIPPED : TAKE_READ;
  }
  if (unpadded > reader->size - reader->at) {
    if (may_fill && is_at_end(reader)) /* the file was cut meanwhile, or a read failed */
      return cut_off(reader, offset, &read->record);
    return may_fill && fill(reader, bytes) < 0 ? FC_ENOMEM : TAKE_FILL;
  }
  bool good = verify(reader, head_bytes, read);
  (void)skip(reader, bytes); /* only padding can be missing */
  reader->records += good;
  if (!good)
    count_damage(reader, offset, &read->record);
  return good ? TAKE_READ : TAKE_SKIPPED;
}

/* Reads the second preamble of a stream, which begins at `at`. Returns as take. */
static int take_last(struct image_reader *reader, bool may_fill) {
  uint64_t bytes = image_preamble_bytes(reader->buffer + reader->at);
  struct image_preamble preamble;
  if (reader->size - reader->at < bytes && !is_at_end(reader))
    return may_fill && fill(reader, bytes) < 0 ? FC_ENOMEM : TAKE_FILL;
  reader->has_last =
      image_preamble_open(&preamble, reader->buffer + reader->at, reader->size - reader->at) == 0;
  if (reader->has_last)
    reader->info = preamble.info;
  reader->ended = true;
  return TAKE_SKIPPED;
}

int image_reader_next(struct image_reader *reader, struct image_read batch[IMAGE_BATCH]) {
  int n = 0;
  while (n < (int)IMAGE_BATCH && !reader->ended) {
    struct image_read *read = &batch[n];
    size_t head_bytes;
    uint64_t offset = reader->offset + reader->at, gaps = reader->scan.gaps;
    enum image_found found =
        image_scan_next(&reader->scan, reader->buffer, reader->size, is_at_end(reader), &reader->at,
                        &read->record, &head_bytes);
    int rc = TAKE_SKIPPED;
    if (reader->scan.gaps != gaps) /* it begins where the last record ends */
      count_damage(reader, offset, NULL);
    if (found == IMAGE_FOUND_RECORD) {
      rc = take(reader, head_bytes, n == 0, read);
    } else if (found == IMAGE_FOUND_END && reader->is_stream) {
      rc = take_last(reader, n == 0);
    } else if (found == IMAGE_FOUND_END || is_at_end(reader)) {
      reader->ended = true;
    } else {
      rc = n > 0 ? TAKE_FILL : fill(reader, 0);
    }
    if (rc < 0)
      return rc;
    n += rc == TAKE_READ;
    if (rc == TAKE_FILL && n > 0)
      break; /* the next call fills: the records of this one are in the buffer */
    if (reader->heads_only && n > 0 && reader->size == 0)
      break;
  }
  return n;
}
