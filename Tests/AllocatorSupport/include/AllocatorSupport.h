// The heap of the release binary under other names.
#ifndef ALLOCATOR_SUPPORT_H
#define ALLOCATOR_SUPPORT_H

#include <stddef.h>

void *heap_malloc(size_t size);
void heap_free(void *block);
void *heap_calloc(size_t count, size_t size);
void *heap_realloc(void *block, size_t size);
int heap_posix_memalign(void **result, size_t alignment, size_t size);
size_t heap_malloc_usable_size(void *block);

#endif
