/* registry.h - the classes that have an encoding of their own, by class and by name: one registry
 * for the process, guarded by the GIL. */
#ifndef FCACHED_PY_REGISTRY_H
#define FCACHED_PY_REGISTRY_H

#include <Python.h>
#include <stdbool.h>

struct field {
  PyObject *name;
  const char *text; /* the name in UTF-8, as long as `name` lives */
  size_t size;
  Py_ssize_t offset; /* of the field's slot in an instance; 0 where it has none */
};

/* One class. Never changed once it is registered: registering anew makes another. A Python object,
 * so that a record in use outlives its replacement. */
struct record {
  PyObject_HEAD PyTypeObject *class;
  PyObject *name;
  const char *text; /* the name in UTF-8 */
  size_t size;
  PyObject *encode; /* value -> what is encoded in its place; NULL for a dataclass */
  PyObject *decode; /* and back */
  size_t n_fields;
  struct field *fields; /* of a dataclass, in its order */
};

/* Once. 0, or -1 with an exception. */
int registry_init(void);

/* A new reference; NULL without an exception where the class, or the name, is not registered, and
 * is none of those that register themselves (fcached.values); NULL with one where looking failed.
 */
struct record *registry_by_class(PyTypeObject *class);
struct record *registry_by_name(const char *text, size_t size);

/* The method _register(cls, name, fields, encode, decode). */
PyObject *registry_register(PyObject *module, PyObject *arguments);

/* A field of an instance, read and set past what the class says of attributes (frozen,
 * __getattr__). A new reference, or NULL with an exception. */
PyObject *field_get(const struct field *field, PyObject *instance);
/* Takes the reference `value`, also on failure. */
bool field_set(const struct field *field, PyObject *instance, PyObject *value);

#endif
