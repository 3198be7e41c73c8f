// C prototypes for the system calls that Swift cannot make itself. Every function forwards its arguments and returns
// what the kernel returned: a negative number is -errno. Nothing here decides anything.
//
// No system header is included: it would clash with the Glibc module where the package is used as a library.
#ifndef APUS_CLINUX_H
#define APUS_CLINUX_H

#include <stddef.h>
#include <stdint.h>

// openat2(2)
struct apus_open_how {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};

// landlock_create_ruleset(2)
struct apus_landlock_ruleset {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

// mount_setattr(2)
struct apus_mount_attr {
  uint64_t attr_set;
  uint64_t attr_clr;
  uint64_t propagation;
  uint64_t userns_fd;
};

// clone3(2), all fields of CLONE_ARGS_SIZE_VER2
struct apus_clone_args {
  uint64_t flags;
  uint64_t pidfd;
  uint64_t child_tid;
  uint64_t parent_tid;
  uint64_t exit_signal;
  uint64_t stack;
  uint64_t stack_size;
  uint64_t tls;
  uint64_t set_tid;
  uint64_t set_tid_size;
  uint64_t cgroup;
};

// The part of statx(2) that is used here.
struct apus_status {
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  uint32_t links;
  uint64_t size;
  uint64_t inode;
  uint32_t device_major;
  uint32_t device_minor;
  uint32_t special_major;
  uint32_t special_minor;
  uint64_t mount_id;
  uint64_t attributes;
  uint32_t mask;
};

struct apus_poll {
  int32_t fd;
  int16_t events;
  int16_t revents;
};

struct apus_timespec {
  int64_t seconds;
  int64_t nanoseconds;
};

// sched_setattr(2), all fields of SCHED_ATTR_SIZE_VER1
struct apus_sched_attr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
  uint32_t util_min;
  uint32_t util_max;
};

// ioctl_tty(2) TCGETS: the kernel's termios, which is not the one of the C library.
struct apus_termios {
  uint32_t input;
  uint32_t output;
  uint32_t control;
  uint32_t local;
  uint8_t line;
  uint8_t characters[19];
};

// ioctl_tty(2) TIOCGWINSZ: in characters, then in pixels.
struct apus_window {
  uint16_t rows;
  uint16_t columns;
  uint16_t width;
  uint16_t height;
};

// waitid(2): what of siginfo_t is used here.
struct apus_wait_result {
  int32_t pid;
  int32_t code;
  int32_t status;
};

// Files
int64_t sys_openat(int directory, const char *path, int flags, uint32_t mode);
int64_t sys_openat2(int directory, const char *path, const struct apus_open_how *how);
int64_t sys_close(int fd);
int64_t sys_close_range(uint32_t first, uint32_t last, uint32_t flags);
int64_t sys_lseek(int fd, int64_t offset, int whence);
// Both ends close-on-exec.
int64_t sys_pipe2(int *pair);
int64_t sys_read(int fd, void *buffer, size_t count);
int64_t sys_pread(int fd, void *buffer, size_t count, int64_t offset);
int64_t sys_write(int fd, const void *buffer, size_t count);
int64_t sys_dup3(int from, int to, int flags);
int64_t sys_fcntl(int fd, int command, uint64_t argument);
int64_t sys_statx(int directory, const char *path, int flags, struct apus_status *status);
int64_t sys_fstatfs(int fd, uint64_t *type, uint64_t *flags);
// statx(2) for the inode and the mount's id that is never used again; the kernel has told it if `mask` says so.
static const uint32_t APUS_STATX_MNT_ID_UNIQUE = 0x4000;
int64_t sys_statx_unique(int directory, const char *path, int flags, struct apus_status *status);
int64_t sys_readlinkat(int directory, const char *path, char *buffer, size_t size);
int64_t sys_getdents64(int fd, void *buffer, size_t size);
int64_t sys_mkdirat(int directory, const char *path, uint32_t mode);
int64_t sys_mknodat(int directory, const char *path, uint32_t mode, uint32_t major, uint32_t minor);
int64_t sys_symlinkat(const char *target, int directory, const char *path);
int64_t sys_unlinkat(int directory, const char *path, int flags);
int64_t sys_renameat2(int from_directory, const char *from, int to_directory, const char *to, uint32_t flags);
int64_t sys_fchmod(int fd, uint32_t mode);
int64_t sys_fchmodat(int directory, const char *path, uint32_t mode);
int64_t sys_fchownat(int directory, const char *path, uint32_t uid, uint32_t gid, int flags);
int64_t sys_faccessat2(int directory, const char *path, int mode, int flags);
int64_t sys_getxattr(const char *path, const char *name, void *value, size_t size);
int64_t sys_fsetxattr(int fd, const char *name, const void *value, size_t size);
int64_t sys_fsync(int fd);
int64_t sys_flock(int fd, int operation);
int64_t sys_memfd_create(const char *name, uint32_t flags);
int64_t sys_ftruncate(int fd, int64_t length);
int64_t sys_sendfile(int to, int from, size_t count);
int64_t sys_ioctl(int fd, uint64_t request, void *argument);
int64_t sys_umask(uint32_t mask);
int64_t sys_chdir(const char *path);
int64_t sys_fchdir(int fd);
int64_t sys_getcwd(char *buffer, size_t size);
int64_t sys_chroot(const char *path);

// Mounts
int64_t sys_open_tree(int directory, const char *path, uint32_t flags);
int64_t sys_move_mount(int from_directory, const char *from, int to_directory, const char *to, uint32_t flags);
int64_t sys_fsopen(const char *type, uint32_t flags);
int64_t sys_fspick(int fd, uint32_t flags);
int64_t sys_fsconfig(int fd, uint32_t command, const char *key, const void *value, int aux);
int64_t sys_fsmount(int fd, uint32_t flags, uint32_t attributes);
int64_t sys_mount_setattr(int directory, const char *path, uint32_t flags, const struct apus_mount_attr *attr);
int64_t sys_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data);
int64_t sys_umount2(const char *target, int flags);
// statmount(2) of a mount of this namespace by its unique id, into a struct statmount and what follows it.
int64_t sys_statmount(uint64_t mount, uint64_t mask, void *buffer, size_t size);
int64_t sys_pivot_root(const char *new_root, const char *put_old);

// Processes and namespaces
int64_t sys_clone3(const struct apus_clone_args *arguments);
int64_t sys_unshare(uint64_t flags);
int64_t sys_setns(int fd, uint64_t kind);
int64_t sys_pidfd_open(int pid, uint32_t flags);
int64_t sys_pidfd_getfd(int pidfd, int number);
int64_t sys_pidfd_send_signal(int pidfd, int signal, uint32_t flags);
int64_t sys_waitid(int idtype, int id, struct apus_wait_result *result, int options);
int64_t sys_kill(int pid, int signal);
int64_t sys_getpid(void);
int64_t sys_getppid(void);
int64_t sys_geteuid(void);
int64_t sys_getuid(void);
int64_t sys_getegid(void);
int64_t sys_setsid(void);
int64_t sys_prctl(int operation, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
int64_t sys_setresuid(uint32_t real, uint32_t effective, uint32_t saved);
int64_t sys_setresgid(uint32_t real, uint32_t effective, uint32_t saved);
int64_t sys_setgroups(size_t count, const uint32_t *groups);
int64_t sys_getgroups(size_t count, uint32_t *groups);
int64_t sys_sethostname(const char *name, size_t length);
int64_t sys_setdomainname(const char *name, size_t length);
int64_t sys_prlimit64(int pid, int resource, const uint64_t *new_limit, uint64_t *old_limit);
int64_t sys_execve(const char *path, char *const *arguments, char *const *environment);
// capset(2) of the calling thread in version 3: effective, permitted and inheritable, low words then high words.
int64_t sys_capset(const uint32_t *sets);
int64_t sys_execveat(int directory, const char *path, char *const *arguments, char *const *environment, int flags);
void sys_exit_group(int status) __attribute__((noreturn));
int64_t sys_seccomp(uint32_t operation, uint32_t flags, const void *arguments);
int64_t sys_landlock_create_ruleset(const struct apus_landlock_ruleset *attributes, size_t size, uint32_t flags);
// LANDLOCK_RULE_PATH_BENEATH and LANDLOCK_RULE_NET_PORT of landlock_add_rule(2).
int64_t sys_landlock_allow_path(int ruleset, uint64_t access, int directory);
int64_t sys_landlock_allow_port(int ruleset, uint64_t access, uint16_t port);
int64_t sys_landlock_restrict_self(int ruleset, uint32_t flags);
int64_t sys_bpf(int command, void *attributes, uint32_t size);
int64_t sys_keyctl(int operation, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
int64_t sys_personality(uint64_t persona);
int64_t sys_sched_setattr(const struct apus_sched_attr *attributes);
int64_t sys_sched_setaffinity(size_t size, const uint64_t *mask);
int64_t sys_sched_getaffinity(size_t size, uint64_t *mask);
int64_t sys_ioprio_set(int which, int who, uint32_t priority);
int64_t sys_set_mempolicy(uint32_t mode, const uint64_t *nodes, uint64_t bits);
int64_t sys_madvise(uint64_t address, uint64_t length, int advice);

// Signals. A set is the kernel's 64-bit mask: signal N is bit N - 1.
int64_t sys_sigprocmask(int how, const uint64_t *set, uint64_t *old);
int64_t sys_signal_default(int signal);
int64_t sys_signal_ignore(int signal);
int64_t sys_signalfd4(int fd, const uint64_t *set, int flags);
int64_t sys_eventfd2(uint32_t value, int flags);

// Sockets and waiting
int64_t sys_socketpair(int type, int *pair);
int64_t sys_unix_listen(int socket, const char *path, size_t length);
int64_t sys_unix_bind(int socket, const char *path, size_t length);
int64_t sys_unix_connect(int socket, const char *path, size_t length);
int64_t sys_socket(int domain, int type, int protocol);
int64_t sys_accept4(int socket, int flags);
// The pid in SO_PEERCRED, unix(7): 0 for a process that this pid namespace does not show; negative errno.
int32_t sys_peer_process(int socket);
int32_t sys_peer_descriptor(int socket);
int64_t sys_setsockopt(int socket, int level, int option, const void *value, uint32_t size);
// One packet with at most one descriptor; `fd` is -1 for none. Received descriptors are close-on-exec.
int64_t sys_send_packet(int socket, const void *bytes, size_t count, int fd);
int64_t sys_receive_packet(int socket, void *bytes, size_t count, int *fd);
int64_t sys_ppoll(struct apus_poll *polled, uint32_t count, const struct apus_timespec *timeout);
int64_t sys_clock_gettime(int clock, struct apus_timespec *time);

// Network interfaces: sets IFF_UP on the interface of that name (netdevice(7)).
int64_t sys_interface_up(int socket, const char *name);

// errno as the last call of a C library left it.
int32_t apus_errno(void);

// getauxval(3); 0 for what the kernel did not tell.
uint64_t apus_auxiliary(uint64_t type);

// The environment of the process; NULL where there is no such variable.
const char *apus_environment(const char *name);
char **apus_environment_all(void);

// spawn.c: starts the program in `executable` (a descriptor) as a child of the caller, with `descriptors[i]` as
// descriptor 3 + i and everything above closed on exec; standard input, output and error are inherited.
// The new program starts with every signal blocked, and in the cgroup v2 directory `cgroup` unless that is -1. The
// caller is suspended until the child has called execve.
// Returns the pid and stores a pidfd.
int64_t apus_spawn(int executable, char *const *arguments, char *const *environment, const int *descriptors,
                   int count, int cgroup, int *pidfd);

// A program that has nothing to do with this one: a hook.
struct apus_limit {
  int32_t resource;
  // The soft and the hard one.
  uint64_t values[2];
};

struct apus_program {
  const char *path;
  char *const *arguments;
  char *const *environment;
  // Its standard input, output and error.
  int32_t standard[3];
  // Its working directory, and its umask; -1 for those of the caller.
  int32_t directory;
  int32_t umask;
  // Limits that are not those of the caller.
  const struct apus_limit *limits;
  int32_t limit_count;
  // Descriptors that it gets as 3, 4, ...; at most 16.
  const int32_t *descriptors;
  int32_t descriptor_count;
  // It stays in the process group of the caller.
  int32_t keeps_group;
  // A mount namespace of its own, a slave of the caller's, in which `root_source` with all below it is also mounted on
  // `root_target`. NULL for that of the caller.
  const char *root_source;
  const char *root_target;
  // A new session keyring of this name (keyrings(7)); NULL for that of the caller.
  const char *keyring;
  // The `cgroup.procs` of the cgroups that it enters before all else.
  const char *const *cgroups;
  int32_t cgroup_count;
  // A new cgroup namespace, which begins there.
  int32_t new_cgroup_namespace;
};

// spawn.c: starts a program in a process group of its own, with no other descriptors, the default action for every signal,
// and none blocked, but for what the request says. Otherwise as apus_spawn.
int64_t apus_spawn_program(const struct apus_program *program, int *pidfd);

// Attributes that a mount gets, MOUNT_ATTR_*, found by its path, on which no link may be.
struct apus_restriction {
  const char *path;
  uint64_t attributes;
};

// spawn.c: sets them in the mount namespace behind `mounts`; 0 when all are set.
int64_t apus_restrict_mounts(int mounts, const struct apus_restriction *list, int count);

// spawn.c: sets an interface up in the network namespace behind `network`.
int64_t apus_interface_up(int network, const char *name);

// spawn.c: a copy of this process that has no descriptors, takes no signal but SIGKILL and does nothing. It ends with the
// thread that made it. Returns the pid and stores a pidfd.
int64_t apus_spawn_idle(int *pidfd);

#endif
