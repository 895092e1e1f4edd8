/* array_make.h - makes numpy arrays for decoded values. The functions need numpy to be loaded. They
 * take the reference to the dtype in all cases, and return a new reference, or NULL with an
 * exception. */
#ifndef FCACHED_PY_ARRAY_MAKE_H
#define FCACHED_PY_ARRAY_MAKE_H

#include "msgpack_reader.h"
#include "npy.h"

struct array_shape {
  int n; /* of dims */
  bool fortran;
  npy_intp *dims;
};

/* Makes an array that owns its data, which are undefined, or NULL pointers for objects. */
PyArrayObject *array_make(PyArray_Descr *descr, const struct array_shape *shape);

/* Makes an array with the `size` encoded bytes at `bytes`, which are as many as its shape says: a
 * view of the value's block, or an array that owns its data. */
PyArrayObject *array_make_from(struct reader *reader, PyArray_Descr *descr,
                               const struct array_shape *shape, const uint8_t *bytes, size_t size);

#endif
