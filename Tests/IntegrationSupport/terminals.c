#define _GNU_SOURCE
#include "IntegrationSupport.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

int support_unix_socket(const char *path, int type, int backlog) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  strcpy(address.sun_path, path);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  if (*path == '@') *address.sun_path = 0;
  else length++;
  int handle = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (handle < 0) return -1;
  if (bind(handle, (struct sockaddr *)&address, length) ||
      (type != SOCK_DGRAM && backlog >= 0 && listen(handle, backlog))) {
    int error = errno;
    close(handle);
    return errno = error, -1;
  }
  return handle;
}

int support_unix_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  strcpy(address.sun_path, path);
  int handle = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (handle >= 0 && connect(handle, (struct sockaddr *)&address, sizeof address)) {
    int error = errno;
    close(handle);
    return errno = error, -1;
  }
  return handle;
}

int support_accept(int handle) { return accept4(handle, NULL, NULL, SOCK_CLOEXEC); }

long support_receive(int handle, void *bytes, unsigned long count, int *passed) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  struct msghdr message = {
    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  *passed = -1;
  ssize_t result = recvmsg(handle, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = result < 0 ? NULL : CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_type == SCM_RIGHTS) memcpy(passed, CMSG_DATA(header), sizeof *passed);
  return result;
}

int support_open_terminal(int *slave) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || unlockpt(master)) return -1;
  *slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return *slave < 0 ? -1 : master;
}

int support_set_size(int terminal, int rows, int columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  return ioctl(terminal, TIOCSWINSZ, &size);
}

int support_size(int terminal, int *rows, int *columns) {
  struct winsize size = {0};
  int result = ioctl(terminal, TIOCGWINSZ, &size);
  *rows = size.ws_row;
  *columns = size.ws_col;
  return result;
}

int support_settings(int terminal, unsigned flags[4]) {
  struct termios settings;
  if (tcgetattr(terminal, &settings)) return -1;
  flags[0] = settings.c_iflag;
  flags[1] = settings.c_oflag;
  flags[2] = settings.c_cflag;
  flags[3] = settings.c_lflag;
  return 0;
}
