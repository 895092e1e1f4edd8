#include "msgpack_reader.h"

void reader_raise(const struct reader *reader, const char *what) {
  (void)PyErr_Format(errors_decode, "not a stored value: %s (at byte %zd)", what,
                     (Py_ssize_t)(reader->at - reader->start));
}
