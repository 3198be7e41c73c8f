// Processes that are hard to hit.
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// So many processes that are another one all the time: each makes its successor and ends. Who lists them and then sends
/// signals comes too late for most.
int runAway(int count) {
  // Collected by the kernel.
  signal(SIGCHLD, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int index = 0; index < count; index++) {
    if (fork()) continue;
    for (;;) {
      usleep(50);
      pid_t next = fork();
      if (next > 0) _exit(0);
    }
  }
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}

/// Every process makes others as fast as it can, and goes on when it is refused; `held` is said at the first refusal. Without
/// a limit it stops at so many.
int forkBomb(int most) {
  struct { int made, refused; } *shared =
      mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    if (__atomic_load_n(&shared->made, __ATOMIC_RELAXED) >= most) {
      puts("not held");
      fflush(stdout);
      for (;;) pause();
    }
    pid_t child = fork();
    if (child == 0) __atomic_add_fetch(&shared->made, 1, __ATOMIC_RELAXED);
    if (child >= 0) continue;
    if (!__atomic_exchange_n(&shared->refused, 1, __ATOMIC_RELAXED)) {
      puts("held");
      fflush(stdout);
    }
    usleep(100);
  }
}

/// Like `wait`, as a process with this number, which must be free: what a number that is used again looks like.
int bornAs(int pid) {
  pid_t numbers[1] = {pid};
  struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1};
  long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child < 0) return printf("%s\n", strerrorname_np(errno)), fflush(stdout), 1;
  sigset_t all;
  sigfillset(&all);
  if (child > 0) {
    // Ends with its child, which the test talks to.
    sigprocmask(SIG_SETMASK, &all, NULL);
    waitpid((pid_t)child, NULL, 0);
    return 0;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigprocmask(SIG_SETMASK, &all, NULL);
  puts("ready");
  fflush(stdout);
  siginfo_t information;
  while (sigwaitinfo(&all, &information) < 0) {}
  printf("signal %d\n", information.si_signo);
  fflush(stdout);
  _exit(0);
}

/// Holds a file with flock(2) for as long as it lives.
int holdLock(const char *path) {
  int file = open(path, O_RDWR | O_CREAT, 0644);
  if (file < 0 || flock(file, LOCK_EX | LOCK_NB)) return perror(path), 1;
  puts("locked");
  fflush(stdout);
  for (;;) pause();
}
