/* clocksource.h - from which counter the kernel derives its clocks. */
#ifndef FC_DAEMON_CLOCKSOURCE_H
#define FC_DAEMON_CLOCKSOURCE_H

#include <stdbool.h>

/* Returns whether the kernel uses the processor's time stamp counter at the moment, and its rate is
 * constant. Then the counters of all processors agree. The kernel drops a counter that it finds
 * unstable, so ask again from time to time. Reads a file of sysfs; false if that fails. */
bool clocksource_is_tsc(void);

#endif
