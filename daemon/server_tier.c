#include "daemon/server_tier.h"

#include <sys/random.h>

#include "daemon/fleet/fleet_value.h"
#include "daemon/rings/client_time.h"
#include "daemon/server_internal.h"
#include "proto/errors.h"
#include "proto/name_patterns.h"

#define NS_PER_MS UINT64_C(1000000)

/* ---- callbacks of the fleet ---- */

static bool selects(void *arg, const struct namespace *ns) {
  const struct server *server = arg;
  return name_patterns_select(options_tier_namespaces(server->options), ns->name.data,
                              ns->name.size);
}

static void resume(void *arg, struct fleet_waiter *waiter) {
  (void)arg;
  dispatch_fill_resolved(waiter);
}

/* A turn of the background answers them, in slices if they are many. */
static void waits_due(void *arg) {
  struct server *server = arg;
  conns_run_background(&server->conns);
}

/* ---- time ---- */

static void tick(struct server *server) {
  struct client_clock clock = client_clock_now(); /* the wall clock may be set at any time */
  conns_note_turn(&server->conns, clock.now_ns);
  fleet_set_wall(&server->tier.fleet, clock.now_ns, clock.real_ns);
  fleet_clears_tick(&server->tier.clears, clock.now_ns);
  fleet_tick(&server->tier.fleet, clock.now_ns);
  if (tier_io_interface(server->tier.io)->lost > 0)
    log_once(
        &server->log, &server->tier.lost_logged, LOG_LEVEL_WARNING,
        "a request to the tier was neither answered nor ended: this is a fault of fcached. The "
        "daemon goes on without its reply. Please report this line");
}

static uint64_t next_tick_ns(const struct server_tier *tier) {
  uint64_t fleet_ns = fleet_next_ns(&tier->fleet), clears_ns = fleet_clears_next_ns(&tier->clears);
  return fleet_ns < clears_ns ? fleet_ns : clears_ns;
}

static void on_timer(void *arg) {
  struct server *server = arg;
  server->tier.timer_ns = UINT64_MAX;
  tick(server);
}

/* The loop waits next. What requests and replies have queued is sent in this turn. The timer is set
 * for the earliest time: if that passes without work, it costs less than to set it each time. */
static void on_turn(uv_prepare_t *turn) {
  struct server *server = turn->data;
  struct server_tier *tier = &server->tier;
  if (next_tick_ns(tier) == 0)
    tick(server);
  uint64_t next_ns = next_tick_ns(tier);
  if (next_ns < tier->timer_ns) {
    tier->timer_ns = next_ns;
    ticker_once(&tier->timer, next_ns);
  }
  conns_schedule_expiry(&server->conns); /* the fleet may have granted a lease */
  if (tier->flushing && fleet_is_idle(&tier->fleet))
    server_close_all(server);
}

/* ---- start ---- */

static struct fleet_options live_options(const struct options *options) {
  return (struct fleet_options){.deadline_ns = options->tier_deadline_ms * NS_PER_MS,
                                .ttl_ns = options->tier_ttl_ms * NS_PER_MS,
                                .queue_age_ns = options->tier_queue_age_ms * NS_PER_MS};
}

/* The parts of the config that determine the memory. */
static struct fleet_config sizes_of(const struct options *options) {
  return (struct fleet_config){.queue_bytes = options->tier_queue,
                               .max_fills = options->max_leases};
}

static int start_io(struct server *server, uint64_t seed, struct error_text *error) {
  const struct options *options = server->options;
  struct server_tier *tier = &server->tier;
  int rc = tier_urls_parse(options->tier, &tier->urls, error);
  if (rc < 0)
    return rc;
  struct tier_io_config config = {
      .loop = &server->loop,
      .log = &server->log,
      .urls = &tier->urls,
      .password_file = options->tier_password_file,
      .tls = {.ca = options->tier_ca, .cert = options->tier_cert, .key = options->tier_key},
      .prefix = options_tier_prefix(options),
      .read_only = options->tier_mode == TIER_READ_ONLY,
      .deadline_ns = options->tier_deadline_ms * NS_PER_MS,
      .seed = seed};
  return tier_io_init(&tier->io, &config, error);
}

static int start_fleet(struct server *server, const uint64_t random[2], struct error_text *error) {
  const struct options *options = server->options;
  struct server_tier *tier = &server->tier;
  struct fleet_config config = sizes_of(options);
  config.store = &server->store;
  config.leases = &server->dispatch.leases;
  config.namespaces = &server->namespaces;
  config.client = &server->dispatch.fleet_client;
  config.io = tier_io_interface(tier->io);
  config.clears = &tier->clears;
  config.totals = &server->totals->tier;
  config.prefix = fc_str_of(options_tier_prefix(options));
  config.node = random[0] == 0 ? 1 : random[0];
  config.seed = random[1];
  config.reads = options->tier_mode != TIER_WRITE_ONLY;
  config.writes = options->tier_mode != TIER_READ_ONLY;
  config.lease_ns = options->tier_lease_ms * NS_PER_MS;
  config.options = live_options(options);
  config.selects = selects;
  config.resume = resume;
  config.waits_due = waits_due;
  config.arg = server;
  server_tier_clears_start(server, config.node, random[1]);
  int rc = fleet_init(&tier->fleet, &config);
  return rc == 0 ? 0 : error_text_set(error, rc, "no memory for the fleet");
}

static int start_turns(struct server *server) {
  struct server_tier *tier = &server->tier;
  tier->turn.data = server;
  tier->timer_ns = UINT64_MAX;
  int rc = ticker_init(&tier->timer, &server->loop, on_timer, server);
  if (rc < 0)
    return rc;
  /* These only set fields. */
  return uv_prepare_init(&server->loop, &tier->turn) < 0 ||
                 uv_prepare_start(&tier->turn, on_turn) < 0
             ? FC_EREFUSED
             : 0;
}

int server_tier_start(struct server *server, struct error_text *error) {
  uint64_t random[3];
  if (server->options->tier == NULL)
    return 0;
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return error_text_set(error, FC_EREFUSED, "getrandom failed: try again");
  int rc = start_io(server, random[2], error);
  if (rc == 0)
    rc = start_fleet(server, random, error);
  if (rc < 0)
    return rc;
  if (start_turns(server) < 0)
    return error_text_set(error, FC_EREFUSED, "no descriptors for the timer of the tier");
  server->tier.on = true;
  dispatch_set_fleet(&server->dispatch, &server->tier.fleet);
  tick(server);
  return 0;
}

void server_tier_apply(struct server *server) {
  if (!server->tier.on)
    return;
  struct fleet_options live = live_options(server->options);
  fleet_set_options(&server->tier.fleet, &live);
  server->tier.fleet.config.max_fills = server->options->max_leases; /* as the memory's bound */
  server->tier.clears.config.deadline_ns = live.deadline_ns;
  tier_io_set_deadline(server->tier.io, live.deadline_ns);
}

/* ---- the end ---- */

bool server_tier_flush(struct server *server) {
  struct server_tier *tier = &server->tier;
  tier->flushing = tier->on && !fleet_is_idle(&tier->fleet);
  return tier->flushing;
}

void server_tier_close(struct server *server) {
  struct server_tier *tier = &server->tier;
  if (!tier->on || uv_is_closing((uv_handle_t *)&tier->turn))
    return;
  if (tier->fleet.queue.n > 0)
    log_line(&server->log, LOG_LEVEL_WARNING,
             "the tier did not take %u values before the stop: other nodes compute them again",
             tier->fleet.queue.n);
  tier->flushing = false;
  tier_io_close(tier->io);
  ticker_close(&tier->timer);
  uv_close((uv_handle_t *)&tier->turn, NULL);
}

void server_tier_deinit(struct server *server) {
  struct server_tier *tier = &server->tier;
  if (!tier->on)
    return;
  tier->on = false;
  dispatch_set_fleet(&server->dispatch, NULL);
  fleet_deinit(&tier->fleet);
  fleet_clears_deinit(&tier->clears);
  tier_io_free(tier->io);
}

/* ---- memory ---- */

/* A value with its head, and the text around it. */
#define REPLY_BYTES(max_value) ((uint64_t)(max_value) + FLEET_VALUE_HEAD + 64u)

uint64_t server_tier_bytes_max(const struct options *options) {
  struct tier_urls urls;
  struct error_text error;
  if (options->tier == NULL || tier_urls_parse(options->tier, &urls, &error) < 0)
    return 0;
  struct fleet_config sizes = sizes_of(options);
  return fleet_bytes_max(&sizes) + fleet_clears_bytes_max() +
         tier_io_bytes_max(REPLY_BYTES(options->max_value), urls.tls);
}

uint64_t server_tier_bytes(const struct server *server) {
  return server->tier.on
             ? fleet_bytes(&server->tier.fleet) + fleet_clears_bytes(&server->tier.clears)
             : 0;
}
