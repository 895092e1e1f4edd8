#include "client/ctl/transfer/export_file.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define BUFFER_BYTES (256u << 10) /* of the stream */

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now); /* cannot fail for these clocks */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool write_bytes(struct export_file *file, const void *data, size_t size) {
  if (file->error != 0)
    return false;
  if (size > 0 && fwrite(data, 1, size, file->out) != size)
    file->error = errno != 0 ? errno : EIO;
  file->offset += size;
  return file->error == 0;
}

/* Writes a preamble with the file's info. */
static bool write_preamble(struct export_file *file) {
  struct fc_buf buf = {0};
  image_preamble_begin(&buf, &file->info);
  image_space_encode(&buf, &file->space);
  image_preamble_finish(&buf, 0);
  if (!buf.failed && file->info.records_at == 0) { /* the records begin behind the first one */
    file->info.records_at = buf.size;
    fc_buf_free(&buf);
    return write_preamble(file);
  }
  if (buf.failed)
    file->error = ENOMEM;
  bool written = write_bytes(file, buf.data, buf.size);
  fc_buf_free(&buf);
  return written;
}

bool export_file_begin(struct export_file *file, FILE *out, struct fc_str name,
                       struct fc_str manifest, uint64_t max_bytes) {
  uint64_t random[2];
  *file = (struct export_file){.out = out, .space = {.name = name, .manifest = manifest}};
  (void)setvbuf(out, NULL, _IOFBF, BUFFER_BYTES); /* without it, only slower */
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
    file->error = errno != 0 ? errno : EIO;
    return false;
  }
  file->space.numbers[IMAGE_SPACE_ID] = random[0] | 1; /* not 0 */
  file->space.numbers[IMAGE_SPACE_SERIAL] = 1;
  file->space.numbers[IMAGE_SPACE_MAX_BYTES] = max_bytes;
  file->info = (struct image_info){.salt = random[1],
                                   .clock_ns = clock_ns(CLOCK_MONOTONIC),
                                   .wall_ns = clock_ns(CLOCK_REALTIME)};
  return write_preamble(file);
}

bool export_file_add(void *arg, const struct export_entry *entry) {
  static const uint8_t zeros[IMAGE_UNIT];
  struct export_file *file = arg;
  uint64_t clock = file->info.clock_ns, id = file->space.numbers[IMAGE_SPACE_ID];
  uint8_t head[IMAGE_HEAD_MAX];
  struct image_record record = {
      .name_space = id,
      .key = entry->key,
      .value_size = entry->size,
      .value_checksum =
          image_value_checksum(entry->value, entry->size, fc_key_digest(id, &entry->key)),
      .compute_ns = entry->compute_ns,
      .stamp = ++file->info.last_stamp,
      .last_use_ns = clock > entry->idle_ns ? clock - entry->idle_ns : 0,
      .hits = entry->hits,
  };
  size_t head_bytes = image_record_encode(&record, file->info.salt, head);
  uint64_t padded = image_record_bytes(head_bytes, entry->size);
  file->info.records++;
  file->value_bytes += entry->size;
  return write_bytes(file, head, head_bytes) && write_bytes(file, entry->value, entry->size) &&
         write_bytes(file, zeros, (size_t)(padded - head_bytes - entry->size));
}

bool export_file_end(struct export_file *file) {
  uint8_t end[IMAGE_END_BYTES] = {0};
  uint64_t at = file->offset;
  file->info.is_last = true;
  image_end_encode(file->info.salt, at, end);
  if (write_preamble(file) && write_bytes(file, end, sizeof end) && fflush(file->out) != 0)
    file->error = errno != 0 ? errno : EIO;
  return file->error == 0;
}
