// System calls by their numbers: what a filter lets through.
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The gate of i386, which a 64-bit program can use as well. The result is the negative errno.
static long callI386(long number, long first) {
#ifdef __x86_64__
  int result = (int)number;
  // All registers that are not the call's own are lost: r8 to r11 by kernels before 5.7.
  __asm__ volatile("int $0x80"
                   : "+a"(result)
                   : "b"((int)first), "c"(-1), "d"(-1), "S"(-1), "D"(-1)
                   : "memory", "r8", "r9", "r10", "r11");
  return result;
#else
  (void)number, (void)first;
  return -ENOSYS;
#endif
}

static void tryCall(const char *word) {
  char kind[8] = "";
  unsigned long number = 0, first = ~0ul;
  // 64, x32 or i386; the number; the first argument. The others are -1, which hardly any call takes for right.
  if (sscanf(word, "%7[^:]:%li:%li", kind, (long *)&number, (long *)&first) < 2) _exit(2);
  if (!strcmp(kind, "x32")) number |= 0x40000000;
  long result;
  if (!strcmp(kind, "i386")) {
    result = callI386((long)number, (long)first);
  } else {
    result = syscall((long)number, first, -1, -1, -1, -1, -1);
    if (result == -1) result = -errno;
  }
  bool isError = result < 0 && result > -4096;
  printf("%s %s\n", word, isError ? strerrorname_np((int)-result) : "done");
  fflush(stdout);
}

/// One line for each: the name of the error, `done`, or the signal that ended the process that tried.
int tryCalls(int count, char **words) {
  for (int index = 0; index < count; index++) {
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      tryCall(words[index]);
      _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) < 0) return 1;
    if (WIFSIGNALED(status)) {
      printf("%s signal %d\n", words[index], WTERMSIG(status));
      fflush(stdout);
    }
  }
  return 0;
}

int executeWithout(int number, char **words) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = 4, .filter = program};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter)) return perror("seccomp"), 1;
  execv(words[0], words);
  return perror(words[0]), 1;
}
