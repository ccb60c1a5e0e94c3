// SPDX-License-Identifier: Apache-2.0
#include "engines/cpus.h"

#include <unistd.h>

#include "emu/emu.h"
#include "kvm/kvm.h"

bool engines_cpu_offer(enum engines_engine engine, const char *device, struct x86_cpu_offer *ret)
{
	struct engines_report why;
	int fd, r;

	if (engine == ENGINES_EMU) {
		emu_cpu_offer(false, ret);
		return true;
	}
	fd = engines_open_device(device, &why);
	if (fd < 0) {
		return false;
	}
	r = kvm_cpu_offer(fd, ret);
	close(fd);
	return r == 0;
}
