/* stats_rows.h - the one table of the statistics. The reply of the daemon, the types in the client
 * library, `fcachectl stats` and `metrics`, the tables of docs/counters.md and fcached-stats(7)
 * come from it.
 *
 *   GROUP(title)
 *     The rows below are printed under this title.
 *
 *   ROW(name, unit, kind, scope, since, help)
 *     A statistic. `name` is its name in the reply and in JSON. `unit`, `kind` and `scope` are
 *     those of stats_table.h, without their prefix. `since` is the first version that has it.
 *     `help` is one line of sentences, for the metrics and all pages. The first sentence alone
 *     must define the statistic.
 *
 * A name never changes its meaning. After a change here run `make stats-tables`. */
#ifndef FC_PROTO_STATS_ROWS_H
#define FC_PROTO_STATS_ROWS_H

#define FC_STATS_ROWS(GROUP, ROW)                                                                  \
  GROUP("Daemon and cache")                                                                        \
  ROW(version, TEXT, INFO, DAEMON, "0.1.0", "Version of the daemon.")                              \
  ROW(pid, NONE, INFO, DAEMON, "0.1.0", "Process ID of the daemon.")                               \
  ROW(start_time_s, SECONDS, GAUGE, DAEMON, "0.1.0", "Unix time at the start of this daemon.")     \
  ROW(uptime_s, SECONDS, GAUGE, DAEMON, "0.1.0", "Time since the start of this daemon.")           \
  ROW(cache_id, TEXT, INFO, DAEMON, "0.1.0", "Random number that the cache keeps for life.")       \
  ROW(cache_age_s, SECONDS, GAUGE, DAEMON, "0.1.0",                                                \
      "Time since the start of the first daemon of this cache.")                                   \
  ROW(restarts, NONE, COUNTER, DAEMON, "0.1.0",                                                    \
      "Daemons that the cache has had after its first one.")                                       \
  GROUP("Entries")                                                                                 \
  ROW(namespaces, NONE, GAUGE, DAEMON, "0.1.0", "Namespaces now.")                                 \
  ROW(entries, NONE, GAUGE, BOTH, "0.1.0", "Entries now.")                                         \
  ROW(bytes, BYTES, GAUGE, BOTH, "0.1.0", "Charge of the entries now.")                            \
  ROW(max_entries, NONE, GAUGE, NAMESPACE, "0.1.0",                                                \
      "Limit of the entries. Absent without a limit.")                                             \
  ROW(max_bytes, BYTES, GAUGE, BOTH, "0.1.0",                                                      \
      "Limit of the charge. Absent in a namespace without a limit.")                               \
  ROW(max_value, BYTES, GAUGE, DAEMON, "0.1.0", "Largest value that the daemon stores.")           \
  GROUP("Lookups")                                                                                 \
  ROW(cache_hits, NONE, COUNTER, BOTH_SINCE, "0.1.0", "Recorded gets that found their key.")       \
  ROW(cache_misses, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                            \
      "Recorded puts. A miss without a put is not counted: the computation failed, or the worker " \
      "died.")                                                                                     \
  ROW(forward_passes, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                          \
      "Recorded puts, each with a computation.")                                                   \
  ROW(hit_rate, RATIO, DERIVED, BOTH_SINCE, "0.1.0", "cache_hits / (cache_hits + cache_misses).")  \
  ROW(shared_hits, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                             \
      "Of cache_hits, those on entries that another process put.")                                 \
  ROW(hits_socket, NONE, COUNTER, DAEMON_SINCE, "0.1.0", "Of cache_hits, those over the socket.")  \
  ROW(hits_region, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                           \
      "Of cache_hits, those from the region in shared memory.")                                    \
  ROW(hits_unrecorded, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                       \
      "Hits from the region that did not fit into the ring, as the clients count them. No other "  \
      "counter has them.")                                                                         \
  ROW(scoring_wall_s, SECONDS, COUNTER, BOTH_SINCE, "0.1.0",                                       \
      "Time of clients in lookups that hit, in waits that ended with a hit, and in computations. " \
      "Overlapping waits of a client count once. A client is charged at most the time that it "    \
      "was connected. With the trace on, it rises by the sum of wall_ms.")                         \
  ROW(saved_wall_s, SECONDS, COUNTER, BOTH_SINCE, "0.1.0",                                         \
      "Compute time that hits saved. A computation counts as a day at most.")                      \
  ROW(batches_sent, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                            \
      "Calls of compute_misses whose values were put.")                                            \
  ROW(batched_prompts, NONE, COUNTER, BOTH_SINCE, "0.1.0", "Misses in batches_sent.")              \
  ROW(max_batch_size, NONE, GAUGE, BOTH, "0.1.0", "Misses in the largest of batches_sent.")        \
  ROW(avg_batch_size, MEAN, DERIVED, BOTH_SINCE, "0.1.0", "batched_prompts / batches_sent.")       \
  GROUP("Leases")                                                                                  \
  ROW(leases, NONE, GAUGE, DAEMON, "0.1.0", "Leases now.")                                         \
  ROW(lease_waits, NONE, GAUGE, DAEMON, "0.1.0", "Waits for a lease now.")                         \
  ROW(leases_granted, NONE, COUNTER, BOTH_SINCE, "0.1.0", "Leases that were granted.")             \
  ROW(leases_abandoned, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                        \
      "Of leases_granted, those that ended without a put: given up, the client disconnected, or "  \
      "the key was cleared or deleted.")                                                           \
  ROW(leases_expired, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                          \
      "Of leases_granted, those that exceeded their term.")                                        \
  ROW(coalesced_hits, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                          \
      "Of cache_hits, those that ended a wait for another client's lease.")                        \
  ROW(lease_wait_s, SECONDS, COUNTER, BOTH_SINCE, "0.1.0",                                         \
      "Time in waits that have ended. Overlapping waits of a client count once.")                  \
  GROUP("Evictions, puts and clears")                                                              \
  ROW(evictions_entries, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                       \
      "Entries that were evicted because of their namespace's max_entries.")                       \
  ROW(evictions_bytes, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                         \
      "Entries that were evicted because of the daemon's max_bytes.")                              \
  ROW(evictions_own_bytes, NONE, COUNTER, BOTH_SINCE, "0.1.0",                                     \
      "Entries that were evicted because of their namespace's max_bytes.")                         \
  ROW(evictions_forced, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                      \
      "Entries that were evicted because there was no contiguous space, even after compaction. "   \
      "It should be far below the others.")                                                        \
  ROW(evictions_chain, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                       \
      "Entries that were evicted because their bucket had 32. More than 0 means that a client "    \
      "chooses keys that collide.")                                                                \
  ROW(puts_kept, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                             \
      "Puts that were rejected because a value was there first.")                                  \
  ROW(puts_stale, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                            \
      "Puts that were rejected because of a clear or a delete.")                                   \
  ROW(puts_too_big, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                          \
      "Puts that were rejected because of the value's size, also those whose value was not sent.") \
  ROW(clears, NONE, COUNTER, DAEMON_SINCE, "0.1.0", "Finished clears.")                            \
  ROW(deletes, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                               \
      "Deletes of one key, also of keys without an entry.")                                        \
  GROUP("Clients and users")                                                                       \
  ROW(clients, NONE, GAUGE, BOTH, "0.1.0", "Clients now.")                                         \
  ROW(clients_max, NONE, GAUGE, DAEMON, "0.1.0", "Limit of the clients.")                          \
  ROW(connections, NONE, COUNTER, DAEMON_SINCE, "0.1.0", "Clients that were welcomed.")            \
  ROW(refused, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                               \
      "Connections that were refused: too many clients, or a wrong hello.")                        \
  ROW(dropped, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                               \
      "Connections that the daemon closed because of a broken protocol, a deadline or an "         \
      "administrator.")                                                                            \
  ROW(settings_ignored, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                      \
      "Limits and manifests that a client gave for another user's namespace.")                     \
  ROW(users, NONE, GAUGE, DAEMON, "0.1.0", "Users that hold something now.")                       \
  ROW(user_share, NONE, GAUGE, DAEMON, "0.1.0",                                                    \
      "Share of each resource that one user may hold, in percent.")                                \
  ROW(share_refused_clients, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                 \
      "Connections that were refused because of their user's share.")                              \
  ROW(share_refused_namespaces, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                              \
      "Namespaces that were refused because of their user's share, or that replaced another one "  \
      "of the same user.")                                                                         \
  ROW(share_refused_manifests, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                               \
      "Manifests that were refused because of their user's share.")                                \
  ROW(share_refused_leases, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                  \
      "Leases that were refused because of their user's share.")                                   \
  ROW(share_refused_waits, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                   \
      "Waits that were refused because of their user's share.")                                    \
  ROW(share_held_messages, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                   \
      "Requests and replies over 64 KiB that waited for their user's share.")                      \
  GROUP("Shared memory")                                                                           \
  ROW(region_shared, NONE, GAUGE, DAEMON, "0.1.0",                                                 \
      "1 if clients can map the region, 0 with --no-region or if the system does not support it.") \
  ROW(region_huge_pages, NONE, GAUGE, DAEMON, "0.1.0",                                             \
      "1 if the kernel gives the region memory in pages of 2 MiB, as far as it has them.")         \
  ROW(region_inode, NONE, INFO, DAEMON, "0.1.0",                                                   \
      "Inode of the region's memory file, as in /proc/PID/maps, or 0 if it is not shared.")        \
  ROW(region_bytes, BYTES, GAUGE, DAEMON, "0.1.0", "Size of the region.")                          \
  ROW(region_used_bytes, BYTES, GAUGE, DAEMON, "0.1.0", "Size of the region's blocks in use.")     \
  ROW(region_unlisted_bytes, BYTES, GAUGE, DAEMON, "0.1.0",                                        \
      "Of region_used_bytes, entries that left the cache while clients read them.")                \
  ROW(region_fragmentation, RATIO, GAUGE, DAEMON, "0.1.0",                                         \
      "1 - largest hole / all free bytes of the region.")                                          \
  ROW(region_moved_bytes, BYTES, COUNTER, DAEMON_SINCE, "0.1.0", "Bytes that compaction moved.")   \
  ROW(rings, NONE, GAUGE, DAEMON, "0.1.0", "Rings now, in which clients record their hits.")       \
  ROW(rings_asleep, NONE, GAUGE, DAEMON, "0.1.0",                                                  \
      "Of rings, those that the daemon drains less often: no hits for a second or more, and more " \
      "than 16 rings.")                                                                            \
  ROW(rings_bytes, BYTES, GAUGE, DAEMON, "0.1.0", "Memory of the rings.")                          \
  ROW(rings_bytes_max, BYTES, GAUGE, DAEMON, "0.1.0", "Limit of the memory of the rings.")         \
  ROW(clients_without_ring, NONE, GAUGE, DAEMON, "0.1.0",                                          \
      "Clients that requested the region and have no ring. Their hits are messages, and they "     \
      "request a ring again.")                                                                     \
  ROW(ring_records, NONE, COUNTER, DAEMON_SINCE, "0.1.0", "Hit records that were drained.")        \
  ROW(drain_s, SECONDS, COUNTER, DAEMON_SINCE, "0.1.0", "CPU time of draining the rings.")         \
  ROW(dead_regions, NONE, GAUGE, TOOL, "0.1.0",                                                    \
      "Regions of dead daemons that processes still map.")                                         \
  ROW(dead_regions_bytes, BYTES, GAUGE, TOOL, "0.1.0", "Size of dead_regions.")                    \
  ROW(dead_regions_pids, TEXT, INFO, TOOL, "0.1.0", "Processes that map dead_regions.")            \
  GROUP("Memory")                                                                                  \
  ROW(memory_in_flight, BYTES, GAUGE, DAEMON, "0.1.0",                                             \
      "Memory of requests and copied replies now, beyond each client's floor.")                    \
  ROW(memory_used, BYTES, GAUGE, DAEMON, "0.1.0",                                                  \
      "Memory of the daemon now, the kernel's included.")                                          \
  ROW(memory_bound, BYTES, GAUGE, DAEMON, "0.1.0", "Bound of memory_used.")                        \
  ROW(memory_region, BYTES, GAUGE, DAEMON, "0.1.0",                                                \
      "Of memory_used: entries, their metadata and the index.")                                    \
  ROW(memory_region_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                          \
      "Of memory_bound: the bound of memory_region.")                                              \
  ROW(memory_messages, BYTES, GAUGE, DAEMON, "0.1.0",                                              \
      "Of memory_used: large requests in receipt and unread replies.")                             \
  ROW(memory_messages_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                        \
      "Of memory_bound: the bound of memory_messages.")                                            \
  ROW(memory_sockets, BYTES, GAUGE, DAEMON, "0.1.0",                                               \
      "Of memory_used: send buffers and sockets in the kernel.")                                   \
  ROW(memory_sockets_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                         \
      "Of memory_bound: the bound of memory_sockets.")                                             \
  ROW(memory_rings, BYTES, GAUGE, DAEMON, "0.1.0", "Of memory_used: the rings of the clients.")    \
  ROW(memory_rings_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                           \
      "Of memory_bound: the bound of memory_rings.")                                               \
  ROW(memory_clients, BYTES, GAUGE, DAEMON, "0.1.0",                                               \
      "Of memory_used: connections with their small messages.")                                    \
  ROW(memory_clients_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                         \
      "Of memory_bound: the bound of memory_clients.")                                             \
  ROW(memory_namespaces, BYTES, GAUGE, DAEMON, "0.1.0",                                            \
      "Of memory_used: namespaces and their manifests.")                                           \
  ROW(memory_namespaces_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                      \
      "Of memory_bound: the bound of memory_namespaces.")                                          \
  ROW(memory_leases, BYTES, GAUGE, DAEMON, "0.1.0", "Of memory_used: leases and waits.")           \
  ROW(memory_leases_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                          \
      "Of memory_bound: the bound of memory_leases.")                                              \
  ROW(memory_tier, BYTES, GAUGE, DAEMON, "0.1.0",                                                  \
      "Of memory_used: fills, the write queue and connections of the tier. Absent without "        \
      "--tier.")                                                                                   \
  ROW(memory_tier_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                            \
      "Of memory_bound: the bound of memory_tier. Absent without --tier.")                         \
  ROW(memory_trace, BYTES, GAUGE, DAEMON, "0.1.0",                                                 \
      "Of memory_used: trace lines that are not written yet.")                                     \
  ROW(memory_trace_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                           \
      "Of memory_bound: the bound of memory_trace.")                                               \
  ROW(memory_daemon, BYTES, GAUGE, DAEMON, "0.1.0",                                                \
      "Of memory_used: program, libraries, listings and page tables.")                             \
  ROW(memory_daemon_bound, BYTES, GAUGE, DAEMON, "0.1.0",                                          \
      "Of memory_bound: the bound of memory_daemon.")                                              \
  GROUP("Survival")                                                                                \
  ROW(adopted_entries, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                       \
      "Entries that a daemon took over from the memory of the one before.")                        \
  ROW(adopt_dropped, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                         \
      "Entries in the memory of the daemon before that were damaged or had no room.")              \
  ROW(restored_entries, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                      \
      "Entries that a daemon read from a snapshot.")                                               \
  ROW(restore_dropped, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                       \
      "Entries of a snapshot that were damaged or had no room.")                                   \
  ROW(migrating_bytes, BYTES, GAUGE, DAEMON, "0.1.0",                                              \
      "Memory of earlier regions that still hold entries. The daemon moves them in the "           \
      "background.")                                                                               \
  ROW(snapshots_written, NONE, COUNTER, DAEMON_SINCE, "0.1.0", "Snapshots that were completed.")   \
  ROW(snapshots_failed, NONE, COUNTER, DAEMON_SINCE, "0.1.0", "Snapshots that failed.")            \
  ROW(snapshot_result, TEXT, INFO, DAEMON, "0.1.0",                                                \
      "Result of the last snapshot: complete, running, failed, or none so far. Absent without "    \
      "--state.")                                                                                  \
  ROW(snapshot_interval_s, SECONDS, GAUGE, DAEMON, "0.1.0",                                        \
      "Time between two snapshots (--snapshot-interval), or 0. Absent without --state.")           \
  ROW(snapshot_late, NONE, GAUGE, DAEMON, "0.1.0",                                                 \
      "1 when the daemon has completed no snapshot for three intervals, else 0. Absent without "   \
      "--state.")                                                                                  \
  ROW(snapshot_age_s, SECONDS, GAUGE, DAEMON, "0.1.0",                                             \
      "Age of the last complete snapshot. Absent if there is none.")                               \
  ROW(snapshot_s, SECONDS, GAUGE, DAEMON, "0.1.0",                                                 \
      "Time that the last complete snapshot took. Absent if there is none.")                       \
  ROW(snapshot_entries, NONE, GAUGE, DAEMON, "0.1.0",                                              \
      "Entries of the last complete snapshot. Absent if there is none.")                           \
  ROW(snapshot_bytes, BYTES, GAUGE, DAEMON, "0.1.0",                                               \
      "Size of the last complete snapshot. Absent if there is none.")                              \
  GROUP("Tier")                                                                                    \
  ROW(tier_servers, NONE, GAUGE, DAEMON, "0.1.0",                                                  \
      "Servers of the tier that the daemon knows. All statistics of the tier are absent "          \
      "without --tier.")                                                                           \
  ROW(tier_open, NONE, GAUGE, DAEMON, "0.1.0",                                                     \
      "Of tier_servers, those whose breaker for reads or for writes is open: the daemon does "     \
      "without them.")                                                                             \
  ROW(tier_hits, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                             \
      "Keys whose value the tier had when the cache did not. The daemon stored it, and the "       \
      "gets that asked for it are in cache_hits.")                                                 \
  ROW(tier_misses, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                           \
      "Keys whose value neither the cache nor the tier had.")                                      \
  ROW(tier_bad_values, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                       \
      "Values of the tier that failed their check. No client got them.")                           \
  ROW(tier_writes, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                           \
      "Values that the tier stored for this node.")                                                \
  ROW(tier_writes_kept, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                      \
      "Values that the tier did not store, because it had one of another node.")                   \
  ROW(tier_writes_dropped, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                   \
      "Writes that the tier never got: the queue was full, they were in it for too long, their "   \
      "key was cleared, or the daemon stopped.")                                                   \
  ROW(tier_queue_entries, NONE, GAUGE, DAEMON, "0.1.0",                                            \
      "Writes now that the tier has not acknowledged yet.")                                        \
  ROW(tier_queue_bytes, BYTES, GAUGE, DAEMON, "0.1.0", "Memory of tier_queue_entries.")            \
  ROW(tier_queue_bytes_max, BYTES, GAUGE, DAEMON, "0.1.0",                                         \
      "Limit of tier_queue_bytes (--tier-queue).")                                                 \
  ROW(tier_queue_age_s, SECONDS, GAUGE, DAEMON, "0.1.0",                                           \
      "Age of the oldest of tier_queue_entries, or 0.")                                            \
  ROW(tier_fills, NONE, COUNTER, DAEMON, "0.1.0",                                                  \
      "Fills that began, since the start of this daemon: attempts to get a key's value from "      \
      "the fleet.")                                                                                \
  ROW(tier_fills_failed, NONE, COUNTER, DAEMON, "0.1.0",                                           \
      "Of tier_fills, those that an error or a lost connection ended.")                            \
  ROW(tier_fills_late, NONE, COUNTER, DAEMON, "0.1.0",                                             \
      "Of tier_fills, those whose clients went on without the tier at --tier-deadline.")           \
  ROW(tier_fills_skipped, NONE, COUNTER, DAEMON, "0.1.0",                                          \
      "Misses that began no fill, since the start of this daemon: a breaker was open, or there "   \
      "were too many fills.")                                                                      \
  ROW(tier_fleet_leases, NONE, GAUGE, DAEMON, "0.1.0",                                             \
      "Fleet leases that this node has now: keys that it computes for the fleet.")                 \
  ROW(tier_remote_waits, NONE, GAUGE, DAEMON, "0.1.0",                                             \
      "Keys now that another node computes, and for which this node waits.")                       \
  ROW(tier_remote_hits, NONE, COUNTER, DAEMON, "0.1.0",                                            \
      "Of tier_hits, those that another node computed while this node waited, since the start "    \
      "of this daemon.")                                                                           \
  ROW(tier_timeouts, NONE, COUNTER, DAEMON, "0.1.0",                                               \
      "Operations of the tier without a reply in time, since the start of this daemon.")           \
  ROW(tier_errors, NONE, COUNTER, DAEMON, "0.1.0",                                                 \
      "Error replies of the tier, and operations that ended with their connection, since the "     \
      "start of this daemon.")                                                                     \
  ROW(tier_reconnects, NONE, COUNTER, DAEMON, "0.1.0",                                             \
      "Connections to servers of the tier after their first one, since the start of this "         \
      "daemon.")                                                                                   \
  ROW(tier_clears_learned, NONE, COUNTER, DAEMON, "0.1.0",                                         \
      "Clears and deletes of other nodes that this daemon applied, since its start.")              \
  GROUP("Trace and events")                                                                        \
  ROW(trace_on, NONE, GAUGE, DAEMON, "0.1.0", "1 while the daemon writes a trace, else 0.")        \
  ROW(trace_path, TEXT, INFO, DAEMON, "0.1.0", "Path of the trace. Absent without one.")           \
  ROW(trace_waiting, NONE, GAUGE, DAEMON, "0.1.0", "Trace lines that wait to be written.")         \
  ROW(trace_lines, NONE, COUNTER, DAEMON_SINCE, "0.1.0",                                           \
      "Trace lines in a file or waiting for one. A waiting line that is lost moves to "            \
      "trace_lost.")                                                                               \
  ROW(trace_lost, NONE, COUNTER, DAEMON_SINCE, "0.1.0", "Trace lines that were lost.")             \
  ROW(watchers, NONE, GAUGE, DAEMON, "0.1.0", "Connections that watch events.")                    \
  ROW(events_lost, NONE, COUNTER, DAEMON, "0.1.0",                                                 \
      "Events that watchers were too slow for, since the start of this daemon.")

#endif
