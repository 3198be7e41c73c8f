#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

static void keyTerminal(const char *name, int handle) {
  struct stat status = {0};
  struct statfs system = {0};
  struct termios settings = {0};
  jsonKey(name);
  jsonOpen('{');
  bool isTerminal = isatty(handle) == 1;
  jsonKey("isTerminal");
  jsonBool(isTerminal);
  if (fstat(handle, &status) == 0) {
    keyNumber("major", major(status.st_rdev));
    keyNumber("minor", minor(status.st_rdev));
    keyNumber("uid", status.st_uid);
    keyNumber("gid", status.st_gid);
    keyNumber("mode", status.st_mode & 07777);
    keyNumber("inode", (long long)status.st_ino);
  }
  if (fstatfs(handle, &system) == 0) keyNumber("magic", system.f_type);
  if (isTerminal && tcgetattr(handle, &settings) == 0) {
    jsonKey("mapsNewLine");
    jsonBool(settings.c_oflag & ONLCR);
    jsonKey("echoes");
    jsonBool(settings.c_lflag & ECHO);
  }
  jsonClose('}');
}

void sectionTerminal(void) {
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  jsonKey("terminal");
  jsonOpen('{');
  for (int handle = 0; handle < 3; handle++) keyTerminal(names[handle], handle);
  int handle = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
  keyNumber("consoleErrno", handle < 0 ? errno : 0);
  if (handle >= 0) keyTerminal("console", handle);
  struct winsize size = {0};
  ioctl(0, TIOCGWINSZ, &size);
  keyNumber("rows", size.ws_row);
  keyNumber("columns", size.ws_col);
  keyNumber("foregroundGroup", tcgetpgrp(0));
  keyNumber("session", tcgetsid(0));
  // Only a controlling terminal can be opened under this name.
  int own = open("/dev/tty", O_RDWR | O_CLOEXEC);
  jsonKey("controls");
  jsonBool(own >= 0);
  jsonClose('}');
}

static void onChange(int number) { (void)number; }

// Says the size at the beginning and after each SIGWINCH; ends with a line on standard input.
int watchSize(void) {
  struct sigaction action = {.sa_handler = onChange};
  sigset_t blocked, none;
  sigaction(SIGWINCH, &action, NULL);
  sigemptyset(&none);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGWINCH);
  // Let in only while waiting: none comes between looking and waiting.
  sigprocmask(SIG_SETMASK, &blocked, NULL);
  struct pollfd input = {.fd = 0, .events = POLLIN};
  do {
    struct winsize size = {0};
    ioctl(0, TIOCGWINSZ, &size);
    printf("size %d %d\n", size.ws_row, size.ws_col);
    fflush(stdout);
  } while (ppoll(&input, 1, NULL, &none) < 0 && errno == EINTR);
  printf("done\n");
  return 0;
}
