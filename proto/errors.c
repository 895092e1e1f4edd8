#include "proto/errors.h"

const char *fc_error_name(int code) {
  switch (code) {
#define X(name, number, text)                                                                      \
  case (number):                                                                                   \
    return #name;
    FC_ERROR_MAP(X)
#undef X
  default:
    return "EUNKNOWN";
  }
}

const char *fc_error_text(int code) {
  switch (code) {
#define X(name, number, text)                                                                      \
  case (number):                                                                                   \
    return text;
    FC_ERROR_MAP(X)
#undef X
  default:
    return "unknown error";
  }
}
