// What a process may do, one attempt for each word, such as `read:/etc/passwd`: the name of the error, or an empty text.
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int attempt(const char *word);

/// An errno, or 0.
static int done(long result) { return result < 0 ? errno : 0; }

static int opened(const char *path, int flags) {
  int file = open(path, flags | O_CLOEXEC);
  int error = done(file);
  if (file >= 0) close(file);
  return error;
}

static int entropy(const char *path) {
  int count, file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  int error = done(ioctl(file, RNDGETENTCNT, &count));
  close(file);
  return error;
}

/// What becomes of it in a child: the child's exit code, which is an errno.
static int inChild(int (*body)(const char *), const char *word) {
  pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) _exit(body(word));
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int executed(const char *path) {
  execl(path, path, "exit", "0", (char *)NULL);
  return errno;
}

static int portOf(const char *number, bool binds) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(number)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr *place = (struct sockaddr *)&address;
  int error = done(binds ? bind(handle, place, sizeof address) : connect(handle, place, sizeof address));
  close(handle);
  return error;
}

static socklen_t abstractName(struct sockaddr_un *address, const char *name) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  strncpy(address->sun_path + 1, name, sizeof address->sun_path - 2);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int abstractSocket(const char *name) {
  struct sockaddr_un address;
  socklen_t length = abstractName(&address, name);
  int handle = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int error = done(connect(handle, (struct sockaddr *)&address, length));
  close(handle);
  return error;
}

/// Listens under an abstract name, or at an absolute path, until it is killed. `handsOver`: a child has the socket then, and who
/// listened has ended.
int listenAt(const char *name, int handsOver) {
  struct sockaddr_un address;
  socklen_t length = abstractName(&address, name);
  if (*name == '/') memmove(address.sun_path, address.sun_path + 1, sizeof address.sun_path - 1);
  int handle = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(handle, (struct sockaddr *)&address, length) || listen(handle, 8)) return perror("bind"), 1;
  if (handsOver && fork() != 0) return 0;
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}

/// `FROM,TO`
static int renamed(const char *names) {
  char from[4096];
  const char *comma = strchr(names, ',');
  if (!comma) return EINVAL;
  snprintf(from, sizeof from, "%.*s", (int)(comma - names), names);
  return done(rename(from, comma + 1));
}

static int made(const char *path, mode_t type) { return done(mknod(path, type | 0600, makedev(1, 3))); }

static int attempt(const char *word) {
  const char *colon = strchr(word, ':');
  if (!colon) return EINVAL;
  const char *rest = colon + 1;
  size_t length = (size_t)(colon - word);
#define is(name) (length == sizeof(name) - 1 && !memcmp(word, name, sizeof(name) - 1))
  if (is("read")) return opened(rest, O_RDONLY);
  if (is("write")) return opened(rest, O_WRONLY);
  if (is("list")) return opened(rest, O_RDONLY | O_DIRECTORY);
  if (is("truncate")) return done(truncate(rest, 0));
  if (is("unlink")) return done(unlink(rest));
  if (is("rmdir")) return done(rmdir(rest));
  if (is("mkdir")) return done(mkdir(rest, 0700));
  if (is("symlink")) return done(symlink("nowhere", rest));
  if (is("regular")) return made(rest, S_IFREG);
  if (is("fifo")) return made(rest, S_IFIFO);
  if (is("socket")) return made(rest, S_IFSOCK);
  if (is("char")) return made(rest, S_IFCHR);
  if (is("block")) return made(rest, S_IFBLK);
  if (is("rename")) return renamed(rest);
  if (is("ioctl")) return entropy(rest);
  if (is("execute")) return inChild(executed, rest);
  if (is("mount")) return done(mount("attempt", rest, "tmpfs", 0, NULL));
  if (is("bind")) return portOf(rest, true);
  if (is("connect")) return portOf(rest, false);
  if (is("abstract")) return abstractSocket(rest);
  if (is("signal")) return done(kill(atoi(rest), 0));
  if (is("child")) return inChild(attempt, rest);
#undef is
  return ENOSYS;
}

int attempts(int count, char **words) {
  jsonOpen('{');
  // LANDLOCK_CREATE_RULESET_VERSION of landlock_create_ruleset(2)
  keyNumber("landlock", syscall(444, NULL, 0, 1));
  for (int index = 0; index < count; index++) {
    int error = attempt(words[index]);
    keyString(words[index], error ? strerrorname_np(error) : "");
  }
  jsonClose('}');
  jsonLine();
  return 0;
}
