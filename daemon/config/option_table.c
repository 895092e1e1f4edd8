#include "daemon/config/option_table.h"

#include "daemon/base/users.h"
#include "daemon/config/options.h"
#include "daemon/config/tier_options.h"
#include "daemon/store/namespace_table.h"
#include "proto/limits.h"
#include "proto/nearest.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define CLIENTS_MAX 1000000u
#define LEASES_MAX 10000000u
#define TIMEOUT_MIN_MS 10u
#define TIMEOUT_MAX_MS 3600000u
#define SNAPSHOT_INTERVAL_MAX_MS (7u * 24 * 3600 * 1000) /* a week */
#define SNAPSHOT_INTERVAL_DEFAULT_MS (10u * 60 * 1000)
#define TIER_DEADLINE_MAX_MS 60000u
#define TIER_TTL_MAX_MS (30u * 24 * 3600 * 1000) /* 30 days */
#define TIER_LEASE_MIN_MS 100u

static_assert(CLIENTS_MAX < ENTRY_HOLDERS_MAX / 2, "each client may hold the same entry");

#define FIELD(member) .field = offsetof(struct options, member)
#define GIVEN(member) .given = offsetof(struct options, member)
#define LIVE .change = OPTION_LIVE

static const char *const tier_modes[] = {[TIER_READ_WRITE] = "read-write",
                                         [TIER_READ_ONLY] = "read-only",
                                         [TIER_WRITE_ONLY] = "write-only",
                                         NULL};

const struct option_row option_table[] = {
    {"socket", "PATH",
     "Listen on PATH (default: the socket that systemd passes, else $XDG_RUNTIME_DIR/fcached.sock, "
     "else /run/fcached/fcached.sock)",
     's', OPTION_PATH, FIELD(socket), .section = 1},
    {"socket-group", "GROUP", "Group of the socket, whose mode is 0660: its members may connect", 0,
     OPTION_GROUP, FIELD(socket_group), GIVEN(has_socket_group), .section = 1},
    {"admin-group", "GROUP",
     "Group whose members may clear everything, control the trace, close connections and stop "
     "fcached",
     0, OPTION_GROUP, LIVE, FIELD(admin_group), GIVEN(has_admin_group), .section = 1},
    {"max-bytes", "SIZE", "Memory for the entries of all namespaces (default 256M)", 'm',
     OPTION_SIZE, LIVE, FIELD(max_bytes), .min = OPTIONS_BYTES_MIN, .max = OPTIONS_BYTES_MAX,
     .initial = FC_BYTES_MAX_DEFAULT, .section = 2},
    {"max-value", "SIZE", "Largest value (default 16M, at most --max-bytes and 1G)", 0,
     OPTION_SIZE32, FIELD(max_value), GIVEN(has_max_value), .min = 1, .max = FC_VALUE_MAX_CEILING,
     .initial = FC_VALUE_MAX_DEFAULT, .section = 2},
    {"max-clients", "N", "Maximum connected clients (default 1000)", 0, OPTION_COUNT, LIVE,
     FIELD(max_clients), .min = 1, .max = CLIENTS_MAX, .initial = 1000, .section = 2},
    {"max-namespaces", "N",
     "Maximum namespaces; beyond it, the one longest without clients is removed (default 1024, at "
     "most 1250)",
     0, OPTION_COUNT, LIVE, FIELD(max_namespaces), .min = 1, .max = NAMESPACE_LIMIT_MAX,
     .initial = NAMESPACE_LIMIT_DEFAULT, .section = 2},
    {"max-leases", "N",
     "Maximum leases, and maximum waiters; one client may hold a quarter (default 65536)", 0,
     OPTION_COUNT, LIVE, FIELD(max_leases), .min = 1, .max = LEASES_MAX, .initial = 65536,
     .section = 2},
    {"user-share", "PERCENT",
     "Share that one user may hold of the clients, namespaces, leases, waits, rings and messages "
     "that other users leave; root and fcached's own user have no limit (default 75; 100: no "
     "limit)",
     0, OPTION_COUNT, LIVE, FIELD(user_share), .min = 1, .max = 100, .initial = USER_SHARE_DEFAULT,
     .section = 2},
    {"client-budget", "SIZE",
     "Memory for the messages in flight of all clients; half as much again for the kernel's send "
     "buffers, and as much again for rings (default 64M, or two of the largest messages)",
     0, OPTION_SIZE, FIELD(client_budget), GIVEN(has_client_budget), .min = OPTIONS_BYTES_MIN,
     .max = OPTIONS_BYTES_MAX, .initial = OPTIONS_CLIENT_BUDGET_DEFAULT, .section = 2},
    {"no-region", "yes|no", "Disable hits by shared memory: each hit is a message", 0, OPTION_FLAG,
     FIELD(no_region), .section = 2},
    {"trace", "FILE",
     "Append a JSON line per lookup to FILE; SIGHUP reopens it (default: none, there is no trace)",
     't', OPTION_PATH, LIVE, .may_be_none = true, FIELD(trace), .section = 3},
    {"trace-dir", "DIR",
     "Let administrators start traces to files below DIR (default: $LOGS_DIRECTORY of systemd, "
     "else the directory of --trace)",
     0, OPTION_PATH, LIVE, .may_be_none = true, FIELD(trace_dir), .section = 3},
    {"hello-timeout", "SECONDS", "Close a connection without a hello after SECONDS (default 10)", 0,
     OPTION_SECONDS, LIVE, FIELD(hello_timeout_ms), .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS,
     .initial = 10000, .section = 3},
    {"stall-timeout", "SECONDS",
     "Close a client that stalls mid-message or stops reading for SECONDS (default 10)", 0,
     OPTION_SECONDS, LIVE, FIELD(stall_timeout_ms), .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS,
     .initial = 10000, .section = 3},
    {"lease-max", "SECONDS", "Upper bound on the lease time that clients request (default 3600)", 0,
     OPTION_SECONDS, LIVE, FIELD(lease_max_ms), .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS,
     .initial = 3600000, .section = 3},
    {"state", "DIR",
     "Keep a snapshot of the cache in DIR, and start from it (default: $STATE_DIRECTORY of "
     "systemd, else none, and a stopped cache is lost)",
     0, OPTION_PATH, .may_be_none = true, FIELD(state), .section = 3},
    {"snapshot-interval", "SECONDS",
     "Write the snapshot after SECONDS (default 600; 0: only at a clean stop and on request)", 0,
     OPTION_SECONDS, LIVE, FIELD(snapshot_interval_ms), .min = 0, .max = SNAPSHOT_INTERVAL_MAX_MS,
     .initial = SNAPSHOT_INTERVAL_DEFAULT_MS, .section = 3},
    {"verbose", "yes|no", "Also log clears, refused and dropped clients, with the reason", 'v',
     OPTION_FLAG, LIVE, FIELD(verbose), .section = 3},
    {"tier", "URL[,URL...]",
     "Share with the daemons of other machines through the Valkey or Redis at URL: redis://, "
     "rediss:// (TLS), valkey://, valkeys://, each as [USER@]HOST[:PORT][/DB], or unix://PATH "
     "(default: none)",
     0, OPTION_TEXT, .may_be_none = true, FIELD(tier), .check = tier_option_check_urls,
     .section = 4},
    {"tier-password-file", "FILE",
     "The tier's password (default: tier-password in $CREDENTIALS_DIRECTORY of systemd, else none)",
     0, OPTION_PATH, .may_be_none = true, FIELD(tier_password_file), .section = 4},
    {"tier-ca", "FILE",
     "Certificates of the authorities that the tier's certificate must come from (default: those "
     "of the system)",
     0, OPTION_PATH, .may_be_none = true, FIELD(tier_ca), .section = 4},
    {"tier-cert", "FILE", "Certificate that fcached shows to the tier (default: none)", 0,
     OPTION_PATH, .may_be_none = true, FIELD(tier_cert), .section = 4},
    {"tier-key", "FILE", "Private key of --tier-cert", 0, OPTION_PATH, .may_be_none = true,
     FIELD(tier_key), .section = 4},
    {"tier-prefix", "TEXT",
     "First part of the names of all keys in the tier: nodes of a fleet have the same (default "
     "\"" TIER_PREFIX_DEFAULT "\")",
     0, OPTION_TEXT, FIELD(tier_prefix), .check = tier_option_check_prefix,
     .fallback = TIER_PREFIX_DEFAULT, .section = 4},
    {"tier-mode", "read-write|read-only|write-only",
     "What this node does with the tier (default read-write)", 0, OPTION_CHOICE, FIELD(tier_mode),
     .words = tier_modes, .section = 4},
    {"tier-namespaces", "PATTERNS",
     "Namespaces that use the tier: patterns with * and ?, separated by commas; ! excludes; none "
     "(default \"" TIER_NAMESPACES_DEFAULT "\")",
     0, OPTION_TEXT, LIVE, FIELD(tier_namespaces), .check = tier_option_check_namespaces,
     .fallback = TIER_NAMESPACES_DEFAULT, .section = 4},
    {"tier-deadline", "SECONDS",
     "Go on without the tier if it does not answer within SECONDS (default 0.05)", 0,
     OPTION_SECONDS, LIVE, FIELD(tier_deadline_ms), .min = TIMEOUT_MIN_MS,
     .max = TIER_DEADLINE_MAX_MS, .initial = 50, .section = 4},
    {"tier-ttl", "SECONDS",
     "Let the tier drop a value SECONDS after it was written (default 0: only when it evicts)", 0,
     OPTION_SECONDS, LIVE, FIELD(tier_ttl_ms), .min = 0, .max = TIER_TTL_MAX_MS, .section = 4},
    {"tier-queue", "SIZE", "Memory for values that wait to be written to the tier (default 16M)", 0,
     OPTION_SIZE, FIELD(tier_queue), .min = OPTIONS_BYTES_MIN, .max = OPTIONS_BYTES_MAX,
     .initial = UINT64_C(16) << 20, .section = 4},
    {"tier-queue-age", "SECONDS",
     "Drop a value that has waited for the tier for SECONDS (default 10)", 0, OPTION_SECONDS, LIVE,
     FIELD(tier_queue_age_ms), .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS, .initial = 10000,
     .section = 4},
    {"tier-lease", "SECONDS",
     "Time of a lease in the tier, which fcached renews three times in it (default 3)", 0,
     OPTION_SECONDS, FIELD(tier_lease_ms), .min = TIER_LEASE_MIN_MS, .max = TIMEOUT_MAX_MS,
     .initial = 3000, .section = 4},
};
const size_t option_count = sizeof option_table / sizeof option_table[0];
static_assert(sizeof option_table / sizeof option_table[0] <= OPTIONS_MAX, "all rows are counted");

const struct option_row *option_find(const char *name) {
  for (size_t i = 0; i < option_count; i++)
    if (strcmp(option_table[i].name, name) == 0)
      return &option_table[i];
  return NULL;
}

const char *option_nearest(const char *name) {
  const char *names[OPTIONS_MAX];
  for (size_t i = 0; i < option_count; i++)
    names[i] = option_table[i].name;
  return fc_nearest(name, names, option_count);
}
