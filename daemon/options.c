#include "daemon/options.h"

#include "daemon/base/parse_size.h"
#include "daemon/base/users.h"
#include "daemon/store/namespace_table.h"
#include "proto/errors.h"
#include "proto/limits.h"

#include <argp.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MIN 4096u
#define CLIENTS_MAX 1000000u
#define LEASES_MAX 10000000u
#define TIMEOUT_MIN_MS 10u
#define TIMEOUT_MAX_MS 3600000u

void options_init(struct options *options) {
  *options = (struct options){
      .max_bytes = FC_BYTES_MAX_DEFAULT,
      .max_value = FC_VALUE_MAX_DEFAULT,
      .max_clients = 1000,
      .user_share = USER_SHARE_DEFAULT,
      .max_namespaces = NAMESPACE_LIMIT_DEFAULT,
      .client_budget = OPTIONS_CLIENT_BUDGET_DEFAULT,
      .hello_timeout_ms = 10000,
      .stall_timeout_ms = 10000,
      .lease_max_ms = 3600000,
      .max_leases = 65536,
  };
}

uint64_t options_min_budget(uint32_t max_value) {
  return 2 * ((uint64_t)max_value + FC_FRAME_SLACK);
}

/* ---- one value ---------------------------------------------------------- */

static int set_size(const char *name, const char *value, uint64_t min, uint64_t max, uint64_t *out,
                    struct fault *fault) {
  uint64_t bytes;
  char low[SIZE_TEXT_SIZE], high[SIZE_TEXT_SIZE];
  if (size_parse(value, &bytes) < 0)
    return fault_set(fault, FC_EINVAL,
                     "--%s: \"%s\" is not a size: give bytes, or a number with K, M, G or T, as in "
                     "512M",
                     name, value);
  if (bytes < min || bytes > max)
    return fault_set(fault, FC_EINVAL, "--%s: %s is out of range: give %s to %s", name, value,
                     size_format(min, low), size_format(max, high));
  *out = bytes;
  return 0;
}

static int set_count(const char *name, const char *value, uint32_t max, uint32_t *out,
                     struct fault *fault) {
  char *end;
  errno = 0;
  unsigned long n = strtoul(value, &end, 10);
  if (value[0] < '0' || value[0] > '9' || *end != '\0')
    return fault_set(fault, FC_EINVAL, "--%s: \"%s\" is not a number: give 1 to %" PRIu32, name,
                     value, max);
  if (errno == ERANGE || n < 1 || n > max)
    return fault_set(fault, FC_EINVAL, "--%s: %s is out of range: give 1 to %" PRIu32, name, value,
                     max);
  *out = (uint32_t)n;
  return 0;
}

/* Seconds with up to three decimals, by hand: strtod takes "inf", "0x1" and a
 * comma in some locales. */
static int set_seconds(const char *name, const char *value, uint32_t *out_ms, struct fault *fault) {
  uint64_t ms = 0;
  uint32_t decimals = 0;
  bool point = false, good = value[0] >= '0' && value[0] <= '9';
  for (const char *at = value; *at != '\0' && good; at++) {
    if (*at == '.' && !point) {
      point = true;
      good = at[1] != '\0';
    } else if (*at >= '0' && *at <= '9' && decimals < 3) {
      ms = ms > TIMEOUT_MAX_MS ? ms : ms * 10 + (uint64_t)(*at - '0'); /* stays out of range */
      decimals += point;
    } else {
      good = false;
    }
  }
  if (!good)
    return fault_set(fault, FC_EINVAL,
                     "--%s: \"%s\" is not a time: give seconds, with up to three decimals", name,
                     value);
  for (; decimals < 3; decimals++)
    ms *= 10;
  if (ms < TIMEOUT_MIN_MS || ms > TIMEOUT_MAX_MS)
    return fault_set(fault, FC_EINVAL, "--%s: %s is out of range: give 0.01 to 3600 seconds", name,
                     value);
  *out_ms = (uint32_t)ms;
  return 0;
}

static int set_group(const char *name, const char *value, gid_t *out, struct fault *fault) {
  errno = 0;
  const struct group *group = getgrnam(value);
  if (group != NULL) {
    *out = group->gr_gid;
    return 0;
  }
  char *end;
  unsigned long long gid = strtoull(value, &end, 10);
  if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && gid < UINT32_MAX) {
    *out = (gid_t)gid;
    return 0;
  }
  return fault_set(fault, FC_EINVAL, "--%s: there is no group \"%s\": make it, or give another",
                   name, value);
}

static int set_path(const char *name, const char *value, const char **out, struct fault *fault) {
  if (value[0] == '\0')
    return fault_set(fault, FC_EINVAL, "--%s: the path is empty: give a path", name);
  *out = value;
  return 0;
}

/* ---- all of them -------------------------------------------------------- */

static int set_max_value(struct options *o, const char *name, const char *value,
                         struct fault *fault) {
  uint64_t bytes = 0;
  int r = set_size(name, value, 1, FC_VALUE_MAX_CEILING, &bytes, fault);
  if (r < 0)
    return r;
  o->max_value = (uint32_t)bytes;
  o->has_max_value = true;
  return 0;
}

static int set_client_budget(struct options *o, const char *name, const char *value,
                             struct fault *fault) {
  int r = set_size(name, value, BYTES_MIN, UINT64_C(1) << 50, &o->client_budget, fault);
  o->has_client_budget = r == 0;
  return r;
}

static int set_sizes(struct options *o, const char *name, const char *value, struct fault *fault) {
  if (strcmp(name, "max-bytes") == 0)
    return set_size(name, value, BYTES_MIN, UINT64_C(1) << 50, &o->max_bytes, fault);
  if (strcmp(name, "max-value") == 0)
    return set_max_value(o, name, value, fault);
  if (strcmp(name, "client-budget") == 0)
    return set_client_budget(o, name, value, fault);
  if (strcmp(name, "max-clients") == 0)
    return set_count(name, value, CLIENTS_MAX, &o->max_clients, fault);
  if (strcmp(name, "user-share") == 0)
    return set_count(name, value, 100, &o->user_share, fault);
  if (strcmp(name, "max-namespaces") == 0)
    return set_count(name, value, NAMESPACE_LIMIT_MAX, &o->max_namespaces, fault);
  if (strcmp(name, "max-leases") == 0)
    return set_count(name, value, LEASES_MAX, &o->max_leases, fault);
  return fault_set(fault, FC_EINVAL, "there is no option --%s: see --help", name);
}

int options_set(struct options *o, const char *name, const char *value, struct fault *fault) {
  if (strcmp(name, "verbose") == 0) {
    o->verbose = true;
    return 0;
  }
  if (strcmp(name, "no-region") == 0) {
    o->no_region = true;
    return 0;
  }
  if (value == NULL)
    return fault_set(fault, FC_EINVAL, "--%s: needs a value: see --help", name);
  if (strcmp(name, "socket") == 0)
    return set_path(name, value, &o->socket, fault);
  if (strcmp(name, "trace") == 0)
    return set_path(name, value, &o->trace, fault);
  if (strcmp(name, "trace-dir") == 0)
    return set_path(name, value, &o->trace_dir, fault);
  if (strcmp(name, "hello-timeout") == 0)
    return set_seconds(name, value, &o->hello_timeout_ms, fault);
  if (strcmp(name, "stall-timeout") == 0)
    return set_seconds(name, value, &o->stall_timeout_ms, fault);
  if (strcmp(name, "lease-max") == 0)
    return set_seconds(name, value, &o->lease_max_ms, fault);
  if (strcmp(name, "socket-group") == 0) {
    int r = set_group(name, value, &o->socket_group, fault);
    o->has_socket_group = r == 0;
    return r;
  }
  if (strcmp(name, "admin-group") == 0) {
    int r = set_group(name, value, &o->admin_group, fault);
    o->has_admin_group = r == 0;
    return r;
  }
  return set_sizes(o, name, value, fault);
}

int options_settle(struct options *o, struct fault *fault) {
  char a[SIZE_TEXT_SIZE], b[SIZE_TEXT_SIZE];
  /* Also in bytes: two sizes that differ may read alike when they are rounded. */
  if (o->max_value > o->max_bytes) {
    if (o->has_max_value)
      return fault_set(fault, FC_EINVAL,
                       "--max-value: %s (%" PRIu32 " bytes) is more than --max-bytes, %s (%" PRIu64
                       " bytes): lower it, or raise that",
                       size_format(o->max_value, a), o->max_value, size_format(o->max_bytes, b),
                       o->max_bytes);
    o->max_value = (uint32_t)o->max_bytes;
  }
  uint64_t least = options_min_budget(o->max_value);
  if (o->client_budget < least) {
    if (o->has_client_budget)
      return fault_set(fault, FC_EINVAL,
                       "--client-budget: %s (%" PRIu64
                       " bytes) is less than two frames of --max-value need, %s (%" PRIu64
                       " bytes): raise it, or lower --max-value",
                       size_format(o->client_budget, a), o->client_budget, size_format(least, b),
                       least);
    o->client_budget = least;
  }
  return 0;
}

/* ---- the command line --------------------------------------------------- */

const char *argp_program_version = "fcached " FC_VERSION;

enum { KEY_FIRST_LONG = 256 };

static const struct argp_option table[] = {
    {"socket", 's', "PATH", 0,
     "Listen there (default: the socket that systemd hands over, else $XDG_RUNTIME_DIR/"
     "fcached.sock, else /run/fcached/fcached.sock)",
     1},
    {"socket-group", KEY_FIRST_LONG, "GROUP", 0,
     "Group of the socket, whose mode is 0660: its members may connect", 1},
    {"admin-group", KEY_FIRST_LONG + 1, "GROUP", 0,
     "Its members may clear everything, control the trace, close clients' connections and shut "
     "down",
     1},
    {"max-bytes", 'm', "SIZE", 0, "Memory for entries, of all namespaces together (256M)", 2},
    {"max-value", KEY_FIRST_LONG + 2, "SIZE", 0, "Largest value (16M; at most --max-bytes, and 1G)",
     2},
    {"max-clients", KEY_FIRST_LONG + 3, "N", 0, "Clients at a time (1000)", 2},
    {"max-namespaces", KEY_FIRST_LONG + 4, "N", 0,
     "Namespaces at a time; past it, the one longest without clients goes (1024; at most 1250)", 2},
    {"user-share", KEY_FIRST_LONG + 12, "PERCENT", 0,
     "Most of what the other users leave that one user may hold, of clients, namespaces, leases, "
     "waits, rings and messages; root and fcached's own user have no such limit (75; 100: nobody "
     "has one)",
     2},
    {"client-budget", KEY_FIRST_LONG + 5, "SIZE", 0,
     "Memory for messages in flight, of all clients together; half as much again for the kernel's "
     "buffers of replies, and as much again for the rings in which clients record hits (64M, or "
     "two "
     "of the largest messages)",
     2},
    {"trace", 't', "FILE", 0, "Append a JSON line per lookup to FILE; SIGHUP reopens it", 3},
    {"trace-dir", KEY_FIRST_LONG + 11, "DIR", 0,
     "Let clients that may control the trace have it written to files below DIR (the folder of "
     "--trace's FILE)",
     3},
    {"hello-timeout", KEY_FIRST_LONG + 6, "SECONDS", 0, "For a new client to say hello (10)", 3},
    {"stall-timeout", KEY_FIRST_LONG + 7, "SECONDS", 0,
     "For a client that is in the middle of a message, or does not read, to go on (10)", 3},
    {"max-leases", KEY_FIRST_LONG + 9, "N", 0,
     "Results being computed at a time, and clients' waits for them: as many of each; one client "
     "may have a quarter (65536)",
     2},
    {"lease-max", KEY_FIRST_LONG + 10, "SECONDS", 0,
     "Longest that a client may take over a result that others wait for, whatever it asks for "
     "(3600)",
     3},
    {"no-region", KEY_FIRST_LONG + 8, NULL, 0,
     "Do not let clients read the cache themselves: each hit is a message", 2},
    {"verbose", 'v', NULL, 0, "Also log clears, and who is refused or cut, and why", 3},
    {NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0}, /* as --help */
    {0},
};

static const struct argp_option *find(int key) {
  for (const struct argp_option *option = table; option->key != 0; option++) {
    if (option->name != NULL && option->key == key)
      return option;
  }
  return NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *options = state->input;
  struct fault fault;
  if (key == 'h' || (key == ARGP_KEY_ARG && strcmp(arg, "help") == 0))
    argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); /* ends the process */
  if (key == ARGP_KEY_ARG) {
    argp_error(state, "\"%s\" is not an option: fcached takes no arguments", arg);
    return 0;
  }
  if (key == ARGP_KEY_END) {
    if (options_settle(options, &fault) < 0)
      argp_error(state, "%s", fault.text);
    return 0;
  }
  const struct argp_option *option = find(key);
  if (option == NULL)
    return ARGP_ERR_UNKNOWN;
  if (options_set(options, option->name, arg, &fault) < 0)
    argp_error(state, "%s", fault.text);
  return 0;
}

void options_parse(int argc, char **argv, struct options *options) {
  static const struct argp argp = {
      .options = table,
      .parser = parse,
      .doc = "Share expensive results between the processes of this machine."
             "\vSizes take K, M, G or T (binary): 512M, 1.5G. Exit status: 0 after a clean stop, "
             "1 when it cannot start or go on, 2 for wrong usage.",
  };
  options_init(options);
  argp_err_exit_status = 2;
  error_t error = argp_parse(&argp, argc, argv, 0, NULL, options);
  if (error != 0) { /* out of memory: all else has exited */
    argp_failure(NULL, 1, error, "cannot read the options");
    exit(1);
  }
}
