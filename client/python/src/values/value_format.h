/* value_format.h - the numbers of the encoding: docs/values.md has their layouts. */
#ifndef FCACHED_PY_FORMAT_H
#define FCACHED_PY_FORMAT_H

/* Our ext types. They are stored: a number is never given another meaning. */
enum ext_type {
  EXT_INT = 1,    /* an int outside -2^63 .. 2^64-1 */
  EXT_STR = 2,    /* a str with lone surrogates */
  EXT_TUPLE = 3,  /* [element, ...] */
  EXT_ARRAY = 4,  /* [dtype, shape, fortran, data] */
  EXT_SCALAR = 5, /* [dtype, data] */
  EXT_OBJECT = 6, /* [class name, {field: value} or what its encode function made] */
};

/* How deep lists, tuples, dicts, arrays of objects and objects may stand in each other. Both sides
 * count alike, so that what was written can be read. */
enum { MAX_DEPTH = 100 };

#endif
