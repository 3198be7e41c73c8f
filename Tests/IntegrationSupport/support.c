#define _GNU_SOURCE
#include "IntegrationSupport.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

int support_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int support_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int support_open_nonblocking(const char *path, int flags) { return open(path, flags | O_NONBLOCK | O_CLOEXEC, 0600); }

int support_set_nonblocking(int descriptor) {
  return fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

int support_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
  return mount(source, target, type, flags, data);
}

int support_unmount(const char *target) { return umount2(target, MNT_DETACH); }

int support_make_shared(const char *target) { return mount(NULL, target, NULL, MS_SHARED, NULL); }

int support_exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

int support_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int support_memory_file(const void *bytes, unsigned long length) {
  int file = memfd_create("input", MFD_CLOEXEC);
  if (file >= 0 && (write(file, bytes, length) != (ssize_t)length || lseek(file, 0, SEEK_SET) != 0)) {
    close(file);
    return -1;
  }
  return file;
}

int support_set_attribute(const char *path, const char *name, const char *value) {
  return lsetxattr(path, name, value, strlen(value), 0);
}

int support_describe(const char *path, char *text, unsigned long size) {
  struct stat status;
  char names[1024], value[256];
  if (lstat(path, &status)) return -errno;
  unsigned long length = (unsigned long)snprintf(
    text, size, "inode %lu, mode %o, owner %u:%u, links %lu, size %ld, device %lx, modified %ld.%09ld, changed %ld.%09ld",
    status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_size, status.st_rdev,
    status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
  ssize_t count = llistxattr(path, names, sizeof names);
  for (char *name = names; count > 0 && name < names + count && length < size; name += strlen(name) + 1) {
    ssize_t bytes = lgetxattr(path, name, value, sizeof value);
    length += (unsigned long)snprintf(
      text + length, size - length, ", %s=%.*s", name, bytes < 0 ? 0 : (int)bytes, value);
  }
  return 0;
}

int support_spawn(
  const char *path, char *const arguments[], char *const environment[], const char *directory,
  const int *descriptors, int count) {
  const int away = 900;  // first out of the way of each other, then to their places
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int index = 0; index < count; index++)
    posix_spawn_file_actions_adddup2(&actions, descriptors[index], away + index);
  for (int index = 0; index < count; index++) posix_spawn_file_actions_adddup2(&actions, away + index, index);
  posix_spawn_file_actions_addclosefrom_np(&actions, count);
  if (directory) posix_spawn_file_actions_addchdir_np(&actions, directory);
  // What the test process blocks or ignores is not the runtime's business.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, every;
  sigemptyset(&none);
  sigfillset(&every);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &every);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  int error = posix_spawn(&child, path, &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error ? -error : child;
}

int support_namespace_owner(int handle) {
  return ioctl(handle, NS_GET_USERNS);
}
