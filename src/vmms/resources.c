// SPDX-License-Identifier: Apache-2.0
#include "resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "host/memory.h"
#include "process.h"
#include "vm.h"

#define MIB (UINT64_C(1) << 20)
#define WORKER_BYTES (48 * MIB)	   /* what a worker needs beside the guest's memory */
#define SAVED_BYTES_MIN (16 * MIB) /* device state, and room for what others write meanwhile */

uint64_t resources_memory_available(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1) {
			break;
		}
	}
	if (f != NULL) {
		fclose(f);
	}
	return kib * 1024;
}

bool resources_suffice(const struct vm *vm, char *why, size_t size)
{
	const json_t *memory = json_object_get(vm->configuration, "memory");
	uint64_t wanted = (uint64_t)json_integer_value(json_object_get(memory, "startup_bytes")) +
			  WORKER_BYTES;
	uint64_t available = resources_memory_available();

	if (available == 0 || wanted <= available) {
		return true;
	}
	snprintf(why, size,
		 "%s needs %" PRIu64 " MiB of memory to start, and this host has %" PRIu64
		 " of %" PRIu64
		 " MiB available; stop other VMs, or give it less (virid vm set --memory)",
		 vm_name(vm), wanted / MIB, available / MIB, host_physical_bytes() / MIB);
	return false;
}

bool resources_can_save(const struct vm *vm, char *why, size_t size)
{
	struct process_usage usage = {0};
	struct statvfs fs;
	char path[VM_PATH_BYTES];

	vm_path(vm, "", path);
	if (statvfs(path, &fs) < 0 || vm->worker.pid == 0 ||
	    !process_usage(vm->worker.pid, &usage)) {
		return true; /* the attempt will tell */
	}
	/* Memory is compressed, by how much nobody knows; this much is sure to be needed. */
	uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	uint64_t wanted = SAVED_BYTES_MIN + usage.resident_bytes / 8;

	if (wanted <= free_bytes) {
		return true;
	}
	snprintf(why, size,
		 "%s cannot be saved, and runs on: its state needs about %" PRIu64 " to %" PRIu64
		 " MiB, and %s has %" PRIu64 " MiB free; make room there",
		 vm_name(vm), wanted / MIB, usage.resident_bytes / MIB, path, free_bytes / MIB);
	return false;
}
