#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_statmount
#define SYS_statmount 457
#endif

// The number that the kernel returned, errno folded back into it.
static int64_t kernel(long result) { return result < 0 ? -(int64_t)errno : result; }

int64_t sys_openat(int directory, const char *path, int flags, uint32_t mode) {
  return kernel(syscall(SYS_openat, directory, path, flags, mode));
}

int64_t sys_openat2(int directory, const char *path, const struct apus_open_how *how) {
  return kernel(syscall(SYS_openat2, directory, path, how, sizeof *how));
}

int64_t sys_close(int fd) { return kernel(syscall(SYS_close, fd)); }

int64_t sys_close_range(uint32_t first, uint32_t last, uint32_t flags) {
  return kernel(syscall(SYS_close_range, first, last, flags));
}

int64_t sys_lseek(int fd, int64_t offset, int whence) {
  return kernel(syscall(SYS_lseek, fd, offset, whence));
}

int64_t sys_pipe2(int *pair) { return kernel(syscall(SYS_pipe2, pair, O_CLOEXEC)); }

int64_t sys_read(int fd, void *buffer, size_t count) { return kernel(syscall(SYS_read, fd, buffer, count)); }

int64_t sys_pread(int fd, void *buffer, size_t count, int64_t offset) {
  return kernel(syscall(SYS_pread64, fd, buffer, count, offset));
}

int64_t sys_write(int fd, const void *buffer, size_t count) {
  return kernel(syscall(SYS_write, fd, buffer, count));
}

int64_t sys_dup3(int from, int to, int flags) { return kernel(syscall(SYS_dup3, from, to, flags)); }

int64_t sys_fcntl(int fd, int command, uint64_t argument) {
  return kernel(syscall(SYS_fcntl, fd, command, argument));
}

static int64_t statx_of(int directory, const char *path, int flags, unsigned mask, struct apus_status *status) {
  struct statx buffer;
  long result = syscall(SYS_statx, directory, path, flags, mask, &buffer);
  if (result < 0) return -(int64_t)errno;
  *status = (struct apus_status){
      .mode = buffer.stx_mode,
      .uid = buffer.stx_uid,
      .gid = buffer.stx_gid,
      .links = buffer.stx_nlink,
      .size = buffer.stx_size,
      .inode = buffer.stx_ino,
      .device_major = buffer.stx_dev_major,
      .device_minor = buffer.stx_dev_minor,
      .special_major = buffer.stx_rdev_major,
      .special_minor = buffer.stx_rdev_minor,
      .mount_id = buffer.stx_mnt_id,
      .attributes = buffer.stx_attributes,
      .mask = buffer.stx_mask,
  };
  return result;
}

int64_t sys_statx(int directory, const char *path, int flags, struct apus_status *status) {
  return statx_of(directory, path, flags, STATX_BASIC_STATS | STATX_MNT_ID, status);
}

int64_t sys_statx_unique(int directory, const char *path, int flags, struct apus_status *status) {
  return statx_of(directory, path, flags, STATX_INO | APUS_STATX_MNT_ID_UNIQUE, status);
}

int64_t sys_statmount(uint64_t mount, uint64_t mask, void *buffer, size_t size) {
  // struct mnt_id_req in its first version
  struct {
    uint32_t size, spare;
    uint64_t id, parameter;
  } request = {.size = sizeof request, .id = mount, .parameter = mask};
  return kernel(syscall(SYS_statmount, &request, buffer, size, 0));
}

int64_t sys_fstatfs(int fd, uint64_t *type, uint64_t *flags) {
  struct statfs buffer;
  long result = syscall(SYS_fstatfs, fd, &buffer);
  if (result < 0) return -(int64_t)errno;
  *type = (uint64_t)buffer.f_type;
  *flags = (uint64_t)buffer.f_flags;
  return result;
}

int64_t sys_readlinkat(int directory, const char *path, char *buffer, size_t size) {
  return kernel(syscall(SYS_readlinkat, directory, path, buffer, size));
}

int64_t sys_getdents64(int fd, void *buffer, size_t size) {
  return kernel(syscall(SYS_getdents64, fd, buffer, size));
}

int64_t sys_mkdirat(int directory, const char *path, uint32_t mode) {
  return kernel(syscall(SYS_mkdirat, directory, path, mode));
}

int64_t sys_mknodat(int directory, const char *path, uint32_t mode, uint32_t major, uint32_t minor) {
  return kernel(syscall(SYS_mknodat, directory, path, mode, (unsigned)makedev(major, minor)));
}

int64_t sys_symlinkat(const char *target, int directory, const char *path) {
  return kernel(syscall(SYS_symlinkat, target, directory, path));
}

int64_t sys_unlinkat(int directory, const char *path, int flags) {
  return kernel(syscall(SYS_unlinkat, directory, path, flags));
}

int64_t sys_renameat2(int from_directory, const char *from, int to_directory, const char *to, uint32_t flags) {
  return kernel(syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}

int64_t sys_fchmod(int fd, uint32_t mode) { return kernel(syscall(SYS_fchmod, fd, mode)); }

int64_t sys_fchmodat(int directory, const char *path, uint32_t mode) {
  return kernel(syscall(SYS_fchmodat, directory, path, mode));
}

int64_t sys_fchownat(int directory, const char *path, uint32_t uid, uint32_t gid, int flags) {
  return kernel(syscall(SYS_fchownat, directory, path, uid, gid, flags));
}

int64_t sys_faccessat2(int directory, const char *path, int mode, int flags) {
  return kernel(syscall(SYS_faccessat2, directory, path, mode, flags));
}

int64_t sys_getxattr(const char *path, const char *name, void *value, size_t size) {
  return kernel(syscall(SYS_getxattr, path, name, value, size));
}

int64_t sys_fsetxattr(int fd, const char *name, const void *value, size_t size) {
  return kernel(syscall(SYS_fsetxattr, fd, name, value, size, 0));
}

int64_t sys_fsync(int fd) { return kernel(syscall(SYS_fsync, fd)); }

int64_t sys_flock(int fd, int operation) { return kernel(syscall(SYS_flock, fd, operation)); }

int64_t sys_memfd_create(const char *name, uint32_t flags) {
  return kernel(syscall(SYS_memfd_create, name, flags));
}

int64_t sys_ftruncate(int fd, int64_t length) { return kernel(syscall(SYS_ftruncate, fd, length)); }

int64_t sys_sendfile(int to, int from, size_t count) {
  return kernel(syscall(SYS_sendfile, to, from, NULL, count));
}

int64_t sys_ioctl(int fd, uint64_t request, void *argument) {
  return kernel(syscall(SYS_ioctl, fd, request, argument));
}

int64_t sys_umask(uint32_t mask) { return kernel(syscall(SYS_umask, mask)); }

int64_t sys_chdir(const char *path) { return kernel(syscall(SYS_chdir, path)); }

int64_t sys_fchdir(int fd) { return kernel(syscall(SYS_fchdir, fd)); }

int64_t sys_getcwd(char *buffer, size_t size) { return kernel(syscall(SYS_getcwd, buffer, size)); }

int64_t sys_chroot(const char *path) { return kernel(syscall(SYS_chroot, path)); }

int64_t sys_open_tree(int directory, const char *path, uint32_t flags) {
  return kernel(syscall(SYS_open_tree, directory, path, flags));
}

int64_t sys_move_mount(int from_directory, const char *from, int to_directory, const char *to,
                       uint32_t flags) {
  return kernel(syscall(SYS_move_mount, from_directory, from, to_directory, to, flags));
}

int64_t sys_fsopen(const char *type, uint32_t flags) { return kernel(syscall(SYS_fsopen, type, flags)); }

int64_t sys_fspick(int fd, uint32_t flags) { return kernel(syscall(SYS_fspick, fd, "", flags)); }

int64_t sys_fsconfig(int fd, uint32_t command, const char *key, const void *value, int aux) {
  return kernel(syscall(SYS_fsconfig, fd, command, key, value, aux));
}

int64_t sys_fsmount(int fd, uint32_t flags, uint32_t attributes) {
  return kernel(syscall(SYS_fsmount, fd, flags, attributes));
}

int64_t sys_mount_setattr(int directory, const char *path, uint32_t flags,
                          const struct apus_mount_attr *attr) {
  return kernel(syscall(SYS_mount_setattr, directory, path, flags, attr, sizeof *attr));
}

int64_t sys_mount(const char *source, const char *target, const char *type, uint64_t flags,
                  const char *data) {
  return kernel(syscall(SYS_mount, source, target, type, flags, data));
}

int64_t sys_umount2(const char *target, int flags) { return kernel(syscall(SYS_umount2, target, flags)); }

int64_t sys_pivot_root(const char *new_root, const char *put_old) {
  return kernel(syscall(SYS_pivot_root, new_root, put_old));
}

int64_t sys_clone3(const struct apus_clone_args *arguments) {
  return kernel(syscall(SYS_clone3, arguments, sizeof *arguments));
}

int64_t sys_unshare(uint64_t flags) { return kernel(syscall(SYS_unshare, flags)); }

int64_t sys_setns(int fd, uint64_t kind) { return kernel(syscall(SYS_setns, fd, kind)); }

int64_t sys_pidfd_open(int pid, uint32_t flags) { return kernel(syscall(SYS_pidfd_open, pid, flags)); }

int64_t sys_pidfd_getfd(int pidfd, int number) { return kernel(syscall(SYS_pidfd_getfd, pidfd, number, 0)); }

int64_t sys_pidfd_send_signal(int pidfd, int signal, uint32_t flags) {
  return kernel(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, flags));
}

int64_t sys_waitid(int idtype, int id, struct apus_wait_result *result, int options) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  long status = syscall(SYS_waitid, idtype, id, &info, options, NULL);
  if (status < 0) return -(int64_t)errno;
  *result = (struct apus_wait_result){.pid = info.si_pid, .code = info.si_code, .status = info.si_status};
  return status;
}

int64_t sys_kill(int pid, int signal) { return kernel(syscall(SYS_kill, pid, signal)); }

int64_t sys_getpid(void) { return syscall(SYS_getpid); }

int64_t sys_getppid(void) { return syscall(SYS_getppid); }

int64_t sys_geteuid(void) { return syscall(SYS_geteuid); }

int64_t sys_getuid(void) { return syscall(SYS_getuid); }

int64_t sys_getegid(void) { return syscall(SYS_getegid); }

int64_t sys_setsid(void) { return kernel(syscall(SYS_setsid)); }

int64_t sys_prctl(int operation, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  return kernel(syscall(SYS_prctl, operation, a, b, c, d));
}

// The raw calls: glibc's wrappers would signal every thread, and this process has one.
int64_t sys_setresuid(uint32_t real, uint32_t effective, uint32_t saved) {
  return kernel(syscall(SYS_setresuid, real, effective, saved));
}

int64_t sys_setresgid(uint32_t real, uint32_t effective, uint32_t saved) {
  return kernel(syscall(SYS_setresgid, real, effective, saved));
}

int64_t sys_setgroups(size_t count, const uint32_t *groups) {
  return kernel(syscall(SYS_setgroups, count, groups));
}

int64_t sys_getgroups(size_t count, uint32_t *groups) {
  return kernel(syscall(SYS_getgroups, count, groups));
}

int64_t sys_sethostname(const char *name, size_t length) {
  return kernel(syscall(SYS_sethostname, name, length));
}

int64_t sys_setdomainname(const char *name, size_t length) {
  return kernel(syscall(SYS_setdomainname, name, length));
}

int64_t sys_prlimit64(int pid, int resource, const uint64_t *new_limit, uint64_t *old_limit) {
  return kernel(syscall(SYS_prlimit64, pid, resource, new_limit, old_limit));
}

int64_t sys_execveat(int directory, const char *path, char *const *arguments, char *const *environment,
                     int flags) {
  return kernel(syscall(SYS_execveat, directory, path, arguments, environment, flags));
}

int64_t sys_execve(const char *path, char *const *arguments, char *const *environment) {
  return kernel(syscall(SYS_execve, path, arguments, environment));
}

int64_t sys_capset(const uint32_t *sets) {
  struct {
    uint32_t version;
    int pid;
  } header = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
  return kernel(syscall(SYS_capset, &header, sets));
}

// A seccomp filter may refuse the one and the other. A fault of its own ends even the first process of a pid namespace, with a
// signal that nobody can ignore.
void sys_exit_group(int status) {
  syscall(SYS_exit_group, status);
  syscall(SYS_exit, status);
  __builtin_trap();
}

int64_t sys_seccomp(uint32_t operation, uint32_t flags, const void *arguments) {
  return kernel(syscall(SYS_seccomp, operation, flags, arguments));
}

// One number each on every architecture. The headers of older systems do not have them.
int64_t sys_landlock_create_ruleset(const struct apus_landlock_ruleset *attributes, size_t size, uint32_t flags) {
  return kernel(syscall(444, attributes, size, flags));
}

int64_t sys_landlock_allow_path(int ruleset, uint64_t access, int directory) {
  struct {
    uint64_t allowed_access;
    int32_t parent_fd;
  } rule = {access, directory};
  return kernel(syscall(445, ruleset, 1 /* LANDLOCK_RULE_PATH_BENEATH */, &rule, 0));
}

int64_t sys_landlock_allow_port(int ruleset, uint64_t access, uint16_t port) {
  struct {
    uint64_t allowed_access;
    uint64_t port;
  } rule = {access, port};
  return kernel(syscall(445, ruleset, 2 /* LANDLOCK_RULE_NET_PORT */, &rule, 0));
}

int64_t sys_landlock_restrict_self(int ruleset, uint32_t flags) { return kernel(syscall(446, ruleset, flags)); }

int64_t sys_bpf(int command, void *attributes, uint32_t size) {
  return kernel(syscall(SYS_bpf, command, attributes, size));
}

int64_t sys_keyctl(int operation, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  return kernel(syscall(SYS_keyctl, operation, a, b, c, d));
}

int64_t sys_personality(uint64_t persona) { return kernel(syscall(SYS_personality, persona)); }

int64_t sys_sched_setattr(const struct apus_sched_attr *attributes) {
  return kernel(syscall(SYS_sched_setattr, 0, attributes, 0));
}

int64_t sys_sched_setaffinity(size_t size, const uint64_t *mask) {
  return kernel(syscall(SYS_sched_setaffinity, 0, size, mask));
}

int64_t sys_sched_getaffinity(size_t size, uint64_t *mask) {
  return kernel(syscall(SYS_sched_getaffinity, 0, size, mask));
}

int64_t sys_ioprio_set(int which, int who, uint32_t priority) {
  return kernel(syscall(SYS_ioprio_set, which, who, priority));
}

int64_t sys_set_mempolicy(uint32_t mode, const uint64_t *nodes, uint64_t bits) {
  return kernel(syscall(SYS_set_mempolicy, mode, nodes, bits));
}

int64_t sys_madvise(uint64_t address, uint64_t length, int advice) {
  return kernel(syscall(SYS_madvise, address, length, advice));
}

int64_t sys_sigprocmask(int how, const uint64_t *set, uint64_t *old) {
  return kernel(syscall(SYS_rt_sigprocmask, how, set, old, sizeof *set));
}

int64_t sys_signal_default(int signal) {
  // The kernel's struct sigaction, all zero: SIG_DFL, no flags, no mask.
  uint64_t action[4] = {0, 0, 0, 0};
  return kernel(syscall(SYS_rt_sigaction, signal, action, NULL, sizeof(uint64_t)));
}

int64_t sys_signal_ignore(int signal) {
  // SIG_IGN is 1.
  uint64_t action[4] = {1, 0, 0, 0};
  return kernel(syscall(SYS_rt_sigaction, signal, action, NULL, sizeof(uint64_t)));
}

int64_t sys_signalfd4(int fd, const uint64_t *set, int flags) {
  return kernel(syscall(SYS_signalfd4, fd, set, sizeof *set, flags));
}

int64_t sys_eventfd2(uint32_t value, int flags) { return kernel(syscall(SYS_eventfd2, value, flags)); }

int64_t sys_socketpair(int type, int *pair) {
  return kernel(syscall(SYS_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
}

int64_t sys_socket(int domain, int type, int protocol) {
  return kernel(syscall(SYS_socket, domain, type | SOCK_CLOEXEC, protocol));
}

static socklen_t unix_address(struct sockaddr_un *address, const char *path, size_t length) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (length >= sizeof address->sun_path) return 0;
  memcpy(address->sun_path, path, length);
  // unix(7): a path counts its NUL; an abstract name begins with one, and every byte of it counts.
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != 0));
}

int64_t sys_unix_listen(int socket, const char *path, size_t length) {
  struct sockaddr_un address;
  socklen_t size = unix_address(&address, path, length);
  if (size == 0) return -(int64_t)ENAMETOOLONG;
  long result = syscall(SYS_bind, socket, &address, size);
  return result < 0 ? kernel(result) : kernel(syscall(SYS_listen, socket, 8));
}

int64_t sys_unix_bind(int socket, const char *path, size_t length) {
  struct sockaddr_un address;
  socklen_t size = unix_address(&address, path, length);
  if (size == 0) return -(int64_t)ENAMETOOLONG;
  return kernel(syscall(SYS_bind, socket, &address, size));
}

int64_t sys_unix_connect(int socket, const char *path, size_t length) {
  struct sockaddr_un address;
  socklen_t size = unix_address(&address, path, length);
  if (size == 0) return -(int64_t)ENAMETOOLONG;
  return kernel(syscall(SYS_connect, socket, &address, size));
}

int64_t sys_accept4(int socket, int flags) {
  return kernel(syscall(SYS_accept4, socket, NULL, NULL, flags | SOCK_CLOEXEC));
}

int64_t sys_setsockopt(int socket, int level, int option, const void *value, uint32_t size) {
  return kernel(syscall(SYS_setsockopt, socket, level, option, value, size));
}

int32_t sys_peer_process(int socket) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  int64_t result = kernel(syscall(SYS_getsockopt, socket, SOL_SOCKET, SO_PEERCRED, &peer, &size));
  return result < 0 ? (int32_t)result : peer.pid;
}

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int32_t sys_peer_descriptor(int socket) {
  int descriptor = -1;
  socklen_t size = sizeof descriptor;
  int64_t result = kernel(syscall(SYS_getsockopt, socket, SOL_SOCKET, SO_PEERPIDFD, &descriptor, &size));
  return result < 0 ? (int32_t)result : descriptor;
}

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

int64_t sys_send_packet(int socket, const void *bytes, size_t count, int fd) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  union control control;
  if (fd >= 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  return kernel(syscall(SYS_sendmsg, socket, &message, MSG_NOSIGNAL));
}

int64_t sys_receive_packet(int socket, void *bytes, size_t count, int *fd) {
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  union control control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  *fd = -1;
  // MSG_TRUNC in the flags makes the kernel return the true length, so that a packet too long is seen.
  long result = syscall(SYS_recvmsg, socket, &message, MSG_CMSG_CLOEXEC | MSG_TRUNC);
  if (result < 0) return -(int64_t)errno;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    memcpy(fd, CMSG_DATA(header), sizeof *fd);
    // The padding has room for a second descriptor, which nobody would close.
    int second;
    if (header->cmsg_len >= CMSG_LEN(2 * sizeof(int))) {
      memcpy(&second, CMSG_DATA(header) + sizeof *fd, sizeof second);
      syscall(SYS_close, second);
    }
  }
  return result;
}

int64_t sys_ppoll(struct apus_poll *polled, uint32_t count, const struct apus_timespec *timeout) {
  // The kernel writes the time left into its argument; the caller's value stays.
  struct apus_timespec left = timeout ? *timeout : (struct apus_timespec){0, 0};
  return kernel(syscall(SYS_ppoll, polled, count, timeout ? &left : NULL, NULL, 0));
}

int64_t sys_clock_gettime(int clock, struct apus_timespec *time) {
  return kernel(syscall(SYS_clock_gettime, clock, time));
}

int64_t sys_interface_up(int socket, const char *name) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  long result = syscall(SYS_ioctl, socket, SIOCGIFFLAGS, &request);
  if (result < 0) return -(int64_t)errno;
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  return kernel(syscall(SYS_ioctl, socket, SIOCSIFFLAGS, &request));
}

int32_t apus_errno(void) { return errno; }

uint64_t apus_auxiliary(uint64_t type) { return getauxval(type); }

const char *apus_environment(const char *name) { return getenv(name); }

char **apus_environment_all(void) { return environ; }
