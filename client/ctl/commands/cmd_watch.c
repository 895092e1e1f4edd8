/* fcachectl watch */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/print/event_line.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"
#include "client/lib/admin/event_stream.h"
#include "proto/errors.h"

#define WAIT_MS 500u /* of a request: after that, the command looks for a reader and a signal */
#define RECONNECT_MS 100u /* between two attempts */

#define BIT(kind) (1u << (kind))
#define DEFAULT_KINDS                                                                              \
  (BIT(FC_EVENT_MISS) | BIT(FC_EVENT_PUT) | BIT(FC_EVENT_EVICTION) | BIT(FC_EVENT_CLEAR) |         \
   BIT(FC_EVENT_DELETE))
#define ALL_KINDS (DEFAULT_KINDS | BIT(FC_EVENT_HIT) | BIT(FC_EVENT_LEASE))

static struct {
  struct key_filter filter;
  const char *client;
  uint32_t kinds; /* 0: none was given */
  bool json;
  unsigned long count; /* events, or 0 for no end */
} args;

/* What has come so far. */
static struct {
  uint64_t events, lost;
  bool failed; /* out of memory */
} seen;

static volatile sig_atomic_t interrupted;

enum { KEY_KIND = 256, KEY_ALL = KEY_KIND + FC_EVENT_KINDS, KEY_CLIENT };

static const struct argp_option options[] = {
    {"misses", KEY_KIND + FC_EVENT_MISS, NULL, 0, "Lookups that found nothing", 0},
    {"puts", KEY_KIND + FC_EVENT_PUT, NULL, 0, "Values that were put", 0},
    {"evictions", KEY_KIND + FC_EVENT_EVICTION, NULL, 0, "Evicted entries, with the limit", 0},
    {"clears", KEY_KIND + FC_EVENT_CLEAR, NULL, 0, "Clears, with what they selected", 0},
    {"deletes", KEY_KIND + FC_EVENT_DELETE, NULL, 0, "Deletes of single keys", 0},
    {"hits", KEY_KIND + FC_EVENT_HIT, NULL, 0, "Hits, up to 0.1 s late", 0},
    {"leases", KEY_KIND + FC_EVENT_LEASE, NULL, 0, "Leases: their begin and their end", 0},
    {"all", KEY_ALL, NULL, 0, "All of these (default: all but hits and leases)", 0},
    KEY_FILTER_OPTIONS,
    {"client", KEY_CLIENT, "NAME", 0, "Only events that this client caused", 0},
    {"count", 'c', "N", 0, "Stop after N events", 0},
    COMMAND_NO_TRUNC,
    {"json", 'j', NULL, 0, "One JSON object a line, with whole hashes and names", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  if (key > KEY_KIND && key < KEY_ALL) {
    args.kinds |= BIT((unsigned)(key - KEY_KIND));
    return 0;
  }
  switch (key) {
  case KEY_ALL:
    args.kinds |= ALL_KINDS;
    return 0;
  case KEY_CLIENT:
    args.client = argument_name(state, "client", arg);
    return 0;
  case 'c':
    args.count = argument_number(state, "count", arg, 1, 1000000000);
    return 0;
  case 'j':
    args.json = true;
    return 0;
  default:
    return key_filter_parse(&args.filter, key, arg, state);
  }
}

/* ---- the end ---- */

static void on_signal(int number) {
  (void)number;
  interrupted = 1;
}

/* The first SIGINT ends the wait, and a second one the process. A reader that has gone ends the
 * command quietly, whatever the parent has set. */
static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

  (void)sigaction(SIGINT, &action, NULL); /* these fail for invalid numbers only */
  (void)sigaction(SIGTERM, &action, NULL);
  (void)signal(SIGPIPE, SIG_DFL);
}

/* Returns whether the reader of stdout has gone. While no event comes, no write shows it. */
static bool reader_has_gone(void) {
  struct pollfd out = {.fd = STDOUT_FILENO};

  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

static bool is_complete(void) {
  return args.count > 0 && seen.events >= args.count;
}

/* ---- events ---- */

static void print_event(void *arg, const struct fc_event *event) {
  (void)arg;
  if (event->kind >= FC_EVENT_KINDS || is_complete())
    return;
  if (event->kind == FC_EVENT_LOST)
    seen.lost += event->count;
  else
    seen.events++;
  if (!args.json)
    event_line_print(stdout, event);
  else if (event_line_json(stdout, event) < 0)
    seen.failed = true;
}

static int begin(struct admin *admin) {
  struct fc_select select = key_filter_select(&args.filter);
  struct fc_watch wish = {.kinds = args.kinds != 0 ? args.kinds : DEFAULT_KINDS,
                          .name_space = select.name_space,
                          .op = select.op,
                          .view = select.view,
                          .client = fc_str_of(args.client)};

  return event_stream_begin(admin, &wish);
}

/* Waits for the next daemon. Returns 0, also if a signal ends the wait, or an error. */
static int connect_again(struct admin *admin) {
  struct timespec pause = {.tv_nsec = RECONNECT_MS * 1000000L};
  int result = FC_EUNAVAILABLE;

  (void)report_error("%s: waiting for the next daemon", admin_error(admin));
  while (result == FC_EUNAVAILABLE && !interrupted && !reader_has_gone()) {
    (void)nanosleep(&pause, NULL); /* if interrupted: an early attempt */
    result = admin_reconnect(admin);
    if (result == 0)
      result = begin(admin);
  }
  if (result == 0)
    (void)report_error("connected again, to %s: events in between are not known",
                       admin_server(admin));
  return result == FC_EUNAVAILABLE ? 0 : result;
}

static int watch(struct admin *admin) {
  int result = begin(admin);

  if (result == 0 && !args.json)
    event_line_header(stdout);
  (void)fflush(stdout); /* main reports an error of the stream */
  while (result >= 0 && !interrupted && !is_complete() && !seen.failed) {
    result = event_stream_next(admin, WAIT_MS, print_event, NULL);
    if (fflush(stdout) != 0 || reader_has_gone()) /* main reports an error of the stream */
      break;
    if (result == FC_EUNAVAILABLE)
      result = connect_again(admin);
  }
  return result < 0 ? result : 0;
}

static int run(struct admin *admin) {
  int result;

  catch_signals();
  result = watch(admin);
  if (result < 0)
    return report_result(admin, result);
  if (seen.failed)
    return report_error("out of memory");
  (void)fprintf(stderr, "%" PRIu64 " event%s, %" PRIu64 " lost\n", seen.events,
                units_plural(seen.events), seen.lost);
  return CTL_DONE;
}

const struct command watch_command = {
    .name = "watch",
    .purpose = COMMAND_LOOK,
    .summary = "print misses, puts, evictions and clears as they happen",
    .doc = "Print events of the daemon as they happen, until interrupted. A watcher that is too "
           "slow loses events, and prints how many."
           "\v"
           "Examples:\n"
           "  fcachectl watch --evictions --namespace gpt2\n"
           "  fcachectl watch --json --count 1000 | jq .event",
    .options = options,
    .parse = parse,
    .run = run};
