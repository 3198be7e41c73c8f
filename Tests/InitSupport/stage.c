#define _GNU_SOURCE
#include "InitSupport.h"

#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { channel = 3, payload = 4, report_cloned = 2 };

struct child {
  int pid, handle;
};

// The limit is for a runtime that waits for ever.
static _Noreturn void wait_for_end(void) {
  struct pollfd entry = {.fd = channel};
  poll(&entry, 1, 10000);
  _exit(0);
}

static struct child start_child(void) {
  struct child child = {0, -1};
  struct {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  } arguments = {.flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uintptr_t)&child.handle};
  child.pid = (int)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child.pid == 0) wait_for_end();
  return child;
}

static void announce(int pid, int handle) {
  char report[5] = {report_cloned}, control[CMSG_SPACE(sizeof(int))] = {0};
  memcpy(report + 1, &pid, sizeof pid);
  struct iovec bytes = {report, sizeof report};
  struct msghdr message = {
      .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &handle, sizeof handle);
  sendmsg(channel, &message, MSG_NOSIGNAL);
}

static _Noreturn void play(const unsigned char *step, const unsigned char *end) {
  struct child child = {0, -1};
  for (; step < end; step++) switch (*step) {
      case 'F': child = start_child(); break;
      case 'A': announce(child.pid, child.handle); break;
      case 'B': announce(child.pid, (int)syscall(SYS_pidfd_open, getpid(), 0)); break;
      case 'P': announce(getppid(), (int)syscall(SYS_pidfd_open, getppid(), 0)); break;
      case 'S':
        send(channel, step + 2, step[1], MSG_NOSIGNAL);
        step += 1 + step[1];
        break;
      case 'W': wait_for_end();
      case 'X': _exit(3);
    }
  _exit(0);
}

// Before main: the rest of the program is about tests.
__attribute__((constructor)) static void stage(int count, char **words) {
  struct stat status;
  if (count < 1 || strcmp(words[0], "apus-init") || fstat(payload, &status)) return;
  const unsigned char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, payload, 0);
  if (bytes == MAP_FAILED) _exit(1);
  const unsigned char *end = bytes + status.st_size;
  const unsigned char *script = memmem(bytes, (size_t)status.st_size, INIT_SCRIPT_WORD, strlen(INIT_SCRIPT_WORD));
  if (!script) _exit(1);
  play(script + strlen(INIT_SCRIPT_WORD), end);
}
