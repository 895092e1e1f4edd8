/* listen_address.h - the address that the exporter listens on: 127.0.0.1:9121, [::1]:9121,
 * localhost:9121, or :9121 for all addresses of the machine. */
#ifndef FC_CTL_LISTEN_ADDRESS_H
#define FC_CTL_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define LISTEN_HOST_SIZE 256u
#define LISTEN_TEXT_SIZE 320u /* of an address or an error, with a NUL */

struct listen_address {
  char host[LISTEN_HOST_SIZE]; /* without brackets; "": all addresses */
  char port[6];                /* "0" to "65535"; "0": a free one, which the kernel chooses */
};

/* Parses an address. Returns false if it is malformed, with the reason and the syntax in `error`.
 */
bool listen_address_parse(const char *text, struct listen_address *address,
                          char error[LISTEN_TEXT_SIZE]);

struct listener {
  int fd;                      /* the caller closes it */
  bool loopback;               /* only this machine can reach it */
  char name[LISTEN_TEXT_SIZE]; /* the bound address with its port */
};

/* Listens on the address. Returns false, and in `error` what happened and what to do, if that
 * fails. */
bool listen_address_open(const struct listen_address *address, struct listener *listener,
                         char error[LISTEN_TEXT_SIZE]);

#endif
