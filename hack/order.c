// Which functions of a program run, in the order in which they run first, in it and in every copy of it that it makes.
//
//   order FUNCTIONS OUTPUT PROGRAM [ARGUMENT…]
//
// FUNCTIONS has the address of each function in a line, in hexadecimal; OUTPUT gets those that were reached. A breakpoint stands on
// each until it is hit. Other programs that are executed on the way run as they are. The program must be a fixed one (no PIE).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { maximum = 65536 };

static unsigned long functions[maximum];
static unsigned char first[maximum], isReached[maximum];
static int count;
static struct stat program;

static void fail(const char *what) {
  fprintf(stderr, "order: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int byAddress(const void *a, const void *b) {
  unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
  return x < y ? -1 : x > y;
}

static int memoryOf(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) fail(path);
  return fd;
}

// Breakpoints on every function, in a process that has just executed the program; none where it has executed another.
static void arm(pid_t pid) {
  char path[64];
  struct stat executed;
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  if (stat(path, &executed) < 0) fail(path);
  // A copy of the mount that the program was found by has its inode, and the device.
  if (executed.st_ino != program.st_ino || executed.st_dev != program.st_dev) return;
  int memory = memoryOf(pid);
  for (int i = 0; i < count; i += 1) {
    if (pread(memory, &first[i], 1, functions[i]) != 1) fail("read of the program");
    if (pwrite(memory, "\xcc", 1, functions[i]) != 1) fail("write of the program");
  }
  close(memory);
}

// Whether the process stood on a breakpoint of ours, which is gone then.
static int isHit(pid_t pid, FILE *output) {
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid, 0, &registers) < 0) return 0;
  unsigned long at = registers.rip - 1;
  unsigned long *found = bsearch(&at, functions, count, sizeof *functions, byAddress);
  if (!found) return 0;
  int i = found - functions, memory = memoryOf(pid);
  if (pwrite(memory, &first[i], 1, at) != 1) fail("write of the program");
  close(memory);
  registers.rip = at;
  if (ptrace(PTRACE_SETREGS, pid, 0, &registers) < 0) fail("PTRACE_SETREGS");
  if (!isReached[i]) fprintf(output, "%lx\n", at);
  isReached[i] = 1;
  return 1;
}

static void follow(pid_t child, FILE *output) {
  int status;
  for (;;) {
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return;
    if (!WIFSTOPPED(status)) {
      if (pid == child && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
        fprintf(stderr, "order: the program failed\n");
        exit(1);
      }
      continue;
    }
    int handed = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) arm(pid);
    if (event || handed == SIGSTOP || (handed == SIGTRAP && isHit(pid, output))) handed = 0;
    ptrace(PTRACE_CONT, pid, 0, handed);
  }
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "usage: order FUNCTIONS OUTPUT PROGRAM [ARGUMENT...]\n"), 2;
  FILE *list = fopen(argv[1], "r"), *output = fopen(argv[2], "a");
  if (!list || !output || stat(argv[3], &program) < 0) fail("cannot open the files");
  while (count < maximum && fscanf(list, "%lx", &functions[count]) == 1) count += 1;
  qsort(functions, count, sizeof *functions, byAddress);
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execv(argv[3], argv + 3);
    _exit(127);
  }
  int status;
  if (waitpid(child, &status, 0) < 0) fail("waitpid");
  long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SETOPTIONS, child, 0, options) < 0) fail("PTRACE_SETOPTIONS");
  ptrace(PTRACE_CONT, child, 0, 0);
  follow(child, output);
  return fclose(output) == 0 ? 0 : 1;
}
