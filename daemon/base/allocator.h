/* allocator.h - how the C library's allocator is set up, so that memory that was freed does not
 * stay with the daemon: its own estimate of what will be needed again would keep as much as was
 * ever used.
 *
 * Buffers of ALLOCATOR_PAGES_MIN bytes and more are pages of their own, and go back to the system
 * when they are freed. All threads share one heap. */
#ifndef FC_DAEMON_ALLOCATOR_H
#define FC_DAEMON_ALLOCATOR_H

#define ALLOCATOR_PAGES_MIN 20000u

/* Once, before any thread is made. Nothing happens where the C library has no such settings. */
void allocator_set_up(void);

#endif
