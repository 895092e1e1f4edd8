/* error_text.h - the text of an error: the failed operation, its object and the remedy. Errors at
 * start and error replies carry one. Plain memory: nothing to free. */
#ifndef FC_DAEMON_ERROR_TEXT_H
#define FC_DAEMON_ERROR_TEXT_H

#define ERROR_TEXT_SIZE 1024

struct error_text {
  char text[ERROR_TEXT_SIZE]; /* NUL-terminated, and cut if longer */
};

/* Formats the text and returns `code`, so that a failure is one statement:
 * return error_text_set(error, FC_EINVAL, "..."). `error` is not NULL. */
int error_text_set(struct error_text *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
