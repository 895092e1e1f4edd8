/* Encodes exact types only. An instance of a subclass would be decoded as its base class, so it is
 * refused unless its class is registered. */
#include "value_encode.h"

#include "array.h"
#include "glue/chain.h"
#include "msgpack_writer.h"
#include "registry.h"

static bool encode_int(struct encoder *encoder, PyObject *value) {
  int overflow;
  long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  PyObject *bytes;
  bool written;

  if (!overflow)
    return writer_signed(encoder->out, number);
  if (overflow > 0) {
    unsigned long long large = PyLong_AsUnsignedLongLong(value);

    if (!PyErr_Occurred())
      return writer_unsigned(encoder->out, large);
    PyErr_Clear();
  }
  bytes = chain_call("_int_to_bytes", "(O)", value);
  if (!bytes)
    return false;
  written =
      writer_ext(encoder->out, EXT_INT, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
  Py_DECREF(bytes);
  return written;
}

/* Copies the bits: a conversion could change those of a NaN. */
static bool encode_float(struct encoder *encoder, PyObject *value) {
  uint64_t bits;

  memcpy(&bits, &((PyFloatObject *)value)->ob_fval, sizeof bits);
  return writer_number(encoder->out, MP_FLOAT64, bits, 8);
}

/* Does not use PyUnicode_AsUTF8AndSize, which would keep a copy in the caller's object. */
static bool encode_wide_str(struct encoder *encoder, PyObject *value) {
  bool surrogates = false;
  bool written = false;
  PyObject *bytes = PyUnicode_AsUTF8String(value);

  if (!bytes && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
    PyErr_Clear();
    surrogates = true;
    bytes = PyUnicode_AsEncodedString(value, "utf-8", "surrogatepass");
  }
  if (bytes) {
    const char *text = PyBytes_AS_STRING(bytes);
    size_t size = (size_t)PyBytes_GET_SIZE(bytes);

    written = surrogates ? writer_ext(encoder->out, EXT_STR, text, size)
                         : writer_str(encoder->out, text, size);
  }
  Py_XDECREF(bytes);
  return written;
}

static bool encode_str(struct encoder *encoder, PyObject *value) {
  if (!PyUnicode_IS_COMPACT_ASCII(value))
    return encode_wide_str(encoder, value);
  return writer_str(encoder->out, PyUnicode_DATA(value), (size_t)PyUnicode_GET_LENGTH(value));
}

/* Holds a reference while the element is encoded, because the code that then runs (of its class, of
 * another thread) may remove it from its container. */
static bool encode_held(struct encoder *encoder, PyObject *element) {
  bool written;

  Py_INCREF(element);
  written = encode_value(encoder, element);
  Py_DECREF(element);
  return written;
}

static bool encode_list(struct encoder *encoder, PyObject *list) {
  Py_ssize_t n = PyList_GET_SIZE(list);

  if (!encode_enter(encoder) || !writer_array_head(encoder->out, (size_t)n))
    return false;
  for (Py_ssize_t i = 0; i < n && i < PyList_GET_SIZE(list); i++) {
    encode_step(encoder)->index = i;
    if (!encode_held(encoder, PyList_GET_ITEM(list, i)))
      return false;
  }
  encode_leave(encoder);
  return PyList_GET_SIZE(list) == n ||
         encode_refuse(encoder, "the list changed while it was encoded");
}

static bool encode_tuple(struct encoder *encoder, PyObject *tuple) {
  Py_ssize_t n = PyTuple_GET_SIZE(tuple);
  size_t start;

  if (!encode_enter(encoder) || !writer_ext_begin(encoder->out, EXT_TUPLE, &start) ||
      !writer_array_head(encoder->out, (size_t)n))
    return false;
  for (Py_ssize_t i = 0; i < n; i++) {
    encode_step(encoder)->index = i;
    if (!encode_value(encoder, PyTuple_GET_ITEM(tuple, i)))
      return false;
  }
  encode_leave(encoder);
  return writer_ext_end(encoder->out, start);
}

static bool encode_item(struct encoder *encoder, PyObject *key, PyObject *value, Py_ssize_t index) {
  bool written;

  Py_INCREF(key);
  Py_INCREF(value);
  *encode_step(encoder) = (struct step){STEP_KEYS, index, NULL};
  written = encode_value(encoder, key);
  if (written) {
    *encode_step(encoder) = (struct step){STEP_KEY, index, key};
    written = encode_value(encoder, value);
  }
  Py_DECREF(key);
  Py_DECREF(value);
  return written;
}

static bool encode_dict(struct encoder *encoder, PyObject *dict) {
  Py_ssize_t n = PyDict_GET_SIZE(dict);
  Py_ssize_t position = 0;
  Py_ssize_t i = 0;
  PyObject *key;
  PyObject *value;

  if (!encode_enter(encoder) || !writer_map_head(encoder->out, (size_t)n))
    return false;
  for (; PyDict_GET_SIZE(dict) == n && i <= n && PyDict_Next(dict, &position, &key, &value); i++) {
    if (!encode_item(encoder, key, value, i))
      return false;
  }
  encode_leave(encoder);
  return (i == n && PyDict_GET_SIZE(dict) == n) ||
         encode_refuse(encoder, "the dict changed while it was encoded");
}

static bool encode_fields(struct encoder *encoder, const struct record *record, PyObject *value) {
  if (!writer_map_head(encoder->out, record->n_fields))
    return false;
  for (size_t i = 0; i < record->n_fields; i++) {
    const struct field *field = &record->fields[i];
    PyObject *content = field_get(field, value);
    bool written;

    *encode_step(encoder) = (struct step){STEP_FIELD, 0, field->name};
    if (!content)
      return encode_refuse(encoder, "the field is not set");
    written = writer_str(encoder->out, field->text, field->size) && encode_value(encoder, content);
    Py_DECREF(content);
    if (!written)
      return false;
  }
  return true;
}

static bool encode_by_function(struct encoder *encoder, const struct record *record,
                               PyObject *value) {
  PyObject *encoded = PyObject_CallFunctionObjArgs(record->encode, value, NULL);
  bool written;

  if (!encoded) {
    encode_leave(encoder); /* the error names the object, not the result of its function */
    return encode_refuse(encoder, "the encode function of %U failed", record->name);
  }
  encode_step(encoder)->kind = STEP_ENCODED;
  written = encode_value(encoder, encoded);
  Py_DECREF(encoded);
  return written;
}

static bool encode_object(struct encoder *encoder, const struct record *record, PyObject *value) {
  size_t start;

  if (!encode_enter(encoder) || !writer_ext_begin(encoder->out, EXT_OBJECT, &start) ||
      !writer_array_head(encoder->out, 2) || !writer_str(encoder->out, record->text, record->size))
    return false;
  if (!(record->encode ? encode_by_function : encode_fields)(encoder, record, value))
    return false;
  encode_leave(encoder);
  return writer_ext_end(encoder->out, start);
}

/* Raises an EncodeError with the way to register the class. */
static bool refuse_type(const struct encoder *encoder, PyObject *value) {
  PyObject *advice = chain_call("_advice", "(O)", (PyObject *)Py_TYPE(value));

  if (advice)
    (void)encode_refuse(encoder, "%U", advice);
  Py_XDECREF(advice);
  return false;
}

/* Encodes an instance of a registered class, or refuses the value. */
static bool encode_other(struct encoder *encoder, PyObject *value) {
  struct record *record = registry_by_class(Py_TYPE(value));
  bool written;

  if (record) {
    written = encode_object(encoder, record, value);
    Py_DECREF((PyObject *)record);
    return written;
  }
  if (PyErr_Occurred())
    return encode_refuse(encoder, "its class cannot be looked up");
  return refuse_type(encoder, value);
}

bool encode_value(struct encoder *encoder, PyObject *value) {
  PyTypeObject *type = Py_TYPE(value);

  if (type == &PyUnicode_Type)
    return encode_str(encoder, value);
  if (type == &PyFloat_Type)
    return encode_float(encoder, value);
  if (type == &PyLong_Type)
    return encode_int(encoder, value);
  if (value == Py_None)
    return writer_byte(encoder->out, MP_NIL);
  if (type == &PyBool_Type)
    return writer_byte(encoder->out, value == Py_True ? MP_TRUE : MP_FALSE);
  if (type == &PyList_Type)
    return encode_list(encoder, value);
  if (type == &PyTuple_Type)
    return encode_tuple(encoder, value);
  if (type == &PyDict_Type)
    return encode_dict(encoder, value);
  if (type == &PyBytes_Type)
    return writer_bin(encoder->out, PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value));
  switch (array_kind(value)) {
  case ARRAY_KIND_ARRAY:
    return array_encode(encoder, value);
  case ARRAY_KIND_SCALAR:
    return scalar_encode(encoder, value);
  case ARRAY_KIND_ERROR:
    return encode_refuse(encoder, "numpy cannot be used");
  case ARRAY_KIND_NONE:
  default:
    return encode_other(encoder, value);
  }
}
