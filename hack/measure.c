// Runs commands for hack/bench and says what each cost. Small and static, because a process starts
// with the peak memory of whoever vforks it: below an interpreter every runtime would seem as big.
//
// Request on standard input:  a 4-byte length, then NUL-ended strings: OUTPUT PROGRAM ARGUMENT…
//   (no string: only collect processes that have ended).
// Answer on standard output:  `STATUS WALL CPU PEAK ORPHANS`: wait status, ns, us, kB, and how many
//   other processes were collected.
//
// It is a subreaper: what a runtime leaves behind and does not wait for ends up here, and the time of
// those that have ended by the next answer is added to CPU. PEAK is that of the largest process.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { maximumRequest = 65536, maximumStrings = 256 };

static void fail(const char *what) {
  dprintf(2, "measure: %s: %s\n", what, strerror(errno));
  _exit(1);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t processorTime(const struct rusage *u) {
  return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000ll + u->ru_utime.tv_usec + u->ru_stime.tv_usec;
}

static int readAll(void *to, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t n = read(0, (char *)to + done, length - done);
    if (n < 0) fail("read");
    if (n == 0) return 0;
    done += n;
  }
  return 1;
}

static pid_t spawn(char **strings, int input) {
  int output = open(strings[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (output < 0) fail(strings[0]);
  pid_t pid = vfork();
  if (pid == 0) {
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    execv(strings[1], strings + 1);
    _exit(127);
  }
  if (pid < 0) fail("vfork");
  close(output);
  return pid;
}

int main(void) {
  static char request[maximumRequest], *strings[maximumStrings + 1];
  uint32_t length;
  int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (input < 0) fail("/dev/null");
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("PR_SET_CHILD_SUBREAPER");
  while (readAll(&length, sizeof length)) {
    if (length > sizeof request || !readAll(request, length)) fail("request");
    int count = 0, status = 0, orphans = 0, other;
    for (uint32_t at = 0; at < length && count < maximumStrings; at += strlen(request + at) + 1)
      strings[count++] = request + at;
    strings[count] = NULL;
    struct rusage usage = {0};
    int64_t begin = now(), end = begin, cpu = 0;
    if (count >= 2) {
      begin = now();
      pid_t pid = spawn(strings, input);
      if (wait4(pid, &status, 0, &usage) < 0) fail("wait4");
      end = now();
      cpu = processorTime(&usage);
    }
    int64_t peak = usage.ru_maxrss;
    while (wait4(-1, &other, WNOHANG, &usage) > 0) {
      orphans += 1;
      cpu += processorTime(&usage);
      if (usage.ru_maxrss > peak) peak = usage.ru_maxrss;
    }
    dprintf(1, "%d %lld %lld %lld %d\n", status, (long long)(end - begin), (long long)cpu, (long long)peak, orphans);
  }
  return 0;
}
