// Two functions of the GNU C library that the Swift runtime and Debian's static libraries call, and musl has not. Only where
// musl is linked: anywhere else, and in a library, they would take the place of those of the C library.
#ifdef APUS_MUSL

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __GLIBC__
#error "the headers are those of the GNU C library"
#endif

int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
  (void)flag;
  va_list list;
  va_start(list, format);
  int result = vfprintf(file, format, list);
  va_end(list);
  return result;
}

// The seeds of Swift's hash tables.
void arc4random_buf(void *buffer, size_t length) {
  char *next = buffer;
  while (length > 0) {
    long done = syscall(SYS_getrandom, next, length, 0);
    if (done < 0 && errno == EINTR) continue;
    // There is no error to answer, and without an end there would be no program.
    if (done <= 0) __builtin_trap();
    next += done;
    length -= (size_t)done;
  }
}

#endif
