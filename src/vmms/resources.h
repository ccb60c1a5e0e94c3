/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_RESOURCES_H
#define VMMS_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

/* Memory that the host could give now; 0: unknown. */
uint64_t resources_memory_available(void);
/* Has the host what @vm takes to start? Looks at what it has now; false: @why. */
bool resources_suffice(const struct vm *vm, char *why, size_t size);
/* Would all of its memory that is in use fit on the disk where its saved state goes? */
bool resources_can_save(const struct vm *vm, char *why, size_t size);

#endif
