/* seeds DIRECTORY - writes the first corpus of the fuzzers: every sample of the protocol's tests,
 * as DIRECTORY/frame/NAME (a limit and a frame), DIRECTORY/request/NAME and DIRECTORY/reply/NAME
 * (bodies), and DIRECTORY/ring/hits (two heads and slots). The directories must exist. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: seeds DIRECTORY\n");
    return EXIT_FAILURE;
  }
  proto_samples(write_sample, argv[1]);
  write_ring(argv[1]);
  return EXIT_SUCCESS;
}
