// SPDX-License-Identifier: Apache-2.0
/*
 * Any file as a kernel. The first two bytes choose the machine and what comes with the kernel; the rest is the file. Which loader
 * gets it, its own contents decide: the corpus has bzImages, ELF, PVH and multiboot images.
 */
#include <string.h>

#include "firmware/loader.h"
#include "lib/bits.h"
#include "machine_test.h"

static struct machine machine;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint8_t initrd[10000] = {1};
	struct loader_start start;
	struct loader_error err = {0};

	if (bytes < 2) {
		return 0;
	}
	if (machine.ram == NULL && !machine_init(&machine, 64 << 20)) {
		abort();
	}
	const struct loader_input in = {
		.kernel = data + 2,
		.kernel_bytes = bytes - 2,
		.initrd = data[0] & 1 ? initrd : NULL,
		.initrd_bytes = data[0] & 1 ? (size_t)data[1] * 39 : 0,
		.cmdline = data[0] & 2 ? "console=ttyS0 quiet" : NULL,
		.map = &machine.map,
		.rsdp_gpa = data[0] & 4 ? MEMORY_RSDP_GPA : 0,
	};
	enum loader_status status = loader_load(&in, &machine.gm, &start, &err);

	if (status == LOADER_OK
		    ? start.rflags != 2 || start.gdtr.base == 0
		    : err.status != status || err.text[0] == 0 || strchr(err.text, '\n') != NULL) {
		abort();
	}
	return 0;
}
