/* message_fields.h - the one table of the protocol's messages and of their fields. The encoders,
 * the decoders, the texts about refused requests and the tables of docs/protocol.md come from it.
 *
 * A list of fields is one message, or one row of a list, in the order of the wire. Each list
 * expands these four macros, which the code that uses it defines first. `m` is the message's
 * struct, which the comment of the list names.
 *
 *   FIELD(name, kind, places...)
 *     A field, and where the struct has it.
 *
 *   LATER(name, kind, places...)
 *     A field that a later version added. It is always written, and read if it is there.
 *
 *   WHEN(condition, name, kind, places...)
 *     A field that is there if the condition holds.
 *
 *   MORE(flag)
 *     No field. Reading sets the flag if another field follows.
 *
 * A kind is the type of a field with its check. Each kind has a read_KIND in field_read.h, a
 * write_KIND in field_write.h and two texts in FC_FIELD_KINDS.
 *
 * A new field goes behind the last one: in the struct in message.h and in its list here. `make
 * protocol-tables` then adds it to docs/protocol.md, where its description is missing. */
#ifndef FC_PROTO_MESSAGE_FIELDS_H
#define FC_PROTO_MESSAGE_FIELDS_H

/* KIND(kind, the type in docs/protocol.md, the value that a refused request should have) */
#define FC_FIELD_KINDS(KIND)                                                                       \
  KIND(u32, "u32", "an integer from 0 to 2^32 - 1")                                                \
  KIND(u64, "u64", "an integer from 0 to 2^64 - 1")                                                \
  KIND(i64, "i64", "an integer of 64 bits with a sign")                                            \
  KIND(i64_or_nil, "i64 or nil", "an integer of 64 bits with a sign, or nil")                      \
  KIND(u64_or_nil, "u64 or nil", "an integer from 0 to 2^64 - 1, or nil")                          \
  KIND(limit_or_nil, "u64 or nil", "an integer from 0 to 2^64 - 1, or nil")                        \
  KIND(boolean, "bool", "true or false")                                                           \
  KIND(text, "text", "a str")                                                                      \
  KIND(name, "name", "a str of 1 to 255 bytes of UTF-8 without control characters")                \
  KIND(name_or_nil, "name or nil",                                                                 \
       "a str of 1 to 255 bytes of UTF-8 without control characters, or nil")                      \
  KIND(manifest_or_nil, "manifest or nil",                                                         \
       "a str of 1 to 16384 bytes of UTF-8 without NUL, or nil")                                   \
  KIND(kept_manifest, "manifest or nil", "a str of 1 to 16384 bytes of UTF-8 without NUL, or nil") \
  KIND(path_or_nil, "path or nil", "a str of 1 to 4095 bytes without NUL, or nil")                 \
  KIND(hash, "hash", "a bin of 16 bytes")                                                          \
  KIND(hash_or_nil, "hash or nil", "a bin of 16 bytes, or nil")                                    \
  KIND(hashes, "hashes", "a bin of 16 bytes for each prompt, and of at least one prompt")          \
  KIND(value_or_nil, "value or nil", "a bin, or nil")                                              \
  KIND(sent_value, "value or nil", "a bin, or nil for a value over the limit")                     \
  KIND(sent_values, "array of (value or nil)",                                                     \
       "an array with a bin, or nil for a value over the limit, for each prompt")                  \
  KIND(found_values, "array of (value or nil)", "an array of bin or nil")                          \
  KIND(token, "token", "a bin of at most 64 bytes, as a list reply gave it, or empty")             \
  KIND(page_limit, "u32", "an integer from 1 to 2^32 - 1")                                         \
  KIND(list_order, "u32", "0 (by use) or 1 (by place)")                                            \
  KIND(trace_action, "u32", "0 (status), 1 (on) or 2 (off)")                                       \
  KIND(snapshot_action, "u32", "0 (status) or 1 (start)")                                          \
  KIND(usage_by, "u32", "0 (namespace), 1 (op and view), 2 (probe) or 3 (client)")                 \
  KIND(trace_path, "path or nil",                                                                  \
       "with action 1 a str, a path of 1 to 4095 bytes without NUL; else nil")                     \
  KIND(given_up_op, "name or nil",                                                                 \
       "a str of 1 to 255 bytes of UTF-8 without control characters, or nil for all")              \
  KIND(given_up_view, "name or nil",                                                               \
       "with an op a str of 1 to 255 bytes of UTF-8 without control characters; else nil")         \
  KIND(given_up_prompts, "hashes or nil",                                                          \
       "with an op a bin of 16 bytes for each prompt, at least one; else nil")                     \
  KIND(lease, "u32", "0 (none), 1 (granted) or 2 (taken)")                                         \
  KIND(lease_states, "bin", "a bin with 0, 1 or 2 for each nil")                                   \
  KIND(waited, "bool", "true")                                                                     \
  KIND(outcome, "u32", "0 (stored), 1 (kept) or 2 (stale)")                                        \
  KIND(code, "u32", "an integer from 1 to 2^31 - 1")                                               \
  KIND(stats_map, "map of name to (u64, float or text)", "a map")                                  \
  KIND(stats_maps, "array of such maps", "an array of maps")                                       \
  KIND(entry_rows, "array of arrays", "an array of entries")                                       \
  KIND(lease_rows, "array of arrays", "an array of leases")                                        \
  KIND(client_rows, "array of arrays", "an array of clients")                                      \
  KIND(namespace_rows, "array of arrays", "an array of namespaces")                                \
  KIND(usage_rows, "array of arrays", "an array of usage")                                         \
  KIND(event_rows, "array of arrays", "an array of events")                                        \
  KIND(latency_rows, "array of arrays", "an array of kinds")                                       \
  KIND(slow_rows, "array of arrays", "an array of requests")                                       \
  KIND(tier_server_rows, "array of arrays", "an array of servers")                                 \
  KIND(setting_rows, "array of arrays", "an array of settings")                                    \
  KIND(cells, "array of u64", "an array of pairs: the number of a cell, and its count")            \
  KIND(held_or_nil, "array or nil", "an array, or nil")                                            \
  KIND(wait_or_nil, "array or nil", "an array, or nil")                                            \
  KIND(user_or_nil, "array or nil", "an array, or nil")                                            \
  KIND(tier, "array", "an array")                                                                  \
  KIND(tier_class, "array", "an array")

/* ---- requests ---- */

/* REQUEST(type, name, struct, member of struct fc_request); FC_<type>_FIELDS are its fields. */
#define FC_REQUESTS(REQUEST)                                                                       \
  REQUEST(HELLO, hello, struct fc_hello, hello)                                                    \
  REQUEST(GET, get, struct fc_get, get)                                                            \
  REQUEST(PUT, put, struct fc_put, put)                                                            \
  REQUEST(GET_MANY, get_many, struct fc_get_many, get_many)                                        \
  REQUEST(PUT_MANY, put_many, struct fc_put_many, put_many)                                        \
  REQUEST(PING, ping, uint32_t, id)                                                                \
  REQUEST(STATS, stats, struct fc_str, select.name_space)                                          \
  REQUEST(CLEAR, clear, struct fc_clear, clear)                                                    \
  REQUEST(LIST, list, struct fc_list, list)                                                        \
  REQUEST(TRACE, trace, struct fc_trace, trace)                                                    \
  REQUEST(SHUTDOWN, shutdown, uint32_t, id)                                                        \
  REQUEST(GIVE_UP, give_up, struct fc_give_up, give_up)                                            \
  REQUEST(LEASES, leases, struct fc_page, page)                                                    \
  REQUEST(CLIENTS, clients, struct fc_page, page)                                                  \
  REQUEST(NAMESPACES, namespaces, struct fc_page, page)                                            \
  REQUEST(RING, ring, struct fc_ring_request, ring)                                                \
  REQUEST(KILL, kill, uint64_t, kill)                                                              \
  REQUEST(SNAPSHOT, snapshot, uint32_t, snapshot)                                                  \
  REQUEST(SET, set, struct fc_set, set)                                                            \
  REQUEST(DELETE, delete, struct fc_delete, delete)                                                \
  REQUEST(USAGE, usage, struct fc_usage, usage)                                                    \
  REQUEST(WATCH, watch, struct fc_watch, watch)                                                    \
  REQUEST(EVENTS, events, struct fc_events_request, events)                                        \
  REQUEST(LATENCY, latency, bool, latency)                                                         \
  REQUEST(SLOWEST, slowest, struct fc_slowest, slowest)                                            \
  REQUEST(RELOAD, reload, uint32_t, id)                                                            \
  REQUEST(SETTINGS, settings, uint32_t, id)                                                        \
  REQUEST(TIER, tier, struct fc_tier_request, tier)

/* struct fc_hello */
#define FC_HELLO_FIELDS                                                                            \
  FIELD(version_min, u32, &m->version_min)                                                         \
  FIELD(version_max, u32, &m->version_max)                                                         \
  FIELD(client, name, &m->client)                                                                  \
  FIELD(namespace, name_or_nil, &m->name_space)                                                    \
  FIELD(max_entries, i64_or_nil, &m->has_max_entries, &m->max_entries)                             \
  WHEN(m->version_max >= 2, region_layout, u32, &m->region_layout)                                 \
  WHEN(m->version_max >= 4, manifest, manifest_or_nil, &m->manifest)                               \
  WHEN(m->version_max >= 5, max_bytes, u64_or_nil, &m->has_max_bytes, &m->max_bytes)               \
  MORE(m->has_handle)                                                                              \
  WHEN(m->version_max >= 5 && m->has_handle, handle, hash, &m->handle)

/* struct fc_get, fc_put, fc_get_many, fc_put_many */
#define FC_KEY_NAMES_FIELDS                                                                        \
  FIELD(flags, u32, &m->flags)                                                                     \
  FIELD(op, name, &m->key.op)                                                                      \
  FIELD(view, name, &m->key.view)                                                                  \
  FIELD(top_k, u32, &m->key.top_k)
#define FC_EPOCH_FIELDS                                                                            \
  FIELD(boot_id, u64, &m->epoch.boot_id)                                                           \
  FIELD(clear_generation, u64, &m->epoch.clear_generation)                                         \
  FIELD(compute_ns, u64, &m->compute_ns)

#define FC_GET_FIELDS                                                                              \
  FC_KEY_NAMES_FIELDS                                                                              \
  FIELD(prompt, hash, &m->key.prompt)                                                              \
  FIELD(probe, name_or_nil, &m->probe)                                                             \
  MORE(m->has_terms)                                                                               \
  WHEN(m->has_terms, lease_ms, u32, &m->terms.lease_ms)                                            \
  WHEN(m->has_terms, wait_ms, u32, &m->terms.wait_ms)

#define FC_PUT_FIELDS                                                                              \
  FC_KEY_NAMES_FIELDS                                                                              \
  FIELD(prompt, hash, &m->key.prompt)                                                              \
  FIELD(probe, name_or_nil, &m->probe)                                                             \
  FC_EPOCH_FIELDS                                                                                  \
  FIELD(value, sent_value, &m->withheld, &m->value, &m->value_size)

#define FC_GET_MANY_FIELDS                                                                         \
  FC_KEY_NAMES_FIELDS                                                                              \
  FIELD(prompts, hashes, &m->prompts, &m->n)                                                       \
  FIELD(probe, name_or_nil, &m->probe)                                                             \
  MORE(m->has_terms)                                                                               \
  WHEN(m->has_terms, lease_ms, u32, &m->terms.lease_ms)

#define FC_PUT_MANY_FIELDS                                                                         \
  FC_KEY_NAMES_FIELDS                                                                              \
  FIELD(prompts, hashes, &m->prompts, &m->n)                                                       \
  FIELD(probe, name_or_nil, &m->probe)                                                             \
  FC_EPOCH_FIELDS                                                                                  \
  FIELD(batch, u32, &m->batch)                                                                     \
  FIELD(values, sent_values, &m->values, m->n)

#define FC_PING_FIELDS
#define FC_SHUTDOWN_FIELDS
#define FC_RELOAD_FIELDS
#define FC_SETTINGS_FIELDS

/* struct fc_str */
#define FC_STATS_FIELDS FIELD(namespace, name_or_nil, m)

/* struct fc_clear */
#define FC_CLEAR_FIELDS                                                                            \
  FIELD(namespace, name_or_nil, &m->select.name_space)                                             \
  FIELD(view, name_or_nil, &m->select.view)                                                        \
  FIELD(op, name_or_nil, &m->select.op)                                                            \
  LATER(local, boolean, &m->local)

/* struct fc_list */
#define FC_LIST_FIELDS                                                                             \
  FIELD(namespace, name_or_nil, &m->select.name_space)                                             \
  FIELD(view, name_or_nil, &m->select.view)                                                        \
  FIELD(op, name_or_nil, &m->select.op)                                                            \
  FIELD(limit, page_limit, &m->limit)                                                              \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)                                                \
  LATER(order, list_order, &m->order)                                                              \
  LATER(min_compute_ns, u64, &m->min_compute_ns)

/* struct fc_trace */
#define FC_TRACE_FIELDS                                                                            \
  FIELD(action, trace_action, &m->action)                                                          \
  FIELD(path, trace_path, m->action, &m->path)                                                     \
  LATER(mkdir, boolean, &m->mkdir)

/* struct fc_give_up */
#define FC_GIVE_UP_FIELDS                                                                          \
  FIELD(op, given_up_op, &m->key.op)                                                               \
  FIELD(view, given_up_view, m->key.op, &m->key.view)                                              \
  FIELD(top_k, u32, &m->key.top_k)                                                                 \
  FIELD(prompts, given_up_prompts, m->key.op, &m->prompts, &m->n)

/* struct fc_page */
#define FC_PAGE_FIELDS                                                                             \
  FIELD(namespace, name_or_nil, &m->name_space)                                                    \
  FIELD(limit, page_limit, &m->limit)                                                              \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)
#define FC_LEASES_FIELDS FC_PAGE_FIELDS
#define FC_CLIENTS_FIELDS FC_PAGE_FIELDS
#define FC_NAMESPACES_FIELDS FC_PAGE_FIELDS

/* struct fc_ring_request */
#define FC_RING_FIELDS                                                                             \
  FIELD(region_layout, u32, &m->region_layout)                                                     \
  FIELD(want_slots, u32, &m->want_slots)

/* uint64_t */
#define FC_KILL_FIELDS FIELD(client_id, u64, m)

/* uint32_t */
#define FC_SNAPSHOT_FIELDS FIELD(action, snapshot_action, m)

/* struct fc_set */
#define FC_SET_FIELDS                                                                              \
  FIELD(name, name, &m->name)                                                                      \
  FIELD(value, text, &m->value)

/* struct fc_delete */
#define FC_DELETE_FIELDS                                                                           \
  FIELD(namespace, name, &m->name_space)                                                           \
  FIELD(op, name, &m->key.op)                                                                      \
  FIELD(view, name, &m->key.view)                                                                  \
  FIELD(top_k, u32, &m->key.top_k)                                                                 \
  FIELD(prompt, hash, &m->key.prompt)                                                              \
  LATER(local, boolean, &m->local)

/* struct fc_usage */
#define FC_USAGE_FIELDS                                                                            \
  FIELD(by, usage_by, &m->by)                                                                      \
  FIELD(limit, page_limit, &m->limit)                                                              \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)

/* struct fc_watch */
#define FC_WATCH_FIELDS                                                                            \
  FIELD(kinds, u32, &m->kinds)                                                                     \
  FIELD(namespace, name_or_nil, &m->name_space)                                                    \
  FIELD(op, name_or_nil, &m->op)                                                                   \
  FIELD(view, name_or_nil, &m->view)                                                               \
  FIELD(client, name_or_nil, &m->client)

/* struct fc_events_request */
#define FC_EVENTS_FIELDS FIELD(wait_ms, u32, &m->wait_ms)
/* bool */
#define FC_LATENCY_FIELDS FIELD(reset, boolean, m)

/* struct fc_slowest */
#define FC_SLOWEST_FIELDS                                                                          \
  FIELD(limit, page_limit, &m->limit)                                                              \
  FIELD(reset, boolean, &m->reset)

/* struct fc_tier_request */
#define FC_TIER_FIELDS                                                                             \
  FIELD(limit, page_limit, &m->limit)                                                              \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)

/* ---- replies ---- */

/* REPLY(type of the request, name, struct, member of struct fc_reply);
 * FC_<type>_REPLY_FIELDS are its fields. The error reply is not among them. */
#define FC_REPLIES(REPLY)                                                                          \
  REPLY(HELLO, welcome, struct fc_welcome, welcome)                                                \
  REPLY(GET, get_reply, struct fc_get_reply, get)                                                  \
  REPLY(PUT, put_reply, enum fc_put_outcome, put)                                                  \
  REPLY(GET_MANY, get_many_reply, struct fc_get_many_reply, get_many)                              \
  REPLY(PUT_MANY, put_many_reply, struct fc_put_many_reply, put_many)                              \
  REPLY(PING, pong, uint32_t, id)                                                                  \
  REPLY(STATS, stats_reply, struct fc_stats_reply, stats)                                          \
  REPLY(CLEAR, cleared, uint64_t, removed)                                                         \
  REPLY(LIST, list_reply, struct fc_list_reply, list)                                              \
  REPLY(TRACE, trace_reply, struct fc_trace_reply, trace)                                          \
  REPLY(SHUTDOWN, shutting_down, uint32_t, id)                                                     \
  REPLY(GIVE_UP, given_up, uint32_t, given_up)                                                     \
  REPLY(LEASES, leases_reply, struct fc_list_reply, list)                                          \
  REPLY(CLIENTS, clients_reply, struct fc_list_reply, list)                                        \
  REPLY(NAMESPACES, namespaces_reply, struct fc_list_reply, list)                                  \
  REPLY(RING, ring_reply, struct fc_ring_reply, ring)                                              \
  REPLY(KILL, killed, bool, killed)                                                                \
  REPLY(SNAPSHOT, snapshot_reply, struct fc_snapshot_reply, snapshot)                              \
  REPLY(SET, set_reply, struct fc_set_reply, set)                                                  \
  REPLY(DELETE, deleted, bool, existed)                                                            \
  REPLY(USAGE, usage_reply, struct fc_list_reply, list)                                            \
  REPLY(WATCH, watching, struct fc_watching, watching)                                             \
  REPLY(EVENTS, events_reply, struct fc_list_reply, list)                                          \
  REPLY(LATENCY, latency_reply, struct fc_times_reply, times)                                      \
  REPLY(SLOWEST, slowest_reply, struct fc_times_reply, times)                                      \
  REPLY(RELOAD, reload_reply, struct fc_reload_reply, reload)                                      \
  REPLY(SETTINGS, settings_reply, struct fc_list_reply, list)                                      \
  REPLY(TIER, tier_reply, struct fc_tier_reply, tier)

/* struct fc_welcome */
#define FC_HELLO_REPLY_FIELDS                                                                      \
  FIELD(version, u32, &m->version)                                                                 \
  FIELD(server, name, &m->server)                                                                  \
  FIELD(boot_id, u64, &m->boot_id)                                                                 \
  FIELD(clear_generation, u64, &m->clear_generation)                                               \
  FIELD(max_value, u32, &m->max_value)                                                             \
  FIELD(max_frame, u32, &m->max_frame)                                                             \
  WHEN(m->version >= 2, namespace_id, u64, &m->namespace_id)                                       \
  WHEN(m->version >= 2, client_id, u64, &m->client_id)

/* struct fc_get_reply */
#define FC_GET_REPLY_FIELDS                                                                        \
  FIELD(clear_generation, u64, &m->clear_generation)                                               \
  FIELD(value, value_or_nil, &m->value, &m->value_size)                                            \
  MORE(m->has_more)                                                                                \
  WHEN(m->has_more && !m->value, lease, lease, &m->lease)                                          \
  WHEN(m->has_more && m->value, waited, waited, &m->waited)

/* enum fc_put_outcome */
#define FC_PUT_REPLY_FIELDS FIELD(outcome, outcome, m)

/* struct fc_get_many_reply */
#define FC_GET_MANY_REPLY_FIELDS                                                                   \
  FIELD(clear_generation, u64, &m->clear_generation)                                               \
  FIELD(first, u32, &m->first)                                                                     \
  FIELD(last, boolean, &m->last)                                                                   \
  FIELD(values, found_values, &m->values, m->first)                                                \
  MORE(m->n_leases)                                                                                \
  WHEN(m->n_leases > 0, leases, lease_states, &m->leases, &m->n_leases, m->values)

/* struct fc_put_many_reply */
#define FC_PUT_MANY_REPLY_FIELDS                                                                   \
  FIELD(stored, u32, &m->stored)                                                                   \
  FIELD(kept, u32, &m->kept)                                                                       \
  FIELD(stale, u32, &m->stale)                                                                     \
  FIELD(too_big, u32, &m->too_big)

#define FC_PING_REPLY_FIELDS
#define FC_SHUTDOWN_REPLY_FIELDS

/* struct fc_stats_reply */
#define FC_STATS_REPLY_FIELDS                                                                      \
  FIELD(daemon, stats_map, m)                                                                      \
  FIELD(namespaces, stats_maps, m)

/* uint64_t, uint32_t, bool */
#define FC_CLEAR_REPLY_FIELDS FIELD(removed, u64, m)
#define FC_GIVE_UP_REPLY_FIELDS FIELD(given_up, u32, m)
#define FC_KILL_REPLY_FIELDS FIELD(found, boolean, m)
#define FC_DELETE_REPLY_FIELDS FIELD(existed, boolean, m)

/* struct fc_list_reply */
#define FC_LIST_REPLY_FIELDS                                                                       \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)                                                \
  FIELD(entries, entry_rows, m)
#define FC_LEASES_REPLY_FIELDS                                                                     \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)                                                \
  FIELD(leases, lease_rows, m)
#define FC_CLIENTS_REPLY_FIELDS                                                                    \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)                                                \
  FIELD(clients, client_rows, m)
#define FC_NAMESPACES_REPLY_FIELDS                                                                 \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)                                                \
  FIELD(namespaces, namespace_rows, m)

#define FC_USAGE_REPLY_FIELDS                                                                      \
  FIELD(cursor, token, &m->cursor, &m->cursor_size)                                                \
  FIELD(usage, usage_rows, m)

/* struct fc_trace_reply */
#define FC_TRACE_REPLY_FIELDS                                                                      \
  FIELD(on, boolean, &m->on)                                                                       \
  FIELD(path, path_or_nil, &m->path)                                                               \
  FIELD(lines, u64, &m->lines)                                                                     \
  FIELD(lost, u64, &m->lost)

/* struct fc_ring_reply */
#define FC_RING_REPLY_FIELDS                                                                       \
  FIELD(namespace_id, u64, &m->namespace_id)                                                       \
  FIELD(client_id, u64, &m->client_id)

/* struct fc_snapshot_reply */
#define FC_SNAPSHOT_REPLY_FIELDS                                                                   \
  FIELD(started, boolean, &m->started)                                                             \
  FIELD(running, u64, &m->running)                                                                 \
  FIELD(ended, u64, &m->ended)                                                                     \
  FIELD(path, path_or_nil, &m->path)                                                               \
  FIELD(entries, u64, &m->entries)                                                                 \
  FIELD(bytes, u64, &m->bytes)                                                                     \
  FIELD(duration_ns, u64, &m->duration_ns)                                                         \
  FIELD(error, text, &m->error)

/* struct fc_set_reply */
#define FC_SET_REPLY_FIELDS                                                                        \
  FIELD(before, u64, &m->before)                                                                   \
  FIELD(now, u64, &m->now)

/* struct fc_reload_reply */
#define FC_RELOAD_REPLY_FIELDS                                                                     \
  FIELD(changed, u32, &m->changed)                                                                 \
  FIELD(waiting, u32, &m->waiting)

#define FC_SETTINGS_REPLY_FIELDS FIELD(settings, setting_rows, m)

/* struct fc_watching */
#define FC_WATCH_REPLY_FIELDS FIELD(buffer_bytes, u64, &m->buffer_bytes)

/* struct fc_list_reply */
#define FC_EVENTS_REPLY_FIELDS FIELD(events, event_rows, m)
/* struct fc_times_reply */
#define FC_LATENCY_REPLY_FIELDS                                                                    \
  FIELD(period_ns, u64, &m->period_ns)                                                             \
  FIELD(kinds, latency_rows, &m->rows)
#define FC_SLOWEST_REPLY_FIELDS                                                                    \
  FIELD(period_ns, u64, &m->period_ns)                                                             \
  FIELD(requests, slow_rows, &m->rows)

/* struct fc_tier_reply */
#define FC_TIER_REPLY_FIELDS                                                                       \
  FIELD(tier, tier, &m->tier)                                                                      \
  FIELD(cursor, token, &m->servers.cursor, &m->servers.cursor_size)                                \
  FIELD(servers, tier_server_rows, &m->servers)

/* struct fc_error_reply: the reply FC_ERROR to any request */
#define FC_ERROR_FIELDS                                                                            \
  FIELD(code, code, &m->code)                                                                      \
  FIELD(text, text, &m->text)

/* ---- rows ---- */

/* ROW(row, name, struct): an array within a field; FC_<row>_ROW_FIELDS are its elements. A row that
 * is an element of another one comes before it. */
#define FC_ROWS(ROW)                                                                               \
  ROW(HELD, held, struct fc_key)                                                                   \
  ROW(WAIT, wait, struct fc_wait_entry)                                                            \
  ROW(USER, user, struct fc_user_entry)                                                            \
  ROW(ENTRY, entry, struct fc_list_entry)                                                          \
  ROW(LEASE, lease, struct fc_lease_entry)                                                         \
  ROW(CLIENT, client, struct fc_client_entry)                                                      \
  ROW(NAMESPACE, namespace, struct fc_namespace_entry)                                             \
  ROW(USAGE, usage, struct fc_usage_entry)                                                         \
  ROW(EVENT, event, struct fc_event)                                                               \
  ROW(LATENCY, latency, struct fc_latency_entry)                                                   \
  ROW(SETTING, setting, struct fc_setting_entry)                                                   \
  ROW(SLOW, slow, struct fc_slow_entry)                                                            \
  ROW(TIER, tier, struct fc_tier_entry)                                                            \
  ROW(TIER_CLASS, tier_class, struct fc_tier_class)                                                \
  ROW(TIER_SERVER, tier_server, struct fc_tier_server_entry)

/* A row's order is op, view, prompt, top_k; a request has top_k before the prompt. */
#define FC_ROW_KEY_FIELDS                                                                          \
  FIELD(op, name, &m->key.op)                                                                      \
  FIELD(view, name, &m->key.view)                                                                  \
  FIELD(prompt, hash, &m->key.prompt)                                                              \
  FIELD(top_k, u32, &m->key.top_k)

#define FC_ENTRY_ROW_FIELDS                                                                        \
  FIELD(namespace, name, &m->name_space)                                                           \
  FC_ROW_KEY_FIELDS                                                                                \
  FIELD(value_size, u32, &m->value_size)                                                           \
  FIELD(charge, u64, &m->charge)                                                                   \
  FIELD(compute_ns, u64, &m->compute_ns)                                                           \
  FIELD(idle_ns, u64, &m->idle_ns)                                                                 \
  FIELD(hits, u64, &m->hits)                                                                       \
  LATER(stamp, u64, &m->stamp)

#define FC_LEASE_ROW_FIELDS                                                                        \
  FIELD(namespace, name, &m->name_space)                                                           \
  FC_ROW_KEY_FIELDS                                                                                \
  FIELD(client_id, u64, &m->client_id)                                                             \
  FIELD(client, name, &m->client)                                                                  \
  FIELD(pid, i64, &m->pid)                                                                         \
  FIELD(held_ns, u64, &m->held_ns)                                                                 \
  FIELD(left_ns, u64, &m->left_ns)                                                                 \
  FIELD(waits, u32, &m->waits)

#define FC_HELD_ROW_FIELDS                                                                         \
  FIELD(op, name, &m->op)                                                                          \
  FIELD(view, name, &m->view)                                                                      \
  FIELD(prompt, hash, &m->prompt)                                                                  \
  FIELD(top_k, u32, &m->top_k)

#define FC_WAIT_ROW_FIELDS                                                                         \
  FC_ROW_KEY_FIELDS                                                                                \
  FIELD(waited_ns, u64, &m->waited_ns)                                                             \
  FIELD(client_id, u64, &m->owner_id)                                                              \
  FIELD(client, name, &m->owner)                                                                   \
  FIELD(pid, i64, &m->owner_pid)

#define FC_USER_ROW_FIELDS                                                                         \
  FIELD(connections, u64, &m->connections)                                                         \
  FIELD(namespaces, u64, &m->namespaces)                                                           \
  FIELD(leases, u64, &m->leases)                                                                   \
  FIELD(waits, u64, &m->waits)                                                                     \
  FIELD(ring_bytes, u64, &m->ring_bytes)                                                           \
  FIELD(message_bytes, u64, &m->message_bytes)                                                     \
  FIELD(manifest_bytes, u64, &m->manifest_bytes)

#define FC_CLIENT_ROW_FIELDS                                                                       \
  FIELD(client_id, u64, &m->client_id)                                                             \
  FIELD(client, name, &m->client)                                                                  \
  FIELD(pid, i64, &m->pid)                                                                         \
  FIELD(uid, u32, &m->uid)                                                                         \
  FIELD(namespace, name_or_nil, &m->name_space)                                                    \
  FIELD(region, boolean, &m->region)                                                               \
  FIELD(connected_ns, u64, &m->connected_ns)                                                       \
  FIELD(hits, u64, &m->hits)                                                                       \
  FIELD(shared_hits, u64, &m->shared_hits)                                                         \
  FIELD(leases, u32, &m->leases)                                                                   \
  FIELD(held, held_or_nil, &m->held)                                                               \
  FIELD(waits, u32, &m->waits)                                                                     \
  FIELD(wait, wait_or_nil, &m->wait)                                                               \
  LATER(user, user_or_nil, &m->has_user, &m->user)                                                 \
  LATER(tier_waits, u32, &m->tier_waits)

#define FC_NAMESPACE_ROW_FIELDS                                                                    \
  FIELD(namespace, name, &m->name_space)                                                           \
  FIELD(manifest, kept_manifest, &m->manifest)                                                     \
  FIELD(entries, u64, &m->entries)                                                                 \
  FIELD(bytes, u64, &m->bytes)                                                                     \
  FIELD(hits, u64, &m->hits)                                                                       \
  FIELD(misses, u64, &m->misses)                                                                   \
  FIELD(clients, u32, &m->clients)                                                                 \
  FIELD(idle_ns, u64, &m->idle_ns)                                                                 \
  LATER(max_bytes, limit_or_nil, &m->max_bytes)

#define FC_USAGE_ROW_FIELDS                                                                        \
  FIELD(namespace, name_or_nil, &m->name_space)                                                    \
  FIELD(op, name_or_nil, &m->op)                                                                   \
  FIELD(view, name_or_nil, &m->view)                                                               \
  FIELD(probe, name_or_nil, &m->probe)                                                             \
  FIELD(client, name_or_nil, &m->client)                                                           \
  FIELD(client_id, u64, &m->client_id)                                                             \
  FIELD(pid, i64, &m->pid)                                                                         \
  FIELD(others, u64, &m->others)                                                                   \
  FIELD(hits, u64, &m->hits)                                                                       \
  FIELD(misses, u64, &m->misses)                                                                   \
  FIELD(saved_ns, u64, &m->saved_ns)                                                               \
  FIELD(computed_ns, u64, &m->computed_ns)                                                         \
  FIELD(put_bytes, u64, &m->put_bytes)                                                             \
  FIELD(stored_bytes, u64, &m->stored_bytes)

#define FC_EVENT_ROW_FIELDS                                                                        \
  FIELD(kind, u32, &m->kind)                                                                       \
  FIELD(time_ns, u64, &m->time_ns)                                                                 \
  FIELD(namespace, name_or_nil, &m->name_space)                                                    \
  FIELD(op, name_or_nil, &m->key.op)                                                               \
  FIELD(view, name_or_nil, &m->key.view)                                                           \
  FIELD(prompt, hash_or_nil, &m->has_prompt, &m->key.prompt)                                       \
  FIELD(top_k, u32, &m->key.top_k)                                                                 \
  FIELD(bytes, u64, &m->bytes)                                                                     \
  FIELD(cost_ns, u64, &m->cost_ns)                                                                 \
  FIELD(client, name_or_nil, &m->client)                                                           \
  FIELD(detail, u32, &m->detail)                                                                   \
  FIELD(count, u64, &m->count)
#define FC_LATENCY_ROW_FIELDS                                                                      \
  FIELD(path, name, &m->path)                                                                      \
  FIELD(operation, name, &m->operation)                                                            \
  FIELD(sum_ns, u64, &m->histogram.sum_ns)                                                         \
  FIELD(max_ns, u64, &m->histogram.max_ns)                                                         \
  FIELD(cells, cells, &m->histogram)

#define FC_SETTING_ROW_FIELDS                                                                      \
  FIELD(name, name, &m->name)                                                                      \
  FIELD(value, text, &m->value)                                                                    \
  FIELD(source, text, &m->source)                                                                  \
  FIELD(next, text, &m->next)                                                                      \
  FIELD(live, boolean, &m->live)

#define FC_SLOW_ROW_FIELDS                                                                         \
  FIELD(request, name, &m->request)                                                                \
  FIELD(age_ns, u64, &m->age_ns)                                                                   \
  FIELD(total_ns, u64, &m->total_ns)                                                               \
  FIELD(queue_ns, u64, &m->queue_ns)                                                               \
  FIELD(serve_ns, u64, &m->serve_ns)                                                               \
  FIELD(send_ns, u64, &m->send_ns)                                                                 \
  FIELD(bytes, u64, &m->bytes)                                                                     \
  FIELD(keys, u32, &m->keys)                                                                       \
  FIELD(client_id, u64, &m->client_id)                                                             \
  FIELD(client, name, &m->client)                                                                  \
  FIELD(pid, i64, &m->pid)                                                                         \
  FIELD(namespace, name_or_nil, &m->name_space)                                                    \
  FIELD(op, name_or_nil, &m->op)                                                                   \
  FIELD(view, name_or_nil, &m->view)

#define FC_TIER_ROW_FIELDS                                                                         \
  FIELD(url, text, &m->url)                                                                        \
  FIELD(mode, text, &m->mode)                                                                      \
  FIELD(prefix, text, &m->prefix)                                                                  \
  FIELD(namespaces, text, &m->namespaces)                                                          \
  FIELD(id, text, &m->id)                                                                          \
  FIELD(clear_version, u64, &m->clear_version)                                                     \
  FIELD(asking, u64, &m->asking)                                                                   \
  FIELD(leasing, u64, &m->leasing)                                                                 \
  FIELD(offered, u64, &m->offered)                                                                 \
  FIELD(held, u64, &m->held)                                                                       \
  FIELD(remote, u64, &m->remote)                                                                   \
  FIELD(waits, u64, &m->waits)                                                                     \
  FIELD(queue_entries, u64, &m->queue_entries)                                                     \
  FIELD(queue_bytes, u64, &m->queue_bytes)                                                         \
  FIELD(queue_bytes_max, u64, &m->queue_bytes_max)                                                 \
  FIELD(queue_age_ns, u64, &m->queue_age_ns)                                                       \
  FIELD(fills, u64, &m->fills)                                                                     \
  FIELD(fills_failed, u64, &m->fills_failed)                                                       \
  FIELD(fills_late, u64, &m->fills_late)                                                           \
  FIELD(skipped_down, u64, &m->skipped_down)                                                       \
  FIELD(skipped_full, u64, &m->skipped_full)                                                       \
  FIELD(hits, u64, &m->hits)                                                                       \
  FIELD(misses, u64, &m->misses)                                                                   \
  FIELD(bad_values, u64, &m->bad_values)                                                           \
  FIELD(remote_fills, u64, &m->remote_fills)                                                       \
  FIELD(remote_hits, u64, &m->remote_hits)                                                         \
  FIELD(leases, u64, &m->leases)                                                                   \
  FIELD(leases_lost, u64, &m->leases_lost)                                                         \
  FIELD(clears_learned, u64, &m->clears_learned)                                                   \
  FIELD(writes, u64, &m->writes)                                                                   \
  FIELD(kept, u64, &m->kept)                                                                       \
  FIELD(dropped_full, u64, &m->dropped_full)                                                       \
  FIELD(dropped_old, u64, &m->dropped_old)                                                         \
  FIELD(dropped_refused, u64, &m->dropped_refused)                                                 \
  FIELD(dropped_cleared, u64, &m->dropped_cleared)                                                 \
  FIELD(dropped_stop, u64, &m->dropped_stop)

#define FC_TIER_CLASS_ROW_FIELDS                                                                   \
  FIELD(state, text, &m->state)                                                                    \
  FIELD(since_ns, u64, &m->since_ns)                                                               \
  FIELD(error, text, &m->error)                                                                    \
  FIELD(sum_ns, u64, &m->times.sum_ns)                                                             \
  FIELD(max_ns, u64, &m->times.max_ns)                                                             \
  FIELD(cells, cells, &m->times)

#define FC_TIER_SERVER_ROW_FIELDS                                                                  \
  FIELD(address, text, &m->address)                                                                \
  FIELD(role, text, &m->role)                                                                      \
  FIELD(slots, u32, &m->slots)                                                                     \
  FIELD(connected, boolean, &m->connected)                                                         \
  FIELD(in_flight, u32, &m->in_flight)                                                             \
  FIELD(read, tier_class, &m->read)                                                                \
  FIELD(write, tier_class, &m->write)                                                              \
  FIELD(reads, u64, &m->reads)                                                                     \
  FIELD(hits, u64, &m->hits)                                                                       \
  FIELD(misses, u64, &m->misses)                                                                   \
  FIELD(writes, u64, &m->writes)                                                                   \
  FIELD(timeouts, u64, &m->timeouts)                                                               \
  FIELD(errors, u64, &m->errors)                                                                   \
  FIELD(reconnects, u64, &m->reconnects)                                                           \
  FIELD(redirects, u64, &m->redirects)

#endif
