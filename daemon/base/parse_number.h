/* parse_number.h - plain decimal numbers, as the kernel and the service manager write them. */
#ifndef FC_DAEMON_NUMBER_H
#define FC_DAEMON_NUMBER_H

#include <stdint.h>

/* Reads the digits at the start of `text` (NULL: there is none). Returns where they end, for the
 * caller to judge what follows; NULL where there are none, or too many for 64 bits. */
const char *number_parse(const char *text, uint64_t *n);

#endif
