#include "daemon/options.h"

#include "daemon/base/check.h"
#include "daemon/base/parse.h"
#include "daemon/base/users.h"
#include "daemon/store/namespace_table.h"
#include "proto/cli/help_options.h"
#include "proto/cli/option_check.h"
#include "proto/cli/usage_error.h"
#include "proto/errors.h"
#include "proto/limits.h"

#include <argp.h>
#include <grp.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 1000000u
#define LEASES_MAX 10000000u
#define SECONDS_MAX_MS UINT32_MAX /* of any option */
#define TIMEOUT_MIN_MS 10u
#define TIMEOUT_MAX_MS 3600000u
#define SNAPSHOT_INTERVAL_MIN_MS 1000u
#define SNAPSHOT_INTERVAL_MAX_MS (7u * 24 * 3600 * 1000) /* a week */
#define SNAPSHOT_INTERVAL_DEFAULT_MS (10u * 60 * 1000)

static_assert(CLIENTS_MAX < ENTRY_HOLDERS_MAX / 2, "each client may hold the same entry");

/* ---- the table of options ----------------------------------------------- */

/* How the value is parsed, and the type of the field in struct options. */
enum kind {
  KIND_FLAG,    /* bool: no value */
  KIND_PATH,    /* const char * */
  KIND_GROUP,   /* gid_t, from a name or a number */
  KIND_COUNT,   /* uint32_t, from 1 */
  KIND_SECONDS, /* uint32_t, in milliseconds; min 0: 0 is allowed too */
  KIND_SIZE,    /* uint64_t */
  KIND_SIZE32,  /* uint32_t */
};

/* An option needs a field in struct options, a row here, and a line in the manual page. */
struct option_row {
  const char *name, *argument, *help;
  int letter; /* 0: none */
  enum kind kind;
  size_t field, given;        /* offsets in struct options; given: a bool, 0: none */
  uint64_t min, max, initial; /* of numbers */
  int section;                /* of --help */
};

#define FIELD(member) .field = offsetof(struct options, member)
#define GIVEN(member) .given = offsetof(struct options, member)

static const struct option_row table[] = {
    {"socket", "PATH",
     "Listen on PATH (default: the socket that systemd passes, else $XDG_RUNTIME_DIR/fcached.sock, "
     "else /run/fcached/fcached.sock)",
     's', KIND_PATH, FIELD(socket), .section = 1},
    {"socket-group", "GROUP", "Group of the socket, whose mode is 0660: its members may connect", 0,
     KIND_GROUP, FIELD(socket_group), GIVEN(has_socket_group), .section = 1},
    {"admin-group", "GROUP",
     "Group whose members may clear everything, control the trace, close connections and stop "
     "fcached",
     0, KIND_GROUP, FIELD(admin_group), GIVEN(has_admin_group), .section = 1},
    {"max-bytes", "SIZE", "Memory for the entries of all namespaces (default 256M)", 'm', KIND_SIZE,
     FIELD(max_bytes), .min = OPTIONS_BYTES_MIN, .max = OPTIONS_BYTES_MAX,
     .initial = FC_BYTES_MAX_DEFAULT, .section = 2},
    {"max-value", "SIZE", "Largest value (default 16M, at most --max-bytes and 1G)", 0, KIND_SIZE32,
     FIELD(max_value), GIVEN(has_max_value), .min = 1, .max = FC_VALUE_MAX_CEILING,
     .initial = FC_VALUE_MAX_DEFAULT, .section = 2},
    {"max-clients", "N", "Maximum connected clients (default 1000)", 0, KIND_COUNT,
     FIELD(max_clients), .min = 1, .max = CLIENTS_MAX, .initial = 1000, .section = 2},
    {"max-namespaces", "N",
     "Maximum namespaces; beyond it, the one longest without clients is removed (default 1024, at "
     "most 1250)",
     0, KIND_COUNT, FIELD(max_namespaces), .min = 1, .max = NAMESPACE_LIMIT_MAX,
     .initial = NAMESPACE_LIMIT_DEFAULT, .section = 2},
    {"max-leases", "N",
     "Maximum leases, and maximum waiters; one client may hold a quarter (default 65536)", 0,
     KIND_COUNT, FIELD(max_leases), .min = 1, .max = LEASES_MAX, .initial = 65536, .section = 2},
    {"user-share", "PERCENT",
     "Share that one user may hold of the clients, namespaces, leases, waits, rings and messages "
     "that other users leave; root and fcached's own user have no limit (default 75; 100: no "
     "limit)",
     0, KIND_COUNT, FIELD(user_share), .min = 1, .max = 100, .initial = USER_SHARE_DEFAULT,
     .section = 2},
    {"client-budget", "SIZE",
     "Memory for the messages in flight of all clients; half as much again for the kernel's send "
     "buffers, and as much again for rings (default 64M, or two of the largest messages)",
     0, KIND_SIZE, FIELD(client_budget), GIVEN(has_client_budget), .min = OPTIONS_BYTES_MIN,
     .max = OPTIONS_BYTES_MAX, .initial = OPTIONS_CLIENT_BUDGET_DEFAULT, .section = 2},
    {"no-region", NULL, "Disable hits by shared memory: each hit is a message", 0, KIND_FLAG,
     FIELD(no_region), .section = 2},
    {"trace", "FILE", "Append a JSON line per lookup to FILE; SIGHUP reopens it", 't', KIND_PATH,
     FIELD(trace), .section = 3},
    {"trace-dir", "DIR",
     "Let administrators start traces to files below DIR (default: the directory of --trace)", 0,
     KIND_PATH, FIELD(trace_dir), .section = 3},
    {"hello-timeout", "SECONDS", "Close a connection without a hello after SECONDS (default 10)", 0,
     KIND_SECONDS, FIELD(hello_timeout_ms), .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS,
     .initial = 10000, .section = 3},
    {"stall-timeout", "SECONDS",
     "Close a client that stalls mid-message or stops reading for SECONDS (default 10)", 0,
     KIND_SECONDS, FIELD(stall_timeout_ms), .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS,
     .initial = 10000, .section = 3},
    {"lease-max", "SECONDS", "Upper bound on the lease time that clients request (default 3600)", 0,
     KIND_SECONDS, FIELD(lease_max_ms), .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS,
     .initial = 3600000, .section = 3},
    {"state", "DIR",
     "Keep a snapshot of the cache in DIR, and start from it (default: none, a stopped cache is "
     "lost)",
     0, KIND_PATH, FIELD(state), .section = 3},
    {"snapshot-interval", "SECONDS",
     "Write the snapshot after SECONDS (default 600; 0: only at a clean stop and on request)", 0,
     KIND_SECONDS, FIELD(snapshot_interval_ms), .min = 0, .max = SNAPSHOT_INTERVAL_MAX_MS,
     .initial = SNAPSHOT_INTERVAL_DEFAULT_MS, .section = 3},
    {"verbose", NULL, "Also log clears, refused and dropped clients, with the reason", 'v',
     KIND_FLAG, FIELD(verbose), .section = 3},
};
#define N_OPTIONS (sizeof table / sizeof table[0])

static void *field_of(struct options *options, size_t offset) {
  return (char *)options + offset;
}

static void store_number(struct options *options, const struct option_row *option,
                         uint64_t number) {
  if (option->kind == KIND_SIZE)
    *(uint64_t *)field_of(options, option->field) = number;
  else
    *(uint32_t *)field_of(options, option->field) = (uint32_t)number;
}

void options_init(struct options *options) {
  *options = (struct options){0};
  for (size_t i = 0; i < N_OPTIONS; i++)
    if (table[i].initial > 0)
      store_number(options, &table[i], table[i].initial);
}

uint64_t options_min_budget(uint32_t max_value) {
  return 2 * ((uint64_t)max_value + FC_FRAME_SLACK);
}

/* ---- one value ---------------------------------------------------------- */

static int set_size(struct options *options, const struct option_row *option, const char *value,
                    struct error_text *error) {
  uint64_t bytes;
  char min[FORMAT_SIZE_MAX], max[FORMAT_SIZE_MAX];
  if (parse_size(value, &bytes) < 0)
    return error_text_set(error, FC_EINVAL,
                          "--%s: \"%s\" is not a size: give bytes, or a number with K, M, G or T, "
                          "as in 512M",
                          option->name, value);
  if (bytes < option->min || bytes > option->max)
    return error_text_set(error, FC_EINVAL, "--%s: %s is out of range: give %s to %s", option->name,
                          value, format_size(option->min, min), format_size(option->max, max));
  store_number(options, option, bytes);
  return 0;
}

static int set_count(struct options *options, const struct option_row *option, const char *value,
                     struct error_text *error) {
  uint64_t n;
  if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0')
    return error_text_set(error, FC_EINVAL, "--%s: \"%s\" is not a number: give 1 to %" PRIu64,
                          option->name, value, option->max);
  if (!parse_whole_number(value, &n) || n < option->min || n > option->max)
    return error_text_set(error, FC_EINVAL, "--%s: %s is out of range: give 1 to %" PRIu64,
                          option->name, value, option->max);
  store_number(options, option, n);
  return 0;
}

/* Parses seconds with up to three decimals. strtod would also take "inf" and "0x1", and a comma in
 * some locales. Returns false if malformed; a number out of range is any one above the maximum. */
static bool parse_seconds(const char *value, uint64_t *ms) {
  uint32_t decimals = 0;
  bool point = false;
  *ms = 0;
  if (value[0] < '0' || value[0] > '9')
    return false;
  for (const char *at = value; *at != '\0'; at++) {
    if (*at == '.' && !point && at[1] != '\0') {
      point = true;
    } else if (*at >= '0' && *at <= '9' && decimals < 3) {
      *ms = *ms > SECONDS_MAX_MS ? *ms : *ms * 10 + (uint64_t)(*at - '0');
      decimals += point;
    } else {
      return false;
    }
  }
  for (; decimals < 3; decimals++)
    *ms *= 10;
  return true;
}

static int set_seconds(struct options *options, const struct option_row *option, const char *value,
                       struct error_text *error) {
  uint64_t ms;
  if (!parse_seconds(value, &ms))
    return error_text_set(error, FC_EINVAL,
                          "--%s: \"%s\" is not a time: give seconds, with up to three decimals",
                          option->name, value);
  bool zero = option->min == 0; /* 0 has a meaning of its own */
  uint64_t least_ms = zero ? SNAPSHOT_INTERVAL_MIN_MS : option->min;
  if ((ms < least_ms || ms > option->max) && !(zero && ms == 0))
    return error_text_set(error, FC_EINVAL,
                          "--%s: %s is out of range: give %g to %" PRIu64 " seconds%s",
                          option->name, value, (double)least_ms / 1000, option->max / 1000,
                          zero ? ", or 0 for none" : "");
  store_number(options, option, ms);
  return 0;
}

static int set_group(struct options *options, const struct option_row *option, const char *value,
                     struct error_text *error) {
  const struct group *group = getgrnam(value);
  uint64_t gid;
  if (group != NULL)
    gid = group->gr_gid;
  else if (!parse_whole_number(value, &gid) || gid >= UINT32_MAX)
    return error_text_set(error, FC_EINVAL,
                          "--%s: there is no group \"%s\": create it, or give another",
                          option->name, value);
  *(gid_t *)field_of(options, option->field) = (gid_t)gid;
  return 0;
}

static int set_path(struct options *options, const struct option_row *option, const char *value,
                    struct error_text *error) {
  if (value[0] == '\0')
    return error_text_set(error, FC_EINVAL, "--%s: the path is empty: give a path", option->name);
  *(const char **)field_of(options, option->field) = value;
  return 0;
}

static int set_value(struct options *options, const struct option_row *option, const char *value,
                     struct error_text *error) {
  switch (option->kind) {
  case KIND_PATH:
    return set_path(options, option, value, error);
  case KIND_GROUP:
    return set_group(options, option, value, error);
  case KIND_COUNT:
    return set_count(options, option, value, error);
  case KIND_SECONDS:
    return set_seconds(options, option, value, error);
  case KIND_SIZE:
  case KIND_SIZE32:
    return set_size(options, option, value, error);
  case KIND_FLAG:
  default:
    *(bool *)field_of(options, option->field) = true;
    return 0;
  }
}

/* ---- all values --------------------------------------------------------- */

static const struct option_row *find_option(const char *name) {
  for (size_t i = 0; i < N_OPTIONS; i++)
    if (strcmp(table[i].name, name) == 0)
      return &table[i];
  return NULL;
}

int options_set(struct options *options, const char *name, const char *value,
                struct error_text *error) {
  const struct option_row *option = find_option(name);
  if (option == NULL)
    return error_text_set(error, FC_EINVAL, "there is no option --%s: see --help", name);
  if (value == NULL && option->kind != KIND_FLAG)
    return error_text_set(error, FC_EINVAL, "--%s: needs a value: see --help", name);
  int rc = set_value(options, option, value, error);
  if (rc == 0 && option->given > 0)
    *(bool *)field_of(options, option->given) = true;
  return rc;
}

int options_resolve(struct options *o, struct error_text *error) {
  char a[FORMAT_SIZE_MAX], b[FORMAT_SIZE_MAX];
  /* The texts give bytes too: two different sizes may round to the same text. */
  if (o->max_value > o->max_bytes) {
    if (o->has_max_value)
      return error_text_set(
          error, FC_EINVAL,
          "--max-value: %s (%" PRIu32 " bytes) is more than --max-bytes, %s (%" PRIu64
          " bytes): lower it, or raise that",
          format_size(o->max_value, a), o->max_value, format_size(o->max_bytes, b), o->max_bytes);
    o->max_value = (uint32_t)o->max_bytes;
  }
  uint64_t least = options_min_budget(o->max_value);
  if (o->client_budget < least) {
    if (o->has_client_budget)
      return error_text_set(error, FC_EINVAL,
                            "--client-budget: %s (%" PRIu64
                            " bytes) is less than two frames of --max-value need, %s (%" PRIu64
                            " bytes): raise it, or lower --max-value",
                            format_size(o->client_budget, a), o->client_budget,
                            format_size(least, b), least);
    o->client_budget = least;
  }
  check_le(o->max_value, o->max_bytes);
  check_le(options_min_budget(o->max_value), o->client_budget);
  return 0;
}

/* ---- the command line --------------------------------------------------- */

const char *argp_program_version = "fcached " FC_VERSION;

enum { KEY_FIRST_LONG = 256 };

static int key_of(size_t index) {
  return table[index].letter != 0 ? table[index].letter : KEY_FIRST_LONG + (int)index;
}

static const struct option_row *find_key(int key) {
  for (size_t i = 0; i < N_OPTIONS; i++)
    if (key_of(i) == key)
      return &table[i];
  return NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *options = state->input;
  struct error_text error;
  if (key == ARGP_KEY_ARG && strcmp(arg, "help") == 0)
    argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); /* exits */
  if (key == ARGP_KEY_ARG) {
    fc_usage_error(state->name, "unexpected argument \"%s\": fcached takes only options", arg);
    return 0;
  }
  if (key == ARGP_KEY_END) {
    if (options_resolve(options, &error) < 0)
      fc_usage_error(state->name, "%s", error.text);
    return 0;
  }
  const struct option_row *option = find_key(key);
  if (option == NULL)
    return ARGP_ERR_UNKNOWN;
  if (options_set(options, option->name, arg, &error) < 0)
    fc_usage_error(state->name, "%s", error.text);
  return 0;
}

void options_parse(int argc, char **argv, struct options *options) {
  struct argp_option argp_options[N_OPTIONS + 1] = {{0}};
  const struct argp_child children[] = {{&fc_help_argp, 0, NULL, 0}, {0}};
  struct argp argp = {
      .options = argp_options,
      .parser = parse,
      .doc = "Share expensive results between the processes of this machine."
             "\vExample: fcached --max-bytes 4G --state ~/.cache/fcached\n\nSizes take K, M, G or "
             "T (binary): 512M, 1.5G. Exit status: 0 after a clean stop, "
             "1 when it cannot start or go on, 2 for wrong usage.",
      .children = children,
      .help_filter = fc_help_filter,
  };
  for (size_t i = 0; i < N_OPTIONS; i++)
    argp_options[i] = (struct argp_option){.name = table[i].name,
                                           .key = key_of(i),
                                           .arg = table[i].argument,
                                           .doc = table[i].help,
                                           .group = table[i].section};
  options_init(options);
  argp_err_exit_status = 2;
  fc_option_check(&argp, argc, argv, false);
  error_t code = argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, options);
  if (code != 0) { /* out of memory: any other error has exited */
    argp_failure(NULL, 1, code, "cannot read the options");
    exit(1);
  }
}
