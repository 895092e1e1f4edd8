/* allocator.h - configures the C library's allocator to return freed memory to the system. Without
 * it, glibc adapts its thresholds upwards and keeps as much memory as the daemon ever used.
 *
 * A buffer of at least ALLOCATOR_PAGES_MIN bytes has pages of its own, which free() unmaps. All
 * threads share one heap. */
#ifndef FC_DAEMON_ALLOCATOR_H
#define FC_DAEMON_ALLOCATOR_H

#define ALLOCATOR_PAGES_MIN 20000u
#define ALLOCATOR_OVERHEAD_BYTES 16u /* of each allocation; the bounds of memory include it */

/* Call once, before the first thread is created. No effect with a C library without these settings.
 */
void allocator_configure(void);

#endif
