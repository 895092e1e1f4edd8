#include "tests/support/resp_counter.h"

#include <stdlib.h>
#include <string.h>

/* Reads one byte of a line, which announces the arguments of a command ('*'), or the bytes of an
 * argument ('$'). */
static void read_line(struct resp_counter *counter, char byte) {
  if (byte != '\n') {
    if (counter->n_line + 1 < sizeof counter->line)
      counter->line[counter->n_line++] = byte;
    return;
  }
  unsigned long number = strtoul(counter->line + 1, NULL, 10); /* it ends at the \r */
  if (counter->line[0] == '*')
    counter->arguments = (unsigned)number;
  else if (counter->line[0] == '$')
    counter->skip = number + 2;
  memset(counter->line, 0, sizeof counter->line);
  counter->n_line = 0;
}

unsigned resp_counter_read(struct resp_counter *counter, const char *bytes, size_t n) {
  unsigned commands = 0;
  for (size_t i = 0; i < n; i++) {
    if (counter->skip == 0)
      read_line(counter, bytes[i]);
    else if (--counter->skip == 0)
      commands += --counter->arguments == 0;
  }
  return commands;
}
