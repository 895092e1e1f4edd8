#include "value_decode.h"

#include "array.h"
#include "glue/chain.h"

static PyObject *decode_unsigned(struct reader *reader, unsigned width) {
  uint64_t number;

  return reader_number(reader, width, &number) ? PyLong_FromUnsignedLongLong(number) : NULL;
}

static PyObject *decode_signed(struct reader *reader, unsigned width) {
  unsigned unused = 64 - 8 * width;
  uint64_t number;

  if (!reader_number(reader, width, &number))
    return NULL;
  return PyLong_FromLongLong((int64_t)(number << unused) >> unused);
}

static PyObject *decode_float64(struct reader *reader) {
  PyObject *value;
  uint64_t bits;

  if (!reader_number(reader, 8, &bits))
    return NULL;
  value = PyFloat_FromDouble(0.0);
  if (value) /* copies the bits, because a conversion could change a NaN */
    memcpy(&((PyFloatObject *)value)->ob_fval, &bits, sizeof bits);
  return value;
}

/* The encoder writes none, but other languages may. */
static PyObject *decode_float32(struct reader *reader) {
  uint64_t number;
  uint32_t bits;
  float value;

  if (!reader_number(reader, 4, &number))
    return NULL;
  bits = (uint32_t)number;
  memcpy(&value, &bits, sizeof value);
  return PyFloat_FromDouble((double)value);
}

PyObject *decode_text(const struct reader *reader, const uint8_t *bytes, uint64_t size,
                      const char *errors) {
  PyObject *text = PyUnicode_DecodeUTF8((const char *)bytes, (Py_ssize_t)size, errors);

  if (!text)
    chain_raise(errors_decode, "not a stored value: a str is not UTF-8 (before byte %zd)",
                (Py_ssize_t)(reader->at - reader->start));
  return text;
}

static PyObject *decode_str(struct reader *reader, uint8_t first) {
  const uint8_t *bytes;
  uint64_t size;

  if (!reader_str_size(reader, first, &size) || !reader_bytes(reader, size, &bytes))
    return NULL;
  return decode_text(reader, bytes, size, NULL);
}

static PyObject *decode_bin(struct reader *reader) {
  const uint8_t *bytes;
  uint64_t size;

  if (!reader_bin(reader, &bytes, &size))
    return NULL;
  return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
}

static PyObject *decode_list(struct reader *reader) {
  PyObject *list;
  uint64_t n;

  if (!reader_array(reader, &n) || !reader_enter(reader, n))
    return NULL;
  list = PyList_New((Py_ssize_t)n);
  for (uint64_t i = 0; list && i < n; i++) {
    PyObject *element;

    reader_element(reader);
    element = decode_value(reader);
    if (element)
      PyList_SET_ITEM(list, (Py_ssize_t)i, element);
    else
      Py_CLEAR(list);
  }
  reader_leave(reader);
  return list;
}

static PyObject *decode_tuple(struct reader *reader) {
  PyObject *tuple;
  uint64_t n;

  if (!reader_array(reader, &n) || !reader_enter(reader, n))
    return NULL;
  tuple = PyTuple_New((Py_ssize_t)n);
  for (uint64_t i = 0; tuple && i < n; i++) {
    PyObject *element;

    reader_element(reader);
    element = decode_value(reader);
    if (element)
      PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, element);
    else
      Py_CLEAR(tuple);
  }
  reader_leave(reader);
  return tuple;
}

static bool decode_item(struct reader *reader, PyObject *dict) {
  Py_ssize_t before = PyDict_GET_SIZE(dict);
  PyObject *key;
  PyObject *value;
  bool stored = false;

  reader_element(reader);
  key = decode_value(reader);
  if (!key)
    return false;
  reader_element(reader);
  value = decode_value(reader);
  if (value && PyDict_SetItem(dict, key, value) < 0)
    chain_raise(errors_decode, "not a stored value: a %s is the key of a dict (before byte %zd)",
                Py_TYPE(key)->tp_name, (Py_ssize_t)(reader->at - reader->start));
  else if (value)
    stored = PyDict_GET_SIZE(dict) > before || reader_fail(reader, "a dict has a key twice");
  Py_DECREF(key);
  Py_XDECREF(value);
  return stored;
}

static PyObject *decode_dict(struct reader *reader) {
  PyObject *dict;
  uint64_t n;

  if (!reader_map(reader, &n) || !reader_enter(reader, 2 * n))
    return NULL;
  dict = PyDict_New();
  for (uint64_t i = 0; dict && i < n; i++) {
    if (!decode_item(reader, dict))
      Py_CLEAR(dict);
  }
  reader_leave(reader);
  return dict;
}

static PyObject *decode_big_int(struct reader *reader, uint64_t size) {
  const uint8_t *bytes;
  PyObject *raw;
  PyObject *value;

  if (!reader_bytes(reader, size, &bytes))
    return NULL;
  raw = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
  value = raw ? chain_call("_int_from_bytes", "(O)", raw) : NULL;
  Py_XDECREF(raw);
  return value;
}

static PyObject *decode_content(struct reader *reader, uint8_t type, uint64_t size) {
  const uint8_t *bytes;

  switch (type) {
  case EXT_INT:
    return decode_big_int(reader, size);
  case EXT_STR:
    return reader_bytes(reader, size, &bytes) ? decode_text(reader, bytes, size, "surrogatepass")
                                              : NULL;
  case EXT_TUPLE:
    return decode_tuple(reader);
  case EXT_ARRAY:
    return array_decode(reader);
  case EXT_SCALAR:
    return scalar_decode(reader);
  case EXT_OBJECT:
    return object_decode(reader);
  default:
    (void)reader_fail(reader, "an ext of a type that is not known");
    return NULL;
  }
}

static PyObject *decode_ext(struct reader *reader, uint8_t first) {
  const uint8_t *end = reader->end;
  PyObject *value;
  uint64_t size;
  uint8_t type;

  if (!reader_ext(reader, first, &type, &size))
    return NULL;
  reader->end = reader->at + size;
  value = decode_content(reader, type, size);
  if (value && reader->at != reader->end) {
    (void)reader_fail(reader, "an ext is longer than what it holds");
    Py_CLEAR(value);
  }
  reader->end = end;
  return value;
}

static PyObject *new_reference(PyObject *object) {
  Py_INCREF(object);
  return object;
}

/* Decodes numbers and constants, and refuses unknown first bytes. */
static PyObject *decode_atom(struct reader *reader, uint8_t first) {
  if (first >= MP_UINT8 && first <= MP_UINT64)
    return decode_unsigned(reader, 1u << (first - MP_UINT8));
  if (first >= MP_INT8 && first <= MP_INT64)
    return decode_signed(reader, 1u << (first - MP_INT8));
  switch (first) {
  case MP_NIL:
    return new_reference(Py_None);
  case MP_FALSE:
    return new_reference(Py_False);
  case MP_TRUE:
    return new_reference(Py_True);
  case MP_FLOAT64:
    return decode_float64(reader);
  case MP_FLOAT32:
    return decode_float32(reader);
  default:
    (void)reader_fail(reader, "a byte that begins no value");
    return NULL;
  }
}

PyObject *decode_value(struct reader *reader) {
  uint8_t first;

  if (!reader_byte(reader, &first))
    return NULL;
  if (first < MP_FIXMAP)
    return PyLong_FromLong(first);
  if (first >= MP_NEGATIVE_FIXINT)
    return PyLong_FromLong((int8_t)first);
  if ((first >= MP_FIXSTR && first < MP_NIL) || (first >= MP_STR8 && first <= MP_STR32))
    return decode_str(reader, first);
  if ((first >= MP_EXT8 && first <= MP_EXT32) || (first >= MP_FIXEXT1 && first <= MP_FIXEXT16))
    return decode_ext(reader, first);
  reader->at--;
  if (first < MP_FIXARRAY || first == MP_MAP16 || first == MP_MAP32)
    return decode_dict(reader);
  if (first < MP_FIXSTR || first == MP_ARRAY16 || first == MP_ARRAY32)
    return decode_list(reader);
  if (reader_at_bin(reader))
    return decode_bin(reader);
  reader->at++;
  return decode_atom(reader, first);
}
