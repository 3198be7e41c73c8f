// The heap of the release binary, which is musl's otherwise: that one asks the kernel for each group of blocks and gives it
// back as soon as it is empty, a hundred calls for one container. A process of this program lives for milliseconds, or
// waits and does next to nothing, and has one thread. So: blocks of some fixed sizes, a list of free ones for each, new
// ones cut from the end of a region; what is larger has a mapping of its own. Nothing small goes back to the kernel.
#ifdef APUS_ALLOCATOR

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum {
  unit = 16,             // what every block is aligned to, and the size of its head
  small = 1024,          // up to here a class for each multiple of the unit
  smallClasses = small / unit,
  classes = smallClasses + 7,  // then powers of two up to 128 KiB
  region = 256 << 10,
  mapped = 255,          // a block with a mapping of its own
  moved = 254,           // a block inside of another, for the sake of its alignment
};

struct head {
  uint64_t size;         // of the block behind it; of the mapping; how far the other block is before this one
  uint64_t class;
};

struct free {
  struct free *next;
};

static struct free *lists[classes];
static char *next, *end;

static void *outOfMemory(void) {
  errno = ENOMEM;
  return NULL;
}

static int classOf(size_t size) {
  if (size <= small) return size ? (int)((size - 1) / unit) : 0;
  int class = smallClasses;
  while ((size_t)small << (class - smallClasses + 1) < size) class++;
  return class;
}

static size_t sizeOf(int class) {
  return class < smallClasses ? (size_t)(class + 1) * unit : (size_t)small << (class - smallClasses + 1);
}

static struct head *headOf(void *block) { return (struct head *)((char *)block - unit); }

static void *map(size_t length) {
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static void *large(size_t size) {
  if (size > PTRDIFF_MAX - 8192) return outOfMemory();
  size_t length = (size + unit + 4095) & ~(size_t)4095;
  struct head *head = map(length);
  if (!head) return outOfMemory();
  *head = (struct head){length, mapped};
  return (char *)head + unit;
}

// Under names of their own: no compiler thinks that it knows what they do.
static void *allocate(size_t size) {
  if (size > sizeOf(classes - 1)) return large(size);
  int class = classOf(size);
  struct free *block = lists[class];
  if (block) {
    lists[class] = block->next;
    return block;
  }
  size_t length = sizeOf(class);
  if ((size_t)(end - next) < length + unit) {
    // What is left of the old region is lost, less than one block.
    char *memory = map(region);
    if (!memory) return outOfMemory();
    next = memory;
    end = memory + region;
  }
  struct head *head = (struct head *)next;
  *head = (struct head){length, (uint64_t)class};
  next += unit + length;
  return (char *)head + unit;
}

static void release(void *block) {
  if (!block) return;
  struct head *head = headOf(block);
  if (head->class == moved) {
    release((char *)block - head->size);
  } else if (head->class == mapped) {
    int error = errno;
    munmap(head, head->size);
    errno = error;
  } else {
    struct free *entry = block;
    entry->next = lists[head->class];
    lists[head->class] = entry;
  }
}

static size_t capacity(void *block) {
  if (!block) return 0;
  struct head *head = headOf(block);
  if (head->class == mapped) return head->size - unit;
  if (head->class == moved) return capacity((char *)block - head->size) - head->size;
  return head->size;
}

void *malloc(size_t size) { return allocate(size); }

void free(void *block) { release(block); }

size_t malloc_usable_size(void *block) { return capacity(block); }

void *calloc(size_t count, size_t size) {
  size_t length;
  if (__builtin_mul_overflow(count, size, &length)) return outOfMemory();
  void *block = allocate(length);
  // A mapping is new and therefore zero; other blocks may have been used.
  if (block && headOf(block)->class != mapped) memset(block, 0, length);
  return block;
}

void *realloc(void *block, size_t size) {
  if (!block) return allocate(size);
  size_t old = capacity(block);
  if (size <= old && (old <= small || size > old / 2)) return block;
  void *copy = allocate(size);
  if (!copy) return NULL;
  memcpy(copy, block, size < old ? size : old);
  release(block);
  return copy;
}

static void *aligned(size_t alignment, size_t size) {
  if (alignment & (alignment - 1)) {
    errno = EINVAL;
    return NULL;
  }
  if (alignment <= unit) return allocate(size);
  if (size > PTRDIFF_MAX - 8192 || alignment > PTRDIFF_MAX / 2) return outOfMemory();
  char *block = allocate(size + alignment);
  if (!block) return NULL;
  char *inner = (char *)(((uintptr_t)block + alignment - 1) & ~(uintptr_t)(alignment - 1));
  // Both are multiples of the unit, so between them there is room for a head.
  if (inner != block) *headOf(inner) = (struct head){(uint64_t)(inner - block), moved};
  return inner;
}

void *aligned_alloc(size_t alignment, size_t size) { return aligned(alignment, size); }

void *memalign(size_t alignment, size_t size) { return aligned(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  if (alignment < sizeof(void *) || alignment & (alignment - 1)) return EINVAL;
  int error = errno;
  void *block = aligned(alignment, size);
  errno = error;
  if (!block) return ENOMEM;
  *result = block;
  return 0;
}

#endif
