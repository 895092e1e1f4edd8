/* tier_url.h - parses the URLs of a tier.
 *
 *   redis://[USER@]HOST[:PORT][/DB]      also valkey://
 *   rediss://[USER@]HOST[:PORT][/DB]     with TLS; also valkeys://
 *   unix://[USER@]/PATH[?db=DB]
 *
 * HOST is a name, an IPv4 address, or an IPv6 address in brackets. USER may have %XX. Several URLs,
 * separated by commas, are servers of one tier: they have the same TLS, user and database. A
 * password is refused, and never part of an error text: all users of the machine can read command
 * lines, and many can read configuration files.
 *
 * Plain memory: nothing to free. Does no input or output. */
#ifndef FC_DAEMON_TIER_URL_H
#define FC_DAEMON_TIER_URL_H

#include "daemon/base/error_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIER_URLS_MAX 16u
#define TIER_URL_SIZE_MAX 1024u /* of the whole text */
#define TIER_PORT_DEFAULT 6379u
#define TIER_DATABASE_MAX 65535u
#define TIER_HOST_SIZE 256u /* with the NUL, as all sizes here */
#define TIER_PATH_SIZE 108u /* of a socket's address */
#define TIER_USER_SIZE 128u

/* Where one server of the tier is. */
struct tier_address {
  char host[TIER_HOST_SIZE]; /* without brackets; empty for a Unix socket */
  uint16_t port;
  char path[TIER_PATH_SIZE]; /* of a Unix socket, absolute; empty otherwise */
};

struct tier_urls {
  struct tier_address addresses[TIER_URLS_MAX];
  size_t n; /* from 1 */
  bool tls;
  char user[TIER_USER_SIZE]; /* empty: the default user */
  uint32_t database;
};

/* Parses the value of the option tier. Returns 0, or FC_EINVAL with a text that begins with "tier:
 * " and names what is wrong and what is allowed; *urls is then undefined. */
int tier_urls_parse(const char *text, struct tier_urls *urls, struct error_text *error);

#endif
