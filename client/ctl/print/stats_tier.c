#include "client/ctl/print/stats_tier.h"

#include <stdio.h>

#include "client/ctl/print/units.h"

#define N(id) ((unsigned long long)stats_group_integer(group, STATS_NAME(id)))
#define COUNTED(id) N(id), units_plural(N(id)) /* the arguments of "%llu server%s" */

void stats_tier_servers(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  int used = snprintf(value, STATS_VALUE_SIZE, "%llu server%s", COUNTED(tier_servers));

  if (N(tier_open) > 0)
    snprintf(value + used, STATS_VALUE_SIZE - (size_t)used, ", %llu not in use (fcachectl tier)",
             N(tier_open));
}

void stats_tier_reads(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  char hits[UNITS_SIZE];
  int used = snprintf(value, STATS_VALUE_SIZE, "%s found",
                      units_share(N(tier_hits), N(tier_hits) + N(tier_misses), hits));

  if (N(tier_bad_values) > 0)
    snprintf(value + used, STATS_VALUE_SIZE - (size_t)used, ", %llu damaged", N(tier_bad_values));
}

void stats_tier_fills(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  snprintf(value, STATS_VALUE_SIZE, "%llu, %llu failed, %llu late, %llu skipped, %llu awaited",
           N(tier_fills), N(tier_fills_failed), N(tier_fills_late), N(tier_fills_skipped),
           N(tier_remote_hits));
}

void stats_tier_now(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  snprintf(value, STATS_VALUE_SIZE, "%llu fleet lease%s, %llu key%s awaited from other nodes",
           COUNTED(tier_fleet_leases), COUNTED(tier_remote_waits));
}

void stats_tier_writes(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  snprintf(value, STATS_VALUE_SIZE, "%llu stored, %llu already present, %llu dropped",
           N(tier_writes), N(tier_writes_kept), N(tier_writes_dropped));
}

void stats_tier_queue(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  char bytes[UNITS_SIZE], age[UNITS_SIZE];
  int used = snprintf(value, STATS_VALUE_SIZE, "%llu write%s, %s", COUNTED(tier_queue_entries),
                      units_share_bytes(N(tier_queue_bytes), N(tier_queue_bytes_max), bytes));

  if (N(tier_queue_entries) > 0)
    snprintf(value + used, STATS_VALUE_SIZE - (size_t)used, ", oldest %s",
             units_seconds(stats_group_real(group, STATS_NAME(tier_queue_age_s)), age));
}

void stats_tier_failures(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  snprintf(value, STATS_VALUE_SIZE, "%llu timeout%s, %llu error%s, %llu reconnect%s",
           COUNTED(tier_timeouts), COUNTED(tier_errors), COUNTED(tier_reconnects));
}

void stats_tier_clears(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  snprintf(value, STATS_VALUE_SIZE, "%llu learned from other nodes", N(tier_clears_learned));
}
