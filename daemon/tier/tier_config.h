/* tier_config.h - the settings of the transport to the tier. */
#ifndef FC_DAEMON_TIER_CONFIG_H
#define FC_DAEMON_TIER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/config/tier_url.h"
#include "daemon/tier/tls_session.h"

#define TIER_SERVERS_MAX 64u /* of a cluster; ops for others fail */

/* All pointers are borrowed, and stay valid until tier_io_free. */
struct tier_io_config {
  uv_loop_t *loop;
  struct log *log;
  const struct tier_urls *urls;
  const char *password_file; /* read at each connect; NULL: no password */
  struct tls_files tls;      /* if the URLs ask for TLS */
  const char *prefix;        /* of all keys; here for the keys of write probes */
  bool read_only;            /* no op writes: probes for writes read, as the user may not write */
  uint64_t deadline_ns;      /* to connect, and for each step of the handshake */
  uint64_t seed;             /* of the jitter; another one on each node */
};

#endif
