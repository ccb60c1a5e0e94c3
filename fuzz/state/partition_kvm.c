// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "kvm/kvm.h"
#include "partition_engine.h"

const struct hv_engine_ops *partition_engine(struct hv_engine_config *config)
{
	static int device = -1;
	const char *why;

	if (device < 0) {
		device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
		why = device < 0 ? "/dev/kvm cannot be opened" : kvm_engine_lacks(device);
		if (why != NULL) {
			printf("1..0 # SKIP %s\n", why);
			exit(0);
		}
	}
	config->device_fd = device;
	return &kvm_engine_ops;
}
