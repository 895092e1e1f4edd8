#include "proto/image/image_scan.h"

enum image_found image_scan_next(struct image_scan *scan, const uint8_t *data, size_t size,
                                 bool is_last, size_t *at, struct image_record *record,
                                 size_t *head_bytes) {
  for (; size - *at >= 2 * IMAGE_UNIT; *at += IMAGE_UNIT) {
    enum image_head head =
        image_record_decode(data + *at, size - *at, scan->salt, record, head_bytes);
    if (head == IMAGE_HEAD_PART && !is_last)
      return IMAGE_FOUND_MORE;
    if (head == IMAGE_HEAD_WHOLE || image_is_preamble(data + *at, scan->salt)) {
      scan->lost = false;
      return head == IMAGE_HEAD_WHOLE ? IMAGE_FOUND_RECORD : IMAGE_FOUND_END;
    }
    scan->gaps += !scan->lost;
    scan->lost = true;
  }
  return IMAGE_FOUND_MORE;
}
