// What a mount lets a process do: the options of mountinfo, the flags of statfs(2), and one attempt for each.
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// ---- fixtures -----------------------------------------------------------------------------------------

static int copyProgram(const char *path) {
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
  struct stat status;
  if (from < 0 || to < 0 || fstat(from, &status)) return -1;
  for (off_t left = status.st_size; left > 0;) {
    ssize_t count = sendfile(to, from, NULL, (size_t)left);
    if (count <= 0) return -1;
    left -= count;
  }
  close(from), close(to);
  // The owner first: a change of it takes the set-id bits away.
  if (chown(path, 1000, 1000) || chmod(path, 06755)) return -1;
  return 0;
}

/// Everything that the attempts of `probe` need; what is there already stays.
int makeFixtures(const char *directory) {
  char path[4096];
  snprintf(path, sizeof path, "%s/file", directory);
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0 || write(file, "text", 4) != 4) return 1;
  close(file);
  snprintf(path, sizeof path, "%s/link", directory);
  if (symlink("file", path) && errno != EEXIST) return 2;
  snprintf(path, sizeof path, "%s/folder", directory);
  if (mkdir(path, 0755) && errno != EEXIST) return 3;
  snprintf(path, sizeof path, "%s/device", directory);
  if (mknod(path, S_IFCHR | 0666, makedev(1, 3)) && errno != EEXIST) return 4;
  snprintf(path, sizeof path, "%s/program", directory);
  if (copyProgram(path) && errno != EEXIST) return 5;
  return 0;
}

// ---- attempts -----------------------------------------------------------------------------------------

static void keyAttempt(const char *name, int result) {
  keyString(name, result < 0 ? strerrorname_np(errno) : "");
  if (result >= 0) close(result);
}

// The effective user of the program when it is executed, which has another one's set-user-id bit; or the error.
static void keyExecution(const char *program) {
  pid_t child = fork();
  if (child == 0) {
    execl(program, program, "identity", (char *)NULL);
    _exit(errno);
  }
  int status = 0;
  waitpid(child, &status, 0);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  bool ran = code == 200 || code == 201;
  keyString("execute", ran ? "" : strerrorname_np(code));
  if (!ran) return;
  jsonKey("setUserID");
  jsonBool(code == 201);
}

/// The other end of it: 201 where the set-user-id bit was honoured.
int identity(void) { return geteuid() == 1000 ? 201 : 200; }

static bool isNewlyAccessed(const char *path, bool isDirectory, time_t distance) {
  struct timespec times[2] = {{.tv_sec = time(NULL) + distance}, {.tv_nsec = UTIME_OMIT}};
  if (utimensat(AT_FDCWD, path, times, 0)) return false;
  if (isDirectory) {
    DIR *directory = opendir(path);
    while (directory && readdir(directory)) {}
    if (directory) closedir(directory);
  } else {
    char byte;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, &byte, 1) != 1) byte = 0;
    close(file);
  }
  struct stat status;
  return stat(path, &status) == 0 && status.st_atim.tv_sec != times[0].tv_sec;
}

// strict: every read changes the time of access; relative: one of a file not read since a day; none: no read.
static void keyAccessTime(const char *name, const char *path, bool isDirectory) {
  bool strict = isNewlyAccessed(path, isDirectory, 3600);
  bool relative = isNewlyAccessed(path, isDirectory, -2 * 86400);
  keyString(name, strict ? "strict" : relative ? "relative" : "none");
}

static void tryFolder(const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/new", folder);
  keyAttempt("write", open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  unlink(path);
  snprintf(path, sizeof path, "%s/link", folder);
  keyAttempt("link", open(path, O_RDONLY | O_CLOEXEC));
  snprintf(path, sizeof path, "%s/device", folder);
  keyAttempt("device", open(path, O_RDONLY | O_CLOEXEC));
  snprintf(path, sizeof path, "%s/program", folder);
  keyExecution(path);
  snprintf(path, sizeof path, "%s/file", folder);
  keyAccessTime("accessTime", path, false);
  snprintf(path, sizeof path, "%s/folder", folder);
  keyAccessTime("directoryTime", path, true);
}

static void tryFile(const char *path) {
  keyAttempt("write", open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
  keyExecution(path);
  keyAccessTime("accessTime", path, false);
}

static void keyMount(const char *path) {
  char *text = readWhole("/proc/self/mountinfo"), *save = NULL, *found = NULL;
  for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
    char target[4096];
    if (sscanf(line, "%*s %*s %*s %*s %4095s", target) == 1 && !strcmp(target, path)) found = line;
  }
  jsonKey("mount");
  if (found) mountObject(found);
  else jsonNull();
}

/// One line of JSON for each path, a folder with the fixtures or the program itself.
int probe(int count, char **paths) {
  for (int index = 0; index < count; index++) {
    struct stat status;
    struct statfs system;
    bool isFolder = stat(paths[index], &status) == 0 && S_ISDIR(status.st_mode);
    if (isFolder) makeFixtures(paths[index]);
    jsonOpen('{');
    keyString("path", paths[index]);
    keyMount(paths[index]);
    keyNumber("flags", statfs(paths[index], &system) ? -1 : (long long)system.f_flags);
    if (isFolder) tryFolder(paths[index]);
    else tryFile(paths[index]);
    jsonClose('}');
    jsonLine();
  }
  return 0;
}

// ---- trees --------------------------------------------------------------------------------------------

static void listTree(const char *path, size_t prefix) {
  struct stat status;
  jsonKey(strlen(path) > prefix ? path + prefix + 1 : ".");
  statObject(path);
  if (lstat(path, &status) || !S_ISDIR(status.st_mode)) return;
  static char *names[4096];
  size_t count = listNames(path, names, 4096);
  char *own[256];
  if (count > 256) count = 256;
  memcpy(own, names, count * sizeof *names);
  for (size_t index = 0; index < count; index++) {
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", path, own[index]);
    listTree(full, prefix);
  }
}

/// Everything below a path, by its name relative to that path, as one object.
int tree(const char *path) {
  jsonOpen('{');
  listTree(path, strlen(path));
  jsonClose('}');
  jsonLine();
  return 0;
}
