// The heap under the names of the C library and optimised, as in the release binary: a compiler that takes these functions for
// the well-known ones may leave out what it holds to be needless. Ends with 0 if every byte is what it has to be.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Each class, its borders, and mappings.
static const size_t extra[] = {1025, 2048, 2049, 4096, 8192, 16384, 32768, 65536, 131071, 131072, 131073, 1 << 20};

// Called through these, about which nothing is known: this half of the program, too, must not be optimised by what the C
// library would do.
static void *(*volatile take)(size_t) = malloc;
static void *(*volatile takeCleared)(size_t, size_t) = calloc;
static void *(*volatile resize)(void *, size_t) = realloc;
static void (*volatile give)(void *) = free;

enum { blocks = 8, mask = 0x5A };

static int dirty(size_t size, void **used) {
  for (int i = 0; i < blocks; i++) {
    used[i] = take(size);
    if (!used[i] || (uintptr_t)used[i] % 16) return 1;
    memset(used[i], mask, size);
  }
  for (int i = 0; i < blocks; i++) give(used[i]);
  return 0;
}

static int check(size_t size) {
  void *used[blocks];
  if (dirty(size, used)) return 1;
  unsigned char *cleared[blocks];
  int again = 0;
  for (int i = 0; i < blocks; i++) {
    cleared[i] = takeCleared(1, size);
    if (!cleared[i]) return 2;
    for (size_t at = 0; at < size; at++)
      if (cleared[i][at]) return 3;
    for (int j = 0; j < blocks; j++) again += (void *)cleared[i] == used[j];
  }
  // Blocks of a class serve again, or nothing was tried.
  if (size <= 131072 && again != blocks) return 4;
  for (int i = 0; i < blocks; i++) {
    memset(cleared[i], mask, size);
    cleared[i] = resize(cleared[i], size * 3 + 1);
    if (!cleared[i]) return 5;
    for (size_t at = 0; at < size; at++)
      if (cleared[i][at] != mask) return 6;
    give(cleared[i]);
  }
  void *aligned = NULL;
  if (posix_memalign(&aligned, 256, size) || (uintptr_t)aligned % 256) return 7;
  memset(aligned, mask, size);
  give(aligned);
  return 0;
}

int main(void) {
  for (size_t size = 1; size <= 1024 + sizeof extra / sizeof *extra; size++) {
    size_t wanted = size <= 1024 ? size : extra[size - 1025];
    int failed = check(wanted);
    if (failed) {
      printf("%zu bytes: %d\n", wanted, failed);
      return 1;
    }
  }
  return 0;
}
