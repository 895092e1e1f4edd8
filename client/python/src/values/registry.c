#include "registry.h"

#include <fcache.h>
#include <stdint.h>
#include <string.h>

#include "glue/chain.h"
#include "glue/py_errors.h"
#include "msgpack_reader.h"
#include "slot.h"

enum { NAME_SLOTS = 8 }; /* a power of 2 */

static PyObject *by_class; /* class -> record */
static PyObject *by_name;  /* str -> record */

/* The latest lookups. Borrowed from the dicts, and cleared when these change. */
static struct record *last_class;
static struct record *last_names[NAME_SLOTS];

static void record_dealloc(PyObject *self) {
  struct record *record = (struct record *)self;

  for (size_t i = 0; i < record->n_fields; i++)
    Py_XDECREF(record->fields[i].name);
  PyMem_Free(record->fields);
  Py_XDECREF((PyObject *)record->class);
  Py_XDECREF(record->name);
  Py_XDECREF(record->encode);
  Py_XDECREF(record->decode);
  Py_TYPE(self)->tp_free(self);
}

static PyTypeObject record_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "fcached._core._Record",
    .tp_basicsize = sizeof(struct record),
    .tp_dealloc = record_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

int registry_init(void) {
  if (PyType_Ready(&record_type) < 0)
    return -1;
  if (!by_class)
    by_class = PyDict_New();
  if (!by_name)
    by_name = PyDict_New();
  return by_class && by_name ? 0 : -1;
}

static const char *utf8(PyObject *text, size_t *size) {
  Py_ssize_t length = 0;
  const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);

  *size = (size_t)length;
  return bytes;
}

static bool set_fields(struct record *record, PyObject *names) {
  size_t n = (size_t)PyTuple_GET_SIZE(names);

  record->fields = PyMem_Calloc(n ? n : 1, sizeof *record->fields);
  if (!record->fields) {
    (void)PyErr_NoMemory();
    return false;
  }
  for (size_t i = 0; i < n; i++) {
    struct field *field = &record->fields[i];
    PyObject *name = PyTuple_GET_ITEM(names, (Py_ssize_t)i);

    if (!PyUnicode_CheckExact(name)) {
      PyErr_SetString(PyExc_TypeError, "a field's name is not a str");
      return false;
    }
    Py_INCREF(name);
    field->name = name;
    record->n_fields = i + 1;
    field->text = utf8(name, &field->size);
    if (!field->text)
      return false;
    field->offset = slot_offset(record->class, name);
  }
  return true;
}

static PyObject *reference_unless_none(PyObject *object) {
  if (object == Py_None)
    return NULL;
  Py_INCREF(object);
  return object;
}

static struct record *record_new(PyTypeObject *class, PyObject *name, PyObject *fields,
                                 PyObject *encode, PyObject *decode) {
  struct record *record = PyObject_New(struct record, &record_type);

  if (!record)
    return NULL;
  Py_INCREF((PyObject *)class);
  record->class = class;
  Py_INCREF(name);
  record->name = name;
  record->encode = reference_unless_none(encode);
  record->decode = reference_unless_none(decode);
  record->n_fields = 0;
  record->fields = NULL;
  record->text = utf8(name, &record->size);
  if (record->text && (fields == Py_None || set_fields(record, fields)))
    return record;
  Py_DECREF((PyObject *)record);
  return NULL;
}

/* Returns a borrowed reference, or NULL without an exception if there is none. */
static struct record *known_class(PyTypeObject *class) {
  struct record *record;

  if (last_class && last_class->class == class)
    return last_class;
  record = (struct record *)PyDict_GetItemWithError(by_class, (PyObject *)class);
  if (!record || record->class != class) /* a metaclass may define its classes as equal */
    return NULL;
  last_class = record;
  return record;
}

static struct record **name_slot(const char *text, size_t size) {
  return &last_names[(size + (size ? (uint8_t)text[size - 1] : 0u)) % NAME_SLOTS];
}

static struct record *known_name(const char *text, size_t size) {
  struct record **slot = name_slot(text, size);
  struct record *record = *slot;
  PyObject *name;

  if (record && record->size == size && same_text(record->text, text, size))
    return record;
  name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);
  if (!name)
    return NULL;
  record = (struct record *)PyDict_GetItemWithError(by_name, name);
  Py_DECREF(name);
  if (record)
    *slot = record;
  return record;
}

/* Takes over the answer of fcached.values: True if it registered the class or name now. NULL: an
 * error. */
static bool registered_now(PyObject *answer) {
  bool registered = answer == Py_True;

  Py_XDECREF(answer);
  return registered;
}

struct record *registry_by_class(PyTypeObject *class) {
  struct record *record = known_class(class);

  if (!record && !PyErr_Occurred() &&
      registered_now(chain_call("_register_known_class", "(O)", (PyObject *)class)))
    record = known_class(class);
  Py_XINCREF((PyObject *)record);
  return record;
}

struct record *registry_by_name(const char *text, size_t size) {
  struct record *record = known_name(text, size);

  if (!record && !PyErr_Occurred()) {
    PyObject *name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);

    if (name && registered_now(chain_call("_register_known_name", "(O)", name)))
      record = known_name(text, size);
    Py_XDECREF(name);
  }
  Py_XINCREF((PyObject *)record);
  return record;
}

/* Whether the new record fits what is registered: a class keeps its name, and a name its class. */
static bool check_record(const struct record *record) {
  const struct record *same_class = known_class(record->class);
  const struct record *same_name = PyErr_Occurred() ? NULL : known_name(record->text, record->size);
  PyObject *text;

  if (PyErr_Occurred())
    return false;
  if (same_class == same_name && (!same_class || same_class->class == record->class))
    return true;
  if (same_class)
    text = PyUnicode_FromFormat("%R is registered already, under the name %R", record->class,
                                same_class->name);
  else
    text = PyUnicode_FromFormat("the name %R belongs to %R already: give %R another with name=...",
                                record->name, same_name->class, record->class);
  if (text)
    (void)errors_raise(FCACHE_EINVAL, PyUnicode_AsUTF8(text));
  Py_XDECREF(text);
  return false;
}

static bool add_record(struct record *record) {
  PyObject *class = (PyObject *)record->class;

  last_class = NULL;
  memset(last_names, 0, sizeof last_names);
  if (PyDict_SetItem(by_name, record->name, (PyObject *)record) < 0)
    return false;
  if (PyDict_SetItem(by_class, class, (PyObject *)record) == 0)
    return true;
  if (PyDict_DelItem(by_name, record->name) < 0)
    PyErr_WriteUnraisable(record->name);
  return false;
}

PyObject *registry_register(PyObject *module, PyObject *arguments) {
  PyObject *class;
  PyObject *name;
  PyObject *fields;
  PyObject *encode;
  PyObject *decode;
  struct record *record;
  bool added;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "O!UOOO:_register", &PyType_Type, &class, &name, &fields,
                        &encode, &decode))
    return NULL;
  if (fields != Py_None && !PyTuple_CheckExact(fields)) {
    PyErr_SetString(PyExc_TypeError, "_register: fields is a tuple or None");
    return NULL;
  }
  record = record_new((PyTypeObject *)class, name, fields, encode, decode);
  if (!record)
    return NULL;
  added = check_record(record) && add_record(record);
  Py_DECREF((PyObject *)record);
  if (!added)
    return NULL;
  Py_RETURN_NONE;
}

PyObject *field_get(const struct field *field, PyObject *instance) {
  PyObject *value;

  if (!field->offset)
    return PyObject_GenericGetAttr(instance, field->name);
  value = *(PyObject **)(void *)((char *)instance + field->offset);
  if (!value)
    PyErr_SetObject(PyExc_AttributeError, field->name);
  Py_XINCREF(value);
  return value;
}

bool field_set_by_name(const struct field *field, PyObject *instance, PyObject *value) {
  int failed = PyObject_GenericSetAttr(instance, field->name, value);

  Py_DECREF(value);
  return !failed;
}
