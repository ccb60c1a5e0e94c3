// SPDX-License-Identifier: Apache-2.0
#include "late.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "manage.h"

static void load(struct late_library *library)
{
	for (size_t i = 0; i < ARRAY_LEN(library->names) && library->loaded == NULL; i++) {
		if (library->names[i] != NULL) {
			library->loaded = dlopen(library->names[i], RTLD_NOW | RTLD_LOCAL);
		}
	}
	if (library->loaded == NULL) {
		complain("%s is not installed (%s): it is needed %s", library->names[0], dlerror(),
			 library->what_for);
		exit(CLI_FAILED);
	}
}

void *late_function(struct late_library *library, const char *function)
{
	void *address;

	if (library->loaded == NULL) {
		load(library);
	}
	address = dlsym(library->loaded, function);
	if (address == NULL) {
		complain("%s has no %s: it is older than the one this was built with",
			 library->names[0], function);
		exit(CLI_FAILED);
	}
	return address;
}
