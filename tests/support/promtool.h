/* promtool.h - checks by Prometheus's promtool, a program of the Debian package prometheus. */
#ifndef FC_TESTS_PROMTOOL_H
#define FC_TESTS_PROMTOOL_H

/* Fails the test if `promtool check metrics` finds something in the text. Prints a line that the
 * check is skipped if there is no promtool. */
void promtool_check_metrics(const char *metrics);

#endif
