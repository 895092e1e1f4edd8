/* Encodes the dtypes of plain numbers here, and the others with fcached.values. */
#include <float.h>

#include "array.h"
#include "glue/chain.h"
#include "msgpack_writer.h"
#include "npy.h"
#include "value_encode.h"

/* An object of numpy exists only in a process that has imported numpy. */
static bool numpy_is_imported(void) {
  PyObject *modules = PyImport_GetModuleDict();

  return modules && PyDict_GetItemString(modules, "numpy") != NULL;
}

/* True for the scalar types of numpy itself, not those of other packages' dtypes. */
static bool is_exact_scalar(PyObject *value) {
  PyArray_Descr *descr;
  bool exact;

  if (npy_plain_by_type(Py_TYPE(value)))
    return true;
  if (!PyArray_IsScalar(value, Generic))
    return false;
  if (Py_TYPE(value) == &PyVoidArrType_Type)
    return true;
  descr = PyArray_DescrFromScalar(value);
  if (!descr)
    PyErr_Clear(); /* the caller refuses it as an unknown type */
  exact = descr && descr->typeobj == Py_TYPE(value) && npy_is_classic(descr);
  Py_XDECREF((PyObject *)descr);
  return exact;
}

enum array_kind array_kind(PyObject *value) {
  if (!npy_loaded) {
    if (!numpy_is_imported())
      return ARRAY_KIND_NONE;
    if (!npy_load())
      return ARRAY_KIND_ERROR;
  }
  if (PyArray_CheckExact(value))
    return ARRAY_KIND_ARRAY;
  return is_exact_scalar(value) ? ARRAY_KIND_SCALAR : ARRAY_KIND_NONE;
}

/* Writes the dtype as a text, or as the map that fcached.values makes of it. */
static bool write_dtype(struct encoder *encoder, PyArray_Descr *descr) {
  const struct plain *plain = npy_plain_by_descr(descr);
  PyObject *description;
  bool written;

  if (plain)
    return writer_str(encoder->out, plain->text, plain->size);
  description = chain_call("_describe", "(O)", (PyObject *)descr);
  if (!description)
    return encode_refuse(encoder, "%R cannot be described", (PyObject *)descr);
  written = encode_value(encoder, description);
  Py_DECREF(description);
  return written;
}

static bool write_shape(struct encoder *encoder, PyArrayObject *array) {
  int n = PyArray_NDIM(array);

  if (!writer_array_head(encoder->out, (size_t)n))
    return false;
  for (int i = 0; i < n; i++) {
    if (!writer_unsigned(encoder->out, (uint64_t)PyArray_DIM(array, i)))
      return false;
  }
  return true;
}

/* Copies element by element, in C order. `to` has room for all. False with a MemoryError. */
static bool copy_strided(PyArrayObject *array, uint8_t *to) {
  size_t itemsize = (size_t)PyArray_ITEMSIZE(array);
  PyArrayIterObject *walk = (PyArrayIterObject *)PyArray_IterNew((PyObject *)array);

  if (!walk)
    return false;
  for (; PyArray_ITER_NOTDONE(walk); to += itemsize) {
    memcpy(to, PyArray_ITER_DATA(walk), itemsize);
    PyArray_ITER_NEXT(walk);
  }
  Py_DECREF((PyObject *)walk);
  return true;
}

/* The bytes of a long double that hold its value. x87's has 80 bits in 12 or 16 bytes. */
enum { LONG_DOUBLE_BYTES = LDBL_MANT_DIG == 64 ? 10 : sizeof(long double) };

/* Fetches the mask that fcached.values._mask makes: a new reference to bytes, or to None if the
 * dtype has no padding. NULL with an exception. */
static PyObject *padding_mask(PyArray_Descr *descr) {
  if (descr->type_num != NPY_VOID && descr->type_num != NPY_LONGDOUBLE &&
      descr->type_num != NPY_CLONGDOUBLE)
    Py_RETURN_NONE;
  return chain_call("_mask", "(On)", (PyObject *)descr, (Py_ssize_t)LONG_DOUBLE_BYTES);
}

/* Zeroes the padding of each element. Its bytes are undefined in numpy: they are whatever the
 * memory held before. Stored, they would show memory of this process to others, and equal values
 * would have several encodings. */
static void clear_padding(uint8_t *bytes, size_t size, PyObject *mask) {
  const char *kept = PyBytes_AS_STRING(mask);
  size_t itemsize = (size_t)PyBytes_GET_SIZE(mask);

  for (size_t at = 0; at < size; at += itemsize)
    for (size_t i = 0; i < itemsize; i++)
      bytes[at + i] &= (uint8_t)kept[i];
}

static bool write_raw(struct encoder *encoder, PyArrayObject *array) {
  size_t size = (size_t)PyArray_NBYTES(array);
  PyObject *mask = padding_mask(PyArray_DESCR(array));
  uint8_t *bytes = NULL;
  bool written = false;

  if (!mask)
    return encode_refuse(encoder, "the padding of %R is unknown", (PyObject *)PyArray_DESCR(array));
  if (writer_bin_head(encoder->out, size))
    bytes = writer_room(encoder->out, size);
  if (bytes && !PyArray_IS_C_CONTIGUOUS(array) && !PyArray_IS_F_CONTIGUOUS(array)) {
    written = copy_strided(array, bytes);
  } else if (bytes) {
    if (size)
      memcpy(bytes, PyArray_DATA(array), size);
    written = true;
  }
  if (written && mask != Py_None)
    clear_padding(bytes, size, mask);
  Py_DECREF(mask);
  return written;
}

static bool write_objects(struct encoder *encoder, PyObject *const *elements, size_t n) {
  if (!encode_enter(encoder) || !writer_array_head(encoder->out, n))
    return false;
  for (size_t i = 0; i < n; i++) {
    PyObject *element = elements[i] ? elements[i] : Py_None; /* as numpy reads it */

    *encode_step(encoder) = (struct step){STEP_FLAT, (Py_ssize_t)i, NULL};
    if (!encode_value(encoder, element))
      return false;
  }
  encode_leave(encoder);
  return true;
}

/* Encodes a copy, because encoding an element may run code that changes the array. */
static bool write_object_array(struct encoder *encoder, PyArrayObject *array, bool fortran) {
  PyArrayObject *copy =
      (PyArrayObject *)PyArray_NewCopy(array, fortran ? NPY_FORTRANORDER : NPY_CORDER);
  bool written;

  if (!copy)
    return false;
  written = write_objects(encoder, PyArray_DATA(copy), (size_t)PyArray_SIZE(copy));
  Py_DECREF((PyObject *)copy);
  return written;
}

/* Writes records that hold objects, and strings of any length, as the parts that fcached.values
 * makes of them. */
static bool write_parts(struct encoder *encoder, PyArrayObject *array) {
  PyObject *parts = chain_call("_parts", "(O)", (PyObject *)array);
  bool written;

  if (!parts)
    return encode_refuse(encoder, "an array of %R cannot be split into its parts",
                         (PyObject *)PyArray_DESCR(array));
  written = encode_value(encoder, parts);
  Py_DECREF(parts);
  return written;
}

static bool is_fortran(PyArrayObject *array) {
  return PyArray_IS_F_CONTIGUOUS(array) && !PyArray_IS_C_CONTIGUOUS(array);
}

static bool write_data(struct encoder *encoder, PyArrayObject *array) {
  PyArray_Descr *descr = PyArray_DESCR(array);

  if (!PyDataType_REFCHK(descr))
    return write_raw(encoder, array);
  if (descr->type_num == NPY_OBJECT)
    return write_object_array(encoder, array, is_fortran(array));
  return write_parts(encoder, array);
}

bool array_encode(struct encoder *encoder, PyObject *value) {
  PyArrayObject *array = (PyArrayObject *)value;
  size_t start;

  return writer_ext_begin(encoder->out, EXT_ARRAY, &start) && writer_array_head(encoder->out, 4) &&
         write_dtype(encoder, PyArray_DESCR(array)) && write_shape(encoder, array) &&
         writer_byte(encoder->out, is_fortran(array) ? MP_TRUE : MP_FALSE) &&
         write_data(encoder, array) && writer_ext_end(encoder->out, start);
}

/* Writes str_ and bytes_ as a str and bytes: an array would cut off NULs at their end. */
static bool write_text_scalar(struct encoder *encoder, PyObject *scalar) {
  bool is_str = Py_TYPE(scalar) == &PyUnicodeArrType_Type;
  PyObject *base =
      is_str ? PyUnicode_FromObject(scalar)
             : PyBytes_FromStringAndSize(PyBytes_AS_STRING(scalar), PyBytes_GET_SIZE(scalar));
  bool written =
      base && writer_str(encoder->out, is_str ? "U" : "S", 1) && encode_value(encoder, base);

  Py_XDECREF(base);
  return written;
}

static bool write_plain_scalar(struct encoder *encoder, PyObject *scalar,
                               const struct plain *plain) {
  union {
    uint8_t bytes[16];
    long double aligned;
  } number;

  PyArray_ScalarAsCtype(scalar, &number);
  return writer_str(encoder->out, plain->text, plain->size) &&
         writer_bin(encoder->out, number.bytes, plain->itemsize);
}

/* Writes records, times and long doubles as an array without dimensions. */
static bool write_other_scalar(struct encoder *encoder, PyObject *scalar) {
  PyArrayObject *array = (PyArrayObject *)PyArray_FromScalar(scalar, NULL);
  bool written = array && write_dtype(encoder, PyArray_DESCR(array)) && write_data(encoder, array);

  Py_XDECREF((PyObject *)array);
  return written;
}

bool scalar_encode(struct encoder *encoder, PyObject *scalar) {
  const struct plain *plain = npy_plain_by_type(Py_TYPE(scalar));
  size_t start;
  bool written;

  if (!writer_ext_begin(encoder->out, EXT_SCALAR, &start) || !writer_array_head(encoder->out, 2))
    return false;
  if (plain)
    written = write_plain_scalar(encoder, scalar, plain);
  else if (Py_TYPE(scalar) == &PyUnicodeArrType_Type || Py_TYPE(scalar) == &PyStringArrType_Type)
    written = write_text_scalar(encoder, scalar);
  else
    written = write_other_scalar(encoder, scalar);
  return written && writer_ext_end(encoder->out, start);
}
