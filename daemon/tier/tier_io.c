#include "daemon/tier/tier_io.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/tier/tier_internal.h"
#include "daemon/tier/tier_link.h"
#include "daemon/tier/tier_router.h"
#include "proto/errors.h"

/* ---- turns and deadlines ---- */

/* The timer is set for the earliest time. If that passes without a cause, it costs less than to set
 * the timer for each op. */
static void arm(struct tier_io *tier, uint64_t at_ns) {
  tier->armed_ns = at_ns;
  ticker_once(&tier->timer, at_ns);
}

static void on_judge(uv_check_t *handle) {
  struct tier_io *tier = handle->data;
  uint64_t now_ns = uv_hrtime(), next_ns = UINT64_MAX;
  (void)uv_check_stop(&tier->judge); /* always succeeds */
  tier->judging = false;
  for (struct tier_link *link = tier->links; link != NULL; link = link->next) {
    tier_link_expire(link, now_ns);
    uint64_t at_ns = tier_link_next_ns(link);
    next_ns = at_ns < next_ns ? at_ns : next_ns;
  }
  tier_io_schedule(tier); /* also stops the turns */
  tier_io_wake_at(tier, next_ns);
}

/* While deadlines are judged, the turns go on: so the loop does not wait before on_judge. */
static void on_turn(uv_idle_t *handle) {
  struct tier_io *tier = handle->data;
  uint64_t now_ns = uv_hrtime();
  if (tier->judging)
    (void)uv_check_start(&tier->judge, on_judge); /* fails only without a callback */
  else
    (void)uv_idle_stop(&tier->turn); /* always succeeds */
  for (struct tier_link *link = tier->links; link != NULL; link = link->next)
    tier_link_turn(link, now_ns);
  tier_router_turn(tier, now_ns);
}

void tier_io_schedule(struct tier_io *tier) {
  if (!tier->closing)
    (void)uv_idle_start(&tier->turn, on_turn); /* fails only without a callback */
}

/* Replies that are in the socket already count as in time. So the loop receives once more, in the
 * next turn, and on_judge decides after it. */
static void on_timer(void *arg) {
  struct tier_io *tier = arg;
  tier->armed_ns = UINT64_MAX;
  tier->judging = true;
  tier_io_schedule(tier);
}

void tier_io_wake_at(struct tier_io *tier, uint64_t at_ns) {
  if (at_ns < tier->armed_ns && !tier->closing)
    arm(tier, at_ns);
}

/* ---- large replies ---- */

bool tier_io_take_large(struct tier_io *tier, struct tier_link *link) {
  if (tier->large == NULL)
    tier->large = link;
  return tier->large == link;
}

/* The next one in the list goes on, so that all get a turn. */
void tier_io_release_large(struct tier_io *tier, struct tier_link *link) {
  if (tier->large != link)
    return;
  tier->large = NULL;
  for (struct tier_link *next = link->next; next != link;
       next = next != NULL ? next->next : tier->links)
    if (next != NULL && next->paused) {
      tier->large = next;
      next->resume = true;
      tier_io_schedule(tier);
      return;
    }
}

/* ---- the interface ---- */

static bool submit(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns) {
  struct tier_io *tier = (struct tier_io *)io;
  if (tier->closing)
    return false;
  uint64_t within_ns = op->deadline_ns > now_ns ? op->deadline_ns - now_ns : 0;
  op->submitted_ns = now_ns;
  op->end_ns = now_ns + FLEET_IO_DEADLINES * within_ns;
  op->tries = 0;
  return tier_link_submit(tier_router_find(tier, op), op, 0);
}

static void cancel(struct fleet_io *io, struct fleet_op *op) {
  (void)io;
  if (op->server != NULL)
    tier_link_cancel(op->server, op);
}

/* ---- the life of the transport ---- */

static int init_handles(struct tier_io *tier) {
  uv_loop_t *loop = tier->config.loop;
  int code = ticker_init(&tier->timer, loop, on_timer, tier);
  if (code < 0)
    return code;
  /* These only set fields, and cannot fail. */
  (void)uv_idle_init(loop, &tier->turn);
  (void)uv_check_init(loop, &tier->judge);
  tier->turn.data = tier->judge.data = tier;
  return 0;
}

int tier_io_init(struct tier_io **out, const struct tier_io_config *config,
                 struct error_text *error) {
  struct tier_io *tier = calloc(1, sizeof *tier);
  *out = NULL;
  if (tier == NULL)
    return error_text_set(error, FC_ENOMEM, "no memory for the tier");
  tier->config = *config;
  tier->io = (struct fleet_io){.submit = submit, .cancel = cancel};
  tier->armed_ns = UINT64_MAX;
  int code = config->urls->tls ? tls_context_load(&tier->tls, &config->tls, error) : 0;
  if (code < 0) {
    free(tier);
    return code;
  }
  if (init_handles(tier) < 0) {
    tls_context_deinit(&tier->tls);
    free(tier);
    return error_text_set(error, FC_EREFUSED, "no descriptors for the tier");
  }
  tier->links = tier_link_new(tier, config->urls->addresses, config->urls->n, NULL);
  *out = tier;
  if (tier->links == NULL) {
    tier_io_close(tier);
    return error_text_set(error, FC_ENOMEM, "no memory or descriptors for the tier");
  }
  tier_link_connect(tier->links, uv_hrtime());
  return 0;
}

struct fleet_io *tier_io_interface(struct tier_io *tier) {
  return &tier->io;
}

void tier_io_set_deadline(struct tier_io *tier, uint64_t deadline_ns) {
  tier->config.deadline_ns = deadline_ns;
}

void tier_io_close(struct tier_io *tier) {
  if (tier->closing)
    return;
  tier->closing = true;
  while (tier->links != NULL) {
    struct tier_link *next = tier->links->next;
    tier_link_free(tier->links);
    tier->links = next;
  }
  tls_context_deinit(&tier->tls);
  ticker_close(&tier->timer);
  uv_close((uv_handle_t *)&tier->turn, NULL);
  uv_close((uv_handle_t *)&tier->judge, NULL);
}

void tier_io_free(struct tier_io *tier) {
  check_eq(tier == NULL || tier->closing, true);
  free(tier);
}
