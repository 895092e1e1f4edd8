/* image_scan.h - finds the records in a part of an image. A damaged head hides its own record only:
 * the scan goes on at the next head that is valid. Pure, and accepts any bytes. */
#ifndef FC_PROTO_IMAGE_SCAN_H
#define FC_PROTO_IMAGE_SCAN_H

#include "proto/image/image_preamble.h"

struct image_scan {
  uint64_t salt;
  uint64_t gaps; /* places where the next head was damaged: one record or more each */
  bool lost;     /* within such a gap */
};

enum image_found {
  IMAGE_FOUND_RECORD, /* its head is at `at`, whole */
  IMAGE_FOUND_END,    /* the second preamble is at `at` */
  IMAGE_FOUND_MORE,   /* nothing before `at`; from there on, more bytes are needed */
};

/* Searches data[*at..size), where *at is a multiple of IMAGE_UNIT in the file, and moves *at to
 * what it found. `is_last`: the file has no bytes behind them; then IMAGE_FOUND_MORE means its end.
 * The caller continues behind a record at *at + image_record_bytes(...). */
enum image_found image_scan_next(struct image_scan *scan, const uint8_t *data, size_t size,
                                 bool is_last, size_t *at, struct image_record *record,
                                 size_t *head_bytes);

#endif
