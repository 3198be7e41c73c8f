// What a hostile root in a container does to a stranger who comes into its pid namespace: stops it, and tries every way in.
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t isOver;

static void end(int number) {
  (void)number;
  isOver = 1;
}

// Each line once.
static void sayOnce(const char *format, ...) {
  static char *said[512];
  static size_t count;
  char *line;
  va_list list;
  va_start(list, format);
  if (vasprintf(&line, format, list) < 0) exit(1);
  va_end(list);
  for (size_t index = 0; index < count; index++) {
    if (!strcmp(said[index], line)) return free(line);
  }
  if (count < 512) said[count++] = line;
  puts(line);
  fflush(stdout);
}

// A place of /proc/PID that can be opened only by who may trace the process.
static void tryPlace(const char *process, const char *place, int flags) {
  char path[128], target[4096] = "";
  snprintf(path, sizeof path, "%s/%s", process, place);
  int handle = open(path, flags | O_CLOEXEC);
  if (handle < 0) return;
  char byte;
  struct stat here, there;
  bool isFolder = flags & O_PATH && fstat(handle, &there) == 0;
  ssize_t got = flags & O_PATH ? 1 : read(handle, &byte, 1);
  // Of a process that has ended there is nothing to read.
  if (got == 0 || (got < 0 && errno != EIO)) return (void)close(handle);
  if (isFolder) {
    ssize_t count = readlink(path, target, sizeof target - 1);
    target[count < 0 ? 0 : count] = 0;
    bool isOwn = stat(target, &here) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    sayOnce("opened %s %s", place, isOwn ? "inside" : target);
  } else {
    sayOnce("opened %s", place);
  }
  close(handle);
}

static void tryDescriptors(const char *process) {
  char path[128], target[4096];
  snprintf(path, sizeof path, "%s/fd", process);
  DIR *folder = opendir(path);
  struct dirent *entry;
  while (folder && (entry = readdir(folder))) {
    if (*entry->d_name == '.') continue;
    ssize_t count = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
    if (count < 0) continue;
    target[count] = 0;
    // The number of a pipe or a socket is of no interest.
    char *colon = strstr(target, ":[");
    if (colon && strncmp(target, "anon_inode", 10)) *colon = 0;
    struct stat here, there;
    bool isOwn = *target == '/' && stat(target, &here) == 0 && fstatat(dirfd(folder), entry->d_name, &there, 0) == 0 &&
                 here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    sayOnce("opened fd %s", isOwn ? "inside" : target);
  }
  if (folder) closedir(folder);
}

static void tryTrace(int pid) {
  if (ptrace(PTRACE_SEIZE, pid, NULL, NULL)) return;
  sayOnce("opened trace");
  if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0) waitpid(pid, NULL, __WALL);
  ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

static bool isStranger(const char *process) {
  char path[128], name[64] = "";
  snprintf(path, sizeof path, "%s/comm", process);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t count = file < 0 ? -1 : read(file, name, sizeof name - 1);
  close(file);
  return count > 0 && strcmp(name, "agent\n") && strcmp(name, "busybox\n") && strcmp(name, "sh\n");
}

// A signal takes effect a moment after it was sent; false where the process ends before.
static bool hasStopped(const char *process) {
  char path[128];
  snprintf(path, sizeof path, "%s/stat", process);
  for (int attempt = 0; attempt < 10000; attempt++) {
    char text[256] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = file < 0 ? -1 : read(file, text, sizeof text - 1);
    close(file);
    char *end = count > 0 ? strrchr(text, ')') : NULL;
    if (!end || strchr("ZX", end[2])) return false;
    if (end[2] == 'T') return true;
  }
  return false;
}

/// Until SIGTERM; then says how many strangers it has caught.
int spy(void) {
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  puts("ready");
  fflush(stdout);
  long caught = 0;
  DIR *folder = opendir("/proc");
  while (folder && !isOver) {
    struct dirent *entry;
    rewinddir(folder);
    while ((entry = readdir(folder))) {
      int pid = atoi(entry->d_name);
      char process[64];
      if (pid <= 1 || pid == getpid()) continue;
      snprintf(process, sizeof process, "/proc/%d", pid);
      if (!isStranger(process) || kill(pid, SIGSTOP)) continue;
      // It may have become the command before it stopped.
      if (hasStopped(process) && isStranger(process)) {
        caught++;
        tryPlace(process, "root", O_PATH);
        tryPlace(process, "cwd", O_PATH);
        tryPlace(process, "mem", O_RDWR);
        tryPlace(process, "environ", O_RDONLY);
        tryPlace(process, "maps", O_RDONLY);
        tryPlace(process, "exe", O_WRONLY);
        tryDescriptors(process);
        tryTrace(pid);
      }
      kill(pid, SIGCONT);
    }
  }
  printf("caught %ld\n", caught);
  return 0;
}
