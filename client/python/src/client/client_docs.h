/* client_docs.h - the docstrings of _core.Client's methods, each with the signature that help() and
 * inspect.signature() show. _core.pyi has the same signatures, with types; a test compares them. */
#ifndef FCACHED_PY_CLIENT_DOCS_H
#define FCACHED_PY_CLIENT_DOCS_H

/* What is said of the key wherever one is given. */
#define DOC_KEY                                                                                    \
  "op and view are names: str of 1 to 255 bytes of UTF-8 without control characters. A prompt "    \
  "is\n"                                                                                           \
  "a str (its UTF-8) or bytes. top_k is an int, 0 or more.\n"
#define DOC_KEY_ERRORS                                                                             \
  "Raises TypeError for an argument of another type, and ArgumentError for a name or a number\n"   \
  "that is not valid, or where the client is closed.\n"

#define DOC_CLIENT                                                                                 \
  "Client(namespace, *, socket, client, deadline_ms, lease_ms, wait_ms, max_entries, max_bytes,\n" \
  "       manifest, verify, ranks)\n--\n\n"                                                        \
  "What fcached.Client extends: see there. Milliseconds; wait_ms -1: not at all, 0: as long as\n"  \
  "lease_ms."

#define DOC_GET                                                                                    \
  "get($self, /, op, view, prompt, top_k=0, *, wait=0.0, lease=False, record=True)\n--\n\n"        \
  "The value stored under a key, or MISS.\n\n" DOC_KEY                                             \
  "wait: seconds to wait for the value where another worker computes it at the moment.\n"          \
  "lease=True: a miss that no other worker computes is LEASED instead. Others then wait for\n"     \
  "this worker: compute the value and put it, or call give_up. record=False: neither counted\n"    \
  "nor traced.\n\n"                                                                                \
  "Without a daemon it returns MISS.\n\n" DOC_KEY_ERRORS                                           \
  "DecodeError where the stored bytes are not a value of this encoding, or are of a class that\n"  \
  "is not registered here."

#define DOC_PUT                                                                                    \
  "put($self, /, op, view, prompt, top_k, value, *, compute_s=0.0, keep_first=False,\n"            \
  "    record=True)\n--\n\n"                                                                       \
  "Stores a value under a key, or replaces the one that is there. True where it was "              \
  "stored.\n\n" DOC_KEY                                                                            \
  "compute_s: seconds that the value took to compute, which is what a later hit saves.\n"          \
  "keep_first=True: a value that is already stored stays. record=False: neither counted nor\n"     \
  "traced; else a put counts as a miss and a forward pass.\n\n"                                    \
  "False without a daemon; where a value stays; and where the namespace was cleared since this\n"  \
  "client's last lookup of the key missed. A lease on the key ends, whatever "                     \
  "happens.\n\n" DOC_KEY_ERRORS                                                                    \
  "EncodeError where the value has no encoding, TooBigError where it is larger than the daemon\n"  \
  "takes."

#define DOC_GIVE_UP                                                                                \
  "give_up($self, /, op, view, prompt, top_k=0)\n--\n\n"                                           \
  "Gives back a lease that LEASED granted, where no put will follow: the next worker that waits\n" \
  "for the key gets it. Does nothing where there is no such lease (any more).\n\n" DOC_KEY         \
  "\n" DOC_KEY_ERRORS

#define DOC_GIVE_UP_MANY                                                                           \
  "give_up_many($self, /, op, view, prompts, top_k=0)\n--\n\n"                                     \
  "give_up() for many prompts in one message.\n\n"                                                 \
  "prompts: a sequence or an iterator of them.\n\n" DOC_KEY "\n" DOC_KEY_ERRORS                    \
  "TypeError also for prompts without an order, such as a set, and for one str."

#define DOC_GET_MANY                                                                               \
  "get_many($self, /, op, view, prompts, top_k=0, *, lease=False, record=True)\n--\n\n"            \
  "get() for many prompts in one exchange: a list with one item for each, in their order. An\n"    \
  "item is the value, MISS, or with lease=True LEASED. Never waits. A stored value that cannot\n"  \
  "be read here is MISS.\n\n"                                                                      \
  "prompts: a sequence or an iterator of them. A prompt that is there twice is leased "            \
  "once.\n\n" DOC_KEY "\n" DOC_KEY_ERRORS                                                          \
  "TypeError also for prompts without an order, such as a set, and for one str."

#define DOC_PUT_MANY                                                                               \
  "put_many($self, /, op, view, prompts, top_k, values, *, compute_s=0.0, keep_first=False,\n"     \
  "         record=True)\n--\n\n"                                                                  \
  "put() for many prompts in one exchange. True where all values were stored.\n\n"                 \
  "prompts and values: sequences or iterators, with one value for each prompt, in their order.\n"  \
  "compute_s: seconds that all took together, which are divided evenly.\n\n" DOC_KEY               \
  "\n" DOC_KEY_ERRORS                                                                              \
  "TypeError also for prompts or values without an order, such as a set or a dict.\n"              \
  "ArgumentError for another number of values. EncodeError where a value has no encoding:\n"       \
  "then none is stored. TooBigError where one is larger than the daemon takes: then the others\n"  \
  "are stored."

#define DOC_CACHED                                                                                 \
  "cached($self, /, op, view, prompt, top_k, compute)\n--\n\n"                                     \
  "The value stored under a key, or else what compute() returns, which is then "                   \
  "stored.\n\n" DOC_KEY                                                                            \
  "compute: called without arguments, by one of the workers that miss the key at the same time;\n" \
  "the others wait for its value, up to the client's `wait` seconds. What it raises goes to the\n" \
  "caller, and nothing is counted or stored. What it returns goes to the caller in any case: a\n"  \
  "value without an encoding, or larger than the daemon takes, is not stored, and counted\n"       \
  "(`unencodable`, `too_big`). Without a daemon it is called each time.\n\n" DOC_KEY_ERRORS

#define DOC_CACHED_BATCH                                                                           \
  "cached_batch($self, /, op, view, prompts, top_k, compute_misses)\n--\n\n"                       \
  "cached() for many prompts: a list with one value for each, in their order.\n\n"                 \
  "prompts: a sequence or an iterator of them.\n" DOC_KEY                                          \
  "compute_misses: called with a list of the indices of the prompts that miss, in rising order\n"  \
  "and never empty. It returns a sequence with one value for each, in that order, which is\n"      \
  "indexed from 0 (a list, a tuple, an array; of pandas by position). What other workers are\n"    \
  "computing is left to them and waited for afterwards; a further call asks for what they did\n"   \
  "not finish, and for hits that are to be verified or cannot be read here.\n\n"                   \
  "What compute_misses raises goes to the caller. Hits stay counted then.\n\n" DOC_KEY_ERRORS      \
  "BatchError where it returned another number of values; TypeError where that was a dict, a\n"    \
  "set, text, bytes, an iterator, or anything else without positions."

#define DOC_CACHED_BATCH_FOUND                                                                     \
  "_cached_batch($self, /, op, view, prompts, top_k, compute_misses, found)\n--\n\n"               \
  "cached_batch(), which calls found(indices) before each call of compute_misses, with the hits\n" \
  "since the call before. What found raises costs nothing."

#define DOC_LOCAL                                                                                  \
  "_local($self, /, op, view, prompt, top_k)\n--\n\n"                                              \
  "What get() finds without a message, in shared memory: the value, recorded as a hit, or MISS.\n" \
  "Never waits."

#define DOC_SET_PROBE                                                                              \
  "set_probe($self, /, probe)\n--\n\n"                                                             \
  "The label of this client's further lookups in the daemon's trace: a name as op and view are;\n" \
  "None for none. For all threads.\n\n"                                                            \
  "Raises TypeError for another type, and ArgumentError for a name that is not valid."

#define DOC_CLEAR                                                                                  \
  "clear($self, /, view=None, op=None)\n--\n\n"                                                    \
  "Removes this namespace's entries of that view and that op (None: of any), for all workers.\n"   \
  "Returns their number. When it returns, the clear is complete: what began to be computed\n"      \
  "before is not stored after.\n\n"                                                                \
  "Raises UnavailableError where no daemon answers, DeniedError where another user made\n"         \
  "the namespace, TypeError and ArgumentError as get()."

#define DOC_CLOSE                                                                                  \
  "close($self, /)\n--\n\n"                                                                        \
  "Ends the connections of all threads; calls under way end first. Further calls raise\n"          \
  "ArgumentError, except close() and stats()."

#define DOC_COUNTERS                                                                               \
  "_counters($self, /)\n--\n\n"                                                                    \
  "The counters of the C library, summed over the threads, and the package's own: a dict of int."

#define DOC_SERVER_STATS                                                                           \
  "_server_stats($self, /)\n--\n\n"                                                                \
  "The daemon's figures: a list of (namespace or None, name, value), in its order."

#endif
