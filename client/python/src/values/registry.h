/* registry.h - the registered classes, by class and by name. A process has one registry. All
 * functions need the GIL. */
#ifndef FCACHED_PY_REGISTRY_H
#define FCACHED_PY_REGISTRY_H

#include <Python.h>
#include <stdbool.h>

struct field {
  PyObject *name;
  const char *text; /* the name in UTF-8, as long as `name` lives */
  size_t size;
  Py_ssize_t offset; /* of the field's slot in an instance; 0 if it has none */
};

/* A registered class. Immutable: registering the class again makes a new record. It is a Python
 * object, so that a record in use outlives its replacement. */
struct record {
  PyObject_HEAD PyTypeObject *class;
  PyObject *name;
  const char *text; /* the name in UTF-8 */
  size_t size;
  PyObject *encode; /* a function that returns the value to encode; NULL for a dataclass */
  PyObject *decode; /* its inverse; NULL for a dataclass */
  size_t n_fields;
  struct field *fields; /* of a dataclass, in its order */
};

/* Called once, when the module is imported. 0, or -1 with an exception. */
int registry_init(void);

/* Return a new reference. NULL without an exception if the class or name is neither registered nor
 * one that fcached.values registers at its first use. NULL with an exception if the lookup failed.
 */
struct record *registry_by_class(PyTypeObject *class);
struct record *registry_by_name(const char *text, size_t size);

/* The method _register(cls, name, fields, encode, decode). */
PyObject *registry_register(PyObject *module, PyObject *arguments);

/* Reads a field of an instance, past __getattr__ and properties of its class. A new reference, or
 * NULL with an exception. */
PyObject *field_get(const struct field *field, PyObject *instance);
/* Sets a field of a new instance, also of a frozen class. Takes the reference `value`, also on
 * failure. False with an exception. */
bool field_set_by_name(const struct field *field, PyObject *instance, PyObject *value);
static inline bool field_set(const struct field *field, PyObject *instance, PyObject *value) {
  PyObject **slot;

  if (!field->offset)
    return field_set_by_name(field, instance, value);
  slot = (PyObject **)(void *)((char *)instance + field->offset);
  Py_XSETREF(*slot, value);
  return true;
}

#endif
