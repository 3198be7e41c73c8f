// A file system of one file, served over /dev/fuse: what the host of a container might have mounted.
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { rootNode = 1, fileNode = 2 };
static const char text[] = "served\n";
static int device;

static void answer(const struct fuse_in_header *request, int error, const void *body, size_t length) {
  struct fuse_out_header header = {
    .len = (unsigned)(sizeof header + (error ? 0 : length)), .error = -error, .unique = request->unique};
  struct iovec parts[2] = {{&header, sizeof header}, {(void *)body, error ? 0 : length}};
  if (writev(device, parts, 2) < 0 && errno != ENOENT) _exit(1);
}

static struct fuse_attr attributes(unsigned long long node) {
  bool isRoot = node == rootNode;
  return (struct fuse_attr){
    .ino = node, .size = isRoot ? 0 : sizeof text - 1, .mode = isRoot ? S_IFDIR | 0755 : S_IFREG | 0644,
    .nlink = isRoot ? 2 : 1, .blksize = 4096};
}

static void lookUp(const struct fuse_in_header *request, const char *name) {
  struct fuse_entry_out entry = {.nodeid = fileNode, .attr_valid = 60, .entry_valid = 60};
  entry.attr = attributes(fileNode);
  answer(request, strcmp(name, "file") ? ENOENT : 0, &entry, sizeof entry);
}

static void readDirectory(const struct fuse_in_header *request, const struct fuse_read_in *range) {
  char buffer[FUSE_NAME_OFFSET + 8] = {0};
  struct fuse_dirent *entry = (struct fuse_dirent *)buffer;
  entry->ino = fileNode, entry->off = 1, entry->namelen = 4, entry->type = DT_REG;
  memcpy(buffer + FUSE_NAME_OFFSET, "file", 4);
  answer(request, 0, buffer, range->offset ? 0 : FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + 4));
}

static void readFile(const struct fuse_in_header *request, const struct fuse_read_in *range) {
  size_t size = sizeof text - 1, offset = range->offset < size ? range->offset : size;
  answer(request, 0, text + offset, range->size < size - offset ? range->size : size - offset);
}

static void serve(const struct fuse_in_header *request, const void *body) {
  switch (request->opcode) {
  case FUSE_INIT: {
    struct fuse_init_out out = {
      .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_readahead = 65536, .max_write = 4096};
    return answer(request, 0, &out, sizeof out);
  }
  case FUSE_LOOKUP: return lookUp(request, body);
  case FUSE_GETATTR: {
    struct fuse_attr_out out = {.attr_valid = 60, .attr = attributes(request->nodeid)};
    return answer(request, 0, &out, sizeof out);
  }
  case FUSE_OPEN:
  case FUSE_OPENDIR: {
    struct fuse_open_out out = {.fh = 0};
    return answer(request, 0, &out, sizeof out);
  }
  case FUSE_READ: return readFile(request, body);
  case FUSE_READDIR: return readDirectory(request, body);
  case FUSE_STATFS: {
    struct fuse_statfs_out out = {.st = {.bsize = 4096, .namelen = 255, .frsize = 4096}};
    return answer(request, 0, &out, sizeof out);
  }
  case FUSE_FORGET:
  case FUSE_BATCH_FORGET: return;
  case FUSE_RELEASE:
  case FUSE_RELEASEDIR:
  case FUSE_FLUSH: return answer(request, 0, NULL, 0);
  default: return answer(request, ENOSYS, NULL, 0);
  }
}

/// Mounts it on `path` and serves it until it is unmounted.
int serveFileSystem(const char *path, const char *options) {
  char data[256];
  static char buffer[1 << 20];
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  snprintf(data, sizeof data, "fd=%d,rootmode=40000,user_id=0,group_id=0%s%s", device, *options ? "," : "", options);
  if (device < 0 || mount("agent", path, "fuse", MS_NOSUID | MS_NODEV, data)) return 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    ssize_t length = read(device, buffer, sizeof buffer);
    if (length < 0 && errno == ENODEV) return 0;
    if (length < (ssize_t)sizeof(struct fuse_in_header)) {
      if (length < 0 && (errno == EINTR || errno == ENOENT)) continue;
      return 1;
    }
    serve((const struct fuse_in_header *)buffer, buffer + sizeof(struct fuse_in_header));
  }
}
