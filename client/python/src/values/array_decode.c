#include "array.h"
#include "array_head.h"
#include "array_make.h"
#include "glue/chain.h"
#include "npy.h"
#include "value_decode.h"

static bool numpy_for_decoding(void) {
  if (npy_loaded || npy_load())
    return true;
  chain_raise(errors_decode, "the value holds a numpy array or scalar, "
                             "and numpy cannot be imported in this process");
  return false;
}

/* Reads a description and calls fcached.values. A new reference, or NULL with an exception. */
static PyArray_Descr *described_dtype(struct reader *reader) {
  PyObject *description = decode_value(reader);
  PyObject *dtype;

  if (!description)
    return NULL;
  dtype = chain_call("_dtype", "(O)", description);
  Py_DECREF(description);
  if (!dtype)
    chain_raise(errors_decode,
                "not a stored value: a dtype that numpy does not have "
                "(before byte %zd)",
                (Py_ssize_t)(reader->at - reader->start));
  return (PyArray_Descr *)dtype;
}

/* Reads the name of a plain dtype. Returns its entry, or NULL with the reader unchanged. */
static const struct plain *plain_dtype(struct reader *reader) {
  size_t size;
  const struct plain *plain;

  if (reader->at == reader->end || *reader->at < MP_FIXSTR || *reader->at >= MP_NIL)
    return NULL;
  size = (size_t)*reader->at - MP_FIXSTR;
  if (size >= reader_left(reader))
    return NULL;
  plain = npy_plain_by_text(reader->at + 1, size);
  if (plain)
    reader->at += 1 + size;
  return plain;
}

/* A new reference, or NULL with an exception. */
static PyArray_Descr *read_dtype(struct reader *reader) {
  const struct plain *plain = plain_dtype(reader);

  if (!plain)
    return described_dtype(reader);
  Py_INCREF((PyObject *)plain->descr);
  return plain->descr;
}

struct shape {
  struct array_shape of;
  uint64_t count; /* product of the dimensions */
  npy_intp dims[NPY_MAXDIMS];
};

static bool read_dim(struct reader *reader, npy_intp *dim) {
  uint8_t first;
  uint64_t number;

  if (!reader_byte(reader, &first))
    return false;
  if (first < MP_FIXMAP)
    number = first;
  else if (first < MP_UINT8 || first > MP_UINT64)
    return reader_fail(reader, "a shape is not of sizes");
  else if (!reader_number(reader, 1u << (first - MP_UINT8), &number))
    return false;
  if (number > NPY_MAX_INTP)
    return reader_fail(reader, "a shape is too large");
  *dim = (npy_intp)number;
  return true;
}

static bool read_shape(struct reader *reader, struct shape *shape) {
  uint64_t n;
  uint8_t fortran;

  if (!reader_array(reader, &n))
    return false;
  if (n > NPY_MAXDIMS)
    return reader_fail(reader, "an array has more dimensions than numpy allows");
  shape->of.n = (int)n;
  shape->of.dims = shape->dims;
  shape->count = 1;
  for (int i = 0; i < shape->of.n; i++) {
    if (!read_dim(reader, &shape->dims[i]))
      return false;
    if (shape->count && (uint64_t)shape->dims[i] > NPY_MAX_INTP / shape->count)
      return reader_fail(reader, "a shape is too large");
    shape->count *= (uint64_t)shape->dims[i];
  }
  if (!reader_byte(reader, &fortran))
    return false;
  shape->of.fortran = fortran == MP_TRUE;
  return fortran == MP_TRUE || fortran == MP_FALSE ||
         reader_fail(reader, "an array's order is not a bool");
}

static npy_intp itemsize_of(PyArray_Descr *descr) {
#if NPY_ABI_VERSION < 0x02000000
  return descr->elsize;
#else
  return PyDataType_ELSIZE(descr);
#endif
}

static bool is_subarray(const PyArray_Descr *descr) {
#if NPY_ABI_VERSION < 0x02000000
  return descr->subarray != NULL;
#else
  return PyDataType_HASSUBARRAY(descr);
#endif
}

/* Reads the data of an array with elements of `itemsize` bytes. */
static bool read_data(struct reader *reader, uint64_t itemsize, const struct shape *shape,
                      const uint8_t **bytes, uint64_t *size) {
  if (!reader_bin(reader, bytes, size))
    return false;
  if ((itemsize && shape->count > *size / itemsize) || shape->count * itemsize != *size)
    return reader_fail(reader, "an array's data are not as large as its shape says");
  return true;
}

static PyArrayObject *decode_raw(struct reader *reader, PyArray_Descr *descr, struct shape *shape) {
  const uint8_t *bytes;
  uint64_t size;

  if (read_data(reader, (uint64_t)itemsize_of(descr), shape, &bytes, &size))
    return array_make_from(reader, descr, &shape->of, bytes, size);
  Py_DECREF((PyObject *)descr);
  return NULL;
}

static bool decode_elements(struct reader *reader, PyObject **elements, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) {
    PyObject *old = elements[i];

    reader_element(reader);
    elements[i] = decode_value(reader);
    Py_XDECREF(old);
    if (!elements[i])
      return false;
  }
  return true;
}

static PyArrayObject *decode_object_array(struct reader *reader, PyArray_Descr *descr,
                                          struct shape *shape) {
  PyArrayObject *array = NULL;
  uint64_t n;

  if (!reader_array(reader, &n) || !reader_enter(reader, n) ||
      (n != shape->count &&
       !reader_fail(reader, "an array has not as many elements as its shape says"))) {
    Py_DECREF((PyObject *)descr);
    return NULL;
  }
  array = array_make(descr, &shape->of);
  if (array && !decode_elements(reader, PyArray_DATA(array), n))
    Py_CLEAR(array);
  reader_leave(reader);
  return array;
}

static PyArrayObject *decode_parts(struct reader *reader, PyArray_Descr *descr,
                                   struct shape *shape) {
  PyObject *parts = decode_value(reader);
  PyObject *dims = parts ? PyArray_IntTupleFromIntp(shape->of.n, shape->dims) : NULL;
  PyObject *array = NULL;

  if (dims)
    array = chain_call("_assemble", "(OOOO)", (PyObject *)descr, dims,
                       shape->of.fortran ? Py_True : Py_False, parts);
  if (!array)
    chain_raise(errors_decode, "not a stored value: an array's parts do not fit together");
  Py_XDECREF(parts);
  Py_XDECREF(dims);
  Py_DECREF((PyObject *)descr);
  return (PyArrayObject *)array;
}

/* Takes the reference `descr`, also on failure. */
static PyArrayObject *decode_data(struct reader *reader, PyArray_Descr *descr,
                                  struct shape *shape) {
  if (is_subarray(descr)) {
    (void)reader_fail(reader, "the dtype of an array is a subarray");
    Py_DECREF((PyObject *)descr);
    return NULL;
  }
  if (!PyDataType_REFCHK(descr))
    return decode_raw(reader, descr, shape);
  if (descr->type_num == NPY_OBJECT)
    return decode_object_array(reader, descr, shape);
  return decode_parts(reader, descr, shape);
}

static PyObject *decode_known(struct reader *reader, const struct array_head *head) {
  struct array_shape shape = {
      .n = head->n, .fortran = head->fortran, .dims = (npy_intp *)(uintptr_t)head->dims};
  const uint8_t *data = reader->at + head->size;

  reader->at = data + head->data_size;
  Py_INCREF((PyObject *)head->plain->descr);
  return (PyObject *)array_make_from(reader, head->plain->descr, &shape, data, head->data_size);
}

/* Decodes an array whose content begins at `content`, behind its dtype. */
static PyObject *decode_plain(struct reader *reader, const uint8_t *content,
                              const struct plain *plain) {
  struct shape shape;
  const uint8_t *bytes;
  uint64_t size;

  if (!read_shape(reader, &shape) || !read_data(reader, plain->itemsize, &shape, &bytes, &size))
    return NULL;
  if (reader->at == reader->end)
    array_head_keep(content, bytes, size, plain, &shape.of);
  Py_INCREF((PyObject *)plain->descr);
  return (PyObject *)array_make_from(reader, plain->descr, &shape.of, bytes, size);
}

static PyObject *decode_described(struct reader *reader) {
  PyArray_Descr *descr = described_dtype(reader);
  struct shape shape;

  if (!descr)
    return NULL;
  if (read_shape(reader, &shape))
    return (PyObject *)decode_data(reader, descr, &shape);
  Py_DECREF((PyObject *)descr);
  return NULL;
}

PyObject *array_decode(struct reader *reader) {
  const uint8_t *content = reader->at;
  const struct array_head *head;
  const struct plain *plain;
  uint64_t n;

  if (!numpy_for_decoding())
    return NULL;
  head = array_head_find(reader);
  if (head)
    return decode_known(reader, head);
  if (!reader_array(reader, &n))
    return NULL;
  if (n != 4) {
    (void)reader_fail(reader, "an array is not of four elements");
    return NULL;
  }
  plain = plain_dtype(reader);
  return plain ? decode_plain(reader, content, plain) : decode_described(reader);
}

static PyObject *decode_plain_scalar(struct reader *reader, const struct plain *plain) {
  union {
    uint8_t bytes[16];
    long double aligned;
  } number;
  const uint8_t *bytes;
  uint64_t size;

  if (!reader_bin(reader, &bytes, &size))
    return NULL;
  if (size != plain->itemsize) {
    (void)reader_fail(reader, "a scalar is not as large as its dtype says");
    return NULL;
  }
  memcpy(number.bytes, bytes, size);
  return PyArray_Scalar(number.bytes, plain->descr, NULL);
}

/* Decodes the dtypes "U" and "S": str_ and bytes_ of any length. */
static PyObject *decode_text_scalar(struct reader *reader, PyTypeObject *type,
                                    PyTypeObject *content_type) {
  PyObject *content = decode_value(reader);
  PyObject *scalar = NULL;

  if (content && Py_TYPE(content) != content_type)
    (void)reader_fail(reader, "a str_ or bytes_ is not of a str or bin");
  else if (content)
    scalar = PyObject_CallFunctionObjArgs((PyObject *)type, content, NULL);
  Py_XDECREF(content);
  return scalar;
}

/* Decodes an array without dimensions, as write_other_scalar wrote it. */
static PyObject *decode_other_scalar(struct reader *reader) {
  struct shape shape;
  PyArray_Descr *descr = read_dtype(reader);
  PyArrayObject *array;
  PyObject *index;
  PyObject *scalar = NULL;

  if (!descr)
    return NULL;
  if (descr->type_num == NPY_OBJECT || !npy_is_classic(descr)) {
    (void)reader_fail(reader, "a scalar of a dtype that has none");
    Py_DECREF((PyObject *)descr);
    return NULL;
  }
  shape.of = (struct array_shape){.dims = shape.dims};
  shape.count = 1;
  array = decode_data(reader, descr, &shape);
  if (!array)
    return NULL;
  index = PyTuple_New(0);
  if (index)
    scalar = PyObject_GetItem((PyObject *)array, index);
  if (!scalar)
    chain_raise(errors_decode, "not a stored value: a scalar that numpy cannot make");
  Py_XDECREF(index);
  Py_DECREF((PyObject *)array);
  return scalar;
}

PyObject *scalar_decode(struct reader *reader) {
  const struct plain *plain;
  uint64_t n;

  if (!numpy_for_decoding() || !reader_array(reader, &n))
    return NULL;
  if (n != 2) {
    (void)reader_fail(reader, "a scalar is not of two elements");
    return NULL;
  }
  plain = plain_dtype(reader);
  if (plain)
    return decode_plain_scalar(reader, plain);
  if (reader_left(reader) >= 2 && memcmp(reader->at, "\xa1U", 2) == 0) {
    reader->at += 2;
    return decode_text_scalar(reader, &PyUnicodeArrType_Type, &PyUnicode_Type);
  }
  if (reader_left(reader) >= 2 && memcmp(reader->at, "\xa1S", 2) == 0) {
    reader->at += 2;
    return decode_text_scalar(reader, &PyStringArrType_Type, &PyBytes_Type);
  }
  return decode_other_scalar(reader);
}
