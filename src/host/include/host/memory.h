/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for guests and for partition pools. */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* @bytes (4 KiB multiple) of zeroed private memory, 2 MiB aligned, huge pages wanted. Faulted in
 * when touched. -ENOMEM. */
int host_ram_map(size_t bytes, void **ret);
void host_ram_unmap(void *ram, size_t bytes);
/* Contents are zero again and the memory is given back. */
void host_ram_discard(void *ram, size_t bytes);
/* Faults [@start, @start + @bytes) in, in steps; a hint: what cannot be had is left for later. Blocks. */
void host_ram_populate(void *start, size_t bytes);
/* How many bytes of it are resident now. */
size_t host_ram_resident(const void *ram, size_t bytes);
/* Peak resident memory of this process so far, bytes. */
size_t host_peak_resident(void);
/* Physical memory of this host, bytes. */
uint64_t host_physical_bytes(void);

/* Zeroed 4 KiB pages in a row; NULL: none. */
void *host_pages_alloc(size_t pages);
void host_pages_free(void *memory, size_t pages);

#endif
