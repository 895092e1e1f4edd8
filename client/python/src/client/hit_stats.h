/* hit_stats.h - adds hits to the counters of an instrumentation. All functions need the GIL. */
#ifndef FCACHED_PY_HIT_STATS_H
#define FCACHED_PY_HIT_STATS_H

#include <Python.h>
#include <stdbool.h>

/* Called once, when the module is imported. 0, or -1 with an exception. */
int hit_stats_init(void);

/* Adds one to stats.cache_hits, an int, and `wall_s` to stats.scoring_wall_s, a float. Returns
 * false with nothing added, and without an exception, unless both are slots of the object's class:
 * Python code then adds to them. */
bool hit_stats_add(PyObject *stats, double wall_s);

/* Returns true if `trace` is a TraceWriter that is off. False, without an exception, also if that
 * cannot be found out. */
bool hit_stats_trace_is_off(PyObject *trace);

#endif
