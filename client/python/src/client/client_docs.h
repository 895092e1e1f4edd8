/* client_docs.h - the docstrings of the methods of _core.Client, with the signatures that help()
 * and inspect.signature() show. _core.pyi has the same signatures with types. A test compares them.
 */
#ifndef FCACHED_PY_CLIENT_DOCS_H
#define FCACHED_PY_CLIENT_DOCS_H

/* The arguments of a key, for every method that has one. */
#define DOC_KEY                                                                                    \
  "op, view: names, a str of 1 to 255 bytes of UTF-8 without control characters.\n"                \
  "prompt: a str (its UTF-8) or bytes. top_k: an int, 0 or more.\n"
#define DOC_PROMPTS "prompts: a sequence or an iterator of prompts.\n"
#define DOC_KEY_ERRORS                                                                             \
  "Raises TypeError for an argument of a wrong type, and ArgumentError for an invalid name or\n"   \
  "number, or if the client is closed.\n"
#define DOC_PROMPTS_ERRORS "TypeError also for prompts without an order, such as a set, or a str."

#define DOC_CLIENT                                                                                 \
  "Client(namespace, *, socket, client, deadline_ms, lease_ms, wait_ms, max_entries, max_bytes,\n" \
  "       manifest, verify, ranks)\n--\n\n"                                                        \
  "The base class of fcached.Client, with times in milliseconds. wait_ms: -1 never waits, 0 "      \
  "waits\n"                                                                                        \
  "up to lease_ms."

#define DOC_GET                                                                                    \
  "get($self, /, op, view, prompt, top_k=0, *, wait=0.0, lease=False, record=True)\n--\n\n"        \
  "Returns the value stored under a key, or MISS. Without a daemon: MISS.\n\n" DOC_KEY             \
  "wait: seconds to wait for the value if another worker is computing it.\n"                       \
  "lease: if true, returns LEASED for a miss that no other worker is computing. Other workers\n"   \
  "then wait for this one, which must put the value or call give_up.\n"                            \
  "record: if false, the lookup is neither counted nor traced.\n\n" DOC_KEY_ERRORS                 \
  "Raises DecodeError if the stored bytes are not a value, or are an object of a class that is\n"  \
  "not registered in this process."

#define DOC_PUT                                                                                    \
  "put($self, /, op, view, prompt, top_k, value, *, compute_s=0.0, keep_first=False,\n"            \
  "    record=True)\n--\n\n"                                                                       \
  "Stores a value under a key, or replaces the stored one. Returns True if it was stored.\n\n"     \
  "Returns False without a daemon, if keep_first kept a value, or if the namespace was cleared\n"  \
  "after this client's last lookup of the key missed. A lease on the key ends in all "             \
  "cases.\n\n" DOC_KEY "compute_s: seconds that the computation took, which a later hit saves.\n"  \
  "keep_first: if true, a stored value stays.\n"                                                   \
  "record: if false, the put is neither counted nor traced. Otherwise it counts as a miss and a\n" \
  "forward pass.\n\n" DOC_KEY_ERRORS                                                               \
  "Raises EncodeError if the value has no encoding, and TooBigError if it exceeds the daemon's\n"  \
  "largest value."

#define DOC_GIVE_UP                                                                                \
  "give_up($self, /, op, view, prompt, top_k=0)\n--\n\n"                                           \
  "Gives back a lease that get() granted with LEASED, if no put will follow. The next waiting\n"   \
  "worker gets it. Does nothing if this client does not hold the lease.\n\n" DOC_KEY               \
  "\n" DOC_KEY_ERRORS

#define DOC_GIVE_UP_MANY                                                                           \
  "give_up_many($self, /, op, view, prompts, top_k=0)\n--\n\n"                                     \
  "Gives back the leases of many prompts in one message, as give_up().\n\n" DOC_PROMPTS DOC_KEY    \
  "\n" DOC_KEY_ERRORS DOC_PROMPTS_ERRORS

#define DOC_GET_MANY                                                                               \
  "get_many($self, /, op, view, prompts, top_k=0, *, lease=False, record=True)\n--\n\n"            \
  "Looks up many prompts in one exchange, as get(). Never waits.\n\n"                              \
  "Returns a list with one item for each prompt, in their order: the value, MISS, or with\n"       \
  "lease=True LEASED. A prompt that occurs twice is leased once. A stored value that cannot be\n"  \
  "decoded is MISS.\n\n" DOC_PROMPTS DOC_KEY "\n" DOC_KEY_ERRORS DOC_PROMPTS_ERRORS

#define DOC_PUT_MANY                                                                               \
  "put_many($self, /, op, view, prompts, top_k, values, *, compute_s=0.0, keep_first=False,\n"     \
  "         record=True)\n--\n\n"                                                                  \
  "Stores many values in one exchange, as put(). Returns True if all were stored.\n\n" DOC_PROMPTS \
      DOC_KEY                                                                                      \
  "values: a sequence or an iterator with one value for each prompt, in their order.\n"            \
  "compute_s: seconds that all took together, which are divided evenly.\n\n" DOC_KEY_ERRORS        \
  "TypeError also for prompts or values without an order, such as a set or a dict. "               \
  "ArgumentError\n"                                                                                \
  "also for a wrong number of values. Raises EncodeError if a value has no encoding: then none "   \
  "is\n"                                                                                           \
  "stored. Raises TooBigError if one exceeds the daemon's largest value: the others are stored."

#define DOC_CACHED                                                                                 \
  "cached($self, /, op, view, prompt, top_k, compute)\n--\n\n"                                     \
  "Returns the value stored under a key. For a miss, calls compute() and stores its "              \
  "result.\n\n" DOC_KEY                                                                            \
  "compute: called without arguments, by one of the workers that miss the key at the same time.\n" \
  "The others wait for its value, at most the client's `wait` seconds. An exception of compute\n"  \
  "reaches the caller, and nothing is counted or stored. Its result reaches the caller in all\n"   \
  "cases: one that has no encoding or is too large is counted (`unencodable`, `too_big`) and "     \
  "not\n"                                                                                          \
  "stored. Without a daemon, every call computes.\n\n" DOC_KEY_ERRORS

#define DOC_CACHED_BATCH                                                                           \
  "cached_batch($self, /, op, view, prompts, top_k, compute_misses)\n--\n\n"                       \
  "Returns a list with one value for each prompt, in their order, as cached().\n\n" DOC_PROMPTS    \
      DOC_KEY                                                                                      \
  "compute_misses: called with a list of the indices of prompts that miss, rising and never\n"     \
  "empty. It returns one value for each, in that order, in an object that is indexed from 0 (a\n"  \
  "list, a tuple, an array; a pandas object by position). Prompts that other workers are\n"        \
  "computing are waited for afterwards. Further calls compute those that they gave up, and hits\n" \
  "that are verified or cannot be decoded. An exception of compute_misses reaches the caller.\n"   \
  "Hits stay counted then.\n\n" DOC_KEY_ERRORS                                                     \
  "Raises BatchError if compute_misses returns a wrong number of values, and TypeError if it\n"    \
  "returns a dict, a set, text, bytes, an iterator or another object without positions."

#define DOC_CACHED_BATCH_FOUND                                                                     \
  "_cached_batch($self, /, op, view, prompts, top_k, compute_misses, found)\n--\n\n"               \
  "cached_batch(), which also calls found(indices) before each call of compute_misses, with the\n" \
  "hits since its last call. Exceptions of found are ignored."

#define DOC_LOCAL                                                                                  \
  "_local($self, /, op, view, prompt, top_k)\n--\n\n"                                              \
  "get() from shared memory alone: returns the value and records a hit, or returns MISS. Sends "   \
  "no\n"                                                                                           \
  "message and never waits."

#define DOC_SET_PROBE                                                                              \
  "set_probe($self, /, probe)\n--\n\n"                                                             \
  "Sets the label of this client's later lookups in the daemon's trace, for all threads: a name\n" \
  "as op and view, or None.\n\n"                                                                   \
  "Raises TypeError for a wrong type, and ArgumentError for an invalid name."

#define DOC_CLEAR                                                                                  \
  "clear($self, /, view=None, op=None, *, local=False)\n--\n\n"                                    \
  "Removes the namespace's entries with that view and op (None: any), for all workers. Returns\n"  \
  "their number. A value whose computation began before the clear is not stored after it. With\n"  \
  "a tier, all daemons of the fleet clear, or with local=True this one alone.\n\n"                 \
  "Raises UnavailableError if no daemon answers, DeniedError if another user created the\n"        \
  "namespace, and TypeError and ArgumentError as get()."

#define DOC_DELETE                                                                                 \
  "delete($self, /, op, view, prompt, top_k=0, *, local=False)\n--\n\n"                            \
  "Removes the value of one key, for all workers. Returns True if there was one. A value whose\n"  \
  "computation began before, with the lookup that missed, is not stored after it. local is that\n" \
  "of clear().\n\n"                                                                                \
  "Raises the errors of clear(), and ProtocolError if the daemon is older than this method."

#define DOC_CLOSE                                                                                  \
  "close($self, /)\n--\n\n"                                                                        \
  "Closes the connections of all threads, each after its current call. Later calls raise\n"        \
  "ArgumentError, except close() and stats()."

#define DOC_COUNTERS                                                                               \
  "_counters($self, /)\n--\n\n"                                                                    \
  "Returns the counters of the C library, summed over all threads, and those of the package, as "  \
  "a\n"                                                                                            \
  "dict of int."

#define DOC_SERVER_STATS                                                                           \
  "_server_stats($self, /)\n--\n\n"                                                                \
  "Returns the daemon's statistics as a list of (namespace or None, name, value), in its order."

#define DOC_INSTRUMENTATION                                                                        \
  "Instrumentation()\n--\n\n"                                                                      \
  "The base class of fcached.instrumentation.BackendInstrumentation: the hits."

#define DOC_INSTRUMENTATION_CACHED                                                                 \
  "cached($self, /, op, view_id, prompt, top_k, compute)\n--\n\n"                                  \
  "Returns the result of op for a prompt and a view: a stored one, or that of compute(). A hit\n"  \
  "is counted with the time of its lookup, including a wait for another worker. A miss is a\n"     \
  "forward pass, counted with the time of compute. An exception of compute reaches the caller,\n"  \
  "and nothing is counted or traced."

#endif
