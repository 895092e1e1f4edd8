/* error_text.h - the text that goes with an error code at start and in replies: what
 * happened, to what, what to do. Plain memory; nothing to free. */
#ifndef FC_DAEMON_FAULT_H
#define FC_DAEMON_FAULT_H

#define FAULT_TEXT_SIZE 1024

struct fault {
  char text[FAULT_TEXT_SIZE]; /* NUL-terminated; cut where longer */
};

/* Sets the text, printf-like, and returns `code`, so that a failure is one
 * statement: return fault_set(fault, FC_EINVAL, "..."). `fault` is not NULL. */
int fault_set(struct fault *fault, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
