/* printed.h - what was printed for people, as tests look at it. */
#ifndef FC_TESTS_PRINTED_H
#define FC_TESTS_PRINTED_H

/* Every line keeps within RENDER_COLUMNS; else ends the test. */
void printed_fits(const char *text);

#endif
