/* service_ready.h - the notification of sd_notify(3), for a program that only becomes ready. */
#ifndef FC_CTL_SERVICE_READY_H
#define FC_CTL_SERVICE_READY_H

/* Sends READY=1 to $NOTIFY_SOCKET, a path, or '@' and an abstract name. No effect without it. A
 * message that cannot be sent is dropped: the service manager then reports a start that timed out.
 */
void service_ready(void);

#endif
