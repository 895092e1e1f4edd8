/* seeds DIRECTORY - writes the first corpus of the fuzzers: every sample of the protocol's tests,
 * as DIRECTORY/frame/NAME (a limit and a frame), DIRECTORY/request/NAME and DIRECTORY/reply/NAME
 * (bodies), DIRECTORY/ring/hits (two heads and slots), DIRECTORY/image/two and DIRECTORY/resp/NAME
 * (replies of a tier server). The directories must exist. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/image/image_space.h"
#include "proto/shm/ring_layout.h"
#include "proto/wire/frame.h"
#include "tests/support/proto_samples.h"

static void write_seed(const char *directory, const char *kind, const char *name,
                       const void *prefix, size_t prefix_size, const uint8_t *data, size_t size) {
  char path[4096];
  FILE *file;

  if (snprintf(path, sizeof path, "%s/%s/%s", directory, kind, name) >= (int)sizeof path ||
      !(file = fopen(path, "wb"))) {
    fprintf(stderr, "seeds: cannot write %s: check the directory\n", path);
    exit(EXIT_FAILURE);
  }
  if (fwrite(prefix, 1, prefix_size, file) != prefix_size || fwrite(data, 1, size, file) != size ||
      fclose(file) != 0) {
    fprintf(stderr, "seeds: cannot write all of %s: check the disk\n", path);
    exit(EXIT_FAILURE);
  }
}

static void write_sample(void *directory, const struct proto_sample *sample) {
  const uint32_t limit = 1u << 20;
  const struct fc_buf *frame = sample->frame;

  write_seed(directory, "frame", sample->name, &limit, sizeof limit, frame->data, frame->size);
  write_seed(directory, sample->reply ? "reply" : "request", sample->name, "", 0,
             frame->data + FC_FRAME_HEADER, frame->size - FC_FRAME_HEADER);
}

/* A context and two hits, and then a third. */
static void write_ring(const char *directory) {
  const uint64_t heads[2] = {3, 4};
  uint8_t slots[4][FC_RING_SLOT] = {{0}};
  const struct fc_ring_context context = {
      .kind = FC_RING_CONTEXT, .index = 1, .op_size = 2, .view_size = 4, .probe_size = 5};
  const struct fc_ring_hit hit = {.kind = FC_RING_HIT, .context = 1, .top_k = 50};

  memcpy(slots[0], &context, sizeof context);
  memcpy(slots[0] + sizeof context, "opbaseprobe", 11);
  for (int i = 1; i < 4; i++)
    memcpy(slots[i], &hit, sizeof hit);
  write_seed(directory, "ring", "hits", heads, sizeof heads, slots[0], sizeof slots);
}

/* One namespace, and two records. */
static void write_image(const char *directory) {
  const struct image_info info = {.salt = 1, .last_stamp = 2, .generation = 1};
  struct image_space space = {.name = {"ns", 2}, .numbers = {[IMAGE_SPACE_ID] = 7}};
  struct fc_buf image = {0};
  uint8_t head[IMAGE_HEAD_MAX], end[IMAGE_END_BYTES] = {0}, value[IMAGE_UNIT * 2] = {0};

  for (int round = 0; round < 2; round++) { /* the size of the preamble is in it */
    struct image_info first = info;
    first.records_at = image.size;
    fc_buf_reset(&image);
    image_preamble_begin(&image, &first);
    image_space_encode(&image, &space);
    image_preamble_finish(&image, 0);
  }
  for (uint64_t stamp = 1; stamp <= 2; stamp++) {
    struct image_record record = {.name_space = 7, .stamp = stamp, .value_size = (uint32_t)stamp};
    record.key = (struct fc_key){.op = {"op", 2}, .view = {"base", 4}};
    record.value_checksum = image_value_checksum(value, stamp, fc_key_digest(7, &record.key));
    size_t bytes = image_record_encode(&record, info.salt, head);
    (void)fc_buf_append(&image, head, bytes);
    (void)fc_buf_append(&image, value, image_record_bytes(bytes, (uint32_t)stamp) - bytes);
  }
  image_end_encode(info.salt, 0, end);
  (void)fc_buf_append(&image, end, sizeof end);
  if (image.failed)
    exit(EXIT_FAILURE);
  write_seed(directory, "image", "two", "", 0, image.data, image.size);
  fc_buf_free(&image);
}

/* Replies of tier servers: values, lists, maps of a cluster, redirections. */
static void write_resp(const char *directory) {
  static const char *const replies[] = {
      "$5\r\nhello\r\n+OK\r\n:42\r\n$-1\r\n*-1\r\n$0\r\n\r\n",
      "*2\r\n$4\r\nuuid\r\n$2\r\n17\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
      "-MOVED 3999 127.0.0.1:6381\r\n-ASK 1 ::1:6381\r\n-OOM command not allowed\r\n",
      "*1\r\n*4\r\n:0\r\n:5460\r\n*4\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n"
      "*2\r\n$8\r\nhostname\r\n$1\r\nh\r\n*2\r\n$-1\r\n:7001\r\n",
  };
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    const char name[] = {(char)('a' + i), '\0'};
    write_seed(directory, "resp", name, "", 0, (const uint8_t *)replies[i], strlen(replies[i]));
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: seeds DIRECTORY\n");
    return EXIT_FAILURE;
  }
  proto_samples(write_sample, argv[1]);
  write_ring(argv[1]);
  write_image(argv[1]);
  write_resp(argv[1]);
  return EXIT_SUCCESS;
}
