/* image_summary.h - what an image holds, by namespace, and its damage, for people or as JSON. */
#ifndef FC_CTL_IMAGE_SUMMARY_H
#define FC_CTL_IMAGE_SUMMARY_H

#include <stdio.h>

#include "client/ctl/transfer/image_input.h"
#include "proto/image/image_space.h"

struct image_space_sum {
  uint64_t id;
  struct fc_str name, manifest; /* borrowed from the reader's preamble */
  uint64_t entries, value_bytes;
};

struct image_damage {
  uint64_t offset;
  bool has_head; /* the value alone is damaged */
};

#define IMAGE_DAMAGES_MAX 1000u /* that JSON shows */

struct image_summary {
  struct image_space_sum *spaces; /* owned */
  size_t n_spaces;
  uint64_t entries, value_bytes, unknown; /* unknown: entries of no namespace of the preamble */
  uint64_t clock_ns;                      /* of the daemon's clock, when it wrote the image */
  uint64_t n_damages;
  struct image_damage damages[IMAGE_DAMAGES_MAX];
};

void image_summary_init(struct image_summary *summary);
void image_summary_deinit(struct image_summary *summary); /* idempotent */

/* Reads the preamble of an open image. Returns false without memory. */
bool image_summary_begin(struct image_summary *summary, const struct image_input *input);

void image_summary_add(struct image_summary *summary, const struct image_record *record);
void image_summary_damage(struct image_summary *summary, uint64_t offset,
                          const struct image_record *record);

/* Returns the namespace with that id, or NULL. */
const struct image_space_sum *image_summary_space(const struct image_summary *summary, uint64_t id);

/* Prints the summary behind the last record. Returns false without memory. */
bool image_summary_print(FILE *out, const struct image_summary *summary,
                         const struct image_input *input, bool json);

#endif
