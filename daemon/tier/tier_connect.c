/* The connection of a tier server: from the name to the open stream. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "daemon/tier/tier_internal.h"
#include "daemon/tier/tier_link.h"
#include "proto/errors.h"

/* The addresses of a name are used for this long. A name may get another address at a failover. */
#define FOUND_NS UINT64_C(5000000000)

static const struct tier_address *address_of(const struct tier_link *link) {
  return &link->addresses[link->address];
}

static bool parse_number_address(const struct tier_address *address,
                                 struct sockaddr_storage *socket_address) {
  memset(socket_address, 0, sizeof *socket_address);
  return uv_ip4_addr(address->host, address->port, (struct sockaddr_in *)socket_address) == 0 ||
         uv_ip6_addr(address->host, address->port, (struct sockaddr_in6 *)socket_address) == 0;
}

/* `address` is NULL for a Unix socket. */
static void open_stream(struct tier_link *link, const struct sockaddr_storage *address,
                        uint64_t now_ns) {
  struct tier_io *tier = link->tier;
  const struct tier_stream_config config = {
      .loop = tier->config.loop,
      .address = (const struct sockaddr *)address,
      .path = address_of(link)->path,
      .tls = tier->config.urls->tls ? &tier->tls : NULL,
      .host = address_of(link)->host,
      .buffers = &tier->buffers,
      .events = &tier_link_events,
      .arg = link,
  };
  resp_reader_deinit(&link->reader);
  if (resp_reader_init(&link->reader, tier_link_reply, link) < 0 ||
      tier_stream_open(&link->stream, &config) < 0) {
    tier_link_fail(link, BREAKER_LOST, "no memory or descriptors for a connection", now_ns);
    return;
  }
  link->progress_ns = now_ns;
}

/* Tries the next address of the name. Returns false if there is none. What was found for another
 * URL is of no use. */
static bool try_next_address(struct tier_link *link, uint64_t now_ns) {
  if (link->found_address != link->address || link->found_next >= link->found.n ||
      now_ns - link->found_ns > FOUND_NS)
    return false;
  open_stream(link, &link->found.list[link->found_next++], now_ns);
  return true;
}

static void look_up(struct tier_link *link, uint64_t now_ns) {
  const struct tier_address *address = address_of(link);
  if (link->lookup.running)
    return; /* for the same name, or tier_link_found begins again */
  link->found.n = link->found_next = 0;
  link->found_address = link->address;
  if (host_lookup_start(&link->lookup, address->host, address->port) < 0)
    tier_link_fail(link, BREAKER_LOST, "no thread to look up its address", now_ns);
}

void tier_link_found(void *arg, const struct host_addresses *found, const char *error) {
  struct tier_link *link = arg;
  uint64_t now_ns = uv_hrtime();
  link->found = *found;
  link->found_next = 0;
  link->found_ns = now_ns;
  if (link->state != LINK_CONNECTING || link->stream != NULL)
    return; /* too late for this attempt: the next one uses it */
  if (link->found_address != link->address) {
    look_up(link, now_ns);
  } else if (error != NULL) {
    char text[TIER_CAUSE_BYTES];
    (void)snprintf(text, sizeof text, "cannot look up its address: %s", error);
    tier_link_lose(link, text, now_ns);
  } else {
    (void)try_next_address(link, now_ns); /* it has one */
  }
}

/* A certificate that was renewed is used. One that cannot be used is only said. */
static void refresh_tls(struct tier_io *tier) {
  struct error_text error;
  if (tier->config.urls->tls && tls_context_refresh(&tier->tls, &error) < 0)
    log_line(tier->config.log, LOG_LEVEL_WARNING, "%s: the earlier files are used", error.text);
}

void tier_link_connect(struct tier_link *link, uint64_t now_ns) {
  struct sockaddr_storage number;
  const struct tier_address *address = address_of(link);
  tier_link_set_name(link);
  link->state = LINK_CONNECTING;
  link->connect_wanted = false;
  link->begun_ns = link->progress_ns = now_ns;
  tier_io_wake_at(link->tier, now_ns + link->tier->config.deadline_ns);
  refresh_tls(link->tier);
  if (address->path[0] != '\0')
    open_stream(link, NULL, now_ns);
  else if (parse_number_address(address, &number))
    open_stream(link, &number, now_ns);
  else if (!try_next_address(link, now_ns))
    look_up(link, now_ns);
}

/* ---- events of the stream ---- */

static void on_open(void *arg) {
  struct tier_link *link = arg;
  uint64_t now_ns = uv_hrtime();
  link->state = LINK_GREETING;
  link->progress_ns = now_ns;
  link->counts.connections++;
  tier_greeting_send(link, now_ns);
}

static void on_failed(void *arg, const char *text) {
  struct tier_link *link = arg;
  uint64_t now_ns = uv_hrtime();
  if (link->state == LINK_CONNECTING && link->found_next < link->found.n) {
    tier_stream_close(link->stream); /* its text lives until the loop has closed it */
    link->stream = NULL;
    if (try_next_address(link, now_ns))
      return;
  }
  tier_link_lose(link, text, now_ns);
}

/* Shows the fleet that the reply to the oldest op has begun. */
static void mark_answering(struct tier_link *link) {
  const struct tier_call *call = tier_calls_first(&link->calls);
  if (call != NULL && call->op != NULL)
    call->op->answering = true;
}

static void on_bytes(void *arg, const char *bytes, size_t size) {
  struct tier_link *link = arg;
  if (link->broken)
    return;
  link->progress_ns = uv_hrtime();
  mark_answering(link);
  if (resp_reader_feed(&link->reader, bytes, size) < 0)
    tier_link_break(link, BREAKER_LOST, resp_reader_error(&link->reader));
  if (link->broken) {
    tier_link_fail_broken(link, link->progress_ns);
    return;
  }
  size_t partial = resp_reader_partial(&link->reader);
  if (partial > 0)
    mark_answering(link);
  if (partial <= RESP_LARGE_BYTES) {
    tier_io_release_large(link->tier, link);
  } else if (!tier_io_take_large(link->tier, link) && !link->paused) {
    link->paused = true;
    link->paused_ns = link->progress_ns;
    tier_stream_pause(link->stream);
  }
  if (link->state == LINK_READY && link->first != NULL)
    tier_io_schedule(link->tier);
}

static void on_room(void *arg) {
  struct tier_link *link = arg;
  uint64_t now_ns = uv_hrtime();
  if (link->writing != NULL) /* a large value is on its way: the server reads */
    link->progress_ns = now_ns;
  if (link->state == LINK_READY)
    tier_link_send(link, now_ns);
}

const struct tier_stream_events tier_link_events = {
    .on_open = on_open, .on_bytes = on_bytes, .on_room = on_room, .on_failed = on_failed};
