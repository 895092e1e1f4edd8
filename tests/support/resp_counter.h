/* resp_counter.h - counts the commands in a stream of RESP, whose bytes come in any pieces. */
#ifndef FC_TESTS_RESP_COUNTER_H
#define FC_TESTS_RESP_COUNTER_H

#include <stddef.h>

/* Zero it to start. */
struct resp_counter {
  char line[32]; /* the start of the line that is being read */
  size_t n_line;
  unsigned arguments; /* that the command still lacks */
  size_t skip;        /* bytes that the argument still lacks, with its end of line */
};

/* Returns the number of commands that end in these bytes, which must be RESP. */
unsigned resp_counter_read(struct resp_counter *counter, const char *bytes, size_t n);

#endif
