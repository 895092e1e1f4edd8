#include "array_make.h"

#include "block.h"
#include "glue/chain.h"

static size_t alignment_of(const PyArray_Descr *descr) {
#if NPY_ABI_VERSION < 0x02000000
  return (size_t)descr->alignment;
#else
  return (size_t)PyDataType_ALIGNMENT(descr);
#endif
}

static PyArrayObject *make(PyArray_Descr *descr, const struct array_shape *shape, void *data,
                           int flags) {
  PyObject *array =
      PyArray_NewFromDescr(&PyArray_Type, descr, shape->n, shape->dims, NULL, data, flags, NULL);

  if (!array)
    chain_raise(errors_decode, "not a stored value: an array that numpy cannot make");
  return (PyArrayObject *)array;
}

PyArrayObject *array_make(PyArray_Descr *descr, const struct array_shape *shape) {
  return make(descr, shape, NULL, shape->fortran ? NPY_ARRAY_F_CONTIGUOUS : 0);
}

/* Makes a view of `data` in `base`. Takes the reference `base` too. */
static PyArrayObject *make_view(PyArray_Descr *descr, const struct array_shape *shape, void *data,
                                PyObject *base) {
  PyArrayObject *array =
      make(descr, shape, data, shape->fortran ? NPY_ARRAY_FARRAY : NPY_ARRAY_CARRAY);

  if (!array)
    Py_DECREF(base);
  else if (PyArray_SetBaseObject(array, base) < 0)
    Py_CLEAR(array);
  return array;
}

PyArrayObject *array_make_from(struct reader *reader, PyArray_Descr *descr,
                               const struct array_shape *shape, const uint8_t *bytes, size_t size) {
  PyArrayObject *array;
  PyObject *base;
  uint8_t *data = NULL;

  if (size)
    data = block_place(reader->room, bytes, size, (size_t)(reader->limit - bytes),
                       alignment_of(descr), &base);
  if (data)
    return make_view(descr, shape, data, base);
  array = array_make(descr, shape);
  if (array && (uint64_t)PyArray_NBYTES(array) != size) { /* numpy changes '<U0' to '<U1' */
    (void)reader_fail(reader, "an array that numpy cannot make");
    Py_CLEAR(array);
  }
  if (array && size)
    memcpy(PyArray_DATA(array), bytes, size);
  return array;
}
