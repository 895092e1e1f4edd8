/* event_line.h - prints one event of the daemon: as a line for people, or as a JSON object. */
#ifndef FC_CTL_EVENT_LINE_H
#define FC_CTL_EVENT_LINE_H

#include <stdio.h>

#include "proto/wire/event.h"

/* Prints the line of headings. */
void event_line_header(FILE *out);

/* Prints the event. On a terminal, names are cut in the middle so that the line fits it. */
void event_line_print(FILE *out, const struct fc_event *event);

/* Prints the event as a JSON object on a line. Returns 0, or -1 without memory. */
int event_line_json(FILE *out, const struct fc_event *event);

#endif
