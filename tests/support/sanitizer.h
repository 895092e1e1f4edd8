/* sanitizer.h - SANITIZER_SLOW is 1 in a build with a sanitizer, where tests take fewer rounds. */
#ifndef FC_TESTS_SANITIZER_H
#define FC_TESTS_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER_SLOW 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER_SLOW 1
#endif
#ifndef SANITIZER_SLOW
#define SANITIZER_SLOW 0
#endif

#endif
