// Processes that are hard to hit.
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
