#include "AllocatorSupport.h"

#define malloc heap_malloc
#define free heap_free
#define calloc heap_calloc
#define realloc heap_realloc
#define aligned_alloc heap_aligned_alloc
#define memalign heap_memalign
#define posix_memalign heap_posix_memalign
#define malloc_usable_size heap_malloc_usable_size
#define APUS_ALLOCATOR
#include "../../Sources/CStart/allocator.c"
