/* value_format.h - constants of the encoding: docs/values.md. */
#ifndef FCACHED_PY_FORMAT_H
#define FCACHED_PY_FORMAT_H

/* First bytes of the msgpack specification. */
enum {
  MP_FIXMAP = 0x80,   /* to 8f */
  MP_FIXARRAY = 0x90, /* to 9f */
  MP_FIXSTR = 0xa0,   /* to bf */
  MP_NIL = 0xc0,
  MP_FALSE = 0xc2,
  MP_TRUE = 0xc3,
  MP_BIN8 = 0xc4,
  MP_BIN32 = 0xc6,
  MP_EXT8 = 0xc7,
  MP_EXT32 = 0xc9,
  MP_FLOAT32 = 0xca,
  MP_FLOAT64 = 0xcb,
  MP_UINT8 = 0xcc,
  MP_UINT16 = 0xcd,
  MP_UINT32 = 0xce,
  MP_UINT64 = 0xcf,
  MP_INT8 = 0xd0,
  MP_INT16 = 0xd1,
  MP_INT32 = 0xd2,
  MP_INT64 = 0xd3,
  MP_FIXEXT1 = 0xd4,
  MP_FIXEXT16 = 0xd8,
  MP_STR8 = 0xd9,
  MP_STR16 = 0xda,
  MP_STR32 = 0xdb,
  MP_ARRAY16 = 0xdc,
  MP_ARRAY32 = 0xdd,
  MP_MAP16 = 0xde,
  MP_MAP32 = 0xdf,
  MP_NEGATIVE_FIXINT = 0xe0,
};

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
