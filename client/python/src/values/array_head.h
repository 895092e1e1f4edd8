/* array_head.h - the heads of arrays that were decoded before.
 *
 * A head is all bytes of an array before its data: the names and numbers of dtype and shape. Most
 * arrays of a program have one of a few heads. To compare a head with a known one takes a quarter
 * of the time of reading it. All functions need the GIL. */
#ifndef FCACHED_PY_ARRAY_HEAD_H
#define FCACHED_PY_ARRAY_HEAD_H

#include "array_make.h"

enum { ARRAY_HEAD_BYTES = 40, ARRAY_HEAD_DIMS = 3 };

/* The head of an array of plain numbers. */
struct array_head {
  size_t data_size;
  const struct plain *plain;
  npy_intp dims[ARRAY_HEAD_DIMS];
  uint8_t n;    /* of dims */
  uint8_t size; /* of bytes; 0: none */
  bool fortran;
  uint8_t bytes[ARRAY_HEAD_BYTES];
};

/* Returns the known head if the rest of the ext is exactly this head and its data, else NULL. */
const struct array_head *array_head_find(const struct reader *reader);

/* Keeps the valid head of an array whose content begins at `content`, and whose `data_size` bytes
 * of data are its end. */
void array_head_keep(const uint8_t *content, const uint8_t *data, size_t data_size,
                     const struct plain *plain, const struct array_shape *shape);

#endif
