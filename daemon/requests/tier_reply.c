/* tier: the fleet as this daemon sees it, and the tier servers, page by page. */
#include <string.h>

#include "daemon/requests/handlers.h"
#include "daemon/requests/page.h"

#define TEXT_BYTES_MAX 8192u /* of a text, which is cut there: an URL may have many servers */
#define TEXTS 5u             /* of the tier; a server has 6 short ones */
#define NUMBER_BYTES_MAX 9u
#define NUMBERS 64u /* of a row, at most, without those of cells */
static_assert(PAGE_BYTES + TEXTS * TEXT_BYTES_MAX + 6u * TEXT_BYTES_MAX +
                      2u * (NUMBERS + 2u * FC_HISTOGRAM_CELLS) * NUMBER_BYTES_MAX <
                  FC_FRAME_SLACK,
              "the tier and a page of servers fit in a frame");

static struct fc_str text_of(const char *text) {
  return (struct fc_str){text, (uint32_t)strnlen(text, TEXT_BYTES_MAX)};
}

static void set_tier(struct fc_tier_entry *entry, const struct tier_report *report) {
  *entry = (struct fc_tier_entry){
      .url = text_of(report->url),
      .mode = text_of(report->mode),
      .prefix = text_of(report->prefix),
      .namespaces = text_of(report->namespaces),
      .id = text_of(report->id),
      .clear_version = report->clear_version,
      .asking = report->fills[TIER_FILL_ASKING],
      .leasing = report->fills[TIER_FILL_LEASING],
      .offered = report->fills[TIER_FILL_OFFERED],
      .held = report->fills[TIER_FILL_HELD],
      .remote = report->fills[TIER_FILL_REMOTE],
      .waits = report->waits,
      .queue_entries = report->queue_entries,
      .queue_bytes = report->queue_bytes,
      .queue_bytes_max = report->queue_bytes_max,
      .queue_age_ns = report->queue_age_ns,
      .fills = report->fills_begun,
      .fills_failed = report->fills_failed,
      .fills_late = report->fills_late,
      .skipped_down = report->skipped_down,
      .skipped_full = report->skipped_full,
      .remote_fills = report->remote_fills,
      .remote_hits = report->remote_hits,
      .leases = report->leases_taken,
      .leases_lost = report->leases_lost,
      .clears_learned = report->clears_learned,
      .dropped_full = report->drops[TIER_DROP_FULL],
      .dropped_old = report->drops[TIER_DROP_OLD],
      .dropped_refused = report->drops[TIER_DROP_REFUSED],
      .dropped_cleared = report->drops[TIER_DROP_CLEARED],
      .dropped_stop = report->drops[TIER_DROP_STOP],
  };
}

/* Sets the counters that the cache keeps for life: what this daemon added to them. */
static void set_totals(struct fc_tier_entry *entry, const struct dispatch *dispatch) {
  const struct tier_totals *now = &dispatch->totals->tier, *before = &dispatch->at_start.tier;
  entry->hits = now->hits - before->hits;
  entry->misses = now->misses - before->misses;
  entry->bad_values = now->bad_values - before->bad_values;
  entry->writes = now->writes - before->writes;
  entry->kept = now->kept - before->kept;
}

static void set_class(struct fc_tier_class *to, const struct tier_server_report *server,
                      enum tier_class class, const struct call *call) {
  const struct tier_breaker_report *breaker = &server->breakers[class];
  to->state = text_of(breaker_state_text(breaker->state));
  to->since_ns = page_since(call->start_ns, breaker->since_ns);
  to->error = text_of(breaker->error);
  if (server->latencies[class] != NULL)
    to->times = *server->latencies[class];
}

static void add_server(const struct call *call, struct page *page,
                       const struct tier_server_report *server) {
  struct fc_tier_server_entry entry = {
      .address = text_of(server->address),
      .role = text_of(server->role),
      .slots = server->slots,
      .connected = server->connected,
      .in_flight = server->in_flight,
      .reads = server->reads,
      .hits = server->hits,
      .misses = server->misses,
      .writes = server->writes,
      .timeouts = server->timeouts,
      .errors = server->errors,
      .reconnects = server->reconnects,
      .redirects = server->redirects,
  };
  set_class(&entry.read, server, TIER_READS, call);
  set_class(&entry.write, server, TIER_WRITES, call);
  (void)fc_encode_tier_server_entry(&page->items, &entry); /* page_send checks `failed` */
  page->last = server->serial;
  page->n++;
}

/* Adds servers until the page is full. Returns true if more follow. */
static bool add_servers(const struct call *call, struct page *page) {
  const struct tier_source *source = &call->dispatch->tier;
  for (;;) {
    struct tier_server_report server = {0};
    if (!source->next_server(source->arg, page->last, &server))
      return false;
    if (page_is_full(page))
      return true;
    add_server(call, page, &server);
  }
}

static enum dispatch_result reply_page(const struct call *call, struct page *page,
                                       const struct fc_tier_entry *tier, bool more) {
  uint8_t cursor[PAGE_CURSOR_BYTES];
  const struct fc_tier_reply reply = {
      .tier = *tier,
      .servers = {.cursor = cursor, .cursor_size = more ? PAGE_CURSOR_BYTES : 0, .n = page->n}};
  page_cursor(page, cursor);
  (void)fc_encode_tier_reply_head(&call->dispatch->reply, call->id,
                                  &reply); /* call_reply_items checks `failed` */
  return call_reply_items(call, &page->items);
}

enum dispatch_result handle_tier(const struct call *call, const struct fc_tier_request *request) {
  const struct tier_source *source = &call->dispatch->tier;
  const struct fc_page open = {
      .limit = request->limit, .cursor = request->cursor, .cursor_size = request->cursor_size};
  struct fc_tier_entry tier = {.url = {"", 0}};
  struct tier_report report = {0};
  struct page page;
  bool more = false;
  if (page_open(call, &open, &page) < 0)
    return page_bad_cursor(call);
  if (source->report != NULL) {
    source->report(source->arg, call->start_ns, &report);
    set_tier(&tier, &report);
    set_totals(&tier, call->dispatch);
    more = add_servers(call, &page);
  }
  return reply_page(call, &page, &tier, more);
}
