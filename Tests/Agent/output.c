#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// ---- JSON ---------------------------------------------------------------------------------------------

static bool needComma;

static void comma(void) {
  if (needComma) putchar(',');
  needComma = false;
}

void jsonString(const char *text) {
  comma();
  putchar('"');
  for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
    if (*byte == '"' || *byte == '\\') printf("\\%c", *byte);
    else if (*byte < 0x20 || *byte >= 0x7f) printf("\\u%04x", *byte);
    else putchar(*byte);
  }
  putchar('"');
  needComma = true;
}

void jsonKey(const char *name) {
  jsonString(name);
  putchar(':');
  needComma = false;
}

void jsonNumber(long long value) {
  comma();
  printf("%lld", value);
  needComma = true;
}

void jsonBool(bool value) {
  comma();
  fputs(value ? "true" : "false", stdout);
  needComma = true;
}

void jsonNull(void) {
  comma();
  fputs("null", stdout);
  needComma = true;
}

void jsonOpen(char bracket) {
  comma();
  putchar(bracket);
}

void jsonClose(char bracket) {
  putchar(bracket);
  needComma = true;
}

void keyString(const char *name, const char *value) {
  jsonKey(name);
  jsonString(value);
}

void keyNumber(const char *name, long long value) {
  jsonKey(name);
  jsonNumber(value);
}

void keyError(int error) {
  keyNumber("errno", error);
  keyString("error", error ? strerrorname_np(error) : "");
}

void jsonLine(void) {
  putchar('\n');
  fflush(stdout);
  needComma = false;
}

// ---- helpers ------------------------------------------------------------------------------------------

char *readWhole(const char *path) {
  static char buffer[1 << 20];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  size_t length = 0;
  ssize_t count;
  while (length < sizeof buffer - 1 && (count = read(file, buffer + length, sizeof buffer - 1 - length)) > 0)
    length += (size_t)count;
  close(file);
  buffer[length] = 0;
  return buffer;
}

static const char *kindName(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return "file";
  case S_IFDIR: return "directory";
  case S_IFLNK: return "link";
  case S_IFCHR: return "char";
  case S_IFBLK: return "block";
  case S_IFIFO: return "fifo";
  case S_IFSOCK: return "socket";
  }
  return "?";
}

void statObject(const char *path) {
  struct stat status;
  jsonOpen('{');
  if (lstat(path, &status)) {
    keyError(errno);
    jsonClose('}');
    return;
  }
  keyString("type", kindName(status.st_mode));
  keyNumber("mode", status.st_mode & 07777);
  keyNumber("uid", status.st_uid);
  keyNumber("gid", status.st_gid);
  keyNumber("size", status.st_size);
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    keyNumber("major", major(status.st_rdev));
    keyNumber("minor", minor(status.st_rdev));
  }
  if (S_ISLNK(status.st_mode)) {
    char target[4096];
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    keyString("target", target);
  }
  jsonClose('}');
}

static int compareNames(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

size_t listNames(const char *path, char **names, size_t limit) {
  DIR *directory = opendir(path);
  if (!directory) return 0;
  size_t count = 0;
  struct dirent *entry;
  while ((entry = readdir(directory)) && count < limit)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) names[count++] = strdup(entry->d_name);
  closedir(directory);
  qsort(names, count, sizeof *names, compareNames);
  return count;
}

void keyListing(const char *name, const char *path) {
  static char *names[4096];
  size_t count = listNames(path, names, 4096);
  jsonKey(name);
  jsonOpen('{');
  for (size_t index = 0; index < count; index++) {
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", path, names[index]);
    jsonKey(names[index]);
    statObject(full);
  }
  jsonClose('}');
}
