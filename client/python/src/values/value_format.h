/* value_format.h - constants of the encoding: docs/values.md. */
#ifndef FCACHED_PY_FORMAT_H
#define FCACHED_PY_FORMAT_H

/* The ext types of the package. Stored values depend on them: a number keeps its meaning. */
enum ext_type {
  EXT_INT = 1,    /* an int outside -2^63 .. 2^64-1 */
  EXT_STR = 2,    /* a str with lone surrogates */
  EXT_TUPLE = 3,  /* [element, ...] */
  EXT_ARRAY = 4,  /* [dtype, shape, fortran, data] */
  EXT_SCALAR = 5, /* [dtype, data] */
  EXT_OBJECT = 6, /* [class name, {field: value} or the result of its encode function] */
};

/* Limit on nested lists, tuples, dicts, arrays of objects and objects. The decoder counts as the
 * encoder does, so it can read whatever that writes. */
enum { MAX_DEPTH = 100 };

#endif
