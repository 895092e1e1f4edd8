/* Decodes instances of registered classes. */
#include "glue/chain.h"
#include "registry.h"
#include "value_decode.h"

/* Reads the name of a field, usually that of `expected`. *place is the field's index in the class.
 * False with an exception, also if the class has no such field. */
static bool read_field(struct reader *reader, const struct record *record, size_t expected,
                       size_t *place) {
  const uint8_t *text;
  uint64_t size;

  *place = expected;
  if (expected < record->n_fields &&
      reader_skip_str(reader, record->fields[expected].text, record->fields[expected].size))
    return true;
  if (!reader_str(reader, &text, &size))
    return false;
  for (*place = 0; *place < record->n_fields; ++*place) {
    const struct field *field = &record->fields[*place];

    if (field->size == size && same_text(field->text, text, size))
      return true;
  }
  (void)PyErr_Format(errors_decode,
                     "%U was stored with other fields than this class has: one that it lacks comes "
                     "with it",
                     record->name);
  return false;
}

/* Reads the map of fields into `contents`, which has an entry for each field of the class, all
 * NULL. */
static bool decode_contents(struct reader *reader, const struct record *record,
                            PyObject **contents) {
  uint64_t n;

  if (!reader_map(reader, &n))
    return false;
  for (size_t i = 0; i < n; i++) {
    size_t place;

    if (!read_field(reader, record, i, &place))
      return false;
    if (contents[place]) {
      (void)PyErr_Format(errors_decode,
                         "%U was stored with other fields than this class has: one comes twice",
                         record->name);
      return false;
    }
    contents[place] = decode_value(reader);
    if (!contents[place])
      return false;
  }
  if (n == record->n_fields)
    return true;
  for (size_t i = 0; i < record->n_fields; i++) {
    if (!contents[i]) {
      (void)PyErr_Format(errors_decode, "%U was stored without the field %R that this class has",
                         record->name, record->fields[i].name);
      return false;
    }
  }
  return true;
}

/* Returns a new instance with these contents, made without __new__ and __init__ of its class. Takes
 * the references. */
static PyObject *make_instance(const struct record *record, PyObject **contents) {
  static PyObject *no_arguments;
  PyObject *instance;

  if (!no_arguments)
    no_arguments = PyTuple_New(0);
  instance = no_arguments ? PyBaseObject_Type.tp_new(record->class, no_arguments, NULL) : NULL;
  for (size_t i = 0; instance && i < record->n_fields; i++) {
    PyObject *content = contents[i];

    contents[i] = NULL;
    if (!field_set(&record->fields[i], instance, content))
      Py_CLEAR(instance);
  }
  if (!instance)
    chain_raise(errors_decode, "%U cannot be made again from its fields", record->name);
  return instance;
}

static PyObject *decode_fields(struct reader *reader, const struct record *record) {
  enum { FEW = 16 };
  PyObject *few[FEW];
  PyObject **contents = few;
  PyObject *instance = NULL;

  if (record->n_fields > FEW)
    contents = PyMem_Malloc(record->n_fields * sizeof(PyObject *));
  if (!contents)
    return PyErr_NoMemory();
  for (size_t i = 0; i < record->n_fields; i++)
    contents[i] = NULL;
  if (decode_contents(reader, record, contents))
    instance = make_instance(record, contents);
  for (size_t i = 0; i < record->n_fields; i++)
    Py_XDECREF(contents[i]);
  if (contents != few)
    PyMem_Free(contents);
  return instance;
}

static PyObject *decode_by_function(struct reader *reader, const struct record *record) {
  PyObject *encoded = decode_value(reader);
  PyObject *value;

  if (!encoded)
    return NULL;
  value = PyObject_CallFunctionObjArgs(record->decode, encoded, NULL);
  Py_DECREF(encoded);
  if (!value) {
    chain_raise(errors_decode, "the decode function of %U failed", record->name);
  } else if (Py_TYPE(value) != record->class) {
    (void)PyErr_Format(errors_decode, "the decode function of %U returned a %s", record->name,
                       Py_TYPE(value)->tp_name);
    Py_CLEAR(value);
  }
  return value;
}

static void unknown_name(const struct reader *reader, const uint8_t *text, uint64_t size) {
  PyObject *name;

  if (PyErr_Occurred()) {
    chain_raise(errors_decode, "the class of a stored object cannot be looked up");
    return;
  }
  name = decode_text(reader, text, size, NULL);
  if (name)
    (void)PyErr_Format(errors_decode,
                       "a stored object is of %R, which is not registered in this process: "
                       "call fcached.register with its class before",
                       name);
  Py_XDECREF(name);
}

PyObject *object_decode(struct reader *reader) {
  struct record *record;
  PyObject *value;
  const uint8_t *text;
  uint64_t size;
  uint64_t n;

  if (!reader_array(reader, &n))
    return NULL;
  if (n != 2) {
    (void)reader_fail(reader, "an object is not of two elements");
    return NULL;
  }
  if (!reader_str(reader, &text, &size) || !reader_enter(reader, 0))
    return NULL;
  record = registry_by_name((const char *)text, size);
  if (!record) {
    unknown_name(reader, text, size);
    return NULL;
  }
  value = (record->decode ? decode_by_function : decode_fields)(reader, record);
  Py_DECREF((PyObject *)record);
  reader_leave(reader);
  return value;
}
